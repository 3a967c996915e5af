//! N nodes in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use sessionmesh::core::causality::Origin;
use sessionmesh::core::limits::Limits;
use sessionmesh::core::node::{Input, Node, Output, Setup};
use sessionmesh::core::replica::{Change, Dumped, Happened, Lookup, Replica, Serving, WriteError, Written};
use sessionmesh::core::replication::WIRE_NEWEST;
use sessionmesh::core::session::{SessionId, Ttl};
use sessionmesh::core::time::Now;

use crate::net::{Net, mix};

/// How long a cut link lasts before both ends notice (ms).
const LINK_TIMEOUT_MS: u64 = 3_000;
/// The wall time at which every world starts (ms).
pub const EPOCH_MS: u64 = 1_800_000_000_000;

/// One simulated process.
pub struct SimNode {
    /// The shipped state machine.
    pub node: Node,
    /// The shipped replica, as embedders use it.
    pub replica: Arc<Replica>,
    /// This node's clock error (ms).
    pub offset_ms: i64,
    /// Wire version it speaks.
    pub version: u16,
    /// Until when (ms) the process is frozen.
    pub frozen_until_ms: u64,
    /// What watchers were told.
    pub events: Vec<Happened>,
    /// Warnings.
    pub warnings: Vec<String>,
    /// Own counters each peer is known to have adopted, per partition.
    pub adopted: BTreeMap<(Origin, u16), Vec<(u64, u64)>>,
    /// Answers to asks: token, found, left.
    pub asked: Vec<(u64, bool, usize)>,
    links: BTreeSet<Origin>,
    wake_ms: u64,
}

enum Event {
    Frame { from_origin: Origin, to: usize, to_origin: Origin, bytes: Vec<u8> },
    Wake(usize),
    LinkCheck(usize, usize),
}

/// Rewrites a frame on its way out of the node at an index.
pub type Tamper = fn(usize, Vec<u8>) -> Vec<u8>;

/// The simulated mesh.
pub struct World {
    /// Virtual time since the start (ms).
    pub time_ms: u64,
    /// The network.
    pub net: Net,
    /// The processes; `None` after a crash.
    pub nodes: Vec<Option<SimNode>>,
    /// Settings of nodes started from now on.
    pub limits: Limits,
    /// Bytes and frames sent so far.
    pub sent: (u64, u64),
    /// Sees every frame before it is sent; may rewrite it (the lying peer of the audit test).
    pub tamper: Option<Tamper>,
    /// Ids any node ever saw destroyed, for the resurrection invariant: (node life, id).
    seed: u64,
    lives: u64,
    next_id: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    next_event: u64,
}

impl World {
    /// `n` nodes that know of each other, with small partitions for speed.
    pub fn new(seed: u64, n: usize) -> Self {
        let limits = Limits { partitions: 8, max_lifetime_ms: 24 * 3_600_000, ..Limits::default() };
        Self::with_limits(seed, n, limits)
    }

    /// As [`World::new`], with these settings.
    pub fn with_limits(seed: u64, n: usize, limits: Limits) -> Self {
        let mut world = Self {
            time_ms: 1,
            net: Net::new(seed),
            nodes: Vec::new(),
            limits,
            sent: (0, 0),
            tamper: None,
            seed,
            lives: 0,
            next_id: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            next_event: 0,
        };
        for at in 0..n {
            world.nodes.push(None);
            world.start(at, n > 1);
        }
        world
    }

    /// Starts (or restarts, without memory) the process at `at`.
    pub fn start(&mut self, at: usize, has_seeds: bool) {
        self.lives += 1;
        let mut seed = [0; 32];
        for (i, chunk) in seed.chunks_exact_mut(8).enumerate() {
            chunk.copy_from_slice(&mix(self.seed ^ mix(self.lives * 8 + i as u64)).to_le_bytes());
        }
        let offset_ms = self.nodes[at].as_ref().map_or(0, |n| n.offset_ms);
        let now = self.now_with(offset_ms);
        let setup =
            Setup { limits: self.limits.clone(), seed, hash_key: self.seed, has_seeds, watched: true, now };
        let old = self.nodes[at].take().map(|n| n.node.origin());
        let (node, replica) = Node::new(setup);
        self.nodes[at] = Some(SimNode {
            node,
            replica,
            offset_ms,
            version: WIRE_NEWEST,
            frozen_until_ms: 0,
            events: Vec::new(),
            warnings: Vec::new(),
            adopted: BTreeMap::new(),
            asked: Vec::new(),
            links: BTreeSet::new(),
            wake_ms: 0,
        });
        if let Some(old) = old {
            self.announce_gone(at, old);
        }
        self.reconnect(at);
    }

    /// Kills the process at `at`: memory and links are gone. Returns its life.
    pub fn crash(&mut self, at: usize) -> Option<Origin> {
        let origin = self.nodes[at].take()?.node.origin();
        for other in 0..self.nodes.len() {
            self.schedule(LINK_TIMEOUT_MS, Event::LinkCheck(other, at));
        }
        Some(origin)
    }

    /// Tells everyone reachable that a life will never return.
    pub fn announce_gone(&mut self, by: usize, origin: Origin) {
        for at in 0..self.nodes.len() {
            if !self.net.cuts.contains(&(by, at)) {
                self.input(at, Input::Gone(origin));
            }
        }
    }

    /// Freezes a process for this long: its inbox fills, its timers stand still.
    pub fn freeze(&mut self, at: usize, for_ms: u64) {
        if let Some(node) = &mut self.nodes[at] {
            node.frozen_until_ms = self.time_ms + for_ms;
        }
        self.schedule(for_ms, Event::Wake(at));
    }

    /// Cuts every link between the two groups, both ways.
    pub fn cut(&mut self, a: &[usize], b: &[usize]) {
        for &x in a {
            for &y in b {
                self.cut_one_way(x, y);
                self.cut_one_way(y, x);
            }
        }
    }

    /// Cuts one direction.
    pub fn cut_one_way(&mut self, from: usize, to: usize) {
        self.net.cuts.insert((from, to));
        self.schedule(LINK_TIMEOUT_MS, Event::LinkCheck(from, to));
        self.schedule(LINK_TIMEOUT_MS, Event::LinkCheck(to, from));
    }

    /// Ends all cuts.
    pub fn heal(&mut self) {
        self.net.cuts.clear();
        for at in 0..self.nodes.len() {
            self.reconnect(at);
        }
    }

    /// The clocks of a node now.
    pub fn now(&self, at: usize) -> Now {
        self.now_with(self.nodes[at].as_ref().map_or(0, |n| n.offset_ms))
    }

    fn now_with(&self, offset_ms: i64) -> Now {
        Now { mono_ms: self.time_ms, wall_ms: (EPOCH_MS + self.time_ms).saturating_add_signed(offset_ms) }
    }

    fn schedule(&mut self, in_ms: u64, event: Event) {
        self.next_event += 1;
        self.events.insert(self.next_event, event);
        self.queue.push(Reverse((self.time_ms + in_ms, self.next_event)));
    }

    /// Gives a live, unfrozen node an input and carries out what it asks for.
    pub fn input(&mut self, at: usize, input: Input<'_>) {
        let now = self.now(at);
        let Some(node) = self.nodes[at].as_mut() else { return };
        node.node.handle(now, input);
        self.pump(at);
    }

    fn pump(&mut self, at: usize) {
        let mut reborn = false;
        while let Some(output) = self.nodes[at].as_mut().and_then(|n| n.node.poll_output()) {
            match output {
                Output::Send { peer, frame, .. } => self.transmit(at, peer, frame),
                Output::NewLife(_) => reborn = true,
                Output::CloseLink { peer, why } => self.close_link(at, peer, &why),
                other => self.note(at, other),
            }
        }
        if reborn {
            // The node has forgotten its links: they were the old life's. A driver dials anew.
            if let Some(node) = self.nodes[at].as_mut() {
                node.links.clear();
            }
            self.reconnect(at);
        }
        let Some(node) = self.nodes[at].as_mut() else { return };
        let wake = node.node.next_wake_ms().clamp(self.time_ms + 1, self.time_ms + 500);
        if node.wake_ms <= self.time_ms || wake < node.wake_ms {
            node.wake_ms = wake;
            let in_ms = wake - self.time_ms;
            self.schedule(in_ms, Event::Wake(at));
        }
    }

    fn note(&mut self, at: usize, output: Output) {
        let Some(node) = self.nodes[at].as_mut() else { return };
        match output {
            Output::Event(event) => node.events.push(event),
            Output::Warn(text) => node.warnings.push(text),
            Output::Adopted { peer, partition, lo, hi } => {
                node.adopted.entry((peer, partition)).or_default().push((lo, hi));
            }
            Output::Asked { token, found, left } => node.asked.push((token, found, left)),
            _ => {}
        }
    }

    fn close_link(&mut self, at: usize, peer: Origin, why: &str) {
        if let Some(node) = self.nodes[at].as_mut() {
            node.warnings.push(format!("closed the link: {why}"));
        }
        let other = self.at_origin(peer);
        self.drop_link(at, peer);
        if let Some(other) = other {
            let origin = self.origin(at);
            self.drop_link(other, origin);
            // A real transport dials again; so does this one, a second later.
            self.schedule(1_000, Event::LinkCheck(at, other));
        }
    }

    fn drop_link(&mut self, at: usize, peer: Origin) {
        let linked = self.nodes[at].as_mut().is_some_and(|n| n.links.remove(&peer));
        if linked {
            self.input(at, Input::LinkDown { peer });
        }
    }

    fn at_origin(&self, origin: Origin) -> Option<usize> {
        self.nodes.iter().position(|n| n.as_ref().is_some_and(|n| n.node.origin() == origin))
    }

    /// The life of the process at `at`.
    pub fn origin(&self, at: usize) -> Origin {
        self.nodes[at].as_ref().map_or(Origin::default(), |n| n.node.origin())
    }

    fn transmit(&mut self, from: usize, peer: Origin, frame: Vec<u8>) {
        let Some(to) = self.at_origin(peer) else { return };
        let frame = match self.tamper {
            Some(tamper) => tamper(from, frame),
            None => frame,
        };
        self.sent.0 += frame.len() as u64;
        self.sent.1 += 1;
        let from_origin = self.origin(from);
        for (delay, flip) in self.net.carry(from, to) {
            let mut bytes = frame.clone();
            if let Some(bit) = flip {
                let at = bit as usize % (bytes.len() * 8);
                bytes[at / 8] ^= 1 << (at % 8);
            }
            self.schedule(delay, Event::Frame { from_origin, to, to_origin: peer, bytes });
        }
    }

    fn reachable(&self, a: usize, b: usize) -> bool {
        a != b
            && self.nodes[a].is_some()
            && self.nodes[b].is_some()
            && !self.net.cuts.contains(&(a, b))
            && !self.net.cuts.contains(&(b, a))
    }

    fn reconnect(&mut self, at: usize) {
        for other in 0..self.nodes.len() {
            self.link_check(at, other);
        }
    }

    fn link_check(&mut self, a: usize, b: usize) {
        for (x, y) in [(a, b), (b, a)] {
            let (origin, reachable) = (self.origin(y), self.reachable(x, y));
            let stale: Vec<Origin> = match &self.nodes[x] {
                Some(node) => node.links.iter().copied().filter(|o| self.at_origin(*o).is_none()).collect(),
                None => continue,
            };
            stale.into_iter().for_each(|peer| self.drop_link(x, peer));
            if !reachable {
                self.drop_link(x, origin);
                continue;
            }
            let version = self.version(x).min(self.version(y));
            if self.nodes[x].as_mut().is_some_and(|n| n.links.insert(origin)) {
                self.input(x, Input::LinkUp { peer: origin, version });
            }
            let members: Vec<Origin> =
                (0..self.nodes.len()).filter(|&o| self.reachable(x, o)).map(|o| self.origin(o)).collect();
            self.input(x, Input::Members(&members));
        }
    }

    fn version(&self, at: usize) -> u16 {
        self.nodes[at].as_ref().map_or(WIRE_NEWEST, |n| n.version)
    }

    /// Handles everything due up to `until_ms` of virtual time.
    pub fn run_until(&mut self, until_ms: u64) {
        while let Some(&Reverse((at, seq))) = self.queue.peek() {
            if at > until_ms {
                break;
            }
            self.queue.pop();
            self.time_ms = self.time_ms.max(at);
            if let Some(event) = self.events.remove(&seq) {
                self.happen(event);
            }
        }
        self.time_ms = self.time_ms.max(until_ms);
    }

    /// Lets virtual time pass.
    pub fn run(&mut self, for_ms: u64) {
        self.run_until(self.time_ms + for_ms);
    }

    fn happen(&mut self, event: Event) {
        let to = match &event {
            Event::Frame { to, .. } | Event::Wake(to) => *to,
            Event::LinkCheck(a, b) => return self.link_check(*a, *b),
        };
        let frozen_until = self.nodes[to].as_ref().map_or(0, |n| n.frozen_until_ms);
        if frozen_until > self.time_ms {
            // What arrives for a frozen process waits in its socket.
            self.schedule(frozen_until - self.time_ms, event);
            return;
        }
        match event {
            Event::Wake(at) => {
                if let Some(node) = self.nodes[at].as_mut() {
                    node.wake_ms = 0;
                    self.input(at, Input::Tick);
                }
            }
            Event::Frame { from_origin, to, to_origin, bytes } => {
                let known = self.nodes[to].as_ref().is_some_and(|n| n.links.contains(&from_origin));
                if known && self.origin(to) == to_origin {
                    self.input(to, Input::Frame { peer: from_origin, bytes: &bytes });
                }
            }
            Event::LinkCheck(..) => {}
        }
    }

    /// A fresh id, the same for the same seed and call.
    pub fn fresh_id(&mut self) -> SessionId {
        self.next_id += 1;
        let (a, b) =
            (mix(self.seed ^ self.next_id), mix(self.next_id.wrapping_mul(31) ^ self.seed.rotate_left(7)));
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&a.to_le_bytes());
        bytes[8..].copy_from_slice(&b.to_le_bytes());
        SessionId::from_bytes(bytes)
    }

    /// Creates a session with a sliding half hour on a node.
    pub fn create(&mut self, at: usize, fields: &[(&str, &str)]) -> SessionId {
        let id = self.fresh_id();
        let made = self.create_with(at, id, fields, Ttl::Sliding(1_800_000), 24 * 3_600_000);
        assert!(made.is_ok(), "create on node {at}: {made:?}");
        id
    }

    /// Creates a session with everything given.
    ///
    /// # Errors
    /// As the product's.
    pub fn create_with(
        &mut self,
        at: usize,
        id: SessionId,
        fields: &[(&str, &str)],
        ttl: Ttl,
        life_ms: u64,
    ) -> Result<Written, WriteError> {
        let now = self.now(at);
        let change = change_of(fields.iter().map(|(k, v)| (*k, Some(*v))));
        let written = self.replica(at).create(id, now, &change, ttl, now.wall_ms + life_ms);
        self.input(at, Input::News);
        written
    }

    /// Sets (or removes) fields.
    ///
    /// # Errors
    /// As the product's.
    pub fn edit(
        &mut self,
        at: usize,
        id: SessionId,
        fields: &[(&str, Option<&str>)],
    ) -> Result<Written, WriteError> {
        let now = self.now(at);
        let written = self.replica(at).edit(id, now, &change_of(fields.iter().copied()));
        self.input(at, Input::News);
        written
    }

    /// Changes the time-to-live.
    ///
    /// # Errors
    /// As the product's.
    pub fn set_ttl(&mut self, at: usize, id: SessionId, ttl: Ttl) -> Result<Written, WriteError> {
        let now = self.now(at);
        let change = Change { ttl: Some(ttl), ..Change::default() };
        let written = self.replica(at).edit(id, now, &change);
        self.input(at, Input::News);
        written
    }

    /// Destroys a session, blind if need be.
    pub fn destroy(&mut self, at: usize, id: SessionId) {
        let now = self.now(at);
        let written = self.replica(at).destroy(id, now, true);
        assert!(written.is_ok(), "a blind destroy succeeds: {written:?}");
        self.input(at, Input::News);
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

    /// Whether a node shows a session.
    pub fn visible(&self, at: usize, id: SessionId) -> bool {
        matches!(self.lookup(at, id), Lookup::Found(_))
    }

    /// A field of a visible session.
    pub fn field(&self, at: usize, id: SessionId, key: &str) -> Option<String> {
        match self.lookup(at, id) {
            Lookup::Found(view) => view.packed().field(key).map(|v| String::from_utf8_lossy(v).into_owned()),
            _ => None,
        }
    }

    /// Everything a node holds.
    pub fn dump(&self, at: usize) -> BTreeMap<String, Dumped> {
        self.replica(at).dump()
    }

    /// Whether a node serves.
    pub fn ready(&self, at: usize) -> bool {
        self.nodes[at].is_some() && self.replica(at).serving(self.now(at)) == Serving::Ready
    }

    /// Nodes that are up.
    pub fn up(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&at| self.nodes[at].is_some()).collect()
    }

    /// Whether all nodes that are up hold the same.
    pub fn converged(&self) -> bool {
        let up = self.up();
        let Some((&first, rest)) = up.split_first() else { return true };
        let expected = self.dump(first);
        rest.iter().all(|&at| self.dump(at) == expected)
    }

    /// Runs until all are ready and hold the same.
    ///
    /// # Panics
    /// If that takes more than five virtual minutes.
    pub fn settle(&mut self) {
        let limit = self.time_ms + 300_000;
        while self.time_ms < limit {
            self.run(500);
            if self.up().iter().all(|&at| self.ready(at)) && self.converged() {
                self.check_indices();
                return;
            }
        }
        for at in self.up() {
            let node = self.nodes[at].as_ref();
            let why = node.map_or("", |n| n.node.phase_reason());
            let warnings = node.map(|n| n.warnings.clone()).unwrap_or_default();
            eprintln!(
                "node {at}: ready {}, {why}; {} records; {warnings:?}",
                self.ready(at),
                self.dump(at).len()
            );
        }
        panic!("not settled after five virtual minutes (seed {})", self.seed);
    }

    /// The index invariant on every node.
    ///
    /// # Panics
    /// If an index disagrees with its records.
    pub fn check_indices(&self) {
        for at in self.up() {
            for ix in 0..self.limits.partitions {
                let checked = self.replica(at).shared(ix, |p| p.check_index());
                assert_eq!(checked, Ok(()), "node {at}");
            }
        }
    }
}

fn change_of<'a>(fields: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Change<'a> {
    Change { fields: fields.map(|(k, v)| (k, v.map(str::as_bytes))).collect(), ..Change::default() }
}
