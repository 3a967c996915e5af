//! N shipped nodes in virtual time: one event queue, and whatever the network and the machines do to them.
//!
//! Reader's order: this file (the loop, inputs and outputs), `links.rs` (who can talk to whom), `faults.rs` (what
//! is done to processes), `client.rs` (what applications do), `direct.rs` (the small language of tests),
//! `seen.rs` (what can be observed), `tamper.rs` (members that lie).

mod client;
mod detect;
mod direct;
mod faults;
mod links;
mod node;
mod seen;
mod tamper;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sessionmesh::core::causality::Origin;
use sessionmesh::core::frame::{Kind, kind_byte};
use sessionmesh::core::limits::Limits;
use sessionmesh::core::membership;
use sessionmesh::core::node::{Input, Output};
use sessionmesh::core::replica::{Happened, Lookup, Replica, Serving};
use sessionmesh::core::session::SessionId;
use sessionmesh::core::time::Now;
use sessionmesh::core::wire::decode;
use xxhash_rust::xxh3::xxh3_64;

pub use self::client::{ASK_TIMEOUT_MS, ClientOp, OpKind, Reading, Token};
use self::client::{Asking, Client};
pub use self::detect::Witness;
pub use self::links::LINK_TIMEOUT_MS;
pub use self::node::{Host, SimNode};
pub use self::seen::{Given, Seen, Watch};
pub use self::tamper::Lie;
use crate::board::{Board, BoardConfig, Packet, scuttlebutt::Scuttlebutt};
use crate::draw::{Draw, TraceHash};
use crate::net::{Fate, Net};
use crate::queue::Queue;

/// A node looks around at least this often (ms of its own clock): the beat that freezes are measured against.
const BEAT_MS: u64 = 500;

enum Event {
    Frame {
        from_origin: Origin,
        to: usize,
        to_origin: Origin,
        id: u64,
        sent_ms: u64,
        bytes: Vec<u8>,
    },
    Gossip {
        from: usize,
        to: usize,
        id: u64,
        packet: Packet,
    },
    Datagram {
        from_origin: Origin,
        to: usize,
        to_origin: Origin,
        id: u64,
        sent_ms: u64,
        bytes: Vec<u8>,
    },
    /// The other end has closed this connection.
    Closed {
        to: usize,
        peer: Origin,
        connection: u64,
    },
    Wake(usize),
    BoardWake(u64),
    LinkCheck(usize, usize),
    AskOver(usize, u64),
    Thaw(usize),
    Resume(usize, u64),
    Flap(u64),
    LeaveCheck(usize),
    End(usize),
}

/// Rewrites a frame on its way out of the node at an index.
pub type Tamper = fn(usize, Vec<u8>) -> Vec<u8>;

/// The simulated mesh.
pub struct World {
    /// Virtual time since the start (ms).
    pub time_ms: u64,
    /// The network.
    pub net: Net,
    /// The processes; `None` while none runs.
    pub nodes: Vec<Option<SimNode>>,
    /// The machines they run on.
    pub hosts: Vec<Host>,
    /// Settings of nodes started from now on.
    pub limits: Limits,
    /// Bytes and frames of replication sent so far.
    pub sent: (u64, u64),
    /// The largest frame sent so far (bytes).
    pub largest_frame_bytes: usize,
    /// Bytes and packets of gossip sent so far.
    pub gossiped: (u64, u64),
    /// Bytes and packets of failure detectors sent so far.
    pub probed: (u64, u64),
    /// How processes started from now on watch members; `None`: they take the board's word.
    pub membership: Option<membership::Config>,
    /// Messages and timers handled by nodes so far.
    pub handled: u64,
    /// Sees every frame before it is sent; may rewrite it.
    pub tamper: Option<Tamper>,
    /// Who lies now, how, and to whom; to all if that is empty.
    pub lies: BTreeMap<usize, (Lie, Vec<usize>)>,
    /// How much of what happens is kept.
    pub watch: Watch,
    /// What happened since it was last taken.
    seen: Vec<Seen>,
    seed: u64,
    draw: Draw,
    hash: TraceHash,
    lives: u64,
    next_id: u64,
    next_message: u64,
    cause: u64,
    queue: Queue<Event>,
    board: Option<Box<dyn Board>>,
    board_wake_ms: u64,
    clients: BTreeMap<u32, Client>,
    asking: BTreeMap<(usize, u64), Asking>,
    /// Where each life lived last.
    places: BTreeMap<Origin, usize>,
    /// When who dials whom again after a refusal (virtual ms).
    redials_ms: BTreeMap<(usize, usize), u64>,
    /// The connection that a process holds to a life: a close that arrives late is of an older one.
    connections: BTreeMap<(usize, Origin), u64>,
    next_connection: u64,
    flaps: BTreeMap<u64, faults::Flap>,
    next_flap: u64,
    /// Pairs whose handshake was refused, and that dial again.
    refused: BTreeSet<(usize, usize)>,
}

impl World {
    /// `n` nodes that know of each other, with small partitions for speed, and no board: whoever can be reached is
    /// a member. For tests of the data plane.
    pub fn new(seed: u64, n: usize) -> Self {
        let limits = Limits { partitions: 8, max_lifetime_ms: 24 * 3_600_000, ..Limits::default() };
        Self::with_limits(seed, n, limits)
    }

    /// As [`World::new`], with these settings.
    pub fn with_limits(seed: u64, n: usize, limits: Limits) -> Self {
        let mut world = Self::empty(seed, limits, None);
        for at in 0..n {
            world.add_host();
            world.start(at, n > 1);
        }
        world
    }

    /// `n` machines on which nothing runs yet, whose processes will find each other by a modelled chitchat board
    /// through `seeds`.
    pub fn with_board(seed: u64, n: usize, limits: Limits, seeds: &[usize]) -> Self {
        let board = Scuttlebutt::new(seed, BoardConfig::default());
        Self::on_board(seed, n, limits, seeds, Box::new(board))
    }

    /// As [`World::with_board`], but they find each other by this board through `seeds`.
    pub fn on_board(seed: u64, n: usize, limits: Limits, seeds: &[usize], board: Box<dyn Board>) -> Self {
        let mut world = Self::empty(seed, limits, Some(board));
        for _ in 0..n {
            let at = world.add_host();
            world.hosts[at].seeds = seeds.iter().copied().filter(|&s| s != at).collect();
        }
        world
    }

    fn empty(seed: u64, limits: Limits, board: Option<Box<dyn Board>>) -> Self {
        Self {
            time_ms: 1,
            net: Net::new(seed),
            nodes: Vec::new(),
            hosts: Vec::new(),
            limits,
            sent: (0, 0),
            largest_frame_bytes: 0,
            gossiped: (0, 0),
            probed: (0, 0),
            membership: board.as_ref().map(|_| membership::Config::default()),
            handled: 0,
            tamper: None,
            lies: BTreeMap::new(),
            watch: Watch::Off,
            seen: Vec::new(),
            seed,
            draw: Draw::new(seed),
            hash: TraceHash::default(),
            lives: 0,
            next_id: 0,
            next_message: 0,
            cause: 0,
            queue: Queue::default(),
            board,
            board_wake_ms: u64::MAX,
            clients: BTreeMap::new(),
            asking: BTreeMap::new(),
            places: BTreeMap::new(),
            redials_ms: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            flaps: BTreeMap::new(),
            next_flap: 0,
            refused: BTreeSet::new(),
        }
    }

    /// Adds a machine; its index.
    pub fn add_host(&mut self) -> usize {
        let at = self.hosts.len();
        self.hosts.push(Host::new(at));
        self.nodes.push(None);
        at
    }

    /// The hash of everything that has happened so far.
    pub fn trace_hash(&self) -> TraceHash {
        self.hash
    }

    /// The seed of all draws.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Takes what happened since the last call.
    pub fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    /// Swaps what happened since the last call with an empty list, so that its memory is used again.
    pub fn swap_seen(&mut self, with: &mut Vec<Seen>) {
        std::mem::swap(&mut self.seen, with);
    }

    pub(crate) fn see(&mut self, seen: Seen) {
        if self.watch >= Watch::Checks {
            self.seen.push(seen);
        }
    }

    /// The clocks of a node now, the wall clock as it believes it.
    pub fn now(&self, at: usize) -> Now {
        let machine = self.machine(at);
        self.nodes[at].as_ref().map_or(machine, |n| n.replica.wall().believe(machine))
    }

    /// The clocks of a machine now.
    pub fn machine(&self, at: usize) -> Now {
        let offset_ms = self.nodes[at].as_ref().map_or(self.hosts[at].offset_ms, |n| n.offset_ms);
        self.hosts[at].clock.now(self.time_ms, offset_ms)
    }

    fn schedule(&mut self, in_ms: u64, event: Event) {
        self.queue.push(self.time_ms + in_ms, event);
    }

    /// Gives a live node an input and carries out what it asks for.
    pub fn input(&mut self, at: usize, input: Input<'_>) {
        let now = self.machine(at);
        debug_assert!(
            self.board.is_none() || !self.is_still(at),
            "n{at} stands still and is given an input: {input:?}"
        );
        let Some(node) = self.nodes[at].as_mut() else { return };
        let (given, word) = match &input {
            Input::Frame { bytes, .. } => (Given::Frame(kind_byte(bytes), self.cause), xxh3_64(bytes)),
            Input::Tick => (Given::Tick, 1),
            Input::News => (Given::News, 2),
            Input::LinkUp { peer, .. } => (Given::Link, 3 ^ peer.0 as u64),
            Input::LinkDown { peer } => (Given::Link, 4 ^ peer.0 as u64),
            Input::Datagram { bytes, .. } => (Given::Datagram, xxh3_64(bytes)),
            Input::Board(_) => (Given::Board, 5),
            Input::Fact { value, .. } => (Given::Board, 8 ^ xxh3_64(value.as_bytes())),
            Input::Overflow | Input::Leaving | Input::Full { .. } => (Given::Other, 9),
            Input::Gone(_) => (Given::Board, 6),
            Input::Forget(_) | Input::CalledGone { .. } => (Given::Other, 10),
            Input::Ask { .. }
            | Input::Inspect { .. }
            | Input::InspectOver { .. }
            | Input::Hold(_)
            | Input::SeedsMoved
            | Input::Watched
            | Input::Refused { .. }
            | Input::Clock { .. }
            | Input::Clone => (Given::Other, 7),
        };
        self.hash.absorb([self.time_ms, at as u64, word, now.wall_ms]);
        self.handled += 1;
        node.node.handle(now, input);
        self.pump(at);
        // A packet of the detector's changes no record; there are too many of them to look each time.
        if self.watch >= Watch::Checks
            && given != Given::Datagram
            && let Some(node) = self.nodes[at].as_mut()
        {
            let changed = node.take_changed();
            self.seen.push(Seen::Step { at, given, changed });
        }
    }

    fn pump(&mut self, at: usize) {
        let (mut reborn, mut published, first) = (false, false, self.seen.len());
        while let Some(output) = self.nodes[at].as_mut().and_then(|n| n.node.poll_output()) {
            match output {
                Output::Send { peer, frame, .. } => self.transmit(at, peer, frame),
                Output::Datagram { peer, packet } => self.throw(at, peer, packet),
                Output::Member(change) => self.judged(at, change),
                Output::Publish { key, value } => {
                    if let Some(board) = &mut self.board {
                        board.publish_fact(self.time_ms, at, key, &value);
                    }
                    published = true;
                }
                Output::NewLife(life) => {
                    reborn = true;
                    self.places.insert(life, at);
                    self.see(Seen::Started { at, life, why: "new life" });
                }
                Output::CloseLink { peer, why } => self.close_link(at, peer, why),
                other => self.note(at, other),
            }
        }
        // What the node wrote in this step stood before anybody could look at what it was told.
        if self.seen[first..].iter().any(|s| matches!(s, Seen::Revoked { .. })) {
            self.seen[first..].sort_by_key(|s| !matches!(s, Seen::Revoked { .. }));
        }
        if reborn {
            self.reborn(at);
        }
        if published {
            self.pump_board();
        }
        let clock = self.hosts[at].clock;
        let now = self.now(at);
        let Some(node) = self.nodes[at].as_mut() else { return };
        let wake = node.node.next_wake_ms().clamp(now.mono_ms + 1, now.mono_ms + BEAT_MS);
        let wake = self.time_ms + clock.until(wake - now.mono_ms).max(1);
        if node.wake_ms <= self.time_ms || wake < node.wake_ms {
            node.wake_ms = wake;
            self.queue.push(wake, Event::Wake(at));
        }
    }

    /// What a node says that is not for its peers.
    fn note(&mut self, at: usize, output: Output) {
        let (cause, watched) = (self.cause, self.watch >= Watch::Checks);
        if let (Output::Event(Happened::Destroyed(id)), true) = (&output, watched) {
            self.see_revoked(at, *id);
        }
        let Some(node) = self.nodes[at].as_mut() else { return };
        match output {
            Output::Event(event) if watched => self.seen.push(Seen::Event { at, event, cause }),
            Output::Event(event) => node.events.push(event),
            Output::Warn(text) => {
                if node.warnings.len() < 1_000 {
                    node.warnings.push(text.clone());
                }
                self.see(Seen::Warned { at, text });
            }
            Output::Adopted { peer, partition, lo, hi } => self.adopted(at, peer, partition, (lo, hi)),
            Output::Asked { token, found, left, .. } => {
                node.asked.push((token, found, left));
                if found || left == 0 {
                    self.ask_over(at, token);
                }
            }
            Output::Serving(serving, why) => {
                self.hash.absorb([self.time_ms, at as u64 | 3 << 32, serving as u64, 0]);
                self.see(Seen::Serving { at, serving, why });
            }
            _ => {}
        }
    }

    fn adopted(&mut self, at: usize, peer: Origin, partition: u16, (lo, hi): (u64, u64)) {
        let Some(node) = self.nodes[at].as_mut() else { return };
        // As the driver's table: a copy counts only while its holder is linked.
        if !node.links.contains(&peer) {
            return;
        }
        node.adopted.entry((peer, partition)).or_default().insert(lo, hi);
        let mut acked = Vec::new();
        node.unacked.retain(|write| {
            let held = write.partition == partition && (lo..=hi).contains(&write.counter);
            if held {
                acked.push(write.op);
            }
            !held
        });
        for op in acked {
            self.see(Seen::Acked { at, op, peer });
        }
    }

    fn transmit(&mut self, from: usize, peer: Origin, frame: Vec<u8>) {
        let Some(to) = self.at_origin(peer) else { return };
        let frame = match self.tamper {
            Some(tamper) => tamper(from, frame),
            None => frame,
        };
        let frame = match self.lies.get(&from).filter(|(_, whom)| whom.is_empty() || whom.contains(&to)) {
            Some((lie, _)) => lie.tell(self.origin(from), frame),
            None => frame,
        };
        self.sent.0 += frame.len() as u64;
        self.sent.1 += 1;
        self.largest_frame_bytes = self.largest_frame_bytes.max(frame.len());
        let from_origin = self.origin(from);
        let carried = self.net.carry(self.time_ms, from, to, frame.len(), false);
        self.next_message += 1;
        let (id, time_ms) = (self.next_message, self.time_ms);
        if self.watch == Watch::All {
            let arrive = carried.copies().iter().map(|c| time_ms + c.0).collect();
            self.sent_message(id, (from, to), (kind_byte(&frame), frame.len()), arrive, carried.fate);
        }
        let mut frame = Some(frame);
        let last = carried.copies().len();
        for (nth, &(delay, damage)) in carried.copies().iter().enumerate() {
            let whole = if nth + 1 == last { frame.take() } else { frame.clone() };
            let mut bytes = whole.unwrap_or_default();
            if let Some(damage) = damage {
                damage.apply(&mut bytes);
                if !self.net.faults_of(from, to).unsealed {
                    // The link would drop it unread; all the same its decoder must stand it.
                    self.hash.absorb([time_ms, 11, decode(&bytes).is_ok().into(), 0]);
                    continue;
                }
            }
            let sent_ms = time_ms;
            self.schedule(delay, Event::Frame { from_origin, to, to_origin: peer, id, sent_ms, bytes });
        }
    }

    fn sent_message(
        &mut self,
        id: u64,
        (from, to): (usize, usize),
        (kind, bytes): (u8, usize),
        arrive: Vec<u64>,
        fate: Fate,
    ) {
        let cause = self.cause;
        self.seen.push(Seen::Sent { id, from, to, kind, bytes, cause, arrive, fate });
    }

    /// Handles the next event due at `until_ms` or before. Returns whether there was one.
    pub fn step(&mut self, until_ms: u64) -> bool {
        let Some((at_ms, event)) = self.queue.pop(until_ms) else {
            self.time_ms = self.time_ms.max(until_ms);
            return false;
        };
        self.time_ms = self.time_ms.max(at_ms);
        self.happen(event);
        true
    }

    /// Handles everything due up to `until_ms` of virtual time.
    pub fn run_until(&mut self, until_ms: u64) {
        while self.step(until_ms) {}
    }

    /// Lets virtual time pass.
    pub fn run(&mut self, for_ms: u64) {
        self.run_until(self.time_ms + for_ms);
    }

    fn happen(&mut self, event: Event) {
        let Some(event) = self.hold_back(event) else { return };
        self.cause = 0;
        match event {
            Event::Frame { from_origin, to, to_origin, id, sent_ms, bytes } => {
                let known = self.nodes[to].as_ref().is_some_and(|n| n.links.contains(&from_origin));
                if known && self.origin(to) == to_origin {
                    self.cause = id;
                    if Kind::of(&bytes).is_some_and(Kind::is_detectors) {
                        self.witness(to, from_origin, sent_ms);
                    }
                    self.input(to, Input::Frame { peer: from_origin, bytes: &bytes });
                }
            }
            Event::Datagram { from_origin, to, to_origin, id, sent_ms, bytes } => {
                self.caught(from_origin, (to, to_origin), id, sent_ms, &bytes);
            }
            Event::Closed { to, peer, connection } => self.hears_closed(to, peer, connection),
            Event::Gossip { from, to, id, packet } => {
                self.cause = id;
                self.gossip_arrives(from, to, packet);
            }
            Event::Wake(at) => {
                let due = self.nodes[at].as_ref().is_some_and(|n| n.wake_ms == self.time_ms);
                if due {
                    self.input(at, Input::Tick);
                }
            }
            Event::BoardWake(at_ms) => self.board_wakes(at_ms),
            Event::LinkCheck(a, b) => {
                self.refused.remove(&(a, b));
                self.link_check(a, b);
            }
            Event::AskOver(at, token) => self.ask_over(at, token),
            Event::Thaw(at) => self.thaw(at),
            Event::Resume(at, since_ms) => self.resume(at, since_ms),
            Event::Flap(flap) => self.flap_turns(flap),
            Event::LeaveCheck(at) => self.leave_check(at),
            Event::End(at) => self.end(at, true),
        }
    }

    /// What arrives at a process that cannot take it now waits, or is lost with a suspended machine.
    fn hold_back(&mut self, event: Event) -> Option<Event> {
        let (to, arrives) = match &event {
            Event::Frame { to, .. } | Event::Gossip { to, .. } | Event::Datagram { to, .. } => (*to, true),
            Event::Closed { to, .. } => (*to, true),
            Event::Wake(to) => (*to, false),
            _ => return Some(event),
        };
        let Some(node) = self.nodes[to].as_mut() else { return Some(event) };
        if node.suspended_since_ms.is_some() {
            return None;
        }
        if node.frozen_until_ms > self.time_ms {
            // What arrives for a frozen process waits in its socket.
            let until = node.frozen_until_ms;
            if !arrives {
                node.wake_ms = until;
            }
            self.queue.push(until, event);
            return None;
        }
        let host = &mut self.hosts[to];
        if arrives && host.slow_ms > 0 {
            if host.busy_until_ms > self.time_ms {
                self.queue.push(host.busy_until_ms, event);
                return None;
            }
            host.busy_until_ms = self.time_ms + host.slow_ms;
        }
        Some(event)
    }

    /// The life of the process at `at`.
    pub fn origin(&self, at: usize) -> Origin {
        self.nodes[at].as_ref().map_or(Origin::default(), |n| n.node.origin())
    }

    pub(crate) fn at_origin(&self, origin: Origin) -> Option<usize> {
        let at = *self.places.get(&origin)?;
        self.nodes[at].as_ref().is_some_and(|n| n.node.origin() == origin).then_some(at)
    }

    /// The replica of a live node.
    ///
    /// # Panics
    /// If the node is down: a mistake in the test.
    pub fn replica(&self, at: usize) -> Arc<Replica> {
        let node = self.nodes[at].as_ref();
        assert!(node.is_some(), "node {at} is down");
        node.map(|n| Arc::clone(&n.replica)).unwrap_or_else(|| unreachable!())
    }

    /// Reads as an embedder would.
    pub fn lookup(&self, at: usize, id: SessionId) -> Lookup {
        let now = self.now(at);
        self.replica(at).lookup(id, || now)
    }

    /// Whether a node serves.
    pub fn ready(&self, at: usize) -> bool {
        self.nodes[at].is_some() && self.replica(at).serving(self.now(at)) == Serving::Ready
    }

    /// Nodes that are up.
    pub fn up(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&at| self.nodes[at].is_some()).collect()
    }
}
