//! Membership: who lives, as this node sees it. SWIM (Das, Gupta, Motivala, DSN 2002) with Lifeguard (Dadgar, Phillips,
//! Currey, DSN-W 2018), told who exists by the bulletin board, and a rule of death of its own: two witnesses.
//!
//! Scuttlebutt finds and never errs, but is slow and costs bytes in proportion to the members; SWIM is fast and flat,
//! but errs under loss. Here a suspicion is SWIM's, and a death needs both: this node's *own* probe of the suspect
//! failed in every way, and nothing the suspect *produced* since the suspicion began has been heard of through anyone.
//! Anyone who has heard of it since contradicts. `docs/MEMBERSHIP.md` tells why, and what it measured.
//!
//! Reader's order: [`message`] (the protocol's story), [`config`] (the knobs), `probe` (is it there?), `hear` (what
//! others say), `farewell` (did it leave?), `evidence` (when was that?), `suspicion` and `judge` (how long until it is dead), `roster` (what is
//! believed), `board` (what is written on the board), and the small ones: `rtt`, `stall`, `lag`, `health`,
//! `flap`, `rumours`.
//!
//! A pure state machine: inputs with the time in, outputs out.

mod board;
pub mod config;
mod evidence;
mod farewell;
mod flap;
mod health;
mod hear;
mod judge;
mod lag;
pub mod message;
mod probe;
mod roster;
mod rtt;
mod rumours;
mod stall;
mod suspicion;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub use self::config::Config;
pub use self::message::MEMBERSHIP_WIRE;
pub use self::roster::{Change, Member, State, Why};
pub use self::suspicion::Suspicion;

use self::board::Voice;
use self::health::LocalHealth;
use self::lag::Lag;
use self::message::{Message, Packet, Pulse, Rumour, decode, encode};
use self::probe::{Probe, Relay, Sent};
use self::rumours::Rumours;
use super::causality::Origin;
use super::histogram::{Histogram, NETWORK_BOUNDS_S};
use super::limits::{MAX_MEMBERS, MAX_RUMOURS_PER_PACKET};

/// One member as the board lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The life of its memory.
    pub origin: Origin,
    /// Whether the board's own, slower detector believes in it.
    pub alive: bool,
    /// Whether it said goodbye there.
    pub left: bool,
}

/// What happens to a detector.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A packet of a peer's detector arrived.
    Packet {
        /// Whose: the link knows.
        from: Origin,
        /// It came over the link's stream: so must the answer.
        reliable: bool,
        /// The packet.
        bytes: &'a [u8],
    },
    /// A link to a peer is up.
    LinkUp(Origin),
    /// The link is gone: a reason to probe.
    LinkDown(Origin),
    /// The members on the board, without this node.
    Board(&'a [Listed]),
    /// A member has published this on the board.
    Fact {
        /// Whose.
        of: Origin,
        /// The key, as in [`Output::Publish`].
        key: &'a str,
        /// The value.
        value: &'a str,
    },
    /// A life that will never return: superseded, or left in good order.
    Gone(Origin),
    /// The driver had to drop packets: this node is overloaded.
    Overflow,
    /// This node is leaving: tell them.
    Leave,
    /// The wall clock went ahead of the monotonic one by this much (ms): the machine was suspended, it seems, during
    /// which the monotonic clock stands still.
    Suspended(u64),
    /// What was taken for a suspend was a step of the wall clock.
    NotSuspended,
    /// Time passed.
    Tick,
}

/// What a detector wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a packet.
    Send {
        /// To whom.
        to: Origin,
        /// Over the link's stream; else as a datagram, which may be lost.
        reliable: bool,
        /// The packet.
        bytes: Vec<u8>,
    },
    /// A member's state has changed.
    Changed(Change),
    /// Write this on the board.
    Publish {
        /// `inc` or `suspects`.
        key: &'static str,
        /// The value.
        value: String,
    },
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets sent.
    pub sent_packets: u64,
    /// Bytes of those packets.
    pub sent_bytes: u64,
    /// Probes begun.
    pub probes: u64,
    /// Probes whose first pings had no answer in time.
    pub probes_escalated: u64,
    /// Probes that failed in every way.
    pub probes_failed: u64,
    /// Suspicions begun here or heard of.
    pub suspicions: u64,
    /// Suspicions cleared, by evidence or refutation.
    pub cleared: u64,
    /// Suspicions of this node that it refuted.
    pub refuted: u64,
    /// Members declared dead.
    pub deaths: u64,
    /// Dead members that came back.
    pub revived: u64,
    /// Times this process stood still.
    pub stood_still: u64,
}

/// The failure detector of one life of one node.
pub struct Detector {
    own: Origin,
    config: Config,
    rng: StdRng,
    started_ms: u64,
    /// Time its machine was suspended (ms).
    skipped_ms: u64,
    incarnation: u32,
    /// When it rose last (ms).
    risen_ms: Option<u64>,
    /// It has said goodbye.
    leaving: bool,
    members: BTreeMap<Origin, Member>,
    /// Members that are alive or suspect, this node not counted.
    living: usize,
    /// The order of probing, and the place in it.
    order: Vec<Origin>,
    next: usize,
    suspects: BTreeSet<Origin>,
    dead: BTreeSet<Origin>,
    probes: Vec<Probe>,
    relays: Vec<Relay>,
    /// Pings of failed probes, the last ones.
    late: Vec<Sent>,
    next_seq: u16,
    health: LocalHealth,
    rumours: Rumours,
    /// News to be told to a few at once, and whom besides.
    urgent: Vec<Rumour>,
    urgent_to: Vec<Origin>,
    next_probe_ms: u64,
    next_dead_ms: u64,
    /// When a suspicion wants to be looked at next.
    judge_ms: u64,
    /// When all the dead were last probed because one of them came back.
    burst_ms: u64,
    voice: Voice,
    last_ms: u64,
    /// When this process last went on after it had not run in time (ms).
    stall_ms: u64,
    /// How long this process did not run in time altogether (ms).
    stalled_ms: u64,
    lag: Lag,
    outputs: VecDeque<Output>,
    stats: Stats,
    rtts: Histogram,
}

impl Detector {
    /// A detector that knows nobody yet. `seed` is its only randomness.
    pub fn new(own: Origin, config: Config, seed: [u8; 32], now_ms: u64) -> Self {
        let mut rng = StdRng::from_seed(seed);
        let first_ms = now_ms + rng.random_range(0..config.probe_interval_ms);
        Self {
            own,
            health: LocalHealth::new(config.health_max),
            next_dead_ms: now_ms + config.dead_probe_ms,
            config,
            rng,
            started_ms: now_ms,
            skipped_ms: 0,
            incarnation: 0,
            risen_ms: None,
            leaving: false,
            members: BTreeMap::new(),
            living: 0,
            order: Vec::new(),
            next: 0,
            suspects: BTreeSet::new(),
            dead: BTreeSet::new(),
            probes: Vec::new(),
            relays: Vec::new(),
            late: Vec::new(),
            next_seq: 0,
            rumours: Rumours::default(),
            urgent: Vec::new(),
            urgent_to: Vec::new(),
            next_probe_ms: first_ms,
            judge_ms: u64::MAX,
            burst_ms: 0,
            voice: Voice::default(),
            last_ms: now_ms,
            stall_ms: now_ms,
            stalled_ms: 0,
            lag: Lag::default(),
            outputs: VecDeque::new(),
            stats: Stats::default(),
            rtts: Histogram::new(NETWORK_BOUNDS_S),
        }
    }

    /// Takes in one input. Everything it causes is in the outputs when this returns.
    ///
    /// # Errors
    /// What is wrong with a packet, which was then ignored.
    pub fn handle(&mut self, now_ms: u64, input: Input<'_>) -> Result<(), String> {
        // A monotonic clock is; all the same no subtraction here shall depend on it.
        let now_ms = now_ms.max(self.last_ms);
        self.notice_stall(now_ms);
        let taken = match input {
            Input::Packet { from, reliable, bytes } => self.packet(now_ms, from, reliable, bytes),
            other => {
                self.event(now_ms, other);
                Ok(())
            }
        };
        if now_ms >= self.next_wake_ms() {
            self.timers(now_ms);
        }
        self.tell_urgent(now_ms);
        taken
    }

    fn event(&mut self, now_ms: u64, input: Input<'_>) {
        match input {
            Input::LinkUp(peer) => {
                self.contact(now_ms, peer);
                // It may believe us dead, or we it: both show at once.
                self.ping_once(now_ms, peer);
            }
            Input::LinkDown(peer) => self.begin_probe(now_ms, peer),
            Input::Board(listed) => self.listed(now_ms, listed),
            Input::Fact { of, key, value } => self.read_fact(now_ms, of, key, value),
            Input::Gone(origin) => self.over(now_ms, origin, Why::Superseded),
            Input::Suspended(for_ms) => self.suspended(for_ms),
            Input::NotSuspended => self.not_suspended(),
            Input::Overflow => self.health.worse(1),
            Input::Leave => {
                let incarnation = self.incarnation;
                self.leaving = true;
                self.spread(Rumour::Left { subject: self.own, incarnation }, None);
            }
            Input::Packet { .. } | Input::Tick => {}
        }
    }

    /// The next output, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the detector wants its next input at the latest (ms).
    pub fn next_wake_ms(&self) -> u64 {
        let probes = self.probes.iter().map(|p| p.next_ms.min(p.deadline_ms));
        let relays = self.relays.iter().map(|r| r.next_ms);
        let dead_ms = if self.dead.is_empty() { u64::MAX } else { self.next_dead_ms };
        let timers = [self.next_probe_ms, self.judge_ms, dead_ms, self.voice.next_ms()];
        timers.into_iter().chain(probes).chain(relays).min().unwrap_or(u64::MAX)
    }

    fn timers(&mut self, now_ms: u64) {
        self.run_probes(now_ms);
        self.run_relays(now_ms);
        if now_ms >= self.next_probe_ms {
            self.next_probe_ms = now_ms.max(self.next_probe_ms + self.config.probe_interval_ms);
            self.probe_next(now_ms);
            self.measure_returning(now_ms);
        }
        if now_ms >= self.next_dead_ms {
            // Whoever has given everybody up speaks to nobody else: it must be heard of within any window.
            let alone = self.living == 0;
            let pause_ms = if alone { self.config.probe_interval_ms } else { self.config.dead_probe_ms };
            self.next_dead_ms = now_ms + pause_ms;
            self.probe_a_dead(now_ms);
            self.forget_dead(now_ms);
        }
        // Before the judgement, or in a small mesh a suspicion would be over whenever it is worth telling.
        self.publish(now_ms);
        if now_ms >= self.judge_ms {
            self.judge(now_ms);
        }
    }

    fn packet(&mut self, now_ms: u64, from: Origin, reliable: bool, bytes: &[u8]) -> Result<(), String> {
        if from == self.own {
            return Ok(());
        }
        let Packet { pulse, message } = decode(bytes)?;
        let asked_ms = match &message {
            Message::Ack { seq, .. } => self.answered(now_ms, from, *seq, pulse),
            _ => None,
        };
        self.heard(now_ms, from, pulse, asked_ms);
        // Who is leaving says so in the same packet: it is not back for the blink of an eye before.
        if let Some(asked_ms) = asked_ms.filter(|_| !message.says_goodbye(from)) {
            self.answered_for_itself(now_ms, from, pulse, asked_ms);
        }
        match message {
            Message::Ping { seq, rumours } => {
                self.send_with_news(now_ms, from, reliable, |rumours| Message::Ack { seq, rumours });
                self.take_rumours(now_ms, from, rumours);
            }
            Message::Ack { rumours, .. } | Message::Gossip { rumours } => {
                self.take_rumours(now_ms, from, rumours);
            }
            Message::PingReq { seq, target } => self.relay(now_ms, from, seq, target),
            Message::Relayed { seq, target } => self.relayed(now_ms, from, seq, target),
            Message::Nack { seq } => self.nacked(from, seq),
        }
        Ok(())
    }

    /// This node's own pulse.
    fn pulse(&self, now_ms: u64) -> Pulse {
        Pulse { incarnation: self.incarnation, beat_ms: self.beat_at(now_ms) }
    }

    /// This node's own beat at a time (ms).
    fn beat_at(&self, at_ms: u64) -> u64 {
        at_ms.saturating_sub(self.started_ms) + self.skipped_ms
    }

    fn send(&mut self, now_ms: u64, to: Origin, reliable: bool, message: Message) {
        let bytes = encode(&Packet { pulse: self.pulse(now_ms), message });
        self.stats.sent_packets += 1;
        self.stats.sent_bytes += bytes.len() as u64;
        self.outputs.push_back(Output::Send { to, reliable, bytes });
    }

    /// Sends a ping or an ack, with what news fits; first of all what the receiver must know about itself.
    fn send_with_news(
        &mut self,
        now_ms: u64,
        to: Origin,
        reliable: bool,
        message: impl FnOnce(Vec<Rumour>) -> Message,
    ) {
        let mut rumours: Vec<Rumour> = self.buddy_notice(to).into_iter().collect();
        // Others ask a member that is said to have left whether that is so.
        let (subject, incarnation) = (self.own, self.incarnation);
        rumours.extend(self.leaving.then_some(Rumour::Left { subject, incarnation }));
        // Who is silent may be gone: what is told to it has been told to nobody.
        let is_silent =
            self.members.get(&to).is_some_and(|m| matches!(m.state, State::Suspect | State::Dead));
        self.rumours.take(MAX_RUMOURS_PER_PACKET - rumours.len(), to, !is_silent, &mut rumours);
        self.send(now_ms, to, reliable, message(rumours));
    }

    /// Whoever is suspected or believed dead hears it from us whenever we speak to it (Lifeguard §IV-C).
    fn buddy_notice(&self, to: Origin) -> Option<Rumour> {
        let member = self.members.get(&to)?;
        let began_ms = match member.state {
            State::Suspect => member.suspicion.as_ref()?.began_ms,
            State::Dead => member.since_ms,
            State::Alive | State::Left => return None,
        };
        let (incarnation, began_beat_ms) = (member.incarnation, self.beat_at(began_ms));
        Some(Rumour::Suspect { subject: to, incarnation, accuser: self.own, began_beat_ms })
    }

    /// News for a few at once and for the rest as it comes, and for somebody in particular.
    fn spread(&mut self, rumour: Rumour, also: Option<Origin>) {
        self.rumours.add(rumour, self.config.transmissions(self.living));
        self.urgent.push(rumour);
        self.urgent_to.extend(also);
    }

    fn tell_urgent(&mut self, now_ms: u64) {
        if self.urgent.is_empty() {
            return;
        }
        let urgent = std::mem::take(&mut self.urgent);
        let mut to = std::mem::take(&mut self.urgent_to);
        let before = to.len();
        // Those first who can pass it on: where many die at once, most of the living are suspects.
        for state in [State::Alive, State::Suspect] {
            let wanted = (before + self.config.fanout).saturating_sub(to.len());
            let some = self.some_living(wanted, |origin, m| m.state == state && !to.contains(&origin));
            to.extend(some);
        }
        to.sort_unstable();
        to.dedup();
        for peer in to {
            let mut rumours: Vec<Rumour> = urgent.iter().copied().filter(|r| r.subject() != peer).collect();
            rumours.extend(self.buddy_notice(peer));
            for chunk in rumours.chunks(MAX_RUMOURS_PER_PACKET) {
                self.send(now_ms, peer, false, Message::Gossip { rumours: chunk.to_vec() });
            }
        }
    }

    /// Up to `most` living members that fit, at random.
    fn some_living(&mut self, most: usize, fits: impl Fn(Origin, &Member) -> bool) -> Vec<Origin> {
        let mut chosen = Vec::with_capacity(most);
        if self.order.is_empty() {
            return chosen;
        }
        let n = self.order.len();
        // A few tries at random are as good as a shuffle; a small mesh is gone through from a random place.
        let first = self.rng.random_range(0..n);
        let small = n <= 4 * most;
        for step in 0..(4 * most).max(if small { n } else { 0 }) {
            if chosen.len() == most || (small && step >= n) {
                break;
            }
            let at = if small { (first + step) % n } else { self.rng.random_range(0..n) };
            let origin = self.order[at];
            let fit = self.members.get(&origin).is_some_and(|m| m.state.is_living() && fits(origin, m));
            if fit && !chosen.contains(&origin) {
                chosen.push(origin);
            }
        }
        chosen
    }

    /// Puts a member into a state, and tells if that is another one.
    fn enter(&mut self, now_ms: u64, origin: Origin, state: State, why: Why) {
        let Some(member) = self.members.get_mut(&origin) else { return };
        let before = std::mem::replace(&mut member.state, state);
        (member.farewell_ms, member.by_hearsay) = (None, false);
        (member.why, member.since_ms) = (why, now_ms);
        if state != State::Suspect {
            member.suspicion = None;
        }
        if before == State::Suspect && state != State::Suspect {
            self.suspects.remove(&origin);
        }
        if state != State::Suspect && state != State::Dead {
            // Of the dead the others may still have to hear.
            self.rumours.forget_suspicions(origin);
        }
        if state != State::Dead {
            self.dead.remove(&origin);
        }
        match state {
            State::Suspect => _ = self.suspects.insert(origin),
            State::Dead => _ = self.dead.insert(origin),
            State::Alive | State::Left => {}
        }
        self.living = self.living + usize::from(state.is_living()) - usize::from(before.is_living());
        self.place(origin);
        self.announce(origin);
    }

    fn announce(&mut self, origin: Origin) {
        if let Some(&Member { state, incarnation, why, .. }) = self.members.get(&origin) {
            self.outputs.push_back(Output::Changed(Change { member: origin, state, incarnation, why }));
        }
    }

    /// Gives a living member a place in the order of probing, anywhere (SWIM §4.3).
    fn place(&mut self, origin: Origin) {
        if let Some(member) = self.members.get_mut(&origin)
            && member.state.is_living()
            && !std::mem::replace(&mut member.in_order, true)
        {
            let at = self.rng.random_range(0..=self.order.len());
            self.order.insert(at, origin);
            self.next += usize::from(at < self.next);
        }
    }

    /// Takes whoever is known no more out of the order of probing.
    fn forget_places(&mut self) {
        let known = |origin: &Origin| self.members.contains_key(origin);
        let gone = self.order[..self.next.min(self.order.len())].iter().filter(|o| !known(o)).count();
        self.order.retain(known);
        self.next = self.next.saturating_sub(gone);
    }

    /// A member becomes known, alive or gone; never dead, of which only judgement can convince. Returns whether there
    /// was room.
    fn meet(&mut self, now_ms: u64, origin: Origin, state: State, why: Why) -> bool {
        if origin == self.own && !mutant!(SelfSuspected) {
            return false;
        }
        if self.members.len() >= MAX_MEMBERS {
            self.members.retain(|_, m| m.state != State::Left);
            self.forget_places();
        }
        if self.members.len() >= MAX_MEMBERS {
            return false;
        }
        self.members.insert(origin, Member::new(now_ms, state, why));
        self.living += usize::from(state.is_living());
        self.place(origin);
        self.announce(origin);
        true
    }

    /// This life's name.
    pub fn own(&self) -> Origin {
        self.own
    }

    /// This node's own incarnation: how often it had to refute.
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// Every member as this node sees it, itself not among them.
    pub fn members(&self) -> &BTreeMap<Origin, Member> {
        &self.members
    }

    /// Whether a member flaps: others are preferred as sources.
    pub fn is_flapping(&mut self, now_ms: u64, origin: Origin) -> bool {
        let Config { flap_half_life_ms, flap_limit_milli, .. } = self.config;
        let member = self.members.get_mut(&origin);
        member.is_some_and(|m| m.flap.is_damped(now_ms, flap_half_life_ms, flap_limit_milli))
    }

    /// Members that are alive or suspect, this node not counted.
    pub fn living(&self) -> usize {
        self.living
    }

    /// How much this node doubts itself: timeouts are multiplied by one more.
    pub fn health_penalty(&self) -> u32 {
        self.health.penalty()
    }

    /// How far this node is behind its own inputs (ms): windows are longer by it.
    pub fn lag_ms(&self) -> u64 {
        self.lag.ms()
    }

    /// Goes on with the counts of an earlier life: they are the process's, and only rise.
    pub fn count_on(&mut self, past: &Self) {
        self.stats = past.stats;
        self.rtts = past.rtts;
    }

    /// Round trips of answered probes.
    pub fn rtts(&self) -> Histogram {
        self.rtts
    }

    /// Counts since the start.
    pub fn stats(&self) -> Stats {
        self.stats
    }
}
