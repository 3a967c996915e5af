//! The index of principals: whose sessions are held here, and what revokes them. Derived from the records, never
//! sent, and exact after every change: a partition notes what its records bound before and now, and the note is taken
//! over before the partition's lock is released.
//!
//! The index has a lock of its own, a leaf: whoever holds it takes no other. Taken over later, two notes of one record
//! could arrive in the wrong order, and the index would be wrong for good.
//!
//! A principal is indexed by a keyed hash: 24 bytes a session whatever the principal's length, and a flat ordered set
//! takes a principal with a million sessions as well as a million principals. Whoever uses an entry reads the record,
//! so that a collision costs a look and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::partition::Partition;
use crate::causality::{Dot, Origin, origin_at};
use crate::limits::BINDING_BYTES;
use crate::marks::Mark;
use crate::session::{LINEAGE_KEY, Lineage, Login, Packed, REVOKED_KEY, SeenRevocations, SessionId, Spared};

/// A revocation held here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Revocation {
    /// Its record.
    pub id: SessionId,
    /// The write event: what logins have seen, or not.
    pub dot: Dot,
    pub principal: Box<str>,
    pub seen: Vec<(Dot, u64)>,
    pub spared: Option<SessionId>,
    /// No session can live longer that was created before it (ms).
    pub until_ms: u64,
}

impl Revocation {
    fn bytes(&self) -> u64 {
        let seen = self.seen.len() * size_of::<(Dot, u64)>();
        (size_of::<Self>() + self.principal.len() + seen) as u64 + BINDING_BYTES
    }

    /// Whether it ends this session, whose log-in is `which`.
    pub fn ends(&self, id: SessionId, which: SessionId, login: &Login<'_>) -> bool {
        // Versions before named the session to be spared, and not its log-in.
        let spared = self.spared == Some(which) || self.spared == Some(id);
        *self.principal == *login.principal && !spared && !login.seen.has(self.dot)
    }
}

/// What one record binds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Binding {
    #[default]
    Nothing,
    /// A session of the principal with this hash, if it is somebody's, and of these families.
    Session(Option<u64>, Vec<SessionId>),
    /// A tombstone: of a family, maybe.
    Tombstone,
    /// A revocation of the principal with this hash.
    Revocation(u64, Box<Revocation>),
}

/// A record that binds something else than before.
pub(super) struct Note {
    id: SessionId,
    was: Binding,
    is: Binding,
}

/// The index.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Principals {
    sessions: BTreeSet<(u64, SessionId)>,
    revocations: BTreeMap<u64, Vec<Revocation>>,
    /// Sessions that came from a log-in out of another session, by family.
    families: BTreeSet<(SessionId, SessionId)>,
    /// Sessions that stand beside a revocation since the last look: to be ended unless their login had seen it; and
    /// those whose family may be over.
    due: BTreeSet<SessionId>,
    /// Bytes of the revocations.
    revocation_bytes: u64,
}

impl Principals {
    /// What the index takes (bytes).
    pub fn bytes(&self) -> u64 {
        let entries = self.sessions.len() + self.families.len() + self.due.len();
        entries as u64 * BINDING_BYTES + self.revocation_bytes
    }

    pub fn apply(&mut self, notes: Vec<Note>) {
        for Note { id, was, is } in notes {
            match was {
                Binding::Nothing | Binding::Tombstone => {}
                Binding::Session(hash, families) => {
                    hash.map(|hash| self.sessions.remove(&(hash, id)));
                    families.into_iter().for_each(|family| {
                        self.families.remove(&(family, id));
                    });
                    self.due.remove(&id);
                }
                Binding::Revocation(hash, _) => self.forget(hash, id),
            }
            match is {
                Binding::Nothing => {}
                Binding::Session(hash, families) => {
                    hash.map(|hash| self.sessions.insert((hash, id)));
                    // Whether a family is over, its tombstone says.
                    let related = !families.is_empty();
                    self.families.extend(families.into_iter().map(|family| (family, id)));
                    if related || hash.is_some_and(|hash| self.revocations.contains_key(&hash)) {
                        self.due.insert(id);
                    }
                }
                Binding::Tombstone => self.due.extend(range(&self.families, id)),
                Binding::Revocation(hash, revocation) => {
                    self.due.extend(range(&self.sessions, hash));
                    self.revocation_bytes += revocation.bytes();
                    let held = self.revocations.entry(hash).or_default();
                    let at = held.partition_point(|other| *other < *revocation);
                    held.insert(at, *revocation);
                }
            }
        }
    }

    fn forget(&mut self, hash: u64, id: SessionId) {
        if let Some(held) = self.revocations.get_mut(&hash) {
            held.retain(|revocation| {
                let stays = revocation.id != id;
                self.revocation_bytes -= if stays { 0 } else { revocation.bytes() };
                stays
            });
            if held.is_empty() {
                self.revocations.remove(&hash);
            }
        }
    }

    /// The sessions of the principal with this hash, by id.
    pub fn of(&self, hash: u64) -> Vec<SessionId> {
        range(&self.sessions, hash).collect()
    }

    fn held(&self, hash: u64) -> &[Revocation] {
        self.revocations.get(&hash).map_or(&[], Vec::as_slice)
    }

    /// The revocation of this principal, made by `own`, that another of it may take the place of: it spares nobody, and
    /// covers all that can be born until `until_ms`.
    pub fn to_renew(&self, hash: u64, principal: &str, own: Origin, until_ms: u64) -> Option<SessionId> {
        let mine = |r: &&Revocation| r.dot.origin == own && r.spared.is_none() && *r.principal == *principal;
        self.held(hash).iter().filter(mine).find(|r| r.until_ms >= until_ms).map(|r| r.id)
    }

    /// Whether a revocation held here ends this session.
    pub fn ends(&self, hash: u64, id: SessionId, which: SessionId, login: &Login<'_>) -> bool {
        self.held(hash).iter().any(|revocation| revocation.ends(id, which, login))
    }

    /// What a login or a revocation made here and now has seen, without what was over everywhere at `over_ms`.
    pub fn seen(&self, hash: u64, principal: &str, over_ms: u64) -> SeenRevocations {
        let held = || self.held(hash).iter().filter(|revocation| *revocation.principal == *principal);
        let mut seen = SeenRevocations::default();
        for revocation in held() {
            revocation.seen.iter().for_each(|&(dot, until_ms)| seen.add(dot, until_ms));
        }
        held().for_each(|revocation| seen.add(revocation.dot, revocation.until_ms.max(over_ms + 1)));
        seen.trim(over_ms, &|origin| held().any(|revocation| revocation.dot.origin == origin));
        seen
    }

    pub fn take_due(&mut self, most: usize) -> Vec<SessionId> {
        let mut due = Vec::new();
        while due.len() < most {
            let Some(id) = self.due.pop_first() else { break };
            due.push(id);
        }
        due
    }

    pub fn take_due_of(&mut self, hash: u64) -> Vec<SessionId> {
        range(&self.sessions, hash).filter(|id| self.due.remove(id)).collect()
    }

    pub fn take_due_of_family(&mut self, family: SessionId) -> Vec<SessionId> {
        range(&self.families, family).filter(|id| self.due.remove(id)).collect()
    }

    pub fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// What disagrees with an index made anew from all records, if anything.
    pub fn compare(&self, scanned: &Self) -> Result<(), String> {
        let (sessions, revocations) = (self.sessions.len(), self.revocations.len());
        if self.sessions != scanned.sessions {
            return Err(format!("{sessions} sessions indexed, but {} held", scanned.sessions.len()));
        }
        if self.families != scanned.families {
            return Err(format!(
                "{} sessions of families indexed, but {} held",
                self.families.len(),
                scanned.families.len()
            ));
        }
        if self.revocations != scanned.revocations {
            return Err(format!("revocations of {revocations} principals, not those of the records"));
        }
        Ok(())
    }
}

/// The sessions under a key: a principal's hash, or a family.
fn range<K: Ord + Copy>(sessions: &BTreeSet<(K, SessionId)>, key: K) -> impl Iterator<Item = SessionId> + '_ {
    let (first, last) = (SessionId::from_bytes([0; 16]), SessionId::from_bytes([0xff; 16]));
    sessions.range((key, first)..=(key, last)).map(|entry| entry.1)
}

/// The name of a principal in this process's index.
pub(super) fn principal_hash(principal: &str, key: u64) -> u64 {
    xxh3_64_with_seed(principal.as_bytes(), key ^ 0x7072_696e_6369_7061)
}

/// What a record binds; whether it is malformed.
pub(super) fn binding(record: &Packed<'_>, origins: &[Origin], key: u64) -> (Binding, bool) {
    if record.is_dead() {
        return (Binding::Tombstone, false);
    }
    let Some(bytes) = record.login_bytes() else {
        // Of a framework's session, that it has another id than before may be all that is known.
        let families = Lineage::of(record).unwrap_or_default().families;
        let related = !families.is_empty() && !record.is_revocation();
        let binding = if related { Binding::Session(None, families) } else { Binding::Nothing };
        return (binding, record.is_revocation());
    };
    let Some(login) = Login::parse(bytes) else { return (Binding::Nothing, true) };
    let hash = principal_hash(login.principal, key);
    let Some(marker) = record.revoked_bytes() else {
        let families = Lineage::of(record).unwrap_or_default().families;
        return (Binding::Session(Some(hash), families), false);
    };
    let Some(Spared(spared)) = Spared::parse(marker) else { return (Binding::Nothing, true) };
    // The name of the marker and not of the record: one that takes an earlier one's place is another.
    let ver = record.fields().find(|f| f.key == REVOKED_KEY).map_or(record.birth_ver(), |f| record.ver(f.op));
    let revocation = Revocation {
        id: record.id(),
        dot: Dot { origin: origin_at(origins, ver.origin), counter: ver.counter },
        principal: login.principal.into(),
        seen: login.seen.iter().collect(),
        spared,
        until_ms: record.hard_ms(),
    };
    (Binding::Revocation(hash, Box::new(revocation)), false)
}

impl Partition {
    /// Notes what a record binds from now on. To be called before the slot changes; without a login on either side
    /// it costs a flag and a look at the first field.
    pub(super) fn note_binding(&mut self, id: SessionId, at: Option<u32>, new: Option<&Packed<'_>>) {
        let held = at.map(|slot| self.record(slot));
        let unbound = |record: &Packed<'_>| {
            !record.is_dead()
                && record.login_bytes().is_none()
                && !record.is_revocation()
                && record.reserved_field(LINEAGE_KEY).is_none()
        };
        if held.as_ref().is_none_or(unbound) && new.is_none_or(unbound) {
            return;
        }
        let same = |held: &Packed<'_>, new: &Packed<'_>| {
            // A revocation is never written again: but for a second birth, it stays what it is.
            held.login_bytes() == new.login_bytes()
                && held.is_dead() == new.is_dead()
                && !held.is_revocation()
                && !new.is_revocation()
                && held.reserved_field(LINEAGE_KEY) == new.reserved_field(LINEAGE_KEY)
        };
        if held.as_ref().zip(new).is_some_and(|(held, new)| same(held, new)) {
            return;
        }
        let of = |record: &Packed<'_>| binding(record, &self.origins, self.key);
        let was = held.as_ref().map(of).unwrap_or_default().0;
        let (is, malformed) = new.map(of).unwrap_or_default();
        if malformed {
            self.marks.hit(Mark::PrincipalMalformed);
            self.counts.violations += 1;
        }
        if was != Binding::Nothing || is != Binding::Nothing {
            self.notes.push(Note { id, was, is });
        }
    }

    /// Takes what [`Partition::note_binding`] noted.
    pub(super) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Adds what the records here bind to an index made anew. For tests and the simulator.
    pub(super) fn scan_bindings(&self, index: &mut Principals) {
        let of = |record: Packed<'_>| Note {
            id: record.id(),
            was: Binding::Nothing,
            is: binding(&record, &self.origins, self.key).0,
        };
        index.apply(self.records().map(of).collect());
    }
}
