//! One node: replica, replication and readiness as one state machine. Inputs in, outputs out (quinn-proto's shape).
//!
//! The node runs single-threaded; embedders' threads share only the [`Replica`] with it. Reader's order: `io.rs`
//! (what goes in and comes out), this file, `members.rs` (who is a member), `push.rs` (a write leaves), `round.rs`
//! (anti-entropy, the asking side), `answer.rs` (the answering side), `phase.rs` (joining, ready, fenced, new lives),
//! `audit.rs`; for those who look from outside, `compare.rs` (who differs) and `inspect.rs` (one session at peers).

mod answer;
mod audit;
mod compare;
mod inspect;
mod io;
mod members;
mod overgrown;
mod phase;
mod push;
mod round;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub use self::compare::Compared;
pub use self::io::{Class, Input, Output, Setup, Stats};
use self::phase::Phase;
use self::push::OutPush;
use self::round::Round;
use super::causality::Origin;
use super::histogram::{Histogram, ROUND_BOUNDS_S};
use super::limits::{Limits, MAX_ENDED_PER_STEP};
use super::marks::{Mark, Marks};
use super::membership::{self, Detector, Listed};
use super::replica::{GONE, Gate, Happened, Refusal, Replica, gone_is_over};
use super::replication::{DecodeError, Inc, Message, WIRE_NEWEST, WIRE_OLDEST, decode};
use super::session::SessionId;
use super::time::Now;

/// One linked peer.
pub(super) struct Peer {
    version: u16,
    /// Partitions with own ops not yet sent to it.
    dirty: BTreeSet<u16>,
    /// Per partition, the last own counter sent.
    cursor: Vec<u64>,
    out: Option<OutPush>,
    /// Whether it said it is ready.
    ready: bool,
    /// Whether a complete round with it has ended since this node began joining or was fenced.
    complete: bool,
    /// A round with it is wanted as soon as possible.
    wanted: bool,
    /// Not before this (monotonic ms): rounds that fail or repeat do not spin.
    not_before_ms: u64,
    /// The partition pushed last: the next push begins behind it, so that none starves.
    pushed: u16,
}

/// The state machine.
pub struct Node {
    replica: Arc<Replica>,
    limits: Limits,
    origin: Origin,
    rng: StdRng,
    peers: BTreeMap<Origin, Peer>,
    membership: Option<membership::Config>,
    detector: Option<Detector>,
    /// Earlier lives of this process: the board lists them for a while, and they are no members.
    past: BTreeSet<Origin>,
    /// The board's list as it came last.
    listed: Vec<Listed>,
    /// Members that are alive or suspect.
    members: BTreeSet<Origin>,
    /// Freshness of whole members: their state is incorporated up to this wall time (CRDT.md A1).
    inc: BTreeMap<Origin, u64>,
    outputs: VecDeque<Output>,
    round: Option<Round>,
    /// What an audit found different: partitions to be asked for whole once no other round is under way.
    refetch: VecDeque<(Origin, Vec<u16>)>,
    next_round: u64,
    /// Numbers pushes to all peers, never reset: an acknowledgement that outlived its link must match nothing.
    next_seq: u64,
    phase: Phase,
    next_sync_ms: u64,
    next_reap_ms: u64,
    next_prune: u16,
    next_audit_ms: u64,
    /// Wall minus monotonic time at the last input: a jump beyond the drift bound is a new life (CRDT.md A8).
    wall_offset_ms: i64,
    reap_frozen: bool,
    asks: BTreeMap<u64, BTreeSet<Origin>>,
    /// As `asks`: answers are shown to whoever asked and not taken in.
    inspections: BTreeMap<u64, BTreeSet<Origin>>,
    /// How peers compared last; `None` while nobody observes.
    compared: Option<BTreeMap<Origin, Compared>>,
    /// Sessions that a merge would make larger than any frame: ended once the input is in.
    overgrown: Vec<SessionId>,
    round_time: Histogram,
    watched: bool,
    stats: Stats,
    marks: Marks,
}

impl Node {
    /// A node and the replica its embedder's threads use.
    pub fn new(setup: Setup) -> (Self, Arc<Replica>) {
        let mut rng = StdRng::from_seed(setup.seed);
        let origin = Origin(rng.random());
        let replica = Arc::new(Replica::new(setup.limits.clone(), origin, setup.hash_key, setup.now));
        let now = setup.now;
        let mut node = Self {
            replica: Arc::clone(&replica),
            phase: Phase::joining(setup.has_seeds, now, setup.limits.partitions),
            limits: setup.limits,
            origin,
            rng,
            peers: BTreeMap::new(),
            membership: setup.membership,
            detector: None,
            past: BTreeSet::new(),
            listed: Vec::new(),
            members: BTreeSet::new(),
            inc: BTreeMap::new(),
            outputs: VecDeque::new(),
            round: None,
            refetch: VecDeque::new(),
            next_round: 1,
            next_seq: 1,
            next_sync_ms: now.mono_ms,
            next_reap_ms: now.mono_ms,
            next_prune: 0,
            next_audit_ms: now.mono_ms,
            wall_offset_ms: offset_of(now),
            reap_frozen: false,
            asks: BTreeMap::new(),
            inspections: BTreeMap::new(),
            compared: None,
            overgrown: Vec::new(),
            round_time: Histogram::new(ROUND_BOUNDS_S),
            watched: setup.watched,
            stats: Stats::default(),
            marks: Marks::default(),
        };
        node.start_detector(now);
        node.update_phase(now);
        (node, replica)
    }

    /// This life's name.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Counts since the start.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// How long whole rounds of anti-entropy took.
    pub fn round_time(&self) -> Histogram {
        self.round_time
    }

    /// What rarely happens to the state machine itself, and did.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Everything that rarely happens, and did: here and in every partition. [`Mark::all_in`] reads it.
    pub fn hit_marks(&self) -> [u64; 2] {
        let mut bits = [0; 2];
        self.marks.union_into(&mut bits);
        self.replica.union_marks(&mut bits);
        bits
    }

    /// Why the node is not ready, or how it became so.
    pub fn phase_reason(&self) -> &str {
        &self.phase.reason
    }

    /// The freshness vector: members and the wall time (ms) their state is incorporated up to.
    pub fn freshness(&self) -> &BTreeMap<Origin, u64> {
        &self.inc
    }

    /// Per linked peer, how many partitions hold own writes it has not been sent, and whether a push is on its way.
    pub fn backlog(&self) -> impl Iterator<Item = (Origin, usize, bool)> + '_ {
        self.peers.iter().map(|(o, p)| (*o, p.dirty.len(), p.out.is_some()))
    }

    /// The next output, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the node wants its next [`Input::Tick`] (monotonic ms).
    pub fn next_wake_ms(&self) -> u64 {
        let round = self.round.as_ref().map_or(u64::MAX, |r| r.heard_ms + self.limits.round_timeout_ms);
        let mut wake = self.next_sync_ms.min(self.next_reap_ms).min(round);
        if let Some(detector) = &self.detector {
            wake = wake.min(detector.next_wake_ms());
        }
        // One pass: this is asked after every input.
        for peer in self.peers.values() {
            if let Some(out) = &peer.out {
                wake = wake.min(out.sent_ms + self.limits.push_timeout_ms);
            }
            if peer.wanted && self.round.is_none() {
                wake = wake.min(peer.not_before_ms);
            }
        }
        wake
    }

    /// Takes in one input. Everything it causes is in the outputs when this returns.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        self.notice_freeze(now);
        self.notice_jump(now);
        match input {
            Input::LinkUp { peer, version } => self.link_up(now, peer, version),
            Input::LinkDown { peer } => self.link_down(now, peer),
            Input::Frame { peer, bytes } => self.frame(now, peer, bytes),
            Input::News => self.news(now),
            Input::Tick => self.tick(now),
            Input::Datagram { peer, bytes } => {
                self.detect(now, membership::Input::Packet { from: peer, reliable: false, bytes });
            }
            Input::Board(listed) => self.board(now, listed),
            Input::Fact { of, key, value } => self.detect(now, membership::Input::Fact { of, key, value }),
            Input::Overflow => self.detect(now, membership::Input::Overflow),
            Input::Leaving => self.detect(now, membership::Input::Leave),
            Input::Gone(origin) => self.gone(now, origin),
            Input::Ask { token, id } => self.ask(token, id),
            Input::Inspect { token, id } => self.inspect(token, id),
            Input::InspectOver { token } => self.inspected(token),
            Input::Watched => self.watched = true,
            Input::Refused { why } => self.phase.refused(now, why),
            Input::Clone => {
                self.new_life(now, Mark::NewLifeClone, "another live process carries this node's name");
            }
        }
        self.end_overgrown(now);
        self.end_revoked(now);
        self.start_rounds(now);
        self.update_phase(now);
        self.replica.beat(now);
    }

    /// Ends the sessions that met a revocation their login had not seen: after the whole input is in, so that those
    /// whose end came along with it need none of ours.
    fn end_revoked(&mut self, now: Now) {
        let ended = self.replica.end_due(now, MAX_ENDED_PER_STEP);
        if ended.is_empty() {
            return;
        }
        if self.watched {
            self.outputs.extend(ended.into_iter().map(|id| Output::Event(Happened::Destroyed(id))));
        }
        self.news(now);
    }

    fn link_up(&mut self, now: Now, peer: Origin, version: u16) {
        if peer == self.origin {
            return;
        }
        // Before anything is sent to it: stability must never be vacuous about a joiner (CRDT.md A3).
        if !mutant!(LinkedPeerNotEntered) {
            self.inc.entry(peer).or_insert(0);
        }
        let cursor =
            (0..self.limits.partitions).map(|p| self.replica.shared(p, |part| part.own_last())).collect();
        let version = version.clamp(WIRE_OLDEST, WIRE_NEWEST);
        let fresh = Peer {
            version,
            dirty: BTreeSet::new(),
            cursor,
            out: None,
            ready: false,
            complete: false,
            wanted: !mutant!(UpLinkWithoutRound),
            not_before_ms: now.mono_ms,
            pushed: 0,
        };
        self.peers.insert(peer, fresh);
        self.phase.met_anyone(now);
        self.detect(now, membership::Input::LinkUp(peer));
    }

    fn link_down(&mut self, now: Now, peer: Origin) {
        self.peers.remove(&peer);
        self.forget_inspected(peer);
        self.detect(now, membership::Input::LinkDown(peer));
        if self.round.as_ref().is_some_and(|r| r.peer == peer) {
            self.round = None;
            self.stats.rounds_failed += 1;
            self.marks.hit(Mark::RoundLinkDown);
        }
        let waiting: Vec<u64> =
            self.asks.iter().filter(|(_, w)| w.contains(&peer)).map(|(t, _)| *t).collect();
        for token in waiting {
            self.marks.hit(Mark::AskUnanswered);
            self.asked(token, peer, None);
        }
        // What only the lost peer and one other had acknowledged is on the way to nobody: fetch it now.
        let left: Vec<Origin> = self.peers.keys().copied().collect();
        left.into_iter().for_each(|peer| self.want_round(peer));
    }

    fn frame(&mut self, now: Now, peer: Origin, bytes: &[u8]) {
        self.stats.received_frames += 1;
        if !self.peers.contains_key(&peer) {
            self.marks.hit(Mark::FrameWithoutLink);
            return;
        }
        if Self::is_membership(bytes) {
            return self.detect(now, membership::Input::Packet { from: peer, reliable: true, bytes });
        }
        let refused = match decode(bytes) {
            Ok(message) => self.message(now, peer, message).err(),
            Err(DecodeError::Kind(kind)) => {
                // A newer minor feature of the peer: not understood is not misbehaviour.
                self.marks.hit(Mark::UnknownKindIgnored);
                self.warn(format!("peer {peer}: unknown message kind {kind}, ignored"));
                None
            }
            Err(error) => {
                self.marks.hit(match error {
                    DecodeError::Short(_) => Mark::FrameShort,
                    DecodeError::Version(_) => Mark::FrameVersion,
                    _ => Mark::FrameBody,
                });
                Some(error.to_string())
            }
        };
        if let Some(why) = refused {
            self.stats.refused += 1;
            self.warn(format!("peer {peer}: refused a frame: {why}"));
            self.outputs.push_back(Output::CloseLink { peer, why });
        }
    }

    fn message(&mut self, now: Now, peer: Origin, message: Message<'_>) -> Result<(), String> {
        match message {
            Message::Digest { round, root, wall_ms, want_inc, ready } => {
                self.check_skew(now, wall_ms)?;
                self.digest(now, peer, (round, root, want_inc, ready));
            }
            Message::Equal { round, wall_ms, ready, inc } => {
                self.check_skew(now, wall_ms)?;
                self.equal(now, peer, round, wall_ms, ready, inc);
            }
            Message::Unequal { round, wall_ms, ready, inc, hashes } => {
                self.check_skew(now, wall_ms)?;
                self.unequal(now, peer, (round, wall_ms, ready), inc, hashes)?;
            }
            Message::Sync { round, wall_ms, origins, items } => {
                self.check_skew(now, wall_ms)?;
                self.serve(now, peer, round, &origins, &items)?;
            }
            Message::Page(page) => {
                self.check_skew(now, page.header.wall_ms)?;
                self.page(now, peer, page)?;
            }
            Message::Adopted { upto } => self.peer_adopted(peer, &upto)?,
            Message::Push(push) => {
                self.check_skew(now, push.header.wall_ms)?;
                self.take_push(now, peer, &push)?;
            }
            Message::PushAck { seq, refused } => self.push_acked(now, peer, seq, &refused),
            Message::Ask { request, id } => self.tell(now, peer, request, id),
            Message::Tell { request, wall_ms, origins, entry } => {
                self.check_skew(now, wall_ms)?;
                self.told(now, peer, request, wall_ms, &origins, entry)?;
            }
            Message::Audit { request, wall_ms, sums } => {
                self.check_skew(now, wall_ms)?;
                self.audit(peer, (request, wall_ms), &sums)?;
            }
            Message::AuditDiff { request, partitions } => self.audit_answer(now, peer, request, &partitions),
        }
        Ok(())
    }

    /// Skew is checked on every message that moves data, not only at the handshake (CRDT.md A8).
    fn check_skew(&self, now: Now, wall_ms: u64) -> Result<(), String> {
        let apart = now.wall_ms.abs_diff(wall_ms);
        let max = self.limits.max_drift_ms;
        if apart > max && !mutant!(MessageSkewUnchecked) {
            self.marks.hit(Mark::PeerClockRefused);
            return Err(format!("its clock is {apart} ms from this one (max_drift_ms = {max})"));
        }
        Ok(())
    }

    fn tick(&mut self, now: Now) {
        self.detect(now, membership::Input::Tick);
        self.push_timeouts(now);
        self.round_timeout(now);
        if now.mono_ms >= self.next_sync_ms {
            self.schedule_sync(now);
            if let Some(peer) = self.pick_peer(now) {
                self.want_round(peer);
            }
        }
        if now.mono_ms >= self.next_reap_ms {
            self.next_reap_ms = now.mono_ms + 1_000;
            self.reap(now);
        }
        if now.mono_ms >= self.next_audit_ms {
            let jitter = self.rng.random_range(0..=self.limits.audit_interval_ms);
            self.next_audit_ms = now.mono_ms + self.limits.audit_interval_ms / 2 + jitter;
            self.audit_one(now);
        }
    }

    fn reap(&mut self, now: Now) {
        let mut events = Vec::new();
        for ix in 0..self.limits.partitions {
            let (limits, inc, frozen) = (&self.limits, &self.inc, self.reap_frozen);
            self.replica.locked(ix, |p| p.reap(now.wall_ms, limits, inc, frozen, 4_096, &mut events));
        }
        // A sixteenth of the partitions at a time: pruning is never urgent.
        for _ in 0..self.limits.partitions.div_ceil(16) {
            self.next_prune = (self.next_prune + 1) % self.limits.partitions;
            self.replica.locked(self.next_prune, |p| p.prune(now.wall_ms, &self.limits));
        }
        let (limits, held) = (&self.limits, self.inc.len());
        self.inc.retain(|_, value| !gone_is_over(*value, now.wall_ms, limits));
        if self.inc.len() < held {
            self.marks.hit(Mark::GoneMarkServed);
        }
        if self.watched {
            self.outputs.extend(events.into_iter().map(Output::Event));
        }
    }

    fn gone(&mut self, now: Now, origin: Origin) {
        if origin != self.origin {
            let until = now.wall_ms + self.limits.max_lifetime_ms + self.limits.max_drift_ms;
            self.marks.hit(Mark::GoneMarkSet);
            self.inc.insert(origin, GONE | until);
            if mutant!(GoneMarkRemoved) {
                self.inc.remove(&origin);
            }
            self.members.remove(&origin);
            if let Some(compared) = &mut self.compared {
                compared.remove(&origin);
            }
            self.detect(now, membership::Input::Gone(origin));
        }
    }

    /// Leaves out gone-marks that have served their time: they would come back for ever (CRDT.md A3).
    fn drop_served(&self, now: Now, inc: &mut Inc) {
        let told = inc.len();
        inc.retain(|(_, v)| !gone_is_over(*v, now.wall_ms, &self.limits));
        if inc.len() < told {
            self.marks.hit(Mark::GoneMarkIgnored);
        }
        // Nobody has incorporated what is not written yet. Such a word would stand for ever, since the greatest wins,
        // and every session that is idle here would pass for stable: less is known than it says, and that is safe.
        let (wall_ms, drift_ms) = (now.wall_ms, self.limits.max_drift_ms);
        let until_most = wall_ms + self.limits.max_lifetime_ms + 2 * drift_ms;
        for (_, value) in inc {
            let most = if *value & GONE == 0 { wall_ms + drift_ms } else { GONE | until_most };
            *value = (*value).min(most);
        }
    }

    fn merge_inc(&mut self, inc: &Inc) {
        for &(member, value) in inc {
            let held = self.inc.entry(member).or_insert(0);
            *held = (*held).max(value);
        }
    }

    fn send(&mut self, peer: Origin, class: Class, frame: Vec<u8>) {
        self.stats.sent_bytes += frame.len() as u64;
        self.stats.sent_frames += 1;
        self.outputs.push_back(Output::Send { peer, class, frame });
    }

    fn warn(&mut self, text: String) {
        self.outputs.push_back(Output::Warn(text));
    }

    /// Runs `f` on a partition with a gate for incoming entries, and passes events on.
    fn admit<T>(
        &mut self,
        now: Now,
        partition: u16,
        f: impl FnOnce(&mut super::replica::Partition, &mut Gate<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut events = Vec::new();
        let mut gate = Gate {
            wall_ms: now.wall_ms,
            limits: &self.limits,
            clock: self.replica.clock(),
            own_counter: self.replica.counter(),
            inc: &self.inc,
            events: self.watched.then_some(&mut events),
        };
        let out = self.replica.locked(partition, |p| f(p, &mut gate));
        self.outputs.extend(events.into_iter().map(Output::Event));
        out
    }

    /// What a refusal means for the link. Returns text if the peer broke a rule.
    fn refused(&mut self, now: Now, peer: Origin, refusal: &Refusal) -> Result<(), String> {
        match refusal {
            // Becomes acceptable as time passes, or as memory frees: retry later, loudly.
            Refusal::ClockAhead { .. } | Refusal::MemoryFull => {
                self.warn(format!("peer {peer}: {refusal}; nothing of its claims is adopted"));
                Ok(())
            }
            Refusal::Overgrown { id, .. } => {
                self.overgrown.push(*id);
                self.warn(format!("peer {peer}: {refusal}; it is ended"));
                Ok(())
            }
            Refusal::OwnOrigin { .. } => {
                self.new_life(now, Mark::NewLifeImpostor, &format!("peer {peer} {refusal}"));
                Err(refusal.to_string())
            }
            Refusal::Malformed(_) => {
                self.marks.hit(Mark::EntryMalformed);
                Err(refusal.to_string())
            }
        }
    }
}

fn offset_of(now: Now) -> i64 {
    now.wall_ms.wrapping_sub(now.mono_ms) as i64
}
