//! The messages, which tell the protocol's story.
//!
//! Every interval a node sends one peer a [`Message::Digest`]: one hash over everything it covers. The peer
//! answers [`Message::Equal`], which completes a round of every partition at once, or [`Message::Unequal`] with a
//! hash per partition; the requester then asks for the unequal ones with [`Message::Sync`], naming what it has, and
//! gets [`Message::Page`]s until each is complete. It reports what it adopted in [`Message::Adopted`]. A local write
//! does not wait for that: it leaves at once as a [`Message::Push`], acknowledged by [`Message::PushAck`].
//! [`Message::Ask`] and [`Message::Tell`] read one session through; [`Message::Audit`] and [`Message::AuditDiff`] look for
//! what equal vectors cannot show.

use serde::{Deserialize, Serialize};

use super::codec::{PageFrame, PushFrame};
use super::entry::WireEntry;
use crate::core::causality::Origin;
use crate::core::session::SessionId;

/// The oldest wire version this code speaks. Version 1 carries no conflict context: overwrites by such peers are
/// labelled concurrent.
pub const WIRE_OLDEST: u16 = 1;
/// The newest wire version this code speaks.
pub const WIRE_NEWEST: u16 = 2;

/// Freshness vector on the wire: member and the wall time (ms) its state is incorporated up to.
pub type Inc = Vec<(Origin, u64)>;

/// One partition asked for in a [`Message::Sync`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncItem {
    /// Which.
    pub partition: u16,
    /// The requester's epoch and version of it: echoed by the page, so that an answer to a previous life or to
    /// forgotten coverage is recognised (CRDT.md F5).
    pub nonce: (u32, u64),
    /// What the requester has: per origin an index into the message's table, a number of ranges, and for each
    /// its distance from the previous one's end and its length.
    pub base: Vec<u64>,
    /// Sessions wanted whole whatever the base says.
    pub force: Vec<SessionId>,
    /// How far the requester has adopted the responder's own counters.
    pub have: u64,
}

/// The head of a push frame; parts follow it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushHeader {
    /// Echoed by the acknowledgement.
    pub seq: u64,
    /// The sender's wall time (ms): skew is checked on every message that moves data (CRDT.md A8).
    pub wall_ms: u64,
    /// What counters in the frame are relative to.
    pub base_counter: u64,
    /// Latest hard deadline of what the claimed ops wrote, in minutes after `wall_ms`, rounded up.
    pub until_min: u64,
    /// Origins the entries refer to; the sender itself is index 0 and not listed.
    pub origins: Vec<Origin>,
}

/// The head of a page frame; entries follow it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageHeader {
    /// The round it answers.
    pub round: u64,
    /// Which partition.
    pub partition: u16,
    /// The request's nonce.
    pub nonce: (u32, u64),
    /// The sender's epoch of the partition.
    pub epoch: u32,
    /// The sender's wall time (ms), read before the partition was.
    pub wall_ms: u64,
    /// Whether nothing was cut.
    pub complete: bool,
    /// Whether the sender is ready and holds nothing revived here: only then is it a source for a joiner.
    pub source: bool,
    /// What counters in the frame are relative to.
    pub base_counter: u64,
    /// Origins that entries and claims refer to.
    pub origins: Vec<Origin>,
    /// Claims, in the form of [`SyncItem::base`] with a last element per origin: until when it matters (ms).
    pub claims: Vec<u64>,
    /// The sender's freshness vector.
    pub inc: Inc,
}

/// Everything nodes say to each other, borrowed from its frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// "All I cover hashes to this."
    Digest {
        /// Names the round.
        round: u64,
        /// Hash over the partitions' hashes.
        root: u64,
        /// The sender's wall time (ms).
        wall_ms: u64,
        /// Whether the sender retains expired sessions and needs freshness.
        want_inc: bool,
        /// Whether the sender is ready.
        ready: bool,
    },
    /// "So does mine": a complete round of every partition (CRDT.md A1).
    Equal {
        /// The digest's round.
        round: u64,
        /// The responder's wall time (ms), read before its first partition was hashed.
        wall_ms: u64,
        /// Whether the responder is ready.
        ready: bool,
        /// Its freshness vector, if wanted.
        inc: Inc,
    },
    /// "Mine differs; here is each partition's."
    Unequal {
        /// The digest's round.
        round: u64,
        /// As in `Equal`.
        wall_ms: u64,
        /// As in `Equal`.
        ready: bool,
        /// As in `Equal`.
        inc: Inc,
        /// Eight bytes a partition, little-endian.
        hashes: &'a [u8],
    },
    /// "Of these partitions I have this; send the rest."
    Sync {
        /// The round.
        round: u64,
        /// The requester's wall time (ms).
        wall_ms: u64,
        /// Origins the bases refer to.
        origins: Vec<Origin>,
        /// The partitions.
        items: Vec<SyncItem>,
    },
    /// Part of a partition.
    Page(PageFrame<'a>),
    /// "I have now adopted your own counters up to here": flat pairs of partition and counter.
    Adopted {
        /// Partition and counter, alternating.
        upto: Vec<u64>,
    },
    /// Fresh local writes.
    Push(PushFrame<'a>),
    /// "Adopted, but for these partitions": a receipt's copy.
    PushAck {
        /// The push's sequence number.
        seq: u64,
        /// Partitions whose claim was not adopted; a round repairs.
        refused: Vec<u16>,
    },
    /// "What do you hold of this session?"
    Ask {
        /// Echoed by the answer.
        request: u64,
        /// The session.
        id: SessionId,
    },
    /// The answer to an `Ask`: joined without a claim.
    Tell {
        /// The question's number.
        request: u64,
        /// The sender's wall time (ms).
        wall_ms: u64,
        /// Origins the entry refers to.
        origins: Vec<Origin>,
        /// The whole record or tombstone, if any.
        entry: Option<WireEntry<'a>>,
    },
    /// "My partitions hash to this, contents and all": flat triples of partition, coverage hash and audit sum.
    Audit {
        /// Echoed by the answer.
        request: u64,
        /// The sender's wall time (ms), by which both sides leave out what is about to end.
        wall_ms: u64,
        /// The triples.
        sums: Vec<u64>,
    },
    /// Partitions whose coverage is equal and whose contents are not.
    AuditDiff {
        /// The audit's number.
        request: u64,
        /// The partitions.
        partitions: Vec<u16>,
    },
}

/// Splits a flat list into pairs, ignoring an odd tail.
pub fn pairs(flat: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    flat.chunks_exact(2).map(|c| (c[0], c[1]))
}
