//! Anti-entropy, the asking side: digest, drill down, pull, adopt.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::RngExt;
use xxhash_rust::xxh3::xxh3_64;

use super::{Class, Gravity, Node, Output, Peer};
use crate::causality::{Origin, RangeSet};
use crate::limits::{MAX_FORCED, MAX_IDLE_PAGES, ROUND_WINDOW};
use crate::marks::Mark;
use crate::replica::{Entry, GONE, PageIn, PageOutcome, Refusal};
use crate::session::SessionId;
use crate::time::Now;
use crate::wire::{
    Adopted, Digest as DigestMessage, EntryReader, Equal, Inc, Page, PageHeader, PeerFault, Sync, SyncItem,
    Unequal,
};

/// Rounds with one peer are at least this far apart (ms), unless its link is new.
const ROUND_GAP_MS: u64 = 100;

/// Lives of which nothing is held, in one partition, whose coverage a round shows to those who wait for copies.
const MOST_BARE_SHOWN: usize = 256;

/// Doublings of the wait after rounds that were refused: eight times `sync_interval_ms` in the end.
const MOST_VAIN: u32 = 3;

/// The one round this node is asking for. Answering others' takes no state.
pub(super) struct Round {
    pub peer: Origin,
    pub id: u64,
    pub heard_ms: u64,
    begun_ms: u64,
    /// Its digest's wall time.
    wall_ms: u64,
    /// Our own last dot of each partition when the digest was taken: "equal" means the peer has them all.
    own_last: Vec<u64>,
    /// What was covered then of lives that are not linked.
    unlinked: Unlinked,
    /// Ask with an empty base: an audit found what vectors cannot show.
    full: bool,
    pending: VecDeque<u16>,
    /// Partitions asked for: the request's nonce and what it forced.
    asked: BTreeMap<u16, Wanted>,
    /// Partition and counter, for the closing `Adopted`.
    adopted: Vec<(u16, u64)>,
    pulled: bool,
    /// Something has changed here by it: what was known already is no gain.
    gained: bool,
    /// A partition's page was refused for now.
    failed: bool,
    /// Pages in a row that brought nothing and were not the last.
    idle_pages: u32,
}

#[derive(Clone)]
struct Wanted {
    nonce: (u32, u64),
    force: Vec<SessionId>,
}

impl Round {
    /// Whether no page is under way.
    pub fn is_idle(&self) -> bool {
        self.asked.is_empty()
    }
}

impl Peer {
    /// How long the next round with this peer waits for. Unequal, and yet nothing to fetch: the peer lacks something,
    /// or nodes disagree on when an origin is over. Asking again at once would find the same. What was refused is
    /// brought once more by every round, until time makes it acceptable: longer and longer, while nothing else comes
    /// along.
    fn rest_after(&mut self, round: &Round, now: Now, interval_ms: u64) {
        self.vain = match round {
            Round { failed: true, gained: false, .. } => (self.vain + 1).min(MOST_VAIN),
            _ => 0,
        };
        if round.failed || round.pulled && !round.gained {
            self.not_before_ms = self.not_before_ms.max(now.mono_ms + (interval_ms << self.vain));
        }
    }
}

/// A node's digest.
pub(super) struct Digest {
    pub root: u64,
    pub hashes: Vec<u64>,
    pub own_last: Vec<u64>,
    pub retains_expired: bool,
    pub unlinked: Unlinked,
}

/// Coverage of lives that are neither linked nor this one, per partition.
pub(super) type Unlinked = Vec<(u16, BTreeMap<Origin, RangeSet>)>;

impl Node {
    /// Hashes every partition, each under its own lock: equality is then true of some moment for each.
    pub(super) fn digest_now(&self, now: Now) -> Digest {
        self.digest_at(now.wall_ms)
    }

    /// As of this wall time. Both sides of a round hash by the asker's clock: it decides which origins are about to be
    /// forgotten, and those two clocks apart would not agree on.
    pub(super) fn digest_at(&self, wall_ms: u64) -> Digest {
        let n = usize::from(self.limits.partitions);
        let mut digest = Digest {
            root: 0,
            hashes: Vec::with_capacity(n),
            own_last: Vec::with_capacity(n),
            retains_expired: false,
            unlinked: Vec::new(),
        };
        let mut bytes = Vec::with_capacity(8 * n);
        for ix in 0..self.limits.partitions {
            self.replica.shared(ix, |p| {
                digest.hashes.push(p.cov_hash(wall_ms, &self.limits));
                digest.own_last.push(p.own_last());
                digest.retains_expired |= p.counts().expired_retained + p.counts().stubs > 0;
                // Receipts wait for dots that are held. Of a crowd of lives of which nothing is, nobody asks.
                let crowded = p.bare_origins() > MOST_BARE_SHOWN;
                let unlinked = p.coverage_of(crowded).filter(|(origin, _)| self.is_unlinked(*origin));
                let unlinked: BTreeMap<_, _> = unlinked.map(|(origin, cov)| (origin, cov.clone())).collect();
                if !unlinked.is_empty() {
                    digest.unlinked.push((ix, unlinked));
                }
            });
            bytes.extend_from_slice(&digest.hashes[usize::from(ix)].to_le_bytes());
        }
        digest.root = xxh3_64(&bytes);
        digest
    }

    pub(super) fn schedule_sync(&mut self, now: Now) {
        let interval = self.limits.sync_interval_ms;
        self.next_sync_ms = now.mono_ms + interval * 4 / 5 + self.rng.random_range(0..=interval * 2 / 5);
    }

    pub(super) fn pick_peer(&mut self, now: Now) -> Option<Origin> {
        let n = self.peers.len();
        let at = (n > 0).then(|| self.rng.random_range(0..n))?;
        let chosen = self.peers.keys().nth(at).copied()?;
        if self.is_sound(now, chosen) {
            return Some(chosen);
        }
        let others: Vec<Origin> = self.peers.keys().copied().filter(|o| *o != chosen).collect();
        others.into_iter().find(|&o| self.is_sound(now, o)).or(Some(chosen))
    }

    pub(super) fn want_round(&mut self, peer: Origin) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.wanted = true;
        }
    }

    /// Starts the next wanted round if none is under way.
    pub(super) fn start_rounds(&mut self, now: Now) {
        if self.round.is_some() || self.clocks.judge.is_waiting(now) {
            return;
        }
        let due = self.peers.iter().filter(|(_, p)| p.wanted && p.not_before_ms <= now.mono_ms);
        let due: Vec<(Origin, bool, bool)> = due.map(|(o, p)| (*o, p.ready, !p.complete)).collect();
        // Peers that are ready first: a joiner learns most from them. A suspect may keep us waiting in vain.
        let best = due.into_iter().max_by_key(|&(o, ready, fresh)| (ready, self.is_sound(now, o), fresh));
        // In turn: differences that a peer makes up must not keep others waiting.
        let refetch_first = best.is_none() || !self.refetched;
        self.refetched = refetch_first && !self.refetch.is_empty();
        if self.refetched
            && let Some((to, partitions)) = self.refetch.pop_front()
        {
            return self.start_round(now, to, partitions);
        }
        if let Some((to, ..)) = best {
            self.start_round(now, to, Vec::new());
        }
    }

    /// Begins a round with a digest, or straight with these partitions from an empty base.
    pub(super) fn start_round(&mut self, now: Now, to: Origin, full: Vec<u16>) {
        let Some(peer) = self.peers.get_mut(&to) else { return };
        peer.wanted = false;
        peer.not_before_ms = now.mono_ms + ROUND_GAP_MS;
        let (version, first) = (peer.version, !peer.complete);
        let digest = self.digest_now(now);
        let id = self.next_round;
        self.next_round += 1;
        let is_full = !full.is_empty();
        self.round = Some(Round {
            peer: to,
            id,
            heard_ms: now.mono_ms,
            begun_ms: now.mono_ms,
            wall_ms: now.wall_ms,
            own_last: digest.own_last,
            unlinked: digest.unlinked,
            full: is_full,
            pending: full.into(),
            asked: BTreeMap::new(),
            adopted: Vec::new(),
            pulled: is_full,
            gained: is_full,
            failed: false,
            idle_pages: 0,
        });
        if is_full {
            self.pump_round(now);
            return;
        }
        // Whoever misses somebody asks whether others know better: that it left, or was replaced. And who has just come
        // asks who else is missing.
        let want_inc = digest.retains_expired || first || self.missing().next().is_some();
        let (root, wall_ms, ready) = (digest.root, now.wall_ms, self.is_source());
        let incomplete = self.lacks_something();
        let digest = DigestMessage { round: id, root, wall_ms, want_inc, ready, incomplete };
        self.send(to, Class::Control, digest.encode(version));
    }

    fn current(&mut self, now: Now, peer: Origin, round: u64) -> Option<&mut Round> {
        let current = self.round.as_mut().filter(|r| r.peer == peer && r.id == round)?;
        current.heard_ms = now.mono_ms;
        Some(current)
    }

    /// An equal answer completes a round of every partition (docs/ALGORITHM.md §4).
    pub(super) fn on_equal(&mut self, now: Now, peer: Origin, answer: Equal) {
        let Equal { round, wall_ms, ready, inc, .. } = answer;
        self.note_clock(now, peer, wall_ms);
        let Some(current) = self.current(now, peer, round) else { return };
        if current.pulled {
            return;
        }
        let unlinked = std::mem::take(&mut current.unlinked);
        let mut own_last = std::mem::take(&mut current.own_last);
        if mutant!(EqualCountsLaterWrites) {
            own_last = self.digest_now(now).own_last;
        }
        self.has_all_ours(peer, &own_last);
        self.shows(peer, unlinked);
        if !mutant!(EqualGivesNoFreshness) {
            self.fresh(now, peer, wall_ms, inc);
        }
        self.stats.rounds_equal += 1;
        self.note_equal(now, peer);
        self.marks.hit(Mark::RoundEqual);
        self.phase.all_done(ready);
        self.note_ready(now, peer, ready);
        let revived = self.revived_for(peer);
        if revived.is_empty() {
            self.finish_round(now);
        } else if let Some(round) = &mut self.round {
            self.marks.hit(Mark::RoundEqualContinues);
            round.pulled = true;
            round.pending = revived.into();
            self.pump_round(now);
        }
    }

    pub(super) fn has_all_ours(&mut self, peer: Origin, own_last: &[u64]) {
        for (partition, &hi) in own_last.iter().enumerate().filter(|(_, hi)| **hi > 0) {
            self.outputs.push_back(Output::Adopted { peer, partition: partition as u16, lo: 1, hi });
        }
    }

    fn is_unlinked(&self, origin: Origin) -> bool {
        origin != self.origin && !self.peers.contains_key(&origin)
    }

    /// A peer covers at least this of lives that nobody is linked to.
    pub(super) fn shows(&mut self, peer: Origin, shown: Unlinked) {
        if !shown.is_empty() {
            self.outputs.push_back(Output::Covers { peer, shown });
        }
    }

    fn fresh(&mut self, now: Now, peer: Origin, wall_ms: u64, mut inc: Inc) {
        self.drop_served(now, peer, &mut inc);
        self.merge_inc(&inc);
        let held = self.inc.entry(peer).or_insert(0);
        *held = (*held).max(wall_ms);
    }

    pub(super) fn on_unequal(
        &mut self,
        now: Now,
        peer: Origin,
        answer: Unequal<'_>,
    ) -> Result<(), PeerFault> {
        let Unequal { round, wall_ms, ready, mut inc, hashes, .. } = answer;
        let (hashed, partitions) = (hashes.count(), self.limits.partitions);
        if hashed != usize::from(partitions) {
            return Err(PeerFault::Hashes { hashed, partitions });
        }
        let Some(asked_ms) = self.current(now, peer, round).filter(|r| !r.pulled).map(|r| r.wall_ms) else {
            return Ok(());
        };
        self.marks.hit(Mark::RoundUnequal);
        self.note_clock(now, peer, wall_ms);
        self.note_ready(now, peer, ready);
        self.drop_served(now, peer, &mut inc);
        self.heard_of(&inc);
        let own = self.digest_at(asked_ms);
        let revived: BTreeSet<u16> = self.revived_for(peer).into_iter().collect();
        let (mut pending, mut unlinked) = (VecDeque::new(), own.unlinked);
        for (ix, theirs) in hashes.iter().enumerate() {
            let partition = ix as u16;
            if theirs == own.hashes[ix] && !revived.contains(&partition) {
                // This one is complete as it stands, our own writes in it included.
                let hi = own.own_last[ix];
                if hi > 0 {
                    self.outputs.push_back(Output::Adopted { peer, partition, lo: 1, hi });
                }
                self.partition_fresh(partition, peer, wall_ms, &inc);
                self.phase.done(partition, ready);
            } else {
                pending.push_back(partition);
            }
        }
        unlinked.retain(|(ix, _)| !pending.contains(ix));
        self.shows(peer, unlinked);
        self.note_unequal(now, peer, pending.len());
        if let Some(round) = &mut self.round {
            round.pending = pending;
            round.pulled = true;
        }
        self.pump_round(now);
        Ok(())
    }

    /// Members known to anybody are members here, in every partition, and so are those known to be gone: how far
    /// their state is incorporated is another matter, which only complete rounds move.
    fn heard_of(&mut self, inc: &Inc) {
        for &(member, value) in inc {
            let held = self.inc.entry(member).or_insert(0);
            if value & GONE != 0 || mutant!(FreshnessWithoutRound) {
                *held = (*held).max(value);
            }
        }
    }

    fn partition_fresh(&self, partition: u16, peer: Origin, wall_ms: u64, inc: &Inc) {
        let entries: Vec<(Origin, u64)> = inc.iter().copied().chain([(peer, wall_ms)]).collect();
        self.replica.locked(partition, |p| p.refresh(&entries));
    }

    /// Partitions in which a revived session still waits for this peer's word (docs/ALGORITHM.md §6).
    fn revived_for(&self, peer: Origin) -> Vec<u16> {
        (0..self.limits.partitions)
            .filter(|&ix| self.replica.shared(ix, |p| !p.revived_waiting_for(peer).is_empty()))
            .collect()
    }

    /// Asks for partitions until the window is full; ends the round when nothing is left.
    fn pump_round(&mut self, now: Now) {
        let Some(round) = &mut self.round else { return };
        let mut next = Vec::new();
        while round.asked.len() + next.len() < ROUND_WINDOW {
            match round.pending.pop_front() {
                Some(partition) => next.push((partition, Vec::new())),
                None => break,
            }
        }
        if !round.pending.is_empty() {
            self.marks.hit(Mark::RoundWindowFull);
        }
        if next.is_empty() && round.asked.is_empty() {
            self.finish_round(now);
        } else if !next.is_empty() {
            self.request(now, next, true);
        }
    }

    fn request(&mut self, now: Now, partitions: Vec<(u16, Vec<SessionId>)>, first: bool) {
        let Some(round) = &mut self.round else { return };
        let (to, id) = (round.peer, round.id);
        let Some(version) = self.peers.get(&to).map(|p| p.version) else { return };
        let mut items = Vec::new();
        for (partition, mut force) in partitions {
            let (nonce, base, have) = self.replica.shared(partition, |p| {
                if first && p.has_pending(to) {
                    p.marks.hit(Mark::RoundResumed);
                }
                force.extend(p.revived_waiting_for(to));
                (p.nonce(), if round.full { p.pending_base(to) } else { p.base_for(to) }, p.covered_up_to(to))
            });
            force.truncate(MAX_FORCED);
            round.asked.insert(partition, Wanted { nonce, force: force.clone() });
            items.push(SyncItem { partition, nonce, base, force, have });
        }
        let asked = Sync { round: id, wall_ms: now.wall_ms, origins: Vec::new(), items };
        for frame in asked.encode_split(version) {
            self.send(to, Class::Control, frame);
        }
    }

    pub(super) fn on_page(&mut self, now: Now, peer: Origin, page: Page<'_>) -> Result<(), PeerFault> {
        let bases = page.bases();
        let Page { header, entries: sent, .. } = page;
        let PageHeader { round, partition, nonce: echoed, epoch, complete, source, origins, claims, .. } =
            header;
        self.check_partition("a sent", partition)?;
        let asked = self.current(now, peer, round).and_then(|r| r.asked.get(&partition).cloned());
        if asked.is_none() {
            self.marks.hit(Mark::PageOfAnotherRound);
        }
        let full = self.round.as_ref().is_some_and(|r| r.full);
        let mut gained = false;
        let reader = EntryReader { bases, origins: &origins };
        let mut inc = header.inc;
        inc.push((peer, header.wall_ms));
        self.drop_served(now, peer, &mut inc);
        if asked.is_some() {
            self.heard_of(&inc);
        }
        let mut taught = Vec::new();
        let outcome = self.admit(now, partition, |p, gate| {
            let nonce = p.nonce();
            let current = asked.as_ref().is_some_and(|a| a.nonce == echoed && a.nonce == nonce);
            let mut entries: Vec<Entry<'_>> = Vec::with_capacity(sent.len());
            for entry in &sent {
                if entry.id.partition(gate.limits.partitions) != partition {
                    p.marks.hit(Mark::EntryInWrongPartition);
                    return Err(Refusal::Malformed("a session in the wrong partition"));
                }
                let state =
                    reader.resolve_within(entry, &mut |o| p.admit_origin(o)).map_err(Refusal::Malformed)?;
                if full && current {
                    taught.extend(p.untold(entry.id, &state));
                }
                entries.push((entry.id, state));
            }
            let forced = asked.as_ref().map_or(&[][..], |a| &a.force);
            let before = p.changes();
            let page = PageIn { from: peer, epoch, current, entries, claims, complete, inc, forced };
            let outcome = p.apply_page(page, gate);
            gained = p.changes() > before;
            outcome
        });
        if let Some(round) = self.round.as_mut().filter(|_| asked.is_some()) {
            round.gained |= gained;
            round.idle_pages = if gained { 0 } else { round.idle_pages + 1 };
        }
        for liar in taught {
            self.marks.hit(Mark::LiarNamed);
            let text = format!("claimed writes it never sent (partition {partition}); refetched from {peer}");
            self.warn_of(now, liar, "claims of what was not sent", text.clone());
            self.fault(liar, Gravity::Strange, text);
        }
        self.page_applied(now, peer, partition, source, outcome)
    }

    fn page_applied(
        &mut self,
        now: Now,
        peer: Origin,
        partition: u16,
        source: bool,
        outcome: Result<PageOutcome, Refusal>,
    ) -> Result<(), PeerFault> {
        match outcome {
            Ok(PageOutcome::Stale) => {}
            Ok(PageOutcome::More(_))
                if self.round.as_ref().is_some_and(|r| r.idle_pages > MAX_IDLE_PAGES) =>
            {
                self.abandon_round(now);
                return Err(PeerFault::IdlePages { pages: MAX_IDLE_PAGES, partition });
            }
            Ok(PageOutcome::More(need)) => {
                if self.round.as_mut().and_then(|r| r.asked.remove(&partition)).is_some() {
                    self.request(now, vec![(partition, need)], false);
                }
            }
            Ok(PageOutcome::Adopted) => {
                let upto = self.replica.shared(partition, |p| p.covered_up_to(peer));
                self.phase.done(partition, source);
                if let Some(round) = &mut self.round {
                    round.asked.remove(&partition);
                    round.idle_pages = 0;
                    round.adopted.push((partition, upto));
                }
                self.pump_round(now);
            }
            Err(refusal) if !refusal.breaks_a_rule() => {
                // This partition must wait; the others must not wait for it.
                if matches!(refusal, Refusal::ClockAhead { .. }) {
                    self.phase.ahead.insert(peer);
                }
                if let Some(round) = &mut self.round {
                    round.asked.remove(&partition);
                    round.failed = true;
                }
                self.refused(now, peer, &refusal)?;
                self.pump_round(now);
            }
            Err(refusal) => {
                self.abandon_round(now);
                self.refused(now, peer, &refusal)?;
            }
        }
        Ok(())
    }

    fn finish_round(&mut self, now: Now) {
        let Some(round) = self.round.take() else { return };
        let Some(peer) = self.peers.get_mut(&round.peer) else { return };
        let whole = !round.full && !round.failed;
        if whole {
            self.round_time.observe_ms(now.mono_ms.saturating_sub(round.begun_ms));
        }
        peer.complete |= whole;
        let version = peer.version;
        if round.pulled {
            self.stats.rounds_pulled += 1;
        }
        peer.rest_after(&round, now, self.limits.sync_interval_ms);
        if round.pulled && !round.gained {
            self.marks.hit(Mark::RoundWithoutGain);
        }
        if !round.adopted.is_empty() {
            let frame = Adopted { upto: round.adopted }.encode(version);
            self.send(round.peer, Class::Control, frame);
        }
        if round.failed {
            self.marks.hit(Mark::RoundIncomplete);
            // What was refused will be so again at once: every write of the peer would fetch all of it.
            self.put_off(now, round.peer);
        }
        if whole {
            self.phase.round_complete(round.peer);
        }
    }

    fn put_off(&mut self, now: Now, peer: Origin) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.not_before_ms = peer.not_before_ms.max(now.mono_ms + self.limits.sync_interval_ms);
        }
    }

    fn abandon_round(&mut self, now: Now) {
        if let Some(round) = self.round.take() {
            self.stats.rounds_failed += 1;
            if let Some(peer) = self.peers.get_mut(&round.peer) {
                peer.not_before_ms = now.mono_ms + self.limits.sync_interval_ms;
                peer.wanted = true;
            }
        }
    }

    pub(super) fn round_timeout(&mut self, now: Now) {
        let timeout_ms = self.limits.round_timeout_ms;
        if self.round.as_ref().is_some_and(|r| now.mono_ms >= r.heard_ms + timeout_ms) {
            self.marks.hit(Mark::RoundTimeout);
            self.abandon_round(now);
        }
    }
}
