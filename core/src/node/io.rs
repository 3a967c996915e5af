//! What goes into a node and what comes out of it.

use std::collections::BTreeMap;

use crate::causality::{Origin, RangeSet};
use crate::limits::Limits;
use crate::membership::{self, Change, Listed};
use crate::replica::{Dumped, Happened, Serving};
use crate::session::SessionId;
use crate::time::Now;

/// What a node is made from. Randomness comes in here and nowhere else.
pub struct Setup {
    /// The data plane's settings, already validated.
    pub limits: Limits,
    /// Seeds every random choice, the origin included.
    pub seed: [u8; 32],
    /// Keys hash tables and log hashes.
    pub hash_key: u64,
    /// Whether other members are expected (seeds were given): if so, the node joins before it is ready.
    pub has_seeds: bool,
    /// Whether watchers exist: without, changes make no events.
    pub watched: bool,
    /// How members are watched. `None`: whoever the board says is alive is alive.
    pub membership: Option<membership::Config>,
    /// The time of the start.
    pub now: Now,
}

/// What happens to a node.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A link to a peer is up; both speak `version`.
    LinkUp {
        /// The peer's life.
        peer: Origin,
        /// The highest common wire version.
        version: u16,
    },
    /// The link is gone.
    LinkDown {
        /// The peer's life.
        peer: Origin,
    },
    /// A frame arrived.
    Frame {
        /// From whom.
        peer: Origin,
        /// The frame.
        bytes: &'a [u8],
    },
    /// A packet of the failure detector arrived, which may be lost on its way.
    Datagram {
        /// From whom.
        peer: Origin,
        /// The packet.
        bytes: &'a [u8],
    },
    /// Local writes happened.
    News,
    /// Time passed: at [`Node::next_wake_ms`](super::Node::next_wake_ms), and at least every half second.
    Tick,
    /// Everyone on the board.
    Board(&'a [Listed]),
    /// A member has written this on the board for detectors.
    Fact {
        /// Who.
        of: Origin,
        /// The key, as in [`Output::Publish`].
        key: &'a str,
        /// The value.
        value: &'a str,
    },
    /// So many pages wait for this peer that one was dropped: it asks faster than it reads.
    Full {
        /// The peer's life.
        peer: Origin,
    },
    /// The driver had to drop packets: this node is overloaded.
    Overflow,
    /// This node is about to leave: others shall hear it at once.
    Leaving,
    /// A life that will never return: superseded, or left in good order.
    Gone(Origin),
    /// An operator's decision: this life will not return. It is told to all members.
    Forget(Origin),
    /// A peer refuses a link because it holds this node's life for over.
    CalledGone {
        /// Its life, as far as it is known.
        by: Origin,
    },
    /// Read a session through from peers; answered by [`Output::Asked`].
    Ask {
        /// Echoed.
        token: u64,
        /// The session.
        id: SessionId,
    },
    /// Show every linked peer's copy of a session without taking it in; answered by [`Output::Inspected`] for each
    /// peer that answers. Tokens are shared with `Ask`.
    Inspect {
        /// Echoed.
        token: u64,
        /// The session.
        id: SessionId,
    },
    /// Nobody waits for the answers of an inspection any more.
    InspectOver {
        /// The inspection.
        token: u64,
    },
    /// Something outside speaks against becoming ready, for this reason; `None`: nothing does any more. Only a joiner
    /// that could become ready waits for it.
    Hold(Option<&'a str>),
    /// The seeds' names lead to an address never seen before: a joiner's wait for somebody to answer begins again.
    SeedsMoved,
    /// Somebody watches now.
    Watched,
    /// A member that this node dialled refused it, or was refused: somebody is there. To be told each time.
    Refused {
        /// Who, and why, for an operator.
        why: &'a str,
    },
    /// A handshake has told a peer's time, whether or not it led to a link.
    Clock {
        /// The peer's life.
        peer: Origin,
        /// Its wall time now (ms).
        wall_ms: u64,
        /// Whether it believes its own wall clock.
        sound: bool,
    },
    /// Another live process carries this node's name: start a new life, keep the data.
    Clone,
}

/// Which of a link's ordered streams a frame takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Small and urgent: pushes, digests, acknowledgements.
    Control,
    /// Pages: never in the way of a push.
    Bulk,
}

/// How bad what a peer did is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// More than an honest peer does, or what one passes on that was lied to: it was not answered, or left out.
    Strange,
    /// Against a rule of the wire that every honest peer keeps: its link is closed.
    Broke,
}

/// What a node wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a frame.
    Send {
        /// To whom.
        peer: Origin,
        /// On which stream.
        class: Class,
        /// The frame.
        frame: Vec<u8>,
    },
    /// Send a packet that may be lost.
    Datagram {
        /// To whom.
        peer: Origin,
        /// The packet.
        packet: Vec<u8>,
    },
    /// What is believed of a member has changed.
    Member(Change),
    /// Write this on the board, for detectors.
    Publish {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
    },
    /// Tell watchers.
    Event(Happened),
    /// A peer has adopted own counters `lo..=hi` of a partition: a receipt's copy.
    Adopted {
        /// Who.
        peer: Origin,
        /// Where.
        partition: u16,
        /// First counter.
        lo: u64,
        /// Last counter.
        hi: u64,
    },
    /// A round has shown what a peer covers, per partition, of lives that are neither linked nor this one: their writes
    /// are acknowledged by nobody any more.
    Covers {
        /// Who.
        peer: Origin,
        /// Partition, and the counters covered of each life.
        shown: Vec<(u16, BTreeMap<Origin, RangeSet>)>,
    },
    /// A peer answered an `Ask`; after the last one, `left` is 0.
    Asked {
        /// The question.
        token: u64,
        /// Who answered; nobody, if a peer was lost or there is none.
        answered: Option<Origin>,
        /// Whether it held the session (which is now here).
        found: bool,
        /// Peers that have not answered yet.
        left: usize,
    },
    /// A peer's copy of an inspected session; `None` if it has none.
    Inspected {
        /// The question.
        token: u64,
        /// Who answered.
        peer: Origin,
        /// Its copy.
        copy: Option<Box<Dumped>>,
    },
    /// Close the link: the peer broke a rule.
    CloseLink {
        /// Whose.
        peer: Origin,
        /// Which rule.
        why: String,
    },
    /// A peer did what honest ones do not: whoever holds the links remembers, and keeps it out if it goes on so.
    Fault {
        /// Who.
        peer: Origin,
        /// How bad it is.
        gravity: Gravity,
        /// What it did, without ids of sessions.
        why: String,
    },
    /// The node began or stopped serving.
    Serving(Serving, String),
    /// This node lives a new life: publish it on the board and reconnect.
    NewLife(Origin),
    /// An operator declared a life over: here, or at the member that told of it.
    Forgotten {
        /// The life.
        life: Origin,
        /// Who told of it.
        by: Option<Origin>,
    },
    /// Something an operator should read.
    Warn(String),
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Digest exchanges that found everything equal.
    pub rounds_equal: u64,
    /// Rounds that had something to fetch and completed.
    pub rounds_pulled: u64,
    /// Rounds given up.
    pub rounds_failed: u64,
    /// Pushes sent.
    pub pushes: u64,
    /// Pushes nobody acknowledged in time.
    pub pushes_lost: u64,
    /// Pages sent.
    pub pages: u64,
    /// Bytes of frames sent.
    pub sent_bytes: u64,
    /// Frames sent.
    pub sent_frames: u64,
    /// Frames received.
    pub received_frames: u64,
    /// Frames refused, for any reason.
    pub refused: u64,
    /// Audits that found equal coverage with unequal contents.
    pub audit_diffs: u64,
    /// New lives begun.
    pub new_lives: u64,
    /// Members declared over by operators, here or elsewhere.
    pub forgotten: u64,
}
