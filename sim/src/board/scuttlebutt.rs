//! chitchat's scuttlebutt protocol and the product's discovery around it, as a model inside the event loop.
//!
//! Read off chitchat 0.11.2 and `src/discovery`: rounds, whom they go to, SYN, SYN-ACK, ACK, heartbeats, the
//! failure detector ([`super::detector`]), the grace, the ceiling on incarnations, dialling seeds and remembered
//! peers, the goodbye, and how members come of it all ([`super::sight`]). `tests/board_conformance.rs` holds it to
//! the real ones. Left out, because the simulated worlds are below these limits: the bound of 65,507 bytes on a
//! delta, the bound of 5,000 on forgotten incarnations, and the gossip server's death and restart.
//!
//! Every draw is a hash of (seed, process, purpose, that process's round), so that leaving one event out does
//! not shift the draws of another.

use std::collections::VecDeque;
use std::rc::Rc;

use super::detector::{Rules, Seen};
use super::ledger::{Incarnation, Ledger};
use super::sight::Sight;
use super::{Board, BoardConfig, BoardOut, CLUSTER, Entry, Packet};
use crate::draw::mix;

/// Live peers gossiped with in a round: chitchat's fan-out, and the product's while it is alone.
const FAN_OUT: usize = 3;
/// The look that nothing asks for (ms); once a round where rounds are shorter.
const SAFETY_LOOK_MS: u64 = 1_000;
/// While others are alive, a stranger is dialled once in this many rounds.
const DIAL_EVERY_ROUNDS: u64 = 5;
/// Peers told directly of a goodbye.
const GOODBYES: usize = 16;
/// Longest of the two rounds of a goodbye (ms).
const MAX_GOODBYE_ROUND_MS: u64 = 2_500;
/// A timer this late (ms) begins a new rhythm instead of catching up: tokio's own tolerance.
const LATE_MS: u64 = 5;
/// Magic, version and kind of a packet.
const HEADER_BYTES: usize = 4;
/// Bytes of a delta without operations; one with operations has a block header too.
const EMPTY_DELTA_BYTES: usize = 1;
const BLOCK_BYTES: usize = 3;
/// A time that never comes.
const NEVER: u64 = u64::MAX;

/// What a draw is for.
#[derive(Clone, Copy)]
enum Purpose {
    Live = 1,
    DeadChance,
    Dead,
    Dial,
    Goodbye,
}

/// One line of a digest.
#[derive(Clone, Copy, Debug)]
pub struct DigestEntry {
    incarnation: u32,
    heartbeat: u32,
    version: u32,
}

/// Takes a reader of one incarnation's keys from one version to a later one.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    incarnation: u32,
    from: u32,
    to: u32,
}

/// A gossip message of the model. Digests and deltas are sorted by incarnation.
#[derive(Clone, Debug)]
pub enum Gossip {
    /// Opens a handshake.
    Syn(Box<[DigestEntry]>),
    /// Answers it with what the opener lacks.
    SynAck(Box<[DigestEntry]>, Box<[Change]>),
    /// Closes it with what the answerer lacks.
    Ack(Box<[Change]>),
}

/// Counts that outlive a process's restarts, for its draws never to repeat.
#[derive(Clone, Copy, Default)]
struct Counts {
    rounds: u64,
    dials: u64,
}

#[derive(Clone, Debug)]
enum Phase {
    Running,
    /// Saying goodbye to these, with this many rounds left to do.
    Leaving(Vec<usize>, u8),
    /// Said goodbye: neither speaks nor listens.
    Silent,
}

struct Process {
    own: u32,
    seeds: Vec<usize>,
    phase: Phase,
    frozen: bool,
    /// What arrived although it is frozen.
    held: Vec<(usize, Rc<Gossip>)>,
    round_ms: u64,
    dial_ms: u64,
    look_ms: u64,
    goodbye_ms: u64,
    dial_round: u64,
    /// Numbers of the incarnations with a place in the digest, ascending; ours is among them.
    known: Vec<u32>,
    /// By incarnation.
    seen: Vec<Seen>,
    /// Who was alive, and up to which version, at the last round.
    live: Vec<(u32, u32)>,
    sight: Sight,
}

impl Process {
    fn due_ms(&self) -> u64 {
        match self.phase {
            _ if self.frozen => NEVER,
            Phase::Running => self.round_ms.min(self.dial_ms).min(self.look_ms),
            Phase::Leaving(..) => self.round_ms.min(self.goodbye_ms),
            Phase::Silent => NEVER,
        }
    }

    fn beat(&mut self) {
        self.seen[self.own as usize].heartbeat += 1;
    }

    /// At the ceiling a digest with nobody known in it is not even answered.
    fn admits(&self, digest: &[DigestEntry], ceiling: usize) -> bool {
        let is_known =
            |entry: &DigestEntry| self.seen.get(entry.incarnation as usize).is_some_and(|seen| seen.known);
        self.known.len() < ceiling || digest.iter().any(is_known)
    }

    fn hear(&mut self, now_ms: u64, digest: &[DigestEntry], rules: &Rules, ceiling: usize) {
        if let Some(last) = digest.last()
            && last.incarnation as usize >= self.seen.len()
        {
            self.seen.resize_with(last.incarnation as usize + 1, Seen::unheard);
        }
        for entry in digest.iter().filter(|entry| entry.incarnation != self.own) {
            let seen = &mut self.seen[entry.incarnation as usize];
            if !seen.known {
                if !seen.would_return(entry.heartbeat) || self.known.len() >= ceiling {
                    continue;
                }
                seen.enter();
                let place = self.known.partition_point(|known| *known < entry.incarnation);
                self.known.insert(place, entry.incarnation);
            }
            seen.beat(now_ms, entry.heartbeat, rules);
        }
    }

    fn apply(&mut self, delta: &[Change]) {
        for change in delta {
            if let Some(seen) = self.seen.get_mut(change.incarnation as usize)
                && seen.known
                && change.from <= seen.version
                && seen.version < change.to
            {
                seen.version = change.to;
            }
        }
    }

    fn digest(&self, now_ms: u64, ledger: &Ledger) -> (Box<[DigestEntry]>, usize) {
        let mut bytes = 2;
        let mut digest = Vec::with_capacity(self.known.len());
        for &incarnation in &self.known {
            let seen = &self.seen[incarnation as usize];
            if !seen.is_hidden(now_ms) {
                digest.push(DigestEntry { incarnation, heartbeat: seen.heartbeat, version: seen.version });
                bytes += ledger.digest_bytes(incarnation);
            }
        }
        (digest.into(), bytes)
    }

    /// What the sender of `theirs` lacks.
    fn delta(&self, now_ms: u64, theirs: &[DigestEntry], ledger: &Ledger) -> (Box<[Change]>, usize) {
        let mut bytes = EMPTY_DELTA_BYTES;
        let mut delta = Vec::new();
        let mut theirs = theirs;
        for &incarnation in &self.known {
            while let Some((first, rest)) = theirs.split_first()
                && first.incarnation < incarnation
            {
                theirs = rest;
            }
            let floor = theirs.first().filter(|entry| entry.incarnation == incarnation);
            let floor = floor.map_or(0, |entry| entry.version);
            let seen = &self.seen[incarnation as usize];
            if seen.version > floor && !seen.is_hidden(now_ms) {
                delta.push(Change { incarnation, from: floor, to: seen.version });
                bytes += ledger.get(incarnation).delta_bytes(floor, seen.version);
            }
        }
        let block = if delta.is_empty() { 0 } else { BLOCK_BYTES };
        (delta.into(), bytes + block)
    }

    /// Judges everyone and forgets whose grace is over. True if the live set or a live one's keys changed.
    fn judge(&mut self, now_ms: u64, rules: &Rules) -> bool {
        let mut changed = false;
        let mut place = 0;
        let mut expired = false;
        for &incarnation in &self.known {
            let seen = &mut self.seen[incarnation as usize];
            if incarnation != self.own {
                seen.judge(now_ms, rules);
                expired |= seen.is_expired(now_ms, rules);
            }
            if seen.alive {
                let now = (incarnation, seen.version);
                match self.live.get_mut(place) {
                    Some(before) => changed |= std::mem::replace(before, now) != now,
                    None => {
                        self.live.push(now);
                        changed = true;
                    }
                }
                place += 1;
            }
        }
        changed |= place != self.live.len();
        self.live.truncate(place);
        if expired {
            self.forget_expired(now_ms, rules);
        }
        changed
    }

    fn forget_expired(&mut self, now_ms: u64, rules: &Rules) {
        let seen = &mut self.seen;
        self.known.retain(|&incarnation| {
            let seen = &mut seen[incarnation as usize];
            let expired = seen.is_expired(now_ms, rules);
            if expired {
                seen.forget();
            }
            !expired
        });
    }

    /// Addresses of the known but ourselves that satisfy a test. An earlier life of ours has our own address.
    fn addresses(&self, ledger: &Ledger, test: impl Fn(&Seen) -> bool) -> Vec<usize> {
        let others = self.known.iter().filter(|incarnation| **incarnation != self.own);
        let fitting = others.filter(|incarnation| test(&self.seen[**incarnation as usize]));
        let mut addresses: Vec<_> = fitting.map(|incarnation| ledger.get(*incarnation).at).collect();
        if !addresses.is_sorted_by(|a, b| a < b) {
            addresses.sort_unstable();
            addresses.dedup();
        }
        addresses
    }
}

/// The model of the board.
pub struct Scuttlebutt {
    seed: u64,
    config: BoardConfig,
    rules: Rules,
    ledger: Ledger,
    processes: Vec<Option<Box<Process>>>,
    counts: Vec<Counts>,
    /// When each process wants to be woken.
    due: Vec<u64>,
    out: VecDeque<BoardOut>,
}

impl Scuttlebutt {
    /// A board without processes.
    pub fn new(seed: u64, config: BoardConfig) -> Self {
        let rules = Rules::new(&config);
        Self {
            seed,
            config,
            rules,
            ledger: Ledger::default(),
            processes: Vec::new(),
            counts: Vec::new(),
            due: Vec::new(),
            out: VecDeque::new(),
        }
    }

    fn draw(&self, purpose: Purpose, at: usize, round: u64, step: u64) -> u64 {
        let key = mix(((purpose as u64) << 56) ^ ((at as u64) << 32) ^ step);
        mix(self.seed ^ key ^ mix(round))
    }

    fn safety_look_ms(&self) -> u64 {
        SAFETY_LOOK_MS.min(self.config.gossip_interval_ms)
    }

    /// Moves `count` drawn items to the front.
    fn shuffle(&self, items: &mut [usize], count: usize, purpose: Purpose, at: usize, round: u64) {
        for place in 0..count.min(items.len().saturating_sub(1)) {
            let left = (items.len() - place) as u64;
            let drawn = self.draw(purpose, at, round, place as u64) % left;
            items.swap(place, place + drawn as usize);
        }
    }

    /// Whom a round goes to: three live ones (known ones while none is live), sometimes a dead one. The product
    /// gives chitchat no seeds.
    fn targets(&self, at: usize, process: &Process) -> Vec<usize> {
        let round = self.counts[at].rounds;
        let mut targets = process.addresses(&self.ledger, |seen| seen.alive);
        let live = targets.len();
        if live == 0 {
            targets = process.addresses(&self.ledger, |_| true);
        }
        self.shuffle(&mut targets, FAN_OUT, Purpose::Live, at, round);
        targets.truncate(FAN_OUT);
        let dead = process.addresses(&self.ledger, Seen::is_dead);
        if !dead.is_empty() {
            let unit = (self.draw(Purpose::DeadChance, at, round, 0) >> 11) as f64 / (1u64 << 53) as f64;
            if dead.len() as f64 / (live + 1) as f64 > unit {
                let drawn = self.draw(Purpose::Dead, at, round, 0) % dead.len() as u64;
                targets.push(dead[drawn as usize]);
            }
        }
        targets
    }

    fn send(&mut self, from: usize, to: usize, bytes: usize, gossip: &Rc<Gossip>) {
        // The product's transport refuses to talk to itself.
        if from != to {
            self.out.push_back(BoardOut::Send { from, to, bytes, packet: Packet::Model(Rc::clone(gossip)) });
        }
    }

    fn syn(&mut self, now_ms: u64, at: usize, process: &Process, targets: &[usize]) {
        if targets.is_empty() {
            return;
        }
        let (digest, digest_bytes) = process.digest(now_ms, &self.ledger);
        let bytes = HEADER_BYTES + digest_bytes + 2 + CLUSTER.len();
        let syn = Rc::new(Gossip::Syn(digest));
        targets.iter().for_each(|&to| self.send(at, to, bytes, &syn));
    }

    /// One gossip round. True if the live set or a live one's keys changed.
    fn round(&mut self, now_ms: u64, at: usize, process: &mut Process) -> bool {
        let targets = self.targets(at, process);
        self.counts[at].rounds += 1;
        process.beat();
        self.syn(now_ms, at, process, &targets);
        process.judge(now_ms, &self.rules)
    }

    fn look(&mut self, now_ms: u64, process: &mut Process) {
        let Self { ledger, out, config, .. } = self;
        let board = (process.known.as_slice(), process.seen.as_slice());
        process
            .sight
            .look(now_ms, config.gossip_interval_ms, ledger, board, &mut |event| out.push_back(event));
    }

    /// A SYN to seeds and remembered peers who are not alive to us: always when alone, else now and then.
    fn dial(&mut self, now_ms: u64, at: usize, process: &mut Process) {
        process.dial_round += 1;
        let live = process.sight.live_addresses(&self.ledger);
        if !live.is_empty() && !process.dial_round.is_multiple_of(DIAL_EVERY_ROUNDS) {
            return;
        }
        let mut strangers: Vec<_> = process.seeds.iter().copied().chain(process.sight.remembered()).collect();
        strangers.sort_unstable();
        strangers.dedup();
        strangers.retain(|stranger| *stranger != at && !live.contains(stranger));
        let count = if live.is_empty() { FAN_OUT } else { 1 };
        self.shuffle(&mut strangers, count, Purpose::Dial, at, self.counts[at].dials);
        self.counts[at].dials += 1;
        strangers.truncate(count);
        self.syn(now_ms, at, process, &strangers);
    }

    /// Does what is due, in the product's order: gossip rounds, the look they cause, the dial, the safety look.
    fn turn(&mut self, now_ms: u64, at: usize, process: &mut Process) {
        let interval = self.config.gossip_interval_ms;
        let mut changed = false;
        // Missed rounds are all made up for, as chitchat's interval does after a freeze.
        while process.round_ms <= now_ms {
            changed |= self.round(now_ms, at, process);
            process.round_ms += interval;
        }
        if !matches!(process.phase, Phase::Running) {
            return self.go_on_leaving(now_ms, at, process);
        }
        if changed {
            self.look(now_ms, process);
        }
        if process.dial_ms <= now_ms {
            let late = now_ms - process.dial_ms;
            // After a stall the rounds made up for do more than a dial.
            if late < interval {
                self.dial(now_ms, at, process);
            }
            // The dial keeps its place between the rounds.
            process.dial_ms += (late / interval + 1) * interval;
        }
        if process.look_ms <= now_ms {
            self.look(now_ms, process);
            let is_late = now_ms > process.look_ms + LATE_MS;
            process.look_ms = if is_late { now_ms } else { process.look_ms } + self.safety_look_ms();
        }
    }

    fn go_on_leaving(&mut self, now_ms: u64, at: usize, process: &mut Process) {
        let Phase::Leaving(targets, rounds_left) = process.phase.clone() else { return };
        if now_ms < process.goodbye_ms {
            return;
        }
        if rounds_left == 0 {
            self.look(now_ms, process);
            process.phase = Phase::Silent;
            return;
        }
        self.syn(now_ms, at, process, &targets);
        process.phase = Phase::Leaving(targets, rounds_left - 1);
        process.goodbye_ms = now_ms + self.config.gossip_interval_ms.min(MAX_GOODBYE_ROUND_MS);
    }

    /// Runs `act` on a process that exists, outside its slot, so that it can use the board too.
    fn with(&mut self, at: usize, act: impl FnOnce(&mut Self, &mut Process)) {
        if let Some(mut process) = self.processes.get_mut(at).and_then(Option::take) {
            act(self, &mut process);
            self.due[at] = process.due_ms();
            self.processes[at] = Some(process);
        }
    }

    fn receive(&mut self, now_ms: u64, from: usize, to: usize, process: &mut Process, gossip: &Gossip) {
        if matches!(process.phase, Phase::Silent) {
            return;
        }
        let ceiling = self.config.max_incarnations;
        match gossip {
            Gossip::Syn(digest) => {
                if !process.admits(digest, ceiling) {
                    return;
                }
                process.beat();
                process.hear(now_ms, digest, &self.rules, ceiling);
                let (own, digest_bytes) = process.digest(now_ms, &self.ledger);
                let (delta, delta_bytes) = process.delta(now_ms, digest, &self.ledger);
                let bytes = HEADER_BYTES + digest_bytes + delta_bytes;
                self.send(to, from, bytes, &Rc::new(Gossip::SynAck(own, delta)));
            }
            Gossip::SynAck(digest, delta) => {
                process.beat();
                process.hear(now_ms, digest, &self.rules, ceiling);
                process.apply(delta);
                let (delta, delta_bytes) = process.delta(now_ms, digest, &self.ledger);
                self.send(to, from, HEADER_BYTES + delta_bytes, &Rc::new(Gossip::Ack(delta)));
            }
            Gossip::Ack(delta) => {
                process.beat();
                process.apply(delta);
            }
        }
    }

    /// A process that runs writes on its own page.
    fn write(&mut self, now_ms: u64, at: usize, write: impl FnOnce(&mut Incarnation)) {
        self.with(at, |board, process| {
            if matches!(process.phase, Phase::Running) {
                let own = board.ledger.get_mut(process.own);
                write(own);
                process.seen[process.own as usize].version = own.version();
                board.look(now_ms, process);
            }
        });
    }
}

impl Board for Scuttlebutt {
    fn start(&mut self, now_ms: u64, at: usize, entry: Entry) {
        if at >= self.processes.len() {
            self.processes.resize_with(at + 1, || None);
            self.counts.resize(at + 1, Counts::default());
            self.due.resize(at + 1, NEVER);
        }
        let own = self.ledger.enter(at, &entry.name, entry.generation, entry.origin);
        let mut seen = Vec::new();
        seen.resize_with(own as usize, Seen::unheard);
        seen.push(Seen::own(self.ledger.get(own).version()));
        let process = Process {
            own,
            seeds: entry.seeds,
            phase: Phase::Running,
            frozen: false,
            held: Vec::new(),
            round_ms: now_ms,
            dial_ms: now_ms + self.config.gossip_interval_ms.div_ceil(2),
            look_ms: now_ms + self.safety_look_ms(),
            goodbye_ms: NEVER,
            dial_round: 0,
            known: vec![own],
            seen,
            live: Vec::new(),
            sight: Sight::new(at, own),
        };
        self.processes[at] = Some(Box::new(process));
        self.with(at, |board, process| {
            board.look(now_ms, process);
            if board.round(now_ms, at, process) {
                board.look(now_ms, process);
            }
            board.dial(now_ms, at, process);
            process.round_ms += board.config.gossip_interval_ms;
        });
    }

    fn stop(&mut self, _now_ms: u64, at: usize) {
        if let Some(process) = self.processes.get_mut(at) {
            *process = None;
            self.due[at] = NEVER;
        }
    }

    fn leave(&mut self, now_ms: u64, at: usize) {
        self.with(at, |board, process| {
            if !matches!(process.phase, Phase::Running) {
                return;
            }
            let own = board.ledger.get_mut(process.own);
            own.leave();
            process.seen[process.own as usize].version = own.version();
            let mut targets = process.sight.live_addresses(&board.ledger);
            board.shuffle(&mut targets, GOODBYES, Purpose::Goodbye, at, board.counts[at].rounds);
            targets.truncate(GOODBYES);
            process.phase = Phase::Leaving(targets, 2);
            process.goodbye_ms = now_ms;
            board.go_on_leaving(now_ms, at, process);
        });
    }

    fn freeze(&mut self, now_ms: u64, at: usize, frozen: bool) {
        self.with(at, |board, process| {
            process.frozen = frozen;
            if frozen {
                return;
            }
            if process.due_ms() <= now_ms {
                board.turn(now_ms, at, process);
            }
            for (from, gossip) in std::mem::take(&mut process.held) {
                board.receive(now_ms, from, at, process, &gossip);
            }
        });
    }

    fn publish(&mut self, now_ms: u64, at: usize, key: &str, value: &str) {
        self.write(now_ms, at, |own| own.publish(key, value));
    }

    fn publish_fact(&mut self, now_ms: u64, at: usize, key: &str, value: &str) {
        self.write(now_ms, at, |own| own.publish_fact(key, value));
    }

    fn deliver(&mut self, now_ms: u64, from: usize, to: usize, packet: Packet) {
        let Packet::Model(gossip) = packet else { return };
        self.with(to, |board, process| {
            if process.frozen {
                process.held.push((from, gossip));
            } else {
                board.receive(now_ms, from, to, process, &gossip);
            }
        });
    }

    fn wake(&mut self, now_ms: u64) {
        for at in 0..self.due.len() {
            if self.due[at] <= now_ms {
                self.with(at, |board, process| board.turn(now_ms, at, process));
            }
        }
    }

    fn next_wake_ms(&self) -> Option<u64> {
        self.due.iter().copied().min().filter(|due| *due != NEVER)
    }

    fn poll(&mut self) -> Option<BoardOut> {
        self.out.pop_front()
    }

    fn read(&self, by: usize, of: usize, key: &str) -> Option<String> {
        let process = self.processes.get(by)?.as_ref()?;
        process.sight.read(&self.ledger, of, key).map(str::to_owned)
    }
}
