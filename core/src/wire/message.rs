//! The messages, which tell the protocol's story.
//!
//! Every interval a node sends one peer a [`Message::Digest`]: one hash over everything it covers. The peer
//! answers [`Message::Equal`], which completes a round of every partition at once, or [`Message::Unequal`] with a
//! hash per partition; the requester then asks for the unequal ones with [`Message::Sync`], naming what it has, and
//! gets [`Message::Page`]s until each is complete. It reports what it adopted in [`Message::Adopted`]. A local write
//! does not wait for that: it leaves at once as a [`Message::Push`], acknowledged by [`Message::PushAck`].
//! [`Message::Ask`] and [`Message::Tell`] read one session through; [`Message::Audit`] and [`Message::AuditDiff`] look for
//! what equal vectors cannot show, [`Message::Compare`] and [`Message::Compared`] also while vectors differ.

use serde::{Deserialize, Serialize};

use super::codec::{PageFrame, PushFrame};
use super::entry::WireEntry;
use crate::causality::Origin;
use crate::session::SessionId;

/// The oldest wire version this code speaks. Version 1 carries no conflict context: whether an overwrite by such a peer
/// was concurrent is not known.
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
    /// As `Audit`, from a node that wants to hear also what could not be compared. On the wire it is an `Audit` with a
    /// second value behind the first, which older nodes do not read: they answer as they do to any.
    Compare {
        /// Echoed by the answer.
        request: u64,
        /// As in `Audit`.
        wall_ms: u64,
        /// As in `Audit`; empty, if one partition is taken apart: older nodes are not asked that.
        sums: Vec<u64>,
        /// What ends within this of `wall_ms` is left out of the exact sums (ms).
        margin_ms: u64,
        /// An exact sum for each triple. Of a partition taken apart: which, its coverage hash (0: no evidence), then a sum
        /// of versions and one of versions and values for each bucket.
        exact: Vec<u64>,
    },
    /// Partitions whose coverage is equal and whose contents are not.
    AuditDiff {
        /// The audit's number.
        request: u64,
        /// The partitions.
        partitions: Vec<u16>,
    },
    /// The answer to a `Compare`: an `AuditDiff` with a second value behind the first.
    Compared {
        /// The question's number.
        request: u64,
        /// Partitions that differ, as in `AuditDiff`.
        partitions: Vec<u16>,
        /// For each thing compared, in the question's order: whether it could be, and how it was. See [`Verdict`].
        verdicts: &'a [u8],
    },
}

/// What became of one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// One side has what the other has not: no difference can be told from news. It proves nothing.
    Apart = 0,
    /// Both hold the same.
    Same = 1,
    /// Both hold the same writes and not the same values.
    Differs = 2,
}

/// Splits a flat list into pairs, ignoring an odd tail.
pub fn pairs(flat: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    flat.chunks_exact(2).map(|c| (c[0], c[1]))
}
