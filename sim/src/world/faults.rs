//! What is done to processes, machines and links.

use sessionmesh::core::causality::Origin;
use sessionmesh::core::node::Input;

use super::detect::Witness;
use super::links::LINK_TIMEOUT_MS;
use super::node::{SetupOf, SimNode};
use super::seen::Seen;
use super::{Event, World};
use crate::board::Entry;
use crate::draw::mix;

/// How often a leaving node looks whether a peer has taken everything (ms).
const LEAVE_CHECK_MS: u64 = 20;
/// How long it waits for that at most (ms): `DRAIN_MS` of the driver.
const DRAIN_MS: u64 = 5_000;
/// How long its goodbye takes to be gossiped (ms).
const GOODBYE_MS: u64 = 2_000;

/// Links that come and go.
#[derive(Clone, Debug)]
pub(super) struct Flap {
    pairs: Vec<(usize, usize)>,
    down_ms: u64,
    up_ms: u64,
    until_ms: u64,
    down: bool,
}

impl World {
    pub(crate) fn fault(&mut self, text: String, nodes: Vec<usize>) {
        self.hash.absorb([self.time_ms, 9, nodes.first().copied().unwrap_or(0) as u64, text.len() as u64]);
        self.see(Seen::Fault { text, nodes });
    }

    /// Starts (or restarts, without memory) the process at `at`. With a board, it joins through the seeds of its
    /// machine, and `has_seeds` says whether it was told of any.
    pub fn start(&mut self, at: usize, has_seeds: bool) {
        self.lives += 1;
        let host = &mut self.hosts[at];
        host.starts += 1;
        let mut seed = [0; 32];
        for (i, chunk) in seed.chunks_exact_mut(8).enumerate() {
            // Keyed by machine and start, so that one restart less leaves the lives of others as they were.
            let key = (at as u64) << 32 | host.starts << 3 | i as u64;
            chunk.copy_from_slice(&mix(self.seed ^ mix(key)).to_le_bytes());
        }
        let (offset_ms, version, again) = (host.offset_ms, host.version, host.starts > 1);
        let offset_ms = self.nodes[at].as_ref().map_or(offset_ms, |n| n.offset_ms);
        let now = self.hosts[at].clock.now(self.time_ms, offset_ms);
        let (limits, membership, hash_key) = (&self.limits, self.membership.as_ref(), self.seed);
        let setup = SetupOf { limits, membership, seed, hash_key, has_seeds, now, offset_ms, version };
        let node = SimNode::new(setup);
        let old = self.nodes[at].as_ref().map(|n| n.node.origin());
        self.end(at, false);
        let life = node.node.origin();
        self.nodes[at] = Some(node);
        self.places.insert(life, at);
        self.see(Seen::Started { at, life, why: if again { "restart" } else { "start" } });
        self.pump(at);
        if let Some(old) = old.filter(|_| self.board.is_none()) {
            self.announce_gone(at, old);
        }
        self.join_board(at, has_seeds, 0);
        self.reconnect(at);
    }

    /// As the driver: a generation is the wall clock's time, and within one process greater than the last.
    fn join_board(&mut self, at: usize, has_seeds: bool, after: u64) {
        let (wall_ms, origin) = (self.machine(at).wall_ms, self.origin(at));
        let host = &mut self.hosts[at];
        host.generation = (wall_ms << 12 | host.starts & 0xfff).max(after + 1);
        let generation = host.generation;
        let seeds = if has_seeds { host.seeds.clone() } else { Vec::new() };
        let entry = Entry { name: host.name.clone(), generation, origin, seeds };
        if let Some(board) = &mut self.board {
            board.start(self.time_ms, at, entry);
        }
        self.pump_board();
    }

    /// Kills the process at `at`: memory and links are gone. Returns its life.
    pub fn crash(&mut self, at: usize) -> Option<Origin> {
        let origin = self.nodes[at].as_ref()?.node.origin();
        self.end(at, false);
        Some(origin)
    }

    /// Ends a process. Its peers notice the silence.
    pub(super) fn end(&mut self, at: usize, left: bool) {
        let Some(node) = self.nodes[at].take() else { return };
        self.hosts[at].offset_ms = node.offset_ms;
        self.asking.retain(|(node, _), _| *node != at);
        self.see(Seen::Ended { at, life: node.node.origin(), left });
        self.hash.absorb([self.time_ms, at as u64, 10, left.into()]);
        if let Some(board) = &mut self.board {
            board.stop(self.time_ms, at);
        }
        // A process that says goodbye closes its links; one that dies leaves them to time out.
        let notice_ms = if left { 1 } else { LINK_TIMEOUT_MS };
        for other in (0..self.nodes.len()).filter(|&o| o != at) {
            self.schedule(notice_ms, Event::LinkCheck(other, at));
        }
    }

    /// The node goes on under a new life: the driver takes down its links and its board and puts them up again.
    pub(super) fn reborn(&mut self, at: usize) {
        // The node has forgotten its links: they were the old life's.
        if let Some(node) = self.nodes[at].as_mut() {
            node.links.clear();
            node.adopted.clear();
            node.unacked.clear();
            node.witness = Witness::default();
        }
        if let Some(board) = &mut self.board {
            board.stop(self.time_ms, at);
            self.hosts[at].starts += 1;
            self.join_board(at, true, self.hosts[at].generation);
        }
        self.reconnect(at);
    }

    /// Tells everyone reachable that a life will never return.
    pub fn announce_gone(&mut self, by: usize, origin: Origin) {
        for at in 0..self.nodes.len() {
            if !self.net.cuts.contains(&(by, at)) {
                self.see(Seen::Gone { at, life: origin });
                self.input(at, Input::Gone(origin));
            }
        }
    }

    /// An operator declares at one node that the present life of another, or its last one, will not return.
    pub fn forget(&mut self, at: usize, of: usize) {
        let present = self.nodes[of].as_ref().map(|n| n.node.origin());
        let past = self.places.iter().filter(|(_, place)| **place == of).map(|(life, _)| *life);
        let lives: Vec<Origin> = present.map_or_else(|| past.collect(), |life| vec![life]);
        lives.into_iter().for_each(|life| self.input(at, Input::Forget(life)));
    }

    /// Lets a node leave in good order: no more writes, hand over what peers lack, say goodbye, stop.
    pub fn leave(&mut self, at: usize) {
        let Some(node) = self.nodes[at].as_mut() else { return };
        node.leaving_since_ms.get_or_insert(self.time_ms);
        if !self.is_still(at) {
            self.input(at, Input::News);
        }
        self.leave_check(at);
    }

    /// Whether some linked peer has adopted every own write, or there is none to adopt (as the driver asks).
    pub fn handed_over(&self, at: usize) -> bool {
        let Some(node) = &self.nodes[at] else { return true };
        let written: Vec<(u16, u64)> = (0..self.limits.partitions)
            .map(|ix| (ix, node.replica.shared(ix, |p| p.own_last())))
            .filter(|(_, last)| *last > 0)
            .collect();
        let holds = |peer: &Origin| {
            let has = |&(ix, last): &(u16, u64)| {
                node.adopted.get(&(*peer, ix)).is_some_and(|r| r.contains_range(1, last))
            };
            written.iter().all(has)
        };
        written.is_empty() || node.links.iter().any(holds)
    }

    pub(super) fn leave_check(&mut self, at: usize) {
        let Some(node) = &self.nodes[at] else { return };
        let Some(since_ms) = node.leaving_since_ms else { return };
        if self.is_still(at) {
            // It hears of it when it goes on.
            return self.schedule(LEAVE_CHECK_MS, Event::LeaveCheck(at));
        }
        let over = node.links.is_empty() || self.time_ms >= since_ms + DRAIN_MS || self.handed_over(at);
        if !over {
            return self.schedule(LEAVE_CHECK_MS, Event::LeaveCheck(at));
        }
        if let Some(board) = &mut self.board {
            board.leave(self.time_ms, at);
            self.pump_board();
            self.input(at, Input::Leaving);
            self.schedule(GOODBYE_MS, Event::End(at));
        } else {
            let origin = self.origin(at);
            self.end(at, true);
            self.announce_gone(at, origin);
        }
    }

    /// Freezes a process for this long (a garbage collection, a stopped container): its inbox fills, its timers
    /// stand still, its clocks go on.
    pub fn freeze(&mut self, at: usize, for_ms: u64) {
        let Some(node) = &mut self.nodes[at] else { return };
        node.frozen_until_ms = node.frozen_until_ms.max(self.time_ms + for_ms);
        let until_ms = node.frozen_until_ms;
        self.see(Seen::Still { at, how: "freeze", until_ms });
        if let Some(board) = &mut self.board {
            board.freeze(self.time_ms, at, true);
        }
        self.schedule(for_ms, Event::Thaw(at));
        if self.board.is_some() {
            // Its peers' ends of its links time out.
            for other in (0..self.nodes.len()).filter(|&o| o != at) {
                self.schedule(LINK_TIMEOUT_MS, Event::LinkCheck(other, at));
            }
        }
    }

    pub(super) fn thaw(&mut self, at: usize) {
        let Some(node) = &self.nodes[at] else { return };
        // On a machine that is suspended nothing goes on.
        if node.frozen_until_ms <= self.time_ms && node.suspended_since_ms.is_none() {
            if let Some(board) = &mut self.board {
                board.freeze(self.time_ms, at, false);
                self.pump_board();
                (0..self.nodes.len()).filter(|&o| o != at).for_each(|other| self.redial(at, other));
            }
            self.input(at, Input::Tick);
        }
    }

    /// Suspends a machine for this long: a crash that keeps its memory. What is sent to it is lost, its monotonic
    /// clock stands still, its wall clock has gone on when it wakes.
    pub fn suspend(&mut self, at: usize, for_ms: u64) {
        let now_ms = self.time_ms;
        let Some(node) = self.nodes[at].as_mut().filter(|n| n.suspended_since_ms.is_none()) else { return };
        node.suspended_since_ms = Some(now_ms);
        self.see(Seen::Still { at, how: "suspend", until_ms: now_ms + for_ms });
        if let Some(board) = &mut self.board {
            board.freeze(self.time_ms, at, true);
        }
        for other in (0..self.nodes.len()).filter(|&o| o != at) {
            self.schedule(LINK_TIMEOUT_MS, Event::LinkCheck(other, at));
        }
        self.schedule(for_ms, Event::Resume(at, now_ms));
    }

    pub(super) fn resume(&mut self, at: usize, since_ms: u64) {
        let same = |n: &&mut SimNode| n.suspended_since_ms == Some(since_ms);
        let Some(node) = self.nodes[at].as_mut().filter(same) else { return };
        node.suspended_since_ms = None;
        node.wake_ms = 0;
        self.hosts[at].clock.suspended(self.time_ms - since_ms);
        self.see(Seen::Still { at, how: "resume", until_ms: self.time_ms });
        if self.is_still(at) {
            // Its process is frozen as well, and goes on later.
            return;
        }
        if let Some(board) = &mut self.board {
            board.freeze(self.time_ms, at, false);
            self.pump_board();
        }
        self.input(at, Input::Tick);
        // Its own ends of links that the others gave up time out, and are dialled again.
        for other in (0..self.nodes.len()).filter(|&o| o != at) {
            if !self.has_link(other, at) {
                self.drop_link(at, self.origin(other));
            }
            self.schedule(1_000, Event::LinkCheck(at, other));
        }
    }

    /// Ends a freeze or a suspend now.
    pub fn wake(&mut self, at: usize) {
        let Some(node) = self.nodes[at].as_mut() else { return };
        let (frozen, suspended_since_ms) = (node.frozen_until_ms > self.time_ms, node.suspended_since_ms);
        if frozen {
            node.frozen_until_ms = self.time_ms;
            self.see(Seen::Still { at, how: "thaw", until_ms: self.time_ms });
        }
        match suspended_since_ms {
            Some(since_ms) => self.resume(at, since_ms),
            // What waits for it was put off until the freeze was to end.
            None if frozen => self.thaw(at),
            None => {}
        }
    }

    /// Whether the process at `at` does nothing now: it is frozen, or its machine is suspended.
    pub(crate) fn is_still(&self, at: usize) -> bool {
        let still = |n: &SimNode| n.frozen_until_ms > self.time_ms || n.suspended_since_ms.is_some();
        self.nodes[at].as_ref().is_some_and(still)
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

    /// Ends all cuts and flapping. Without a board links are up at once; with one they are dialled again.
    pub fn heal(&mut self) {
        self.flaps.clear();
        let cuts = std::mem::take(&mut self.net.cuts);
        if self.board.is_none() {
            (0..self.nodes.len()).for_each(|at| self.reconnect(at));
        } else {
            cuts.into_iter().for_each(|(a, b)| self.redial(a, b));
        }
    }

    /// Ends one one-way cut.
    pub fn mend_one_way(&mut self, from: usize, to: usize) {
        if self.net.cuts.remove(&(from, to)) {
            self.redial(from, to);
        }
    }

    fn redial(&mut self, a: usize, b: usize) {
        let draw = self.draw.of("redial").within(self.time_ms).at((a * 4_096 + b) as u64);
        self.schedule(1 + draw % 1_000, Event::LinkCheck(a, b));
    }

    /// Cuts these one-way links for `down_ms`, mends them for `up_ms`, and so on until `for_ms` have passed.
    pub fn flap(&mut self, pairs: Vec<(usize, usize)>, down_ms: u64, up_ms: u64, for_ms: u64) {
        self.next_flap += 1;
        let (down_ms, up_ms) = (down_ms.max(1), up_ms.max(1));
        let flap = Flap { pairs, down_ms, up_ms, until_ms: self.time_ms + for_ms, down: false };
        self.flaps.insert(self.next_flap, flap);
        self.flap_turns(self.next_flap);
    }

    pub(super) fn flap_turns(&mut self, ix: u64) {
        let Some(flap) = self.flaps.get_mut(&ix) else { return };
        let over = self.time_ms >= flap.until_ms;
        flap.down = !flap.down && !over;
        let (down, pairs) = (flap.down, flap.pairs.clone());
        let wait_ms = if down { flap.down_ms } else { flap.up_ms };
        if over {
            self.flaps.remove(&ix);
        } else {
            self.schedule(wait_ms, Event::Flap(ix));
        }
        for (from, to) in pairs {
            if down { self.cut_one_way(from, to) } else { self.mend_one_way(from, to) }
        }
        self.see(Seen::Fault {
            text: if down { "flap: down" } else { "flap: up" }.into(),
            nodes: Vec::new(),
        });
    }

    /// Moves a node's wall clock by this much, once.
    pub fn jump_clock(&mut self, at: usize, by_ms: i64) {
        match &mut self.nodes[at] {
            Some(node) => node.offset_ms += by_ms,
            None => self.hosts[at].offset_ms += by_ms,
        }
    }

    /// Lets a machine's clocks run this much faster than true time (millionths; negative: slower).
    pub fn drift_clock(&mut self, at: usize, drift_ppm: i64) {
        self.hosts[at].clock.drift(self.time_ms, drift_ppm);
        // Its timers were set by the old rate. Whoever stands still sets new ones when it goes on.
        if self.is_still(at) {
            return;
        }
        if let Some(node) = self.nodes[at].as_mut() {
            node.wake_ms = 0;
            self.input(at, Input::Tick);
        }
    }

    /// Makes a machine take this long over every message (ms); 0: it is quick again.
    pub fn slow(&mut self, at: usize, slow_ms: u64) {
        self.hosts[at].slow_ms = slow_ms;
    }
}
