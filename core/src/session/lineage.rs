//! Where a session came from by a log-in, where it went, and whose log-in it is: reserved fields.
//!
//! A log-in begins a new record. The new one names its predecessors and its **family**: a name made of the session
//! that the log-in was made from, and of the principal. Two log-ins of one principal from one session, made at the same
//! moment on two nodes, have one family without knowing each other, and a logout of either destroys the family's name
//! like a session: that tombstone ends both, wherever they meet it (`docs/ALGORITHM.md` §14). The old record names its
//! successors, each in a field of its own, so that they are a set.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::SessionId;
use super::ends::ENDS_KEY;
use super::packed::Packed;
use super::principal::{PRINCIPAL_KEY, REVOKED_KEY, ROTATED_KEY};
use crate::limits::MAX_ANCESTORS;

/// The field of a [`Lineage`].
pub const LINEAGE_KEY: &str = "\0\0b";
/// The field of a [`LoginId`].
pub const LOGIN_ID_KEY: &str = "\0\0i";
/// The fields of a session's successors: this, and a successor's id in hex. The value is a [`Lineage`], of which the
/// families count.
const MOVED: &str = "\0\0n";

/// Where a session came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// Its families, the nearest first: what ends with it, whoever of them logs out.
    pub families: Vec<SessionId>,
    /// The sessions it was logged in from, the last first.
    pub ancestors: Vec<SessionId>,
}

/// The name of a family: of who logs in as `principal` from the session `from`.
pub fn family(from: SessionId, principal: &str) -> SessionId {
    named(b"sessionmesh family\0", from, principal.as_bytes())
}

/// The name of the family of those that `from` became under new ids, its user the same: for a framework's sessions, whose
/// id is all that a browser holds. Whoever knows `from`, and nothing else of it, knows the name.
pub fn rotations(from: SessionId) -> SessionId {
    named(b"sessionmesh rotation\0", from, b"")
}

/// The name of the family of those that `from` became under new ids by the same `change` of what it holds: two log-ins of
/// one user, where nobody says who the user is.
pub fn family_of_change(from: SessionId, change: &[u8]) -> SessionId {
    named(b"sessionmesh change\0", from, change)
}

fn named(kind: &[u8], from: SessionId, what: &[u8]) -> SessionId {
    let digest = Sha256::new_with_prefix(kind).chain_update(from.as_bytes()).chain_update(what).finalize();
    let mut name = [0; 16];
    name.copy_from_slice(&digest[..16]);
    SessionId::from_bytes(name)
}

impl Lineage {
    /// That of a session that `principal` begins by logging in from `from`, of which `held` is what is known.
    ///
    /// It is of the family of each of its ancestors: whatever else this principal's log-ins made of any of them ends with
    /// it. The nearest is always there, since a node that knows nothing of `from` knows its name.
    pub fn of_login(from: SessionId, principal: &str, held: Option<&Self>) -> Self {
        let older = held.map(|held| held.ancestors.as_slice()).unwrap_or_default();
        let ancestors: Vec<_> =
            std::iter::once(from).chain(older.iter().copied()).take(MAX_ANCESTORS).collect();
        Self { families: ancestors.iter().map(|from| family(*from, principal)).collect(), ancestors }
    }

    /// MessagePack: `[[family, ...], [ancestor, ...]]`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // Writing into memory cannot fail.
        let _ = rmp_serde::encode::write(&mut out, &self);
        out
    }

    /// The inverse; `None` for anything that [`Lineage::to_bytes`] does not write.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let lineage: Self = rmp_serde::from_slice(bytes).ok()?;
        let fits = lineage.ancestors.len().max(lineage.families.len()) <= MAX_ANCESTORS;
        (fits && lineage.to_bytes() == bytes).then_some(lineage)
    }

    /// That of a record, if it has one.
    pub fn of(record: &Packed<'_>) -> Option<Self> {
        Self::parse(record.reserved_field(LINEAGE_KEY)?)
    }
}

/// Which log-in a session is, whatever record it lies in and whatever it is moved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginId {
    /// 128 random bits. What is shown of it is a hash.
    pub id: SessionId,
    /// When it was made (ms).
    pub since_ms: u64,
}

impl LoginId {
    /// MessagePack: `[16 bytes, ms]`.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::new();
        // Writing into memory cannot fail.
        let _ = rmp_serde::encode::write(&mut out, &self);
        out
    }

    /// That of a record. One that was made by a version before has that of its record.
    pub fn of(record: &Packed<'_>) -> Self {
        let told = record.reserved_field(LOGIN_ID_KEY).and_then(|bytes| rmp_serde::from_slice(bytes).ok());
        told.unwrap_or(Self { id: record.id(), since_ms: record.created_ms() })
    }

    /// What may be shown: it names the log-in and opens nothing. 32 hex digits, the same on every node.
    pub fn handle(&self) -> String {
        let digest =
            Sha256::new_with_prefix(b"sessionmesh log-in\0").chain_update(self.id.as_bytes()).finalize();
        digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The name of the field that says that a session went on as `successor`.
pub fn moved_key(successor: SessionId) -> String {
    format!("{MOVED}{}", successor.to_text())
}

/// The sessions that a record says it went on as, each with its families.
pub fn successors(record: &Packed<'_>) -> Vec<(SessionId, Vec<SessionId>)> {
    let one = |key: &str, value: &[u8]| match key.strip_prefix(MOVED) {
        Some(id) => Some((SessionId::parse(id)?, Lineage::parse(value)?.families)),
        // Versions before gave a session that was rotated another id.
        None => Some((SessionId::from_bytes(value.try_into().ok()?), Vec::new())),
    };
    moves(record).filter_map(|(key, value)| one(key, value)).collect()
}

/// Whether a record went on as another.
pub fn is_moved(record: &Packed<'_>) -> bool {
    moves(record).next().is_some()
}

fn moves<'a>(record: &Packed<'a>) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
    let reserved = record.fields().take_while(|f| f.key <= ROTATED_KEY);
    reserved
        .filter(|f| f.key.starts_with(MOVED) || f.key == ROTATED_KEY)
        .filter_map(|f| Some((f.key, f.value?)))
}

/// What a reserved field is called where its name must not be shown: names hold ids, and hashes of keys.
pub fn reserved_word(key: &str) -> &'static str {
    match key {
        PRINCIPAL_KEY => "(principal)",
        REVOKED_KEY => "(revocation)",
        LINEAGE_KEY => "(where it came from)",
        LOGIN_ID_KEY => "(which log-in)",
        ENDS_KEY => "(ends at the latest)",
        key if key.starts_with(MOVED) || key == ROTATED_KEY => "(went on as another)",
        key if key.starts_with("\0\0k") => "(key)",
        key if key.starts_with("\0\0j") => "(end of a key)",
        _ => "(reserved)",
    }
}
