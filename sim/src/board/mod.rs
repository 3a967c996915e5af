//! The bulletin board as the world sees it: who exists, who is alive, whose life is over.
//!
//! Two boards fit behind [`Board`]. [`scuttlebutt`] models chitchat's protocol inside the event loop: fast, and
//! what every run uses. [`FullBoard`] runs the product's discovery and the real chitchat in virtual time, for
//! holding the model to it (`tests/board_conformance.rs`).
//!
//! A board never touches the network: it hands the world packets to carry and is given what arrives.

mod detector;
mod entropy;
mod full;
mod ledger;
pub mod scuttlebutt;
mod sight;

pub use entropy::run_seeded;
pub use full::FullBoard;
pub use scuttlebutt::Scuttlebutt;
use sessionmesh::core::causality::Origin;

/// The cluster's name on the wire: part of every SYN.
const CLUSTER: &str = "sim";

/// How all processes of a world gossip. The defaults are the product's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoardConfig {
    /// One gossip round (ms).
    pub gossip_interval_ms: u64,
    /// How long a dead incarnation is remembered (ms).
    pub dead_grace_ms: u64,
    /// Silence of this many mean heartbeat intervals is death.
    pub phi_threshold: f64,
    /// Ceiling on known incarnations: beyond it newcomers are ignored.
    pub max_incarnations: usize,
}

impl Default for BoardConfig {
    fn default() -> Self {
        Self { gossip_interval_ms: 1_000, dead_grace_ms: 300_000, phi_threshold: 8.0, max_incarnations: 400 }
    }
}

/// What a process tells the board about itself when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The node's name. A restart carries the same one; so does a clone.
    pub name: String,
    /// From the wall clock at the start: greater at every start while the clock is right.
    pub generation: u64,
    /// The life of the node's memory.
    pub origin: Origin,
    /// Indices of the processes whose addresses are its seeds.
    pub seeds: Vec<usize>,
}

/// One member as a process sees it: of the lives of its name the one that lives, else the newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardMember {
    /// Where it runs: the index of its process, which is its address.
    pub at: usize,
    /// Its name.
    pub name: String,
    /// The life of its memory.
    pub origin: Origin,
    /// Its generation.
    pub generation: u64,
    /// Believed alive, and has not said goodbye.
    pub alive: bool,
    /// Said goodbye.
    pub left: bool,
    /// What its failure detector wrote for the others'.
    pub facts: Vec<(String, String)>,
}

/// A gossip packet. Opaque to the world, but for its size.
#[derive(Clone, Debug)]
pub enum Packet {
    /// Of the model: shared, because nobody changes it on its way.
    Model(std::rc::Rc<scuttlebutt::Gossip>),
    /// Of the full board: real bytes, which the world may corrupt.
    Bytes(bytes::Bytes),
}

/// What a board wants done, or tells.
#[derive(Clone, Debug)]
pub enum BoardOut {
    /// Carry this packet.
    Send {
        /// From this process.
        from: usize,
        /// To this one.
        to: usize,
        /// Its size on the wire, for bandwidth and datagram limits.
        bytes: usize,
        /// The packet.
        packet: Packet,
    },
    /// The whole view of a process, itself included, because it changed. Sorted by name.
    Members {
        /// Whose view.
        at: usize,
        /// The view.
        members: Vec<BoardMember>,
    },
    /// A life is over as this process sees it: another one lives under its name and it does not, or it left.
    Gone {
        /// Who sees it.
        at: usize,
        /// Whose life.
        origin: Origin,
    },
    /// This process sees another live one, newer, under its own name.
    Clone {
        /// Who sees it.
        at: usize,
    },
}

/// A board for all processes of a world. Time is virtual and only ever comes in.
pub trait Board {
    /// A process starts and publishes its entry.
    fn start(&mut self, now_ms: u64, at: usize, entry: Entry);
    /// A process is gone without a word.
    fn stop(&mut self, now_ms: u64, at: usize);
    /// A process says goodbye: it publishes that it left and gossips on until it is stopped.
    fn leave(&mut self, now_ms: u64, at: usize);
    /// A process freezes or thaws: while frozen its timers stand still. The world holds its packets back.
    fn freeze(&mut self, now_ms: u64, at: usize, frozen: bool);
    /// A process publishes a small key.
    fn publish(&mut self, now_ms: u64, at: usize, key: &str, value: &str);
    /// A process's failure detector writes a key for the others'.
    fn publish_fact(&mut self, now_ms: u64, at: usize, key: &str, value: &str);
    /// A packet arrives at `to`.
    fn deliver(&mut self, now_ms: u64, from: usize, to: usize, packet: Packet);
    /// Runs what is due.
    fn wake(&mut self, now_ms: u64);
    /// When [`Board::wake`] is wanted next (virtual ms), if ever.
    fn next_wake_ms(&self) -> Option<u64>;
    /// The next thing the board wants done, until there is none.
    fn poll(&mut self) -> Option<BoardOut>;
    /// What `by` reads under `key` on the board of `of`, if it knows it.
    fn read(&self, by: usize, of: usize, key: &str) -> Option<String>;
}
