//! One partition: the unit of locking, causality and digests.
//!
//! It holds the records, the **dot index** (a dot is listed iff some component of its session still carries it),
//! and the **coverage** `cov`: for each origin the counters whose effects are held here. The invariant on which
//! everything rests (`docs/ALGORITHM.md` §4): *if a dot is in `cov`, this partition's slot for its session holds,
//! for every component the dot wrote, a value at least as great*. A covered dot missing from the index was
//! superseded by something held here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hashbrown::HashTable;

use super::arena::{Arena, Held, Place};
use super::principals::Note;
use super::revived::Revived;
use super::tell::Happened;
use crate::causality::{Origin, OriginIx, RangeSet, Ver, short_origin};
use crate::limits::RECENT_OPS;
use crate::marks::{Mark, Marks};
use crate::session::{Dots, Packed, SessionId, State, encode};
use crate::time::Hlc;

/// What this partition knows of one origin.
#[derive(Default)]
pub(super) struct Known {
    /// Counters whose effects are held here.
    pub cov: RangeSet,
    /// Latest hard deadline (ms) of anything the origin wrote here: after it the entry may go (docs/ALGORITHM.md §6).
    pub until_ms: u64,
    /// Live dots of this origin: counter to slot.
    pub index: BTreeMap<u64, u32>,
}

/// One session's place. `wheel` is the bucket in which its next expiry check is queued.
#[derive(Clone, Copy, Default)]
pub(super) struct Slot {
    pub place: Place,
    pub wheel: u32,
    pub used: bool,
    pub told_expired: bool,
    /// It was over when it came in: watchers know nothing of it.
    pub untold: bool,
    /// Only what nobody may bring back is left of the session (`revived.rs`).
    pub stub: bool,
    /// It was made here for somebody who is not here (`memory.rs`).
    pub blind: bool,
}

/// One op of our own, remembered for pushes.
#[derive(Clone, Copy)]
pub(super) struct Recent {
    pub counter: u64,
    pub hlc: Hlc,
    pub slot: u32,
    pub touched: bool,
    /// Whether it set the ttl, and so raised a high-water mark.
    pub ttl: bool,
}

/// Claims received in an unfinished round: they count only once the round is complete (docs/ALGORITHM.md §4).
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    pub epoch: u32,
    pub claims: BTreeMap<Origin, (RangeSet, u64)>,
}

/// Who taught this partition to cover which counters: so that an audit can name the peer that lied.
#[derive(Clone, Copy)]
pub(super) struct Taught {
    pub from: Origin,
    pub origin: Origin,
    pub lo: u64,
    pub hi: u64,
}

/// Counts kept per partition and summed by the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions held that are not tombstones (expired but retained ones included; no revocations).
    pub sessions: u64,
    /// Tombstones held.
    pub tombstones: u64,
    /// Revocations held.
    pub revocations: u64,
    /// Expired sessions still retained, stubs aside.
    pub expired_retained: u64,
    /// What is left, to its hard deadline, of expired sessions that were reaped without a member's word.
    pub stubs: u64,
    /// Sessions reaped because a member was not heard of for `expire_wait_ms`.
    pub reaped_unheard: u64,
    /// Sessions that had been reaped here and are back, alive: their fields may be older ones.
    pub returned: u64,
    /// Concurrent overwrites seen.
    pub conflicts: u64,
    /// Overwrites of which nobody can tell any more whether they were concurrent.
    pub unlabelled: u64,
    /// Equal versions with different content, second births, and the like.
    pub violations: u64,
    /// Entries refused because their clock was too far ahead.
    pub refused_drift: u64,
    /// Whole records asked for because a part arrived for an unknown session.
    pub need_full: u64,
    /// Overwrites of any kind by incoming entries.
    pub merged: u64,
    /// Entries that came in.
    pub entries: u64,
    /// Those of them that changed nothing.
    pub redundant: u64,
}

/// One partition of the replica. A pure state machine: `&mut self` and the time, nothing else.
pub struct Partition {
    pub(super) ix: u16,
    /// New with every life: a page that answers an earlier one claims nothing (docs/ALGORITHM.md §4).
    pub(super) epoch: u32,
    pub(super) key: u64,
    pub(super) slots: Vec<Slot>,
    pub(super) vacant: Vec<u32>,
    ids: HashTable<u32>,
    pub(super) arena: Arena,
    pub(super) origins: Vec<Origin>,
    pub(super) known: Vec<Known>,
    pub(super) origin_ix: BTreeMap<Origin, OriginIx>,
    /// Places of forgotten origins.
    pub(super) vacant_origins: Vec<OriginIx>,
    /// Origins of which a dot is held.
    pub(super) held_origins: usize,
    /// Dots held, and ranges covered, of all origins.
    pub(super) dots: usize,
    pub(super) cov_ranges: usize,
    /// Slots that are marked blind.
    pub(super) blind: u64,
    pub(super) own: OriginIx,
    /// The last own dot written here.
    pub(super) own_last: u64,
    /// The last own dot that was over when own coverage was pruned.
    pub(super) own_over: u64,
    pub(super) recent: VecDeque<Recent>,
    /// The last own dot no longer in `recent`.
    pub(super) recent_floor: u64,
    /// Freshness exceptions to the node's vector: member to the wall time its state is incorporated up to.
    pub(super) inc: BTreeMap<Origin, u64>,
    pub(super) pending: BTreeMap<Origin, Pending>,
    pub(super) taught: VecDeque<Taught>,
    /// Sessions that were reaped here and came back, and who has not confirmed yet (docs/ALGORITHM.md §6).
    pub(super) revived: BTreeMap<SessionId, Revived>,
    pub(super) wheel: BTreeMap<u32, Vec<u32>>,
    /// The greatest wall time any operation here has used (docs/ALGORITHM.md §7).
    pub(super) high_wall_ms: u64,
    /// Bumped whenever coverage may shrink; part of a round's nonce.
    pub(super) version: u64,
    /// Bumped whenever records or coverage change: lets an observer look only where something happened.
    pub(super) changes: u64,
    pub(super) counts: Counts,
    pub(crate) marks: Marks,
    /// Whether somebody is told what happens here.
    pub(super) watched: bool,
    /// What watchers are told when the lock is given back.
    pub(super) events: Vec<Happened>,
    /// Records that bind another principal than before, until the index has taken it over.
    pub(super) notes: Vec<Note>,
    scratch: Vec<u8>,
}

impl Partition {
    /// An empty partition of the node life `own`; `key` keys its hash table.
    pub fn new(ix: u16, own: Origin, key: u64) -> Self {
        let mut partition = Self {
            ix,
            epoch: epoch_of(own),
            key,
            slots: Vec::new(),
            vacant: Vec::new(),
            ids: HashTable::new(),
            arena: Arena::default(),
            origins: Vec::new(),
            known: Vec::new(),
            origin_ix: BTreeMap::new(),
            vacant_origins: Vec::new(),
            held_origins: 0,
            dots: 0,
            cov_ranges: 0,
            blind: 0,
            own: 0,
            own_last: 0,
            own_over: 0,
            recent: VecDeque::new(),
            recent_floor: 0,
            inc: BTreeMap::new(),
            pending: BTreeMap::new(),
            taught: VecDeque::new(),
            revived: BTreeMap::new(),
            wheel: BTreeMap::new(),
            high_wall_ms: 0,
            version: 0,
            changes: 0,
            counts: Counts::default(),
            marks: Marks::default(),
            watched: false,
            events: Vec::new(),
            notes: Vec::new(),
            scratch: Vec::new(),
        };
        partition.own = partition.intern(own);
        partition
    }

    /// The wall time this operation may use: never before one already used here. A thread may read the clock,
    /// stall, and take the lock later.
    pub fn clamp_wall(&mut self, wall_ms: u64) -> u64 {
        if wall_ms < self.high_wall_ms {
            self.marks.hit(Mark::WallClamped);
        }
        self.high_wall_ms = self.high_wall_ms.max(wall_ms);
        if mutant!(HighWaterIgnored) {
            return wall_ms;
        }
        self.high_wall_ms
    }

    /// Takes back what a wall clock that has since jumped away said: kept, it would hide and drop live sessions for
    /// as long as the clock was ahead.
    pub fn reset_wall(&mut self, wall_ms: u64) {
        self.high_wall_ms = wall_ms;
        // Looks that were put off by the other clock would come as much too late as it was ahead.
        self.wheel.clear();
        for slot in 0..self.slots.len() {
            if self.slots[slot].used {
                self.slots[slot].wheel = 0;
                self.queue(slot as u32, wall_ms);
                self.tell_shown_by_clock(slot as u32, wall_ms);
            }
        }
    }

    /// How often records or coverage have changed.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn changed(&mut self) {
        self.changes += 1;
    }

    /// The slot of a session.
    pub(super) fn find(&self, id: SessionId) -> Option<u32> {
        let hash = id.table_hash(self.key);
        self.ids.find(hash, |&slot| self.record(slot).id() == id).copied()
    }

    /// The record in a slot.
    pub(super) fn record(&self, slot: u32) -> Packed<'_> {
        Packed::new(self.slots.get(slot as usize).map_or(&[], |s| self.arena.bytes(s.place)))
    }

    /// A session's record, if any, dead or alive.
    pub fn get(&self, id: SessionId) -> Option<Packed<'_>> {
        self.find(id).map(|slot| self.record(slot))
    }

    /// A hold on a session's record that outlives the lock: a lookup and a reference count.
    pub fn hold(&self, id: SessionId) -> Option<Held> {
        let slot = self.find(id)?;
        self.arena.hold(self.slots.get(slot as usize)?.place)
    }

    /// Stores a whole state and keeps index, counts and wheel in step. Returns the slot.
    pub(super) fn store(&mut self, id: SessionId, at: Option<u32>, state: &State<'_>) -> Option<u32> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let whole = encode(id, state, &mut scratch);
        let slot = whole.then(|| self.store_bytes(id, at, &scratch));
        self.scratch = scratch;
        slot
    }

    /// As [`Partition::store`], from bytes that [`encode`] wrote.
    pub(super) fn store_bytes(&mut self, id: SessionId, at: Option<u32>, bytes: &[u8]) -> u32 {
        self.changed();
        let new = Packed::new(bytes);
        let dead = new.is_dead();
        self.note_binding(id, at, Some(&new));
        let held: Vec<Ver> = at.map(|slot| self.record(slot).vers().collect()).unwrap_or_default();
        let slot = match at {
            Some(slot) => {
                self.count(slot, -1);
                let place = self.slots[slot as usize].place;
                self.slots[slot as usize].place = self.arena.replace(place, slot, bytes);
                slot
            }
            None => self.add_slot(id, bytes),
        };
        self.reindex(slot, &held, &new);
        self.count(slot, 1);
        let due = if dead { tombstone_due_ms(&new) } else { new.deadline_ms() };
        self.queue(slot, due);
        slot
    }

    /// Moves the dot index from the versions a record had to those it has. Only what differs is touched: each
    /// entry costs a walk through cold memory, and a session edited field by field has many that stay.
    fn reindex(&mut self, slot: u32, held: &[Ver], new: &Packed<'_>) {
        let (mut of_new, mut of_held) = (Dots::default(), Dots::default());
        for ver in held {
            let carried = of_new.find(ver, held.len(), new.vers()).is_some() && !mutant!(CarriedLeavesIndex);
            if carried || mutant!(SupersededStaysIndexed) {
                continue;
            }
            self.remove_dot(ver.origin, ver.counter);
        }
        let hard_ms = new.hard_ms();
        for ver in new.vers() {
            if of_held.find(&ver, new.vers().len(), held.iter().copied()).is_some() {
                continue;
            }
            self.enter_dot(ver.origin, ver.counter, slot);
            // Whoever holds a dot holds all its effects (entries are whole by op), so it is covered from here on, with
            // or without a claim. Were it not, a page could claim a dot that this one superseded without shipping it,
            // and if its writer died nobody would ever ask for it (`docs/ALGORITHM.md` §4).
            let own_spared = mutant!(OwnWriteUncovered) && ver.origin == self.own;
            if !mutant!(HeldDotUncovered) && !own_spared {
                self.cover_dot(&ver);
            }
            let known = &mut self.known[ver.origin as usize];
            if !mutant!(LiveOriginPruned) {
                known.until_ms = known.until_ms.max(hard_ms);
            }
        }
    }

    fn add_slot(&mut self, id: SessionId, bytes: &[u8]) -> u32 {
        let slot = self.vacant.pop().unwrap_or(self.slots.len() as u32);
        if slot as usize == self.slots.len() {
            self.slots.push(Slot::default());
        }
        let place = self.arena.insert(slot, bytes);
        self.slots[slot as usize] = Slot { place, used: true, ..Slot::default() };
        let (slots, arena, key) = (&self.slots, &self.arena, self.key);
        let rehash = |&slot: &u32| Packed::new(arena.bytes(slots[slot as usize].place)).id().table_hash(key);
        self.ids.insert_unique(id.table_hash(key), slot, rehash);
        slot
    }

    /// Removes a record and every trace of it but coverage.
    pub(super) fn drop_slot(&mut self, slot: u32) {
        self.changed();
        self.count(slot, -1);
        let (id, vers) = (self.record(slot).id(), self.record(slot).vers().collect::<Vec<_>>());
        self.note_binding(id, Some(slot), None);
        for ver in vers {
            self.remove_dot(ver.origin, ver.counter);
        }
        let hash = id.table_hash(self.key);
        if let Ok(entry) = self.ids.find_entry(hash, |&s| s == slot) {
            entry.remove();
        }
        self.arena.remove(self.slots[slot as usize].place);
        self.blind -= u64::from(self.slots[slot as usize].blind);
        self.slots[slot as usize] = Slot::default();
        self.vacant.push(slot);
        self.revived.remove(&id);
    }

    pub(super) fn count(&mut self, slot: u32, by: i64) {
        let record = self.record(slot);
        let (dead, revocation) = (record.is_dead(), record.is_revocation());
        let stub = self.slots[slot as usize].stub && !dead;
        let told = self.slots[slot as usize].told_expired && !dead && !stub;
        let add = |n: &mut u64| *n = n.wrapping_add_signed(by);
        add(match (dead, revocation) {
            (true, _) => &mut self.counts.tombstones,
            (_, true) => &mut self.counts.revocations,
            _ => &mut self.counts.sessions,
        });
        if told {
            add(&mut self.counts.expired_retained);
        }
        if stub {
            add(&mut self.counts.stubs);
        }
    }

    /// Queues the next expiry check of a slot, if it is earlier than the one queued.
    pub(super) fn queue(&mut self, slot: u32, due_ms: u64) {
        let bucket = u32::try_from(due_ms / 1_000 + 1).unwrap_or(u32::MAX);
        let queued = &mut self.slots[slot as usize].wheel;
        if *queued == 0 || bucket < *queued {
            *queued = bucket;
            self.wheel.entry(bucket).or_default().push(slot);
        }
    }

    pub(super) fn remember(&mut self, recent: Recent) {
        if self.recent.len() == RECENT_OPS
            && let Some(dropped) = self.recent.pop_front()
        {
            self.recent_floor = dropped.counter;
        }
        self.recent.push_back(recent);
    }

    /// Where a claim on own dots begins that would begin here: at the first one, if everything before is over. What is
    /// over may be claimed without an entry, and peers that have forgotten this origin acknowledge only what they cover
    /// without a gap.
    pub(super) fn first_unpruned(&self, lo: u64) -> u64 {
        if lo <= self.own_over + 1 { 1 } else { lo }
    }

    /// What a request names and its page echoes (docs/ALGORITHM.md §4).
    pub fn nonce(&self) -> (u32, u64) {
        (self.epoch, self.version)
    }

    /// Raises freshness entries after a complete round of this partition.
    pub fn refresh(&mut self, inc: &[(Origin, u64)]) {
        for &(member, wall_ms) in inc {
            let held = self.inc.entry(member).or_insert(0);
            *held = (*held).max(wall_ms);
        }
    }

    /// What rarely happens here, and did. The record store has its own.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Adds everything that rarely happens here, and did, to `bits`.
    pub fn union_marks(&self, bits: &mut [u64; 2]) {
        self.marks.union_into(bits);
        self.arena.marks().union_into(bits);
    }

    /// Counters of this partition.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The last own dot written here; 0 if none.
    pub fn own_last(&self) -> u64 {
        self.own_last
    }

    /// Own write events here after this counter, of those remembered: at most [`RECENT_OPS`].
    pub fn own_since(&self, counter: u64) -> usize {
        self.recent.iter().rev().take_while(|op| op.counter > counter).count()
    }

    /// Bytes of the table of ids.
    pub(super) fn ids_bytes(&self) -> usize {
        self.ids.allocation_size()
    }

    /// Bytes of record storage reserved.
    pub fn reserved_bytes(&self) -> u64 {
        self.arena.reserved_bytes()
    }

    /// Every record, in no particular order.
    pub fn records(&self) -> impl Iterator<Item = Packed<'_>> {
        self.slots.iter().filter(|s| s.used).map(|s| Packed::new(self.arena.bytes(s.place)))
    }

    /// The origin table, for resolving the versions of [`Partition::records`].
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// Every coverage entry: origin and its ranges.
    pub fn coverage(&self) -> impl Iterator<Item = (Origin, &RangeSet)> {
        self.origins.iter().zip(&self.known).filter(|(_, k)| !k.cov.is_empty()).map(|(o, k)| (*o, &k.cov))
    }

    /// As [`Partition::coverage`]; with `held` only of origins of which a dot is held.
    pub fn coverage_of(&self, held: bool) -> impl Iterator<Item = (Origin, &RangeSet)> {
        let all = self.origins.iter().zip(&self.known).filter(|(_, k)| !k.cov.is_empty());
        all.filter(move |(_, k)| !held || !k.index.is_empty()).map(|(o, k)| (*o, &k.cov))
    }

    /// What keeps each origin known: until when (ms) what it wrote can matter, and how many of its dots are live.
    pub fn ends(&self) -> impl Iterator<Item = (Origin, u64, usize)> + '_ {
        let named = self.origins.iter().zip(&self.known).filter(|(o, _)| **o != Origin::default());
        named.map(|(o, k)| (*o, k.until_ms, k.index.len()))
    }

    /// Starts a new life under `own` (docs/ALGORITHM.md §8): data and coverage stay, our old dots become a foreign
    /// origin's.
    pub fn reincarnate(&mut self, own: Origin) {
        self.own = self.intern(own);
        self.epoch = epoch_of(own);
        self.own_last = 0;
        self.own_over = 0;
        self.recent.clear();
        self.recent_floor = 0;
        // Claims of rounds the old life asked for were bound to its nonce.
        self.pending.clear();
        self.version += 1;
        if mutant!(CoverageForgottenAtNewLife) {
            (0..self.known.len()).for_each(|ix| self.uncover(ix));
        }
    }

    /// Checks the index against the records: every live dot listed, nothing else. For tests and the simulator.
    ///
    /// # Errors
    /// A sentence saying what disagrees.
    pub fn check_index(&self) -> Result<(), String> {
        let mut wanted: BTreeSet<(OriginIx, u64, u32)> = BTreeSet::new();
        for (slot, _) in self.slots.iter().enumerate().filter(|(_, s)| s.used) {
            wanted.extend(self.record(slot as u32).vers().map(|v| (v.origin, v.counter, slot as u32)));
        }
        let listed: BTreeSet<_> = self
            .known
            .iter()
            .enumerate()
            .flat_map(|(o, k)| k.index.iter().map(move |(&c, &s)| (o as OriginIx, c, s)))
            .collect();
        if wanted == listed {
            Ok(())
        } else {
            Err(format!("partition {}: index {listed:?} but records {wanted:?}", self.ix))
        }
    }
}

/// When a tombstone is looked at first (ms): at its hard deadline.
pub(super) fn tombstone_due_ms(dead: &Packed<'_>) -> u64 {
    if mutant!(TombstonesCollectedEarly) { dead.ver(0).hlc.ms() + 60_000 } else { dead.hard_ms() }
}

/// Starting at 1 in every life would make the nonces of a restarted node equal those of its previous life.
fn epoch_of(own: Origin) -> u32 {
    short_origin(own)
}
