//! chitchat (scuttlebutt and an accrual detector) under the arena's clock: the product's discovery with the real
//! crate in it, in the settings the product ships.
//!
//! Everything is [`FullBoard`]'s: a paused tokio runtime a process. The board hands out whole views; this adapter
//! tells what changed in them.

use std::collections::VecDeque;

use bytes::Bytes;
use sessionmesh::core::causality::Origin;

use super::system::{Output, System, Verdict};
use crate::board::{Board, BoardConfig, BoardMember, BoardOut, Entry, FullBoard, Packet};

/// Processes that everybody has as seeds, as in the field.
const SEEDS: usize = 3;

/// All processes of a world.
pub struct Chitchat {
    board: FullBoard,
    members: usize,
    /// Whom each process has seen alive, and what it holds of them now.
    held: Vec<Option<bool>>,
    out: VecDeque<Output>,
}

impl Chitchat {
    /// None of these many processes is started.
    ///
    /// # Panics
    /// If the thread is not one of [`crate::board::run_seeded`].
    pub fn new(members: usize) -> Self {
        Self {
            board: FullBoard::new(BoardConfig::default()),
            members,
            held: vec![None; members * members],
            out: VecDeque::new(),
        }
    }

    fn collect(&mut self) {
        while let Some(out) = self.board.poll() {
            match out {
                BoardOut::Send { from, to, packet: Packet::Bytes(bytes), .. } if to < self.members => {
                    self.out.push_back(Output::Send { from, to, bytes, reliable: false });
                }
                BoardOut::Members { at, members } => self.compare(at, &members),
                // Nobody leaves, starts twice or gossips by the model here.
                _ => {}
            }
        }
    }

    /// Tells what is new in a view. Who is not alive yet, because it has only been heard of, is not dead.
    fn compare(&mut self, by: usize, members: &[BoardMember]) {
        let mut alive = vec![false; self.members];
        members.iter().filter(|member| member.alive).for_each(|member| alive[member.at] = true);
        for (about, alive) in alive.into_iter().enumerate() {
            let held = &mut self.held[by * self.members + about];
            if *held == Some(alive) || held.is_none() && !alive {
                continue;
            }
            *held = Some(alive);
            let verdict = if alive { Verdict::Alive } else { Verdict::Dead };
            self.out.push_back(Output::Verdict { by, about, verdict });
        }
    }
}

impl System for Chitchat {
    fn start(&mut self, now_ms: u64, at: usize) {
        let entry = Entry {
            name: format!("node-{at:04}"),
            generation: 1,
            origin: Origin(at as u128 + 1),
            seeds: (0..SEEDS.min(self.members)).filter(|seed| *seed != at).collect(),
        };
        self.board.start(now_ms, at, entry);
        self.collect();
    }

    fn stop(&mut self, now_ms: u64, at: usize) {
        self.board.stop(now_ms, at);
    }

    fn freeze(&mut self, now_ms: u64, at: usize, frozen: bool) {
        self.board.freeze(now_ms, at, frozen);
        self.collect();
    }

    fn deliver(&mut self, now_ms: u64, from: usize, to: usize, bytes: Bytes, _reliable: bool) {
        self.board.deliver(now_ms, from, to, Packet::Bytes(bytes));
        self.collect();
    }

    fn wake(&mut self, now_ms: u64) {
        self.board.wake(now_ms);
        self.collect();
    }

    fn next_wake_ms(&self) -> Option<u64> {
        self.board.next_wake_ms()
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
}
