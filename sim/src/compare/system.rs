//! What a failure detector looks like from outside: bytes and time go in, packets and verdicts come out.
//!
//! One [`System`] is all processes of one world. Its adapters (`ours.rs`, `foca.rs`, `chitchat.rs`) translate and do nothing
//! else: whatever would help or hinder one system only would be a thumb on the scale.

use std::str::FromStr;

use bytes::Bytes;
use serde::Serialize;

use super::chitchat::Chitchat;
use super::foca::Foca;
use super::ours::Ours;
use crate::draw::Draw;

/// What one member holds about another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A member in good standing.
    Alive,
    /// Still a member, but it must answer soon.
    Suspect,
    /// No member any more.
    Dead,
}

/// What a system wants carried, or tells.
#[derive(Clone, Debug)]
pub enum Output {
    /// Carry these bytes.
    Send {
        /// From this process.
        from: usize,
        /// To this one.
        to: usize,
        /// The payload.
        bytes: Bytes,
        /// Lost copies are sent again, as a stream does; otherwise the network may lose it.
        reliable: bool,
    },
    /// A member changed its mind about another.
    Verdict {
        /// Who.
        by: usize,
        /// About whom.
        about: usize,
        /// What it holds now.
        verdict: Verdict,
    },
}

/// All processes of one world under one failure detector. Time is virtual and only ever comes in.
pub trait System {
    /// A process starts and knows every other by address.
    fn start(&mut self, now_ms: u64, at: usize);
    /// A process is gone without a word.
    fn stop(&mut self, now_ms: u64, at: usize);
    /// A process freezes or thaws. Its timers wait; the arena holds its packets back and delivers them after the
    /// thaw, when what was due meanwhile has fired.
    fn freeze(&mut self, now_ms: u64, at: usize, frozen: bool);
    /// Bytes arrive at `to`, as they were sent.
    fn deliver(&mut self, now_ms: u64, from: usize, to: usize, bytes: Bytes, reliable: bool);
    /// Fires the timers that are due.
    fn wake(&mut self, now_ms: u64);
    /// When [`System::wake`] is wanted next (virtual ms), if ever.
    fn next_wake_ms(&self) -> Option<u64>;
    /// The next thing it wants done, until there is none.
    fn poll(&mut self) -> Option<Output>;
}

/// The systems compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The product's own, `sessionmesh::core::membership`.
    Ours,
    /// SWIM, the crate `foca`.
    Foca,
    /// Scuttlebutt with an accrual detector, the crate `chitchat` inside the product's discovery.
    Chitchat,
}

impl Kind {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 3] = [Self::Ours, Self::Foca, Self::Chitchat];

    /// Its name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Foca => "foca",
            Self::Chitchat => "chitchat",
        }
    }

    /// Whether it tells suspicion from death.
    pub fn suspects(self) -> bool {
        self != Self::Chitchat
    }

    /// The largest world it is run in. chitchat's work grows with the square of the members, and each is a tokio
    /// runtime of its own here.
    pub fn max_members(self) -> usize {
        match self {
            Self::Ours | Self::Foca => 2_048,
            Self::Chitchat => 64,
        }
    }

    /// What a virtual second of one member costs in a world of `members`, as a multiple of foca's: for sharing out work
    /// and for the progress bar.
    pub fn cost(self, members: usize) -> f64 {
        match self {
            Self::Ours | Self::Foca => 1.0,
            Self::Chitchat => 4.0 + members as f64 / 3.0,
        }
    }

    /// Whether its worlds need a thread with entropy of its own, see [`crate::board::run_seeded`].
    pub fn needs_seeded_thread(self) -> bool {
        self == Self::Chitchat
    }

    /// All processes of a world, none of them started.
    pub fn build(self, members: usize, draw: Draw) -> Box<dyn System> {
        match self {
            Self::Ours => Box::new(Ours::new(members, draw)),
            Self::Foca => Box::new(Foca::new(members, draw)),
            Self::Chitchat => Box::new(Chitchat::new(members)),
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or(format!("no system is called {name:?}: {known}"))
    }
}
