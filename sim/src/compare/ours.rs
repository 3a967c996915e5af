//! The product's own detector under the arena's clock: one [`Detector`] a process, driven as the product's driver does.
//!
//! The board is told once, at the start, and then is silent: it neither helps to find who is back nor confirms a
//! death, and what a detector writes on it is thrown away. So are the signs of life that other traffic of the product
//! would give. What is measured is the detector alone, at its default settings.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use sessionmesh::core::causality::Origin;
use sessionmesh::core::membership::{Config, Detector, Input, Listed, Output as Wanted, State};

use super::system::{Output, System, Verdict};
use crate::draw::Draw;

/// The driver looks around at least this often (ms), whatever the detector asks for.
const LOOK_AROUND_MS: u64 = 500;

/// All processes of a world.
pub struct Ours {
    draw: Draw,
    origins: Vec<Origin>,
    places: BTreeMap<Origin, usize>,
    running: Vec<Option<Detector>>,
    frozen: Vec<bool>,
    /// When each process wants to be woken; `None` while it does not run.
    due_ms: Vec<Option<u64>>,
    /// The same by time. Frozen processes are not in it.
    wakes: BTreeSet<(u64, usize)>,
    out: VecDeque<Output>,
}

impl Ours {
    /// None of these many processes is started.
    pub fn new(members: usize, draw: Draw) -> Self {
        let half = |at: usize, nth| u128::from(draw.of("origin").within(at as u64).at(nth));
        let origins: Vec<_> = (0..members).map(|at| Origin(half(at, 0) << 64 | half(at, 1))).collect();
        Self {
            draw,
            places: origins.iter().enumerate().map(|(at, origin)| (*origin, at)).collect(),
            origins,
            running: (0..members).map(|_| None).collect(),
            frozen: vec![false; members],
            due_ms: vec![None; members],
            wakes: BTreeSet::new(),
            out: VecDeque::new(),
        }
    }

    fn handle(&mut self, now_ms: u64, at: usize, input: Input<'_>) {
        let Some(detector) = &mut self.running[at] else { return };
        let taken = detector.handle(now_ms, input);
        debug_assert_eq!(taken, Ok(()), "nobody damages packets here");
        while let Some(wanted) = detector.poll() {
            self.out.extend(output(&self.places, at, wanted));
        }
        let due_ms = detector.next_wake_ms().clamp(now_ms + 1, now_ms + LOOK_AROUND_MS);
        self.schedule(at, Some(due_ms));
    }

    fn schedule(&mut self, at: usize, due_ms: Option<u64>) {
        let before = std::mem::replace(&mut self.due_ms[at], due_ms);
        if before != due_ms {
            before.map(|due_ms| self.wakes.remove(&(due_ms, at)));
            due_ms.map(|due_ms| self.wakes.insert((due_ms, at)));
        }
    }
}

/// What the arena is told of what a detector wants.
fn output(places: &BTreeMap<Origin, usize>, by: usize, wanted: Wanted) -> Option<Output> {
    match wanted {
        Wanted::Send { to, reliable, bytes } => {
            Some(Output::Send { from: by, to: *places.get(&to)?, bytes: bytes.into(), reliable })
        }
        Wanted::Changed(change) => {
            let verdict = match change.state {
                State::Alive => Verdict::Alive,
                State::Suspect => Verdict::Suspect,
                State::Dead | State::Left => Verdict::Dead,
            };
            Some(Output::Verdict { by, about: *places.get(&change.member)?, verdict })
        }
        Wanted::Publish { .. } => None,
    }
}

impl System for Ours {
    fn start(&mut self, now_ms: u64, at: usize) {
        let draw = self.draw.of("seed").within(at as u64);
        let mut seed = [0; 32];
        seed.chunks_mut(8)
            .zip(0..)
            .for_each(|(piece, nth)| piece.copy_from_slice(&draw.at(nth).to_le_bytes()));
        self.running[at] = Some(Detector::new(self.origins[at], Config::default(), seed, now_ms));
        let others = self.origins.iter().filter(|origin| **origin != self.origins[at]);
        let listed: Vec<_> = others.map(|&origin| Listed { origin, alive: true, left: false }).collect();
        self.handle(now_ms, at, Input::Board(&listed));
    }

    fn stop(&mut self, _now_ms: u64, at: usize) {
        self.running[at] = None;
        self.schedule(at, None);
    }

    fn freeze(&mut self, now_ms: u64, at: usize, frozen: bool) {
        if std::mem::replace(&mut self.frozen[at], frozen) == frozen {
            return;
        }
        self.schedule(at, None);
        if !frozen {
            self.handle(now_ms, at, Input::Tick);
        }
    }

    fn deliver(&mut self, now_ms: u64, from: usize, to: usize, bytes: Bytes, reliable: bool) {
        self.handle(now_ms, to, Input::Packet { from: self.origins[from], reliable, bytes: &bytes });
    }

    fn wake(&mut self, now_ms: u64) {
        while let Some(&(due_ms, at)) = self.wakes.first() {
            if due_ms > now_ms {
                return;
            }
            self.handle(now_ms, at, Input::Tick);
        }
    }

    fn next_wake_ms(&self) -> Option<u64> {
        self.wakes.first().map(|wake| wake.0)
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
}
