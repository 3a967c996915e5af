//! Which origins a partition knows, and what it covers of each: bounded, whatever a peer claims.
//!
//! An honest mesh has tens of thousands of origins, and each matters as long as what it wrote. One of which no dot is held
//! is *bare*: a claim is all there is of it, and a peer can make up any number. So bare origins have a bound, and so have
//! the ranges beyond one for each dot that is held. What is beyond is not covered, which is always safe
//! (`docs/ALGORITHM.md` §4): it may be sent again.

use super::partition::{Known, Partition};
use crate::causality::{Origin, OriginIx, RangeSet, Ver, short_origin};
use crate::limits::{MAX_BARE_ORIGINS, MAX_RANGES, MAX_SPARE_RANGES};
use crate::marks::Mark;

impl Partition {
    /// The local index of an origin, adding it if new.
    pub fn intern(&mut self, origin: Origin) -> OriginIx {
        if let Some(&ix) = self.origin_ix.get(&origin) {
            return ix;
        }
        // A pruned origin leaves its place: nothing refers to it any more (see `prune`).
        let ix = match self.vacant_origins.pop() {
            Some(ix) => {
                self.marks.hit(Mark::OriginPlaceReused);
                self.origins[ix as usize] = origin;
                self.known[ix as usize] = Known::default();
                ix
            }
            None => {
                self.origins.push(origin);
                self.known.push(Known::default());
                (self.origins.len() - 1) as OriginIx
            }
        };
        self.origin_ix.insert(origin, ix);
        ix
    }

    /// The index of a known origin.
    pub(super) fn find_origin(&self, origin: Origin) -> Option<OriginIx> {
        self.origin_ix.get(&origin).copied()
    }

    pub(super) fn forget_origin(&mut self, ix: OriginIx) {
        self.changed();
        let origin = std::mem::take(&mut self.origins[ix as usize]);
        self.origin_ix.remove(&origin);
        let known = std::mem::take(&mut self.known[ix as usize]);
        self.cov_ranges -= known.cov.ranges().len();
        self.dots -= known.index.len();
        self.held_origins -= usize::from(!known.index.is_empty());
        self.vacant_origins.push(ix);
    }

    /// Enters a dot in the index.
    pub(super) fn enter_dot(&mut self, ix: OriginIx, counter: u64, slot: u32) {
        let index = &mut self.known[ix as usize].index;
        self.held_origins += usize::from(index.is_empty());
        self.dots += usize::from(index.insert(counter, slot).is_none());
    }

    /// Takes a dot out of the index.
    pub(super) fn remove_dot(&mut self, ix: OriginIx, counter: u64) {
        let index = &mut self.known[ix as usize].index;
        if index.remove(&counter).is_some() {
            self.dots -= 1;
            self.held_origins -= usize::from(index.is_empty());
        }
    }

    /// As [`Partition::intern`], of an origin that an entry names. One that turns out to be refused leaves origins behind
    /// until [`Partition::sweep_origins`]; more than a bound are never entered.
    ///
    /// # Errors
    /// A sentence, if there are too many.
    pub fn admit_origin(&mut self, origin: Origin) -> Result<OriginIx, &'static str> {
        // Claims leave this half to entries: what is held of an honest peer's new life finds room whatever was made up.
        if self.origin_ix.contains_key(&origin) || self.bare_origins() < 2 * MAX_BARE_ORIGINS {
            return Ok(self.intern(origin));
        }
        self.marks.hit(Mark::OriginsBeyondBound);
        Err("more lives of which nothing is held than there can be")
    }

    /// Origins of which no dot is held.
    pub fn bare_origins(&self) -> usize {
        self.origin_ix.len() - self.held_origins
    }

    /// Whether a claim of this origin may be entered; `room` is what the whole node has left for bare ones.
    pub(super) fn has_room_for(&self, origin: Origin, room: u64) -> bool {
        self.origin_ix.contains_key(&origin) || (self.bare_origins() < MAX_BARE_ORIGINS && room > 0)
    }

    /// Forgets origins that refused entries have left: nothing of them is held or covered.
    pub fn sweep_origins(&mut self) {
        for ix in 0..self.origins.len() {
            let known = &self.known[ix];
            let empty = known.index.is_empty() && known.cov.is_empty();
            if empty && self.origins[ix] != Origin::default() && ix as OriginIx != self.own {
                self.forget_origin(ix as OriginIx);
            }
        }
    }

    /// Ranges that may still be opened: one for each dot held, and some.
    pub(super) fn spare_ranges(&self) -> usize {
        (self.dots + MAX_SPARE_RANGES).saturating_sub(self.cov_ranges)
    }

    /// Takes back all coverage of one origin.
    pub(super) fn uncover(&mut self, ix: usize) {
        self.cov_ranges -= self.known[ix].cov.ranges().len();
        self.known[ix].cov = RangeSet::default();
    }

    /// Whether a dot's effect is held here.
    pub fn covers(&self, origin: Origin, counter: u64) -> bool {
        self.find_origin(origin).is_some_and(|ix| self.known[ix as usize].cov.contains(counter))
    }

    /// Whether the effects of counters `lo..=hi` of the origin of this short name are held here. Of two origins with
    /// one short name either will do: the name is for questions whose wrong answer costs a wait.
    pub fn covers_range(&self, short: u32, lo: u64, hi: u64) -> bool {
        let named =
            self.origins.iter().zip(&self.known).filter(|(origin, _)| short_origin(**origin) == short);
        named.into_iter().any(|(_, known)| known.cov.contains_range(lo, hi))
    }

    /// How far this partition contiguously covers an origin from its first counter.
    pub fn covered_up_to(&self, origin: Origin) -> u64 {
        let upto = |ix| {
            let cov = &self.known[ix as usize].cov;
            if mutant!(GapsReportedAdopted) { cov.max() } else { cov.contiguous_from(1) }
        };
        self.find_origin(origin).map_or(0, upto)
    }

    pub(super) fn add_cover(&mut self, ix: OriginIx, ranges: &RangeSet, until_ms: u64) {
        let spare = self.spare_ranges();
        let known = &mut self.known[ix as usize];
        if until_ms <= known.until_ms && ranges.minus(&known.cov).is_empty() {
            return;
        }
        let before = known.cov.ranges().len();
        // Gaps that a peer makes up grow nothing for ever: what would open more than there is room for is left out. What
        // is covered stays so, since what is held must be. Our own has no gaps but ours.
        let most = before.max(1) + spare;
        if ix != self.own && before + ranges.ranges().len() > most {
            let mut all = known.cov.clone();
            all.union(ranges);
            if all.ranges().len() > most {
                self.marks.hit(Mark::CoverageForgotten);
                return;
            }
        }
        known.cov.union(ranges);
        if mutant!(CoverageAsMaximum) {
            known.cov.insert(1, known.cov.max());
        }
        match known.cov.ranges().len() {
            after if after > before.max(1) => self.marks.hit(Mark::GapOpened),
            after if after < before => self.marks.hit(Mark::GapClosed),
            _ => {}
        }
        if known.cov.cap(MAX_RANGES) {
            self.marks.hit(Mark::CoverageForgotten);
        }
        self.changes += 1;
        known.until_ms = known.until_ms.max(until_ms);
        self.cov_ranges = self.cov_ranges + known.cov.ranges().len() - before;
    }

    /// Covers one dot.
    pub(super) fn cover_dot(&mut self, ver: &Ver) {
        let cov = &mut self.known[ver.origin as usize].cov;
        let before = cov.ranges().len();
        cov.insert(ver.counter, ver.counter);
        if cov.cap(MAX_RANGES) {
            self.marks.hit(Mark::CoverageForgotten);
        }
        self.cov_ranges = self.cov_ranges + cov.ranges().len() - before;
    }

    /// Until when an origin matters, as a peer's claim without counters tells.
    pub(super) fn extend_origin(&mut self, origin: Origin, until_ms: u64) {
        let Some(ix) = self.find_origin(origin) else { return };
        let known = &mut self.known[ix as usize];
        if known.until_ms < until_ms {
            known.until_ms = until_ms;
            self.changes += 1;
        }
    }
}
