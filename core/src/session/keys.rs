//! What a client holds of a session, and what the record keeps of it: keys, as reserved fields.
//!
//! A session lies under its id, the *locator*; who may use it is decided by a *key*, of which the record holds a hash.
//! Each key is a register of its own, and its end another that is named by the moment it ends, so that ends only ever
//! add up and the least of them counts: an edit elsewhere cannot lengthen one. Nothing here needs a join of its own
//! (`docs/ALGORITHM.md` §14).

use std::fmt;

use sha2::{Digest, Sha256};

use super::SessionId;
use super::packed::Packed;

/// The field of a key: this, and its hash. The value is since when (ms), eight bytes.
const HELD: &str = "\0\0k";
/// The field of a key's end: this, the key's hash, and the moment it ends (ms, 12 hex digits). Without a value.
const ENDS: &str = "\0\0j";
/// Hex digits of a hash: 96 bits. To find a key for it takes as many guesses as to find the session's.
const HASH_DIGITS: usize = 24;
const MOMENT_DIGITS: usize = 12;

/// The proof that a client holds a session: 128 random bits. A bearer secret, which is kept nowhere in the mesh.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionKey([u8; 16]);

impl SessionKey {
    /// What a client holds that came with an id alone, as clients of versions before did.
    pub const NONE: Self = Self([0; 16]);

    /// Wraps 16 bytes, which must be unguessable.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes. Secret.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Its hash in the record of `id`, and nowhere else: a hash that is copied to another record opens nothing.
    pub fn hash(&self, id: SessionId) -> KeyHash {
        let digest =
            Sha256::new_with_prefix(b"sessionmesh key\0").chain_update(id.as_bytes()).chain_update(self.0);
        let mut text = [0; HASH_DIGITS];
        hex(&digest.finalize()[..HASH_DIGITS / 2], &mut text);
        KeyHash(text)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(secret)")
    }
}

fn hex(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

/// A key's hash, as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash([u8; HASH_DIGITS]);

impl KeyHash {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The name of its field.
    pub fn held(&self) -> String {
        format!("{HELD}{}", self.text())
    }

    /// The name of the field that ends it at `ms`.
    pub fn ends(&self, ms: u64) -> String {
        // Later than twelve digits can say is for ever.
        format!("{ENDS}{}{:012x}", self.text(), ms.min((1 << (4 * MOMENT_DIGITS)) - 1))
    }

    fn parse(text: &str) -> Option<Self> {
        text.as_bytes().try_into().ok().map(Self)
    }

    /// Equal or not, in a time that tells nothing.
    fn is(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |unlike, (a, b)| unlike | (a ^ b)) == 0
    }
}

/// One key of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldKey {
    /// Its hash.
    pub hash: KeyHash,
    /// The least of its ends (ms), if it has any.
    pub ends_ms: Option<u64>,
}

/// All keys of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Those that are held.
    pub held: Vec<HeldKey>,
    /// Names of fields of keys and ends, removed ones too: what the record grows by with every rotation.
    pub marks: usize,
    ends: Vec<(KeyHash, u64)>,
}

/// What a key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// It is a key of the session.
    Held,
    /// It is, until this moment (ms): the session has another since.
    Until(u64),
    /// It was one.
    Ended,
    /// It is none that is known here.
    Unknown,
}

/// A reserved field of a key.
enum Named {
    /// A key.
    Held(KeyHash),
    /// An end of a key, whether that is held or not: of what a client holds without a key, too.
    Ends(KeyHash, u64),
}

/// The fields of keys in a record, and whether they are set or removed.
fn named<'a>(record: &Packed<'a>) -> impl Iterator<Item = (Named, bool)> + use<'a> {
    // Reserved fields come first, but for one key of an application's.
    let reserved = record.fields().take_while(|f| f.key < "\0\0l").filter(|f| f.key >= ENDS);
    reserved.filter_map(|field| {
        let named = if let Some(hash) = field.key.strip_prefix(HELD) {
            Named::Held(KeyHash::parse(hash)?)
        } else {
            let (hash, moment) = field.key.strip_prefix(ENDS)?.split_at_checked(HASH_DIGITS)?;
            Named::Ends(KeyHash::parse(hash)?, u64::from_str_radix(moment, 16).ok()?)
        };
        Some((named, field.value.is_some()))
    })
}

/// What the key with this hash opens of a record at `now_ms`. Every key is compared, and each of them whole. Makes no list
/// of them: every request asks this.
pub fn opens(record: &Packed<'_>, hash: &KeyHash, now_ms: u64) -> Opens {
    let (mut held, mut ends_ms) = (false, None);
    for (named, _) in named(record).filter(|(_, set)| *set) {
        match named {
            Named::Held(of) => held |= of.is(hash),
            Named::Ends(of, ms) if of.is(hash) => ends_ms = least(ends_ms, ms),
            Named::Ends(..) => {}
        }
    }
    let long = || matches!(record.ttl(), super::state::Ttl::Sliding(86_400_000..));
    match ends_ms {
        _ if !held => Opens::Unknown,
        Some(_) if mutant!(WebExpiryLengthensKeys) && long() => Opens::Held,
        None => Opens::Held,
        Some(ms) if ms > now_ms => Opens::Until(ms),
        Some(_) => Opens::Ended,
    }
}

/// What an id without a key opens of a record at `now_ms`: one of a version before, which has none. Once it is given one,
/// the id is as good as a key ([`SessionKey::NONE`]'s) until that is ended.
pub fn opens_bare(record: &Packed<'_>, now_ms: u64) -> Opens {
    match named(record).next() {
        None => Opens::Held,
        Some(_) => opens(record, &SessionKey::NONE.hash(record.id()), now_ms),
    }
}

fn least(ends_ms: Option<u64>, ms: u64) -> Option<u64> {
    Some(ends_ms.map_or(ms, |least| least.min(ms)))
}

impl Keys {
    /// Reads them out of a record.
    pub fn of(record: &Packed<'_>) -> Self {
        let mut keys = Self::default();
        for (named, set) in named(record) {
            keys.marks += 1;
            match named {
                Named::Held(hash) if set => keys.held.push(HeldKey { hash, ends_ms: None }),
                Named::Ends(hash, ms) if set => keys.ends.push((hash, ms)),
                _ => {}
            }
        }
        for key in &mut keys.held {
            key.ends_ms = keys.ends.iter().filter(|(hash, _)| *hash == key.hash).map(|(_, ms)| *ms).min();
        }
        keys
    }

    /// The fields of keys that ended before `before_ms`: they may go.
    pub fn over(&self, before_ms: u64) -> Vec<String> {
        let over = self.held.iter().filter(|key| key.ends_ms.is_some_and(|ms| ms < before_ms));
        over.flat_map(|key| {
            let ends = self.ends.iter().filter(|(hash, _)| *hash == key.hash);
            std::iter::once(key.hash.held()).chain(ends.map(|(hash, ms)| hash.ends(*ms)))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causality::Ver;
    use crate::session::{Birth, Field, Live, Mark, Op, State, Ttl, TtlReg, encode};
    use crate::time::Hlc;

    const ID: SessionId = SessionId::from_bytes([7; 16]);
    const KEY: SessionKey = SessionKey::from_bytes([1; 16]);
    const OTHER: SessionKey = SessionKey::from_bytes([2; 16]);

    fn record(names: &[(String, bool)]) -> Vec<u8> {
        let mut names: Vec<_> =
            names.iter().map(|(name, held)| (name.as_str(), held.then_some(&[][..]))).collect();
        names.sort_unstable();
        let fields = names.into_iter().map(|(key, value)| Field { key, op: 0, value }).collect();
        let live = Live {
            ops: vec![Op { ver: Ver { hlc: Hlc(1), origin: 0, counter: 1 }, context: Vec::new() }],
            birth: Some(Birth { op: 0, created_ms: 0, hard_ms: 1_000 }),
            touch: Some(Mark { op: 0, ms: 0 }),
            ttl: Some(TtlReg { op: 0, ttl: Ttl::Sliding(10) }),
            high_sliding: None,
            high_absolute: None,
            fields,
        };
        let mut bytes = Vec::new();
        assert!(encode(ID, &State::Live(live), &mut bytes));
        bytes
    }

    #[test]
    fn the_least_end_of_a_key_counts_and_a_removed_one_opens_nothing() {
        let (key, other) = (KEY.hash(ID), OTHER.hash(ID));
        let held = |hash: &KeyHash| (hash.held(), true);
        let bytes = record(&[held(&key), held(&other), (key.ends(500), true), (key.ends(70), true)]);
        let (two, keys) = (Packed::new(&bytes), Keys::of(&Packed::new(&bytes)));
        assert_eq!(opens(&two, &key, 69), Opens::Until(70), "the earlier of two ends");
        assert_eq!(opens(&two, &key, 70), Opens::Ended);
        assert_eq!(opens(&two, &other, 70), Opens::Held);
        assert_eq!(
            (keys.marks, keys.over(70).len(), keys.over(71).len()),
            (4, 0, 3),
            "a key and its two ends"
        );
        let elsewhere = KEY.hash(SessionId::from_bytes([8; 16]));
        assert_eq!(opens(&two, &elsewhere, 0), Opens::Unknown, "a hash is its record's");
        let bytes = record(&[(key.held(), false), held(&other)]);
        assert_eq!(opens(&Packed::new(&bytes), &key, 0), Opens::Unknown);
        assert_eq!(Keys::of(&Packed::new(&bytes)).marks, 2);
        let bytes = record(&[held(&key), (key.ends(70), false)]);
        assert_eq!(opens(&Packed::new(&bytes), &key, 70), Opens::Held, "an end that was removed is none");
    }

    #[test]
    fn without_a_key_an_id_opens_what_has_none_and_what_was_just_given_one() {
        let (bare, key) = (SessionKey::NONE.hash(ID), KEY.hash(ID));
        let opens = |names: &[(String, bool)], now_ms| opens_bare(&Packed::new(&record(names)), now_ms);
        assert_eq!(opens(&[], 0), Opens::Held);
        assert_eq!(opens(&[(key.held(), true)], 0), Opens::Unknown);
        let upgraded = [(key.held(), true), (bare.held(), true), (bare.ends(70), true)];
        assert_eq!((opens(&upgraded, 69), opens(&upgraded, 70)), (Opens::Until(70), Opens::Ended));
        assert_eq!(opens(&[(key.held(), false)], 0), Opens::Unknown, "once it had keys, always");
        assert_eq!(opens(&[(key.held(), true), (bare.held(), true)], 0), Opens::Held, "being upgraded");
        assert_eq!(opens(&[(key.held(), false), (bare.held(), true)], 0), Opens::Held, "that was taken back");
    }
}
