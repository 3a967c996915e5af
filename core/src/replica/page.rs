//! What leaves for peers: pushes of own ops, pages of a round, digests.

use std::collections::BTreeMap;

use super::partition::Partition;
use super::remote::{Claim, fading};
use crate::causality::{Origin, RangeSet, Ver, origin_at};
use crate::limits::{Limits, MAX_RANGES};
use crate::marks::Mark;
use crate::session::{Mark as Maximum, Op, SessionId, State};
use crate::time::Hlc;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Coverage by origin: what a requester already has.
pub type Base = BTreeMap<Origin, RangeSet>;

/// Where entries are written as they are chosen, still under the partition's lock, so that no value is copied
/// twice. Returns the bytes written so far.
pub trait EntrySink {
    /// Writes one entry whose origin indices refer to `origins`.
    fn entry(&mut self, id: SessionId, state: &State<'_>, origins: &[Origin]) -> usize;
}

/// What a page claims, beside its entries.
#[derive(Clone, Debug, Default)]
pub struct PageOut {
    /// The claims; each cut at a counter boundary if the budget ran out.
    pub claims: Vec<Claim>,
    /// Whether nothing was cut.
    pub complete: bool,
    /// This partition's epoch.
    pub epoch: u32,
    /// Freshness exceptions of this partition; the node adds its own vector.
    pub inc: BTreeMap<Origin, u64>,
}

/// The claim a push makes: own counters `lo..=hi`, and until when they can matter (ms).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushOut {
    /// First counter claimed.
    pub lo: u64,
    /// Last counter claimed: the peer's new cursor.
    pub hi: u64,
    /// Latest hard deadline of what they wrote (ms).
    pub until_ms: u64,
}

/// What a push must carry of one session: everything stamped from here on, and the maxima that may have been
/// superseded by something with an earlier stamp, since they are not ordered by stamps.
#[derive(Clone, Copy)]
struct Since {
    hlc: Hlc,
    touched: bool,
    ttl: bool,
}

impl Partition {
    /// Builds what a peer with this cursor (last own counter sent to it) lacks of our own ops. For each op the
    /// components at least as new are sent, so that the claim is true for *any* receiver, even where the op was
    /// superseded meanwhile. `None` if there is nothing new.
    pub fn build_push(&mut self, cursor: u64, budget: usize, sink: &mut dyn EntrySink) -> Option<PushOut> {
        if self.own_last <= cursor {
            return None;
        }
        let start = self.recent.partition_point(|r| r.counter <= cursor);
        // A peer further back than what is remembered gets the suffix; anti-entropy brings the rest.
        let lo = if mutant!(PushClaimsFromOne) {
            1
        } else {
            self.first_unpruned(cursor.max(self.recent_floor) + 1)
        };
        if cursor < self.recent_floor {
            self.marks.hit(Mark::PushSuffix);
        }
        let mut wanted: BTreeMap<u32, Since> = BTreeMap::new();
        let mut order = Vec::new();
        for op in self.recent.range(start..) {
            let first = wanted.entry(op.slot).or_insert_with(|| {
                order.push((op.slot, op.counter));
                Since { hlc: op.hlc, touched: false, ttl: false }
            });
            first.touched |= op.touched;
            first.ttl |= op.ttl;
        }
        let mut hi = self.own_last;
        for (n, (slot, _)) in order.iter().enumerate() {
            if !self.slots.get(*slot as usize).is_some_and(|s| s.used) {
                self.marks.hit(Mark::PushSlotGone);
                continue;
            }
            let size = self.emit_since(*slot, wanted[slot], sink);
            if size > budget && n + 1 < order.len() {
                // Cut before the first op of the next session: claims end at a counter boundary.
                if !mutant!(PushPastCut) {
                    hi = order[n + 1].1 - 1;
                }
                self.marks.hit(Mark::PushCut);
                break;
            }
        }
        Some(PushOut { lo, hi, until_ms: self.known[self.own as usize].until_ms })
    }

    fn emit_since(&self, slot: u32, since: Since, sink: &mut dyn EntrySink) -> usize {
        let record = self.record(slot);
        let state = match record.state() {
            State::Dead(dead) => State::Dead(dead),
            State::Live(live) => {
                // Maxima are not ordered by stamps: what superseded the op's own may have an earlier one.
                let of =
                    |mark: Option<Maximum>| mark.and_then(|m| live.ops.get(m.op as usize)).map(|op| op.ver);
                let touch = of(live.touch).filter(|_| since.touched);
                let marks = [live.high_sliding, live.high_absolute].map(|m| of(m).filter(|_| since.ttl));
                let maxima = [touch, marks[0], marks[1]];
                let wanted = |ver: &Ver| {
                    ver.hlc >= since.hlc || maxima.iter().flatten().any(|maximum| maximum.same_dot(ver))
                };
                let mine =
                    |ver: &Ver| wanted(ver) && (ver.origin == self.own || !mutant!(PushWithoutSuperseding));
                let part = live.restrict(&mine);
                // Of our own ops from here on everything is in the part. Another's op, or an earlier one, may have
                // written more that was superseded by what is not: a dot must never arrive without all its effects.
                let ours = |op: &Op| op.ver.origin == self.own && op.ver.hlc >= since.hlc;
                let whole = part.ops.iter().all(ours) || mutant!(PushWithoutSuperseding);
                State::Live(if whole { part } else { live })
            }
        };
        let others = match &state {
            State::Dead(dead) => dead.ver.origin != self.own,
            State::Live(part) => part.ops.iter().any(|op| op.ver.origin != self.own),
        };
        // The op's session may be gone and its slot another's, of which there is nothing to say; an entry without
        // an op would be refused.
        if matches!(&state, State::Live(part) if part.ops.is_empty()) {
            self.marks.hit(Mark::PushSlotGone);
            return 0;
        }
        if others {
            self.marks.hit(Mark::PushSuperseded);
        }
        sink.entry(record.id(), &state, &self.origins)
    }

    /// Builds a page for a requester that has `base`. Everything is read under one lock.
    pub fn build_page(
        &mut self,
        base: &Base,
        force: &[SessionId],
        wall_ms: u64,
        limits: &Limits,
        sink: &mut dyn EntrySink,
    ) -> PageOut {
        let now_ms = self.clamp_wall(wall_ms);
        let mut out =
            PageOut { complete: true, epoch: self.epoch, inc: self.inc.clone(), claims: Vec::new() };
        let empty = RangeSet::default();
        let has = |ver: &Ver| {
            base.get(&origin_at(&self.origins, ver.origin)).unwrap_or(&empty).contains(ver.counter)
        };
        let mut emitted = vec![false; self.slots.len()];
        // Whether the budget is spent. A page holds at least one entry, whatever its size.
        let mut full = false;
        // Forced entries come first, so that a round always progresses (docs/ALGORITHM.md §4). Those that do not fit
        // are asked for again: the page is not complete then, and claims nothing that lies behind them.
        for slot in force.iter().filter_map(|&id| self.find(id)) {
            if full {
                self.marks.hit(Mark::PageForcedCut);
                out.complete = false;
                break;
            }
            if !std::mem::replace(&mut emitted[slot as usize], true) {
                let record = self.record(slot);
                full = sink.entry(record.id(), &record.state(), &self.origins) >= limits.page_bytes;
            }
        }
        for (ix, (&origin, known)) in self.origins.iter().zip(&self.known).enumerate() {
            if fading(known.until_ms, now_ms, limits) {
                continue;
            }
            let lacking = known.cov.minus(base.get(&origin).unwrap_or(&empty));
            let mut claimed = RangeSet::default();
            for &(lo, hi) in lacking.ranges() {
                let end =
                    self.emit_range(ix, (lo, hi), &has, &mut emitted, limits.page_bytes, &mut full, sink);
                let end = if mutant!(CutPageClaimsAll) { hi } else { end };
                claimed.insert(lo, end);
                // As many ranges as a receiver accepts.
                if end < hi || claimed.ranges().len() == MAX_RANGES {
                    out.complete = false;
                    break;
                }
            }
            if !claimed.is_empty() {
                out.claims.push((origin, claimed, known.until_ms));
            }
            if !out.complete {
                break;
            }
        }
        if out.complete && out.claims.is_empty() {
            self.tell_ends(now_ms, limits, &mut out);
        }
        out
    }

    /// Nothing is lacking, and yet the requester found us unequal: it may think an origin about to be over that is not
    /// by what we know. Claims without counters tell it until when each matters.
    fn tell_ends(&self, now_ms: u64, limits: &Limits, out: &mut PageOut) {
        for (&origin, known) in self.origins.iter().zip(&self.known) {
            if !known.cov.is_empty() && !fading(known.until_ms, now_ms, limits) {
                out.claims.push((origin, RangeSet::default(), known.until_ms));
            }
        }
    }

    /// Emits the sessions of `lo..=hi` of one origin; returns the last counter that may be claimed.
    #[allow(clippy::too_many_arguments)]
    fn emit_range(
        &self,
        ix: usize,
        (lo, hi): (u64, u64),
        has: &dyn Fn(&Ver) -> bool,
        emitted: &mut [bool],
        budget: usize,
        full: &mut bool,
        sink: &mut dyn EntrySink,
    ) -> u64 {
        for (&counter, &slot) in self.known[ix].index.range(lo..=hi) {
            if std::mem::replace(&mut emitted[slot as usize], true) {
                continue;
            }
            if *full {
                emitted[slot as usize] = false;
                self.marks.hit(if counter == lo { Mark::PageCutAtOnce } else { Mark::PageCut });
                return counter - 1;
            }
            let record = self.record(slot);
            let state = match record.state() {
                State::Dead(dead) => State::Dead(dead),
                State::Live(live) => {
                    let born = live.birth.and_then(|b| live.ops.get(b.op as usize)).map(|op| op.ver);
                    // Whole if the requester has never seen the birth: a session appears in one piece.
                    let whole = born.is_none_or(|born| !has(&born));
                    if mutant!(PageSkipsKnownBirth) && !whole {
                        continue;
                    }
                    State::Live(if whole { live } else { live.restrict(&|ver| !has(ver)) })
                }
            };
            *full = sink.entry(record.id(), &state, &self.origins) >= budget;
        }
        hi
    }

    /// What this partition has, plus what an unfinished round with `peer` has brought: the base of a request.
    pub fn base_for(&self, peer: Origin) -> Base {
        let mut base = self.pending_base(peer);
        for (origin, ranges) in self.coverage() {
            base.entry(origin).or_default().union(ranges);
        }
        for ranges in base.values_mut() {
            if ranges.cap(MAX_RANGES) {
                self.marks.hit(Mark::CoverageForgotten);
            }
        }
        base
    }

    /// Whether an unfinished round with `peer` has brought anything.
    pub fn has_pending(&self, peer: Origin) -> bool {
        self.pending.contains_key(&peer)
    }

    /// Only what an unfinished round with `peer` has brought: the base of a request for everything.
    pub fn pending_base(&self, peer: Origin) -> Base {
        let claims = self.pending.get(&peer).into_iter().flat_map(|p| &p.claims);
        claims.map(|(origin, (ranges, _))| (*origin, ranges.clone())).collect()
    }

    /// A hash of the coverage: equal hashes mean equal vectors, so nothing to send either way.
    pub fn cov_hash(&self, wall_ms: u64, limits: &Limits) -> u64 {
        let mut hash = 0u64;
        let mut bytes = Vec::with_capacity(48);
        for (origin, known) in self.origins.iter().zip(&self.known) {
            if known.cov.is_empty() || fading(known.until_ms, wall_ms, limits) {
                continue;
            }
            bytes.clear();
            bytes.extend_from_slice(&origin.to_bytes());
            let gapless = [(1, known.cov.max())];
            for (lo, hi) in if mutant!(HashOfMaxima) { &gapless } else { known.cov.ranges() } {
                bytes.extend_from_slice(&lo.to_le_bytes());
                bytes.extend_from_slice(&hi.to_le_bytes());
            }
            // A sum, so that the local order of origins does not matter.
            hash = hash.wrapping_add(xxh3_64_with_seed(&bytes, u64::from(self.ix)));
        }
        hash
    }
}
