//! What arrives from peers: admission of entries, and adoption of coverage.
//!
//! Nothing but the join and the admission rules decides acceptance; coverage is never used to reject an entry.
//! A push may move only its sender's own interval; a round adopts its claims atomically at its end, because a
//! page that claims `(o, lo..hi)` omits dots superseded by something on a *later* page (docs/ALGORITHM.md §4).

use std::collections::BTreeMap;

use super::partition::{Partition, Pending, Taught};
use super::tell::Happened;
use crate::causality::{Origin, RangeSet, Ver, origin_at};
use crate::limits::{
    Limits, MAX_AHEAD_MS, MAX_BARE_ORIGINS, MAX_FORCED, MAX_PENDING_PEERS, MAX_RANGES, MAX_SPARE_RANGES,
    MAX_TAUGHT,
};
use crate::marks::Mark;
use crate::session::{REVOKED_KEY, SessionId, State};
use crate::time::HybridClock;

/// One session's state, or a part of it, as it came in, its origins already mapped to this partition's table.
pub type Entry<'a> = (SessionId, State<'a>);

/// One origin's claimed counters, and until when (ms) what they wrote can matter.
pub type Claim = (Origin, RangeSet, u64);

/// Why a page or push was not taken in. Entries joined before the refusal stay: the join is always safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An entry's clock is further ahead than the drift bound; it becomes acceptable as time passes.
    #[error("an entry is {ahead_ms} ms ahead of this clock (max_drift_ms = {max_ms})")]
    ClockAhead {
        /// By how much (ms).
        ahead_ms: u64,
        /// The bound (ms).
        max_ms: u64,
    },
    /// The peer claims dots of this node's own life that it never wrote.
    #[error("claims counter {counter} of this node's own life, which has written {written}")]
    OwnOrigin {
        /// The claimed counter.
        counter: u64,
        /// The last counter written.
        written: u64,
    },
    /// An entry breaks a cluster-wide limit.
    #[error("{0}")]
    Malformed(&'static str),
    /// The hard memory limit is reached.
    #[error("hard memory limit reached")]
    MemoryFull,
    /// The union of what is here and what came would be larger than any frame: it is not taken, and the session must be
    /// ended, or no two nodes would ever agree on it.
    #[error("a session of {bytes} bytes after a merge: no more than {max} can be sent")]
    Overgrown {
        /// Which session.
        id: SessionId,
        /// Its size.
        bytes: usize,
        /// The bound.
        max: usize,
    },
}

impl Refusal {
    /// Whether only a peer that breaks a rule brings such a thing. The others come from honest peers too: who passes on
    /// what a third made up cannot know.
    pub fn breaks_a_rule(&self) -> bool {
        matches!(self, Self::Malformed(_))
    }
}

/// What became of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// Joined, inserted, or without effect: its dots may be covered.
    Yes,
    /// As `Yes`, and the session had been reaped here.
    Back,
    /// A part of a session that is not here: the whole record is needed.
    NeedFull,
}

/// What an incoming entry is checked against.
pub struct Gate<'a> {
    /// Wall time (ms).
    pub wall_ms: u64,
    /// How far ahead of it a stamp may be (ms): the drift bound, or more for a joiner whose every source holds such.
    pub ahead_ms: u64,
    /// The node's limits.
    pub limits: &'a Limits,
    /// The node's clock: observes every accepted stamp.
    pub clock: &'a HybridClock,
    /// The last counter this life has written.
    pub own_counter: u64,
    /// The node's freshness vector: its keys are the members.
    pub inc: &'a BTreeMap<Origin, u64>,
    /// What this node holds (bytes).
    pub held_bytes: u64,
    /// How many more lives of which nothing is held the whole node takes in.
    pub room: u64,
    /// Who collects what happened, beside the watchers that are told of it at once.
    pub events: Option<&'a mut Vec<Happened>>,
}

/// A page of a round.
pub struct PageIn<'a> {
    /// Who sent it.
    pub from: Origin,
    /// The sender's epoch of this partition.
    pub epoch: u32,
    /// Whether it answers this life's current request (docs/ALGORITHM.md §4): if not, entries are joined, claims
    /// dropped.
    pub current: bool,
    /// The entries.
    pub entries: Vec<Entry<'a>>,
    /// What the sender claims they bring this node up to.
    pub claims: Vec<Claim>,
    /// Whether nothing was cut.
    pub complete: bool,
    /// The sender's freshness vector.
    pub inc: Vec<(Origin, u64)>,
    /// Sessions this request forced.
    pub forced: &'a [SessionId],
}

/// What to do after a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageOutcome {
    /// The round of this partition is complete; its claims are adopted.
    Adopted,
    /// Ask again: the page was cut, or these sessions are needed whole.
    More(Vec<SessionId>),
    /// The page answered an earlier request; only its entries counted.
    Stale,
}

impl Partition {
    /// Takes in a push: entries written by `from`, and its claim on its own counters `lo..=hi`.
    ///
    /// Returns whether the claim was adopted; if not, the next round repairs.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn apply_push(
        &mut self,
        from: Origin,
        (lo, hi, until_ms): (u64, u64, u64),
        entries: &[Entry<'_>],
        gate: &mut Gate<'_>,
    ) -> Result<bool, Refusal> {
        gate.wall_ms = self.clamp_wall(gate.wall_ms);
        let mut whole = true;
        self.admit_each(from, entries, gate, &mut |_, _, admitted| whole &= admitted != Admitted::NeedFull)?;
        if !whole && !mutant!(PushAdoptedDespiteBlock) || self.is_beyond_hard(gate, false) {
            self.marks.hit(Mark::PushNotAdopted);
            return Ok(false);
        }
        // The frame's limit is the latest of all its partitions. Here only what is written here counts, or nodes would
        // disagree for days on when the origin is over, and find each other unequal all that time.
        let ends = entries.iter().filter_map(|(id, _)| Some(self.get(*id)?.hard_ms())).max();
        let until_ms = ends.map_or(until_ms, |ends| ends.min(until_ms));
        let ranges = RangeSet::from_range(lo, hi);
        self.remember_teacher(from, from, &ranges);
        let from = self.intern(from);
        self.add_cover(from, &ranges, until_ms);
        Ok(true)
    }

    /// Takes in a page.
    ///
    /// # Errors
    /// See [`Refusal`]; no coverage is adopted then.
    pub fn apply_page(&mut self, page: PageIn<'_>, gate: &mut Gate<'_>) -> Result<PageOutcome, Refusal> {
        gate.wall_ms = self.clamp_wall(gate.wall_ms);
        let mut claims = page.claims;
        let mut need = Vec::new();
        self.admit_each(page.from, &page.entries, gate, &mut |p, (id, state), admitted| {
            if admitted == Admitted::NeedFull {
                need.push(*id);
                // Stop each claim before the first blocked dot (docs/ALGORITHM.md §4: all or nothing livelocks).
                p.truncate_claims(&mut claims, state);
            }
        })?;
        if need.iter().any(|id| page.forced.contains(id)) {
            return Err(Refusal::Malformed("a forced answer without the whole record"));
        }
        if !page.current && !mutant!(StaleAnswersAdopt) {
            self.marks.hit(Mark::PageStale);
            return Ok(PageOutcome::Stale);
        }
        // Confirmed as they come, or a set larger than a page would be asked for from its start for ever.
        for (id, _) in page.entries.iter().filter(|(id, _)| page.forced.contains(id)) {
            self.confirm_revived(*id, page.from);
        }
        if self.is_beyond_hard(gate, false) {
            return Err(Refusal::MemoryFull);
        }
        if !page.complete && page.entries.is_empty() && claims.is_empty() {
            return Err(Refusal::Malformed("an incomplete page with nothing in it"));
        }
        self.check_claims(&claims, gate.own_counter)?;
        // Nothing lives longer, whatever a claim says: an origin would never be pruned.
        let until_most = gate.wall_ms + gate.limits.max_lifetime_ms + 4 * gate.limits.max_drift_ms;
        for claim in claims.iter_mut().filter(|claim| claim.2 > until_most) {
            self.marks.hit(Mark::ClaimUntilClamped);
            claim.2 = until_most;
        }
        self.hold_claims(page.from, page.epoch, claims);
        need.truncate(MAX_FORCED);
        if !need.is_empty() || !page.complete {
            self.marks.hit(Mark::PageMore);
            if mutant!(PagesAdoptSingly) {
                self.adopt(page.from, &[], gate);
            }
            return Ok(PageOutcome::More(need));
        }
        self.adopt(page.from, &page.inc, gate);
        for id in page.forced {
            self.confirm_revived(*id, page.from);
        }
        Ok(PageOutcome::Adopted)
    }

    /// Joins one entry that comes without a claim (a read-through answer, docs/ALGORITHM.md §10).
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn apply_entry(
        &mut self,
        from: Origin,
        entry: &Entry<'_>,
        gate: &mut Gate<'_>,
    ) -> Result<(), Refusal> {
        gate.wall_ms = self.clamp_wall(gate.wall_ms);
        self.admit_from(from, entry, gate)?;
        if let (true, (_, State::Live(live))) = (mutant!(ReadThroughClaims), entry) {
            for ver in live.ops.iter().map(|op| op.ver) {
                self.add_cover(ver.origin, &RangeSet::from_range(1, ver.counter), 0);
            }
        }
        Ok(())
    }

    fn remember_teacher(&mut self, from: Origin, origin: Origin, ranges: &RangeSet) {
        for &(lo, hi) in ranges.ranges() {
            if self.taught.len() == MAX_TAUGHT {
                self.taught.pop_front();
            }
            self.taught.push_back(Taught { from, origin, lo, hi });
        }
    }

    /// Who claimed the dots of an audited entry that are covered here though their effect is missing.
    pub fn untold(&self, id: SessionId, state: &State<'_>) -> Vec<Origin> {
        let State::Live(live) = state else { return Vec::new() };
        let held = self.get(id);
        let newest = held.and_then(|h| h.vers().max_by(|a, b| a.cmp(b, &self.origins)));
        let missing = live.ops.iter().map(|op| op.ver).filter(|ver| {
            let covered = self.known.get(ver.origin as usize).is_some_and(|k| k.cov.contains(ver.counter));
            covered
                && held.is_none_or(|h| !h.is_dead())
                && newest.is_none_or(|newest| newest.cmp(ver, &self.origins).is_lt())
        });
        let mut liars: Vec<Origin> = Vec::new();
        for ver in missing {
            let origin = origin_at(&self.origins, ver.origin);
            let teacher =
                self.taught.iter().find(|t| t.origin == origin && t.lo <= ver.counter && ver.counter <= t.hi);
            liars.extend(teacher.map(|t| t.from));
        }
        liars.sort_unstable();
        liars.dedup();
        liars
    }

    fn truncate_claims(&self, claims: &mut [Claim], state: &State<'_>) {
        let State::Live(live) = state else { return };
        for op in &live.ops {
            let origin = origin_at(&self.origins, op.ver.origin);
            for claim in claims.iter_mut().filter(|c| c.0 == origin && c.1.max() >= op.ver.counter) {
                self.marks.hit(Mark::ClaimTruncated);
                claim.1.truncate_before(op.ver.counter);
            }
        }
    }

    fn check_claims(&self, claims: &[Claim], written: u64) -> Result<(), Refusal> {
        if claims.iter().any(|c| c.0 == Origin::default()) {
            return Err(Refusal::Malformed("a claim of nobody"));
        }
        let own = origin_at(&self.origins, self.own);
        match claims.iter().find(|c| c.0 == own && c.1.max() > written) {
            Some(claim) => {
                self.marks.hit(Mark::OwnOriginImpostor);
                Err(Refusal::OwnOrigin { counter: claim.1.max(), written })
            }
            None => Ok(()),
        }
    }

    fn hold_claims(&mut self, from: Origin, epoch: u32, claims: Vec<Claim>) {
        // Forgetting what an unfinished round has brought is safe: it is asked for again.
        if self.pending.len() >= MAX_PENDING_PEERS && !self.pending.contains_key(&from) {
            self.pending.pop_first();
        }
        let most = self.origin_ix.len() + MAX_BARE_ORIGINS;
        let mut spare = (self.dots + 2 * MAX_SPARE_RANGES).saturating_sub(self.pending_ranges(from));
        let pending = self.pending.entry(from).or_default();
        if pending.epoch != epoch {
            *pending = Pending { epoch, ..Pending::default() };
        }
        for (origin, ranges, until_ms) in claims {
            if pending.claims.len() >= most && !pending.claims.contains_key(&origin) {
                self.marks.hit(Mark::OriginsBeyondBound);
                continue;
            }
            let held = pending.claims.entry(origin).or_default();
            let before = held.0.ranges().len();
            held.0.union(&ranges);
            held.0.cap((before.max(1) + spare).min(2 * MAX_RANGES + 1));
            spare = (spare + before).saturating_sub(held.0.ranges().len());
            held.1 = held.1.max(until_ms);
        }
    }

    fn pending_ranges(&self, from: Origin) -> usize {
        let claims = self.pending.get(&from).into_iter().flat_map(|pending| pending.claims.values());
        claims.map(|(ranges, _)| ranges.ranges().len()).sum()
    }

    fn adopt(&mut self, from: Origin, inc: &[(Origin, u64)], gate: &Gate<'_>) {
        let pending = self.pending.remove(&from).unwrap_or_default();
        let mut room = gate.room;
        for (origin, (ranges, until_ms)) in pending.claims {
            // An origin about to be pruned here would come and go for ever between nodes that prune at
            // different times.
            if fading(until_ms, gate.wall_ms, gate.limits) {
                self.marks.hit(Mark::FadingClaimIgnored);
            } else if ranges.is_empty() {
                self.extend_origin(origin, until_ms);
            } else if !self.has_room_for(origin, room) {
                self.marks.hit(Mark::OriginsBeyondBound);
            } else {
                room -= u64::from(self.find_origin(origin).is_none()).min(room);
                self.remember_teacher(from, origin, &ranges);
                let ix = self.intern(origin);
                self.add_cover(ix, &ranges, until_ms);
            }
        }
        self.refresh(inc);
    }

    /// Entries as they came; where there is no memory for sessions, what ends some comes before what is refused.
    fn ends_first<'e, 'a>(&self, entries: &'e [Entry<'a>], gate: &Gate<'_>) -> Vec<&'e Entry<'a>> {
        let mut all: Vec<&Entry<'_>> = entries.iter().collect();
        if self.is_beyond_hard(gate, false) {
            all.sort_by_key(|(_, state)| !is_end(state));
        }
        all
    }

    /// Whether so much is held that nothing more is taken in; ends and revocations have a sixteenth more.
    fn is_beyond_hard(&self, gate: &Gate<'_>, is_end: bool) -> bool {
        let hard = gate.limits.hard_memory();
        let most = hard.saturating_add(if is_end { hard / 16 } else { 0 });
        let over = hard != u64::MAX && gate.held_bytes > most;
        if over {
            self.marks.hit(Mark::HardMemoryLimit);
        }
        over
    }

    /// Admits entries one by one and shows what became of each. One from too far ahead keeps out only itself and the
    /// claims: a log-out that stands behind it in a page would otherwise wait for as long as a clock was ahead.
    fn admit_each(
        &mut self,
        from: Origin,
        entries: &[Entry<'_>],
        gate: &mut Gate<'_>,
        seen: &mut dyn FnMut(&Self, &Entry<'_>, Admitted),
    ) -> Result<(), Refusal> {
        let mut refused = None;
        for entry in self.ends_first(entries, gate) {
            match self.admit_from(from, entry, gate) {
                Ok(admitted) => seen(self, entry, admitted),
                Err(ahead @ Refusal::ClockAhead { .. }) if !mutant!(FutureHidesTheRest) => {
                    refused.get_or_insert(ahead);
                }
                Err(refusal) => return Err(refusal),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Admission of one entry of `from`, which asks the others too if the session had been reaped here.
    fn admit_from(
        &mut self,
        from: Origin,
        entry: &Entry<'_>,
        gate: &mut Gate<'_>,
    ) -> Result<Admitted, Refusal> {
        let admitted = self.admit(entry, gate)?;
        if admitted == Admitted::Back {
            self.mark_revived(entry.0, from, gate);
        }
        Ok(admitted)
    }

    /// Admission of one entry (docs/ALGORITHM.md §7: not from too far ahead; §4: never refused for what is covered).
    fn admit(&mut self, (id, state): &Entry<'_>, gate: &mut Gate<'_>) -> Result<Admitted, Refusal> {
        self.check_times(state, gate)?;
        self.counts.entries += 1;
        let slot = self.find(*id);
        let dead_here = slot.is_some_and(|slot| self.record(slot).is_dead());
        // A stub stands for a session that is not here: only a whole record makes it one again.
        let whole_here = slot.filter(|&slot| !self.slots[slot as usize].stub);
        let was_reaped = whole_here.is_none() && self.was_reaped(state);
        if slot.is_none() && self.is_beyond_hard(gate, is_end(state)) {
            return Err(Refusal::MemoryFull);
        }
        let admitted = match state {
            State::Dead(dead) => {
                if mutant!(UnknownTombstoneDropped) && slot.is_none() {
                    return Ok(Admitted::Yes);
                }
                if gate.wall_ms <= dead.hard_ms + 2 * gate.limits.max_drift_ms {
                    self.merge((*id, slot), state, was_reaped, gate)?;
                } else {
                    self.marks.hit(Mark::TombstoneTooOld);
                }
                Admitted::Yes
            }
            State::Live(_) if dead_here => {
                self.marks.hit(Mark::LiveIgnored);
                if mutant!(LiveReplacesTombstone) {
                    // A part is refused by the store: only a whole session replaces.
                    self.store(*id, slot, state);
                }
                Admitted::Yes
            }
            State::Live(live) => match (whole_here, live.birth) {
                // A part without all it takes to be stored must not pass for held: its claim would be false.
                (None, _) if live.birth.is_none() || live.touch.is_none() || live.ttl.is_none() => {
                    if mutant!(PartTakenForApplied) {
                        return Ok(Admitted::Yes);
                    }
                    self.counts.need_full += 1;
                    self.marks.hit(Mark::NeedFull);
                    Admitted::NeedFull
                }
                // Past its hard deadline: nobody can show it any more.
                (None, Some(birth)) if gate.wall_ms >= birth.hard_ms => {
                    self.marks.hit(Mark::PastHardSkipped);
                    Admitted::Yes
                }
                // Inserted even if idle-expired: a later entry may extend it; the reaper decides.
                _ => {
                    self.merge((*id, slot), state, was_reaped, gate)?;
                    if was_reaped { Admitted::Back } else { Admitted::Yes }
                }
            },
        };
        if admitted != Admitted::NeedFull {
            let newest = match state {
                State::Live(live) => live.ops.iter().map(|op| op.ver.hlc).max(),
                State::Dead(dead) => Some(dead.ver.hlc),
            };
            gate.clock.observe(newest.unwrap_or_default());
        }
        Ok(admitted)
    }

    fn check_times(&mut self, state: &State<'_>, gate: &Gate<'_>) -> Result<(), Refusal> {
        let limits = gate.limits;
        let (newest_ms, hard_ms, created_ms) = match state {
            State::Dead(dead) => (dead.ver.hlc.ms(), dead.hard_ms, gate.wall_ms),
            State::Live(live) => {
                let stamps = live.ops.iter().map(|op| op.ver.hlc.ms());
                let touch = live.touch.map(|t| t.ms);
                let created = live.birth.map(|b| b.created_ms);
                let newest = stamps.chain(touch).chain(created).max().unwrap_or(0);
                (newest, live.birth.map_or(0, |b| b.hard_ms), created.unwrap_or(gate.wall_ms))
            }
        };
        // What this node has itself been ahead of draws nobody after it: members that were ahead together go on.
        let (known_ms, usual_ms) = (gate.clock.latest().ms(), gate.wall_ms + limits.max_drift_ms);
        let most_ms = gate.wall_ms.saturating_add(gate.ahead_ms).max(known_ms);
        if newest_ms > most_ms && !mutant!(EntryDriftUnchecked) {
            self.counts.refused_drift += 1;
            self.marks.hit(Mark::EntryClockAhead);
            return Err(Refusal::ClockAhead {
                ahead_ms: newest_ms - gate.wall_ms,
                max_ms: limits.max_drift_ms,
            });
        }
        if newest_ms > usual_ms.max(known_ms) {
            self.marks.hit(Mark::JoinedAhead);
        }
        let own = |ver: &Ver| ver.origin == self.own && ver.counter > gate.own_counter;
        let impostor = match state {
            State::Dead(dead) => own(&dead.ver).then_some(dead.ver.counter),
            State::Live(live) => live.ops.iter().find(|op| own(&op.ver)).map(|op| op.ver.counter),
        };
        if let Some(counter) = impostor {
            self.marks.hit(Mark::OwnOriginImpostor);
            return Err(Refusal::OwnOrigin { counter, written: gate.own_counter });
        }
        let longest_ms = limits.max_lifetime_ms + limits.skew_ms + limits.max_drift_ms;
        // A session born on a clock that was ahead: its tombstone has to outlive it, though it is stamped today.
        let known_ms = if most_ms > usual_ms { most_ms } else { known_ms };
        let born_ms = if matches!(state, State::Dead(_)) { created_ms.max(known_ms) } else { created_ms };
        if hard_ms > born_ms.saturating_add(longest_ms) {
            let ahead_ms = hard_ms - born_ms.saturating_add(longest_ms);
            if matches!(state, State::Dead(_)) && ahead_ms <= MAX_AHEAD_MS {
                self.counts.refused_drift += 1;
                self.marks.hit(Mark::EntryClockAhead);
                return Err(Refusal::ClockAhead { ahead_ms, max_ms: limits.max_drift_ms });
            }
            self.marks.hit(Mark::LifetimeBeyondMaximum);
            return Err(Refusal::Malformed("a hard deadline beyond max_lifetime_ms"));
        }
        Ok(())
    }
}

/// Whether an entry ends sessions: a tombstone, or a revocation.
fn is_end(state: &State<'_>) -> bool {
    match state {
        State::Dead(_) => true,
        State::Live(live) => {
            live.fields.iter().any(|field| field.key == REVOKED_KEY && field.value.is_some())
        }
    }
}

/// Whether an origin is so near its pruning that claims on it are neither made nor taken nor hashed: nodes
/// prune at different times, and a hash over such entries would never settle (docs/ALGORITHM.md §6). Whether anything
/// of it is still held does not enter: of two nodes one may have collected it.
pub(super) fn fading(until_ms: u64, wall_ms: u64, limits: &Limits) -> bool {
    until_ms + limits.prune_after_ms() <= wall_ms + 2 * limits.max_drift_ms
}
