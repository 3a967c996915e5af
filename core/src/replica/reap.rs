//! What time ends: expiry, collection, pruning. No messages, no agreement (docs/ALGORITHM.md §6).
//!
//! An expired session is hidden at once, but its payload goes only when **expired-stable** — every member's
//! state is incorporated here as of a time when that member already thought it expired — or at its hard
//! deadline. Treating expiry as a delete would log everybody out at a heal.

use std::collections::BTreeMap;

use super::partition::{Partition, tombstone_due_ms};
use super::tell::{Happened, Told};
use crate::causality::{Origin, OriginIx, origin_at};
use crate::limits::Limits;
use crate::marks::Mark;
use crate::session::{Dead, State};

/// The mark of a member that will never return, with the wall time (ms) until which the mark is kept. A value
/// and not a removal, because removals come back by max-merge (docs/ALGORITHM.md §6).
pub const GONE: u64 = 1 << 63;

/// How long an undecided expiry waits for its next look (ms).
const RETRY_MS: u64 = 3_000;
/// How often a stub is looked at (ms): there may be many, for weeks.
const STUB_LOOK_MS: u64 = 60_000;

impl Partition {
    /// Hides, reaps and collects what is due. `inc` is the node's freshness vector; what goes must be over at `reap_ms`
    /// too, the earliest of the clocks that may be right (docs/ALGORITHM.md §7). At most `budget` records are looked
    /// at.
    pub fn reap(
        &mut self,
        (wall_ms, reap_ms): (u64, u64),
        limits: &Limits,
        inc: &BTreeMap<Origin, u64>,
        mut budget: usize,
        events: &mut Vec<Happened>,
    ) {
        let now_ms = self.clamp_wall(wall_ms);
        self.wait_for_nobody_gone(now_ms, inc);
        let due = u32::try_from(now_ms / 1_000).unwrap_or(u32::MAX);
        while let Some((&bucket, _)) = self.wheel.first_key_value() {
            if bucket > due || budget == 0 {
                break;
            }
            let mut slots = self.wheel.remove(&bucket).unwrap_or_default();
            while let Some(slot) = slots.pop() {
                if budget == 0 {
                    self.marks.hit(Mark::ReapBudgetSpent);
                    self.wheel.insert(bucket, slots);
                    self.wheel.entry(bucket).or_default().push(slot);
                    break;
                }
                let current = self.slots.get(slot as usize).is_some_and(|s| s.used && s.wheel == bucket);
                if current {
                    budget -= 1;
                    self.slots[slot as usize].wheel = 0;
                    self.look(slot, (now_ms, reap_ms), limits, inc, events);
                }
            }
        }
    }

    fn look(
        &mut self,
        slot: u32,
        (now_ms, reap_ms): (u64, u64),
        limits: &Limits,
        inc: &BTreeMap<Origin, u64>,
        events: &mut Vec<Happened>,
    ) {
        let record = self.record(slot);
        let (id, hard_ms, deadline_ms) = (record.id(), record.hard_ms(), record.deadline_ms());
        if record.is_dead() {
            // Every live copy is invisible from the hard deadline on, so dropping is safe for any partition
            // length and any number of lost nodes.
            let margin_ms = if mutant!(TombstoneWithoutMargin) { 0 } else { 2 * limits.max_drift_ms };
            let keep_until = if mutant!(TombstonesCollectedEarly) {
                tombstone_due_ms(&record)
            } else {
                hard_ms + margin_ms
            };
            let over = now_ms > keep_until;
            return if over && reap_ms > keep_until {
                self.marks.hit(Mark::TombstoneCollected);
                self.drop_slot(slot)
            } else {
                self.note_kept(over, false, false);
                self.requeue(slot, keep_until.max(now_ms + RETRY_MS * u64::from(over)), now_ms)
            };
        }
        if now_ms < deadline_ms {
            return self.requeue(slot, deadline_ms, now_ms);
        }
        if !self.slots[slot as usize].told_expired && !record.is_revocation() {
            if self.told(slot) == Told::Here {
                self.tell(Happened::Expired(id), Some(events));
            }
            self.slots[slot as usize].told_expired = true;
            self.counts.expired_retained += 1;
        }
        if mutant!(ExpiryWrittenAsDelete) {
            let newest = self.record(slot).vers().max_by(|a, b| a.cmp(b, &self.origins));
            let dead = newest.map(|ver| State::Dead(Dead { ver, hard_ms: hard_ms + limits.skew_ms }));
            dead.and_then(|dead| self.store(id, Some(slot), &dead));
            return;
        }
        let stable_ms = self.record(slot).stable_deadline_ms() + 3 * limits.skew_ms;
        let over = now_ms >= hard_ms + limits.grace_ms;
        let due = now_ms >= deadline_ms + limits.grace_ms;
        let agreed = reap_ms >= if over { hard_ms } else { deadline_ms } + limits.grace_ms;
        let waiting = self.revived.contains_key(&id) && !mutant!(RevivedReapedAtOnce);
        let quiet = due && !waiting && (self.all_fresh(stable_ms, inc) || mutant!(ReapedUnstable));
        let unheard =
            due && !waiting && now_ms.min(reap_ms) >= stable_ms.saturating_add(limits.expire_wait_ms);
        if agreed && (over || quiet) {
            self.marks.hit(if quiet { Mark::ReapedStable } else { Mark::ReapedAtHard });
            self.drop_slot(slot);
        } else if unheard && !mutant!(ExpiryWaitUnbounded) {
            self.look_unheard(slot, hard_ms + limits.grace_ms, now_ms);
        } else {
            self.note_kept(!agreed && (over || quiet), due && waiting, due && !waiting && !quiet);
            self.requeue(slot, (deadline_ms + limits.grace_ms).max(now_ms + RETRY_MS), now_ms);
        }
    }

    /// Somebody out of reach was waited for long enough: what it may still know costs less than what is kept.
    fn look_unheard(&mut self, slot: u32, over_ms: u64, now_ms: u64) {
        let stub = self.slots[slot as usize].stub;
        if !stub {
            self.marks.hit(Mark::ReapedUnheard);
            self.counts.reaped_unheard += 1;
        }
        if !self.reap_unheard(slot) {
            // Its end, or earlier once all have been heard of.
            self.requeue(slot, over_ms.min(now_ms + STUB_LOOK_MS), now_ms);
        }
    }

    fn note_kept(&self, held_back: bool, revived: bool, unstable: bool) {
        let kept = [
            (held_back, Mark::ReapHeldBack),
            (revived, Mark::RevivedWaiting),
            (unstable, Mark::ExpiredRetained),
        ];
        kept.into_iter().filter(|(hit, _)| *hit).for_each(|(_, mark)| self.marks.hit(mark));
    }

    fn requeue(&mut self, slot: u32, due_ms: u64, now_ms: u64) {
        self.queue(slot, due_ms.max(now_ms));
    }

    /// Whether every member known here, by this partition or the node, is incorporated past `wanted_ms`.
    fn all_fresh(&self, wanted_ms: u64, inc: &BTreeMap<Origin, u64>) -> bool {
        let own = origin_at(&self.origins, self.own);
        let fresh = |member: &Origin| {
            let here = self.inc.get(member).copied().unwrap_or(0);
            let node = inc.get(member).copied().unwrap_or(0);
            *member == own || here.max(node) >= wanted_ms
        };
        self.inc.keys().all(fresh) && inc.keys().all(fresh)
    }

    /// Forgets origins nothing of which can matter any more, and freshness marks past their time.
    pub fn prune(&mut self, wall_ms: u64, limits: &Limits) {
        let now_ms = self.clamp_wall(wall_ms);
        for ix in 0..self.origins.len() {
            let known = &self.known[ix];
            let named = self.origins[ix] != Origin::default();
            let over = known.until_ms + limits.prune_after_ms() < now_ms;
            if named && over && (known.index.is_empty() || mutant!(LiveOriginPruned)) {
                if ix as OriginIx == self.own {
                    // Our next write re-creates the entry, from the first counter on.
                    if !self.known[ix].cov.is_empty() {
                        self.marks.hit(Mark::OwnCoveragePruned);
                        self.own_over = self.own_last;
                        self.uncover(ix);
                        self.changed();
                    }
                } else {
                    self.marks.hit(Mark::OriginPruned);
                    self.forget_origin(ix as OriginIx);
                }
            }
        }
        let held = self.inc.len();
        self.inc.retain(|_, value| !gone_is_over(*value, now_ms, limits));
        if self.inc.len() < held {
            self.marks.hit(Mark::GoneMarkServed);
        }
        self.arena_compact();
    }

    fn arena_compact(&mut self) {
        let slots = &mut self.slots;
        self.arena.compact(|owner, place| {
            if let Some(slot) = slots.get_mut(owner as usize) {
                slot.place = slot.place.moved_to(place);
            }
        });
    }
}

/// Whether a freshness entry is a gone-mark that has served its time. Such values are ignored when they come in.
pub fn gone_is_over(value: u64, wall_ms: u64, limits: &Limits) -> bool {
    value & GONE != 0 && (value & !GONE) + limits.max_drift_ms < wall_ms
}
