//! One node: replica, replication and readiness as one state machine. Inputs in, outputs out (quinn-proto's shape).
//!
//! The node runs single-threaded; embedders' threads share only the [`Replica`] with it. Reader's order: `io.rs`
//! (what goes in and comes out), this file, `members.rs` (who is a member), `missing.rs` (who is out
//! of reach), `push.rs` (a write leaves), `round.rs`
//! (anti-entropy, the asking side), `answer.rs` (the answering side), `phase.rs` (joining, ready, fenced, new lives),
//! `source.rs` (whom a joiner waits for), `verify.rs` (what it compares), `clocks.rs` (whether our wall clock is right),
//! `ahead.rs` (a mesh whose clocks were ahead), `audit.rs`, `overgrown.rs` (a merge too large to be sent), `warn.rs` (what is
//! said of peers); for those who look from outside, `compare.rs` (who differs) and `inspect.rs` (one session at peers).

mod ahead;
mod answer;
mod audit;
mod clocks;
mod compare;
mod inspect;
mod io;
mod members;
mod missing;
mod overgrown;
mod phase;
mod push;
mod round;
mod source;
mod verify;
mod warn;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub use self::clocks::ClockView;
use self::clocks::Clocks;
pub use self::compare::Compared;
pub use self::io::{Class, Gravity, Input, Output, Setup, Stats};
use self::missing::Absent;
pub use self::missing::GONE_FACT;
use self::phase::Phase;
use self::push::OutPush;
use self::round::Round;
use self::warn::Warned;
use super::causality::Origin;
use super::histogram::{Histogram, ROUND_BOUNDS_S};
use super::limits::{Limits, MAX_BARE_TOTAL, MAX_ENDED_PER_STEP, MIN_IMPOSTOR_LIFE_MS};
use super::marks::{Mark, Marks};
use super::membership::{self, Detector, Listed};
use super::replica::{GONE, Gate, Refusal, Replica, gone_is_over};
use super::session::SessionId;
use super::time::Now;
use super::wire::{Digest, Equal, Frame, Inc, Message, PeerFault, Unequal, WIRE_NEWEST, WIRE_OLDEST};

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
    /// Whether it said that it knows of something it may lack.
    incomplete: bool,
    /// How far its clock seemed to be away when it told last (ms).
    clock_apart_ms: u64,
    /// Not before this (monotonic ms): rounds that fail or repeat do not spin.
    not_before_ms: u64,
    /// Rounds in a row of which something was refused and nothing gained.
    vain: u32,
    /// Not sent pages before this (monotonic ms): its queue was full.
    full_until_ms: u64,
    /// No refetch from it before this (monotonic ms).
    refetch_ms: u64,
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
    /// Freshness of whole members: their state is incorporated up to this wall time (docs/ALGORITHM.md §4).
    inc: BTreeMap<Origin, u64>,
    absent: Absent,
    outputs: VecDeque<Output>,
    round: Option<Round>,
    /// What an audit found different: partitions to be asked for whole once no other round is under way.
    refetch: VecDeque<(Origin, Vec<u16>)>,
    /// Whether the last round that began was such a one.
    refetched: bool,
    /// No new life because of an impostor before this (monotonic ms).
    impostor_ms: u64,
    /// The routine audit that is awaited: with whom, and of which partition.
    audited: Option<(Origin, u16)>,
    next_round: u64,
    /// Numbers pushes to all peers, never reset: an acknowledgement that outlived its link must match nothing.
    next_seq: u64,
    phase: Phase,
    next_sync_ms: u64,
    next_reap_ms: u64,
    next_prune: u16,
    next_audit_ms: u64,
    clocks: Clocks,
    warned: Warned,
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
        let clocks = Clocks::new(&setup.limits, now);
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
            absent: Absent::default(),
            outputs: VecDeque::new(),
            round: None,
            refetch: VecDeque::new(),
            refetched: false,
            impostor_ms: 0,
            audited: None,
            next_round: 1,
            next_seq: 1,
            next_sync_ms: now.mono_ms,
            next_reap_ms: now.mono_ms,
            next_prune: 0,
            next_audit_ms: now.mono_ms,
            clocks,
            warned: Warned::default(),
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
        let waits = self.clocks.judge.is_waiting(Now { mono_ms: 0, wall_ms: 0 });
        // One pass: this is asked after every input.
        for peer in self.peers.values() {
            if let Some(out) = &peer.out {
                wake = wake.min(out.sent_ms + self.limits.push_timeout_ms);
            }
            if peer.wanted && self.round.is_none() && !waits {
                wake = wake.min(peer.not_before_ms);
            }
        }
        wake
    }

    /// Takes in one input. Everything it causes is in the outputs when this returns.
    pub fn handle(&mut self, machine: Now, input: Input<'_>) {
        self.notice_freeze(machine);
        let now = self.look_at_clocks(machine);
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
            Input::Fact { of, key, value } if key == GONE_FACT => self.hear_forgotten(now, of, value),
            Input::Fact { of, key, value } => self.detect(now, membership::Input::Fact { of, key, value }),
            Input::Full { peer } => self.queue_full(now, peer),
            Input::Overflow => self.detect(now, membership::Input::Overflow),
            Input::Leaving => {
                self.absent.leaving = true;
                self.detect(now, membership::Input::Leave);
            }
            Input::Gone(origin) => self.gone(now, origin),
            Input::Forget(origin) => self.forget(now, origin, None),
            Input::CalledGone { by } => self.called_gone(now, by),
            Input::Ask { token, id } => self.ask(token, id),
            Input::Inspect { token, id } => self.inspect(token, id),
            Input::InspectOver { token } => self.inspected(token),
            Input::Hold(why) => self.phase.hold = why.map(str::to_owned),
            Input::SeedsMoved => self.seeds_moved(now),
            Input::Watched => self.watched = true,
            Input::Refused { why } => self.phase.refused(now, why),
            Input::Clock { peer, wall_ms, sound } => self.clock_told(now, peer, wall_ms, sound),
            Input::Clone => {
                self.new_life(now, Mark::NewLifeClone, "another live process carries this node's name");
            }
        }
        self.end_overgrown(now);
        self.end_revoked(now);
        self.start_rounds(now);
        self.update_phase(now);
        self.replica.set_alone(!self.knows_others());
        self.replica.beat(now);
    }

    /// Ends the sessions that met a revocation their login had not seen: after the whole input is in, so that those
    /// whose end came along with it need none of ours.
    fn end_revoked(&mut self, now: Now) {
        let ended = self.replica.end_due(now, MAX_ENDED_PER_STEP);
        if ended.is_empty() {
            return;
        }
        ended.into_iter().for_each(|id| self.tell_ended(id));
        self.news(now);
    }

    fn link_up(&mut self, now: Now, peer: Origin, version: u16) {
        if peer == self.origin {
            return;
        }
        if self.is_forgotten(peer) {
            // Nothing of it counts for stability any more: it begins a new life first, and hears so when it dials.
            let why = "its life was declared over: it may return under a new one".into();
            self.outputs.push_back(Output::CloseLink { peer, why });
            return;
        }
        self.met(peer);
        // Before anything is sent to it: stability must never be vacuous about a joiner (docs/ALGORITHM.md §6).
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
            incomplete: false,
            clock_apart_ms: u64::MAX,
            not_before_ms: now.mono_ms,
            vain: 0,
            full_until_ms: 0,
            refetch_ms: 0,
            pushed: 0,
        };
        self.peers.insert(peer, fresh);
        self.phase.met_anyone(now);
        self.detect(now, membership::Input::LinkUp(peer));
        self.clock_linked(now);
    }

    fn link_down(&mut self, now: Now, peer: Origin) {
        self.peers.remove(&peer);
        self.forget_inspected(peer);
        self.phase.lost(now, peer);
        self.clock_lost(peer);
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
        let refused = match Frame::open(bytes) {
            Ok(Frame::Detectors(bytes)) => {
                return self.detect(now, membership::Input::Packet { from: peer, reliable: true, bytes });
            }
            Ok(Frame::Sessions(message)) => self.message(now, peer, message),
            Err(PeerFault::Kind(kind)) => {
                // A newer minor feature of the peer: not understood is not misbehaviour.
                self.marks.hit(Mark::UnknownKindIgnored);
                self.warn_of(now, peer, "a kind", format!("unknown message kind {kind}, ignored"));
                return;
            }
            Err(fault) => {
                self.marks.hit(match fault {
                    PeerFault::Short(_) => Mark::FrameShort,
                    PeerFault::Version(_) => Mark::FrameVersion,
                    _ => Mark::FrameBody,
                });
                Err(fault)
            }
        };
        if let Err(fault) = refused {
            let why = fault.to_string();
            self.stats.refused += 1;
            self.warn_of(now, peer, "a frame", format!("refused a frame: {why}"));
            if fault.breaks_a_rule() {
                self.fault(peer, Gravity::Broke, why.clone());
            }
            self.outputs.push_back(Output::CloseLink { peer, why });
        }
    }

    fn message(&mut self, now: Now, peer: Origin, message: Message<'_>) -> Result<(), PeerFault> {
        self.note_incomplete(peer, &message);
        if self.hears_own_end(now, peer, &message) {
            return Ok(());
        }
        // Whether it counts, by the time that it tells.
        if let Some(wall_ms) = message.wall_ms()
            && !self.clock_fits(now, peer, wall_ms, &message)?
        {
            return Ok(());
        }
        match message {
            Message::Digest(digest) => self.on_digest(now, peer, &digest),
            Message::Equal(equal) => self.on_equal(now, peer, equal),
            Message::Unequal(unequal) => self.on_unequal(now, peer, unequal)?,
            Message::Sync(sync) => self.on_sync(now, peer, &sync)?,
            Message::Page(page) => self.on_page(now, peer, page)?,
            Message::Adopted(adopted) => self.on_adopted(peer, &adopted)?,
            Message::Push(push) => self.on_push(now, peer, &push)?,
            Message::PushAck(ack) => self.on_push_ack(now, peer, &ack),
            Message::Ask(ask) => self.on_ask(now, peer, &ask),
            Message::Tell(tell) => self.on_tell(now, peer, &tell)?,
            Message::Audit(audit) => self.on_audit(now, peer, &audit)?,
            Message::Compare(compare) => self.on_compare(now, peer, &compare)?,
            Message::AuditDiff(diff) => {
                self.on_audit_answer(now, peer, diff.request, &diff.partitions, None);
            }
            Message::Compared(told) => {
                self.on_audit_answer(now, peer, told.request, &told.partitions, Some(told.verdicts));
            }
        }
        Ok(())
    }

    /// What a peer says in its rounds of whether it knows of something it may lack.
    fn note_incomplete(&mut self, peer: Origin, message: &Message<'_>) {
        let (Message::Digest(Digest { incomplete, .. })
        | Message::Equal(Equal { incomplete, .. })
        | Message::Unequal(Unequal { incomplete, .. })) = message
        else {
            return;
        };
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.incomplete = *incomplete;
        }
    }

    /// Whether a peer names a partition that there is.
    fn check_partition(&self, what: &'static str, partition: u16) -> Result<(), PeerFault> {
        let partitions = self.limits.partitions;
        if partition < partitions {
            return Ok(());
        }
        Err(PeerFault::NoSuchPartition { what, partition, partitions })
    }

    fn tick(&mut self, now: Now) {
        self.detect(now, membership::Input::Tick);
        self.ask_clocks(now);
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
        let reap_ms = self.clocks.judge.reap_ms(now);
        for ix in 0..self.limits.partitions {
            let (limits, inc, times) = (&self.limits, &self.inc, (now.wall_ms, reap_ms));
            self.replica.locked(ix, |p| p.reap(times, limits, inc, 4_096, &mut events));
        }
        // A sixteenth of the partitions at a time: pruning is never urgent.
        for _ in 0..self.limits.partitions.div_ceil(16) {
            self.next_prune = (self.next_prune + 1) % self.limits.partitions;
            self.replica.locked(self.next_prune, |p| p.prune(now.wall_ms.min(reap_ms), &self.limits));
        }
        let (limits, held) = (&self.limits, self.inc.len());
        self.inc.retain(|_, value| !gone_is_over(*value, now.wall_ms.min(reap_ms), limits));
        if self.inc.len() < held {
            self.marks.hit(Mark::GoneMarkServed);
        }
        if self.watched {
            self.outputs.extend(events.into_iter().map(Output::Event));
        }
        self.look_after_absent(now);
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
            self.phase.sources.over(origin);
            if let Some(compared) = &mut self.compared {
                compared.remove(&origin);
            }
            self.detect(now, membership::Input::Gone(origin));
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

    /// Runs `f` on a partition with a gate for incoming entries, and passes events on.
    fn admit<T>(
        &mut self,
        now: Now,
        partition: u16,
        f: impl FnOnce(&mut super::replica::Partition, &mut Gate<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut events = Vec::new();
        let ahead_ms = self.stamps_within_ms(now);
        let mut gate = Gate {
            wall_ms: now.wall_ms,
            ahead_ms,
            limits: &self.limits,
            clock: self.replica.clock(),
            own_counter: self.replica.counter(),
            inc: &self.inc,
            held_bytes: self.replica.held_bytes(),
            room: MAX_BARE_TOTAL.saturating_sub(self.replica.bare_origins()),
            events: self.watched.then_some(&mut events),
        };
        let out = self.replica.locked(partition, |p| {
            let before = p.bare_origins();
            let out = f(p, &mut gate);
            if out.is_err() && p.bare_origins() > before {
                // What was refused must leave nothing behind.
                p.sweep_origins();
            }
            out
        });
        self.outputs.extend(events.into_iter().map(Output::Event));
        out
    }

    /// What a refusal means for the link.
    ///
    /// # Errors
    /// If the peer broke a rule.
    fn refused(&mut self, now: Now, peer: Origin, refusal: &Refusal) -> Result<(), PeerFault> {
        match refusal {
            // Becomes acceptable as time passes, or as memory frees: retry later, loudly.
            Refusal::ClockAhead { .. } | Refusal::MemoryFull => {
                self.warn_of(now, peer, "claims", format!("{refusal}; nothing of its claims is adopted"));
                Ok(())
            }
            Refusal::Overgrown { id, .. } => {
                self.overgrown.push(*id);
                self.warn_of(now, peer, "overgrown", format!("{refusal}; it is ended"));
                Ok(())
            }
            Refusal::OwnOrigin { .. } => {
                if now.mono_ms >= self.impostor_ms {
                    self.impostor_ms = now.mono_ms + MIN_IMPOSTOR_LIFE_MS;
                    self.new_life(now, Mark::NewLifeImpostor, &format!("peer {peer} {refusal}"));
                    return Err(refusal.clone().into());
                }
                // A clone was met once. Who says so again lies, or passes a lie on: what it claims is not taken.
                self.warn_of(now, peer, "impostor", format!("{refusal}; left out"));
                self.fault(peer, Gravity::Strange, refusal.to_string());
                Ok(())
            }
            Refusal::Malformed(_) => {
                self.marks.hit(Mark::EntryMalformed);
                Err(refusal.clone().into())
            }
        }
    }
}
