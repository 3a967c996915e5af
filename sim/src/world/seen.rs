//! What the world lets be seen: every transition, in the order it happened. Invariants and traces read nothing else.

use sessionmesh::core::causality::Origin;
use sessionmesh::core::membership::Change;
use sessionmesh::core::replica::{Happened, Serving, WriteError, Written};
use sessionmesh::core::session::SessionId;

use super::client::{ClientOp, Reading};
use crate::net::Fate;

/// How much of what happens is kept for whoever looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watch {
    /// Nothing.
    #[default]
    Off,
    /// What invariants need.
    Checks,
    /// Every message too, for a trace.
    All,
}

/// What a node was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// A frame of this kind, carried by this message.
    Frame(u8, u64),
    /// A packet of a peer's failure detector.
    Datagram,
    /// A timer.
    Tick,
    /// Local writes.
    News,
    /// A link went up or down.
    Link,
    /// The board changed.
    Board,
    /// Anything else.
    Other,
}

/// One transition.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A process began to live under this origin.
    Started {
        /// Where.
        at: usize,
        /// Its life.
        life: Origin,
        /// Why: `start`, `restart`, `new life`.
        why: &'static str,
    },
    /// A process ended; its memory is gone.
    Ended {
        /// Where.
        at: usize,
        /// Its life.
        life: Origin,
        /// Whether it had said goodbye and handed over.
        left: bool,
    },
    /// A node took in an input.
    Step {
        /// Where.
        at: usize,
        /// What.
        given: Given,
        /// Partitions whose records or coverage changed: one bit each, modulo 64.
        changed: u64,
    },
    /// A node told its watchers something.
    Event {
        /// Where.
        at: usize,
        /// What.
        event: Happened,
        /// The operation or message that caused it.
        cause: u64,
    },
    /// A client's write was tried.
    Wrote {
        /// Where.
        at: usize,
        /// The operation's number.
        op: u64,
        /// What was asked.
        asked: ClientOp,
        /// What came of it.
        result: Result<Written, WriteError>,
        /// The node's wall clock (ms).
        wall_ms: u64,
    },
    /// A node ended a session whose login had not seen a revocation.
    Revoked {
        /// Where.
        at: usize,
        /// The number of this write.
        op: u64,
        /// The session.
        id: SessionId,
        /// The write.
        written: Written,
        /// The node's wall clock (ms).
        wall_ms: u64,
    },
    /// A client's read was answered.
    Read {
        /// Where.
        at: usize,
        /// The operation's number.
        op: u64,
        /// What was asked.
        asked: ClientOp,
        /// The answer.
        reading: Reading,
        /// The node's wall clock (ms).
        wall_ms: u64,
    },
    /// A client's operation could not be tried: its node was down, frozen or leaving.
    Refused {
        /// Where.
        at: usize,
        /// The operation's number.
        op: u64,
        /// What was asked.
        asked: ClientOp,
    },
    /// A write has its second copy.
    Acked {
        /// The writer.
        at: usize,
        /// The operation.
        op: u64,
        /// Who took it.
        peer: Origin,
    },
    /// A node began or stopped serving.
    Serving {
        /// Where.
        at: usize,
        /// As what.
        serving: Serving,
        /// Why.
        why: String,
    },
    /// A node was told that a life will never return.
    Gone {
        /// Who was told.
        at: usize,
        /// Whose.
        life: Origin,
    },
    /// The live members as a node sees them.
    Members {
        /// Whose view.
        at: usize,
        /// Processes believed alive, itself not counted.
        alive: Vec<usize>,
    },
    /// A process's failure detector has changed its mind about a member.
    Judged {
        /// Whose mind.
        at: usize,
        /// Where the member lives, or lived.
        about: usize,
        /// What it believes now.
        change: Change,
    },
    /// A link changed.
    Link {
        /// Whose end.
        at: usize,
        /// The other end's life.
        peer: Origin,
        /// Up or down.
        up: bool,
    },
    /// A node closed a link because the peer broke a rule.
    Closed {
        /// Who closed it.
        at: usize,
        /// Whose.
        peer: Origin,
        /// Which rule.
        why: String,
    },
    /// A node warned its operator.
    Warned {
        /// Where.
        at: usize,
        /// Of what.
        text: String,
    },
    /// A process froze, or its machine was suspended, or it goes on.
    Still {
        /// Where.
        at: usize,
        /// `freeze`, `suspend`, `thaw` or `resume`.
        how: &'static str,
        /// Until when (virtual ms), as far as was said.
        until_ms: u64,
    },
    /// The world did something to the mesh.
    Fault {
        /// What, in words.
        text: String,
        /// Whom it concerns.
        nodes: Vec<usize>,
    },
    /// A message was sent.
    Sent {
        /// Its number.
        id: u64,
        /// From.
        from: usize,
        /// To.
        to: usize,
        /// The frame's kind; 0 is gossip.
        kind: u8,
        /// Its size.
        bytes: usize,
        /// What caused it.
        cause: u64,
        /// When copies of it arrive (ms).
        arrive: Vec<u64>,
        /// What became of it.
        fate: Fate,
    },
}
