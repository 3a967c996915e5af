//! What a peer can do wrong on the wire: who is the culprit, and which rule it broke.
//!
//! Every honest peer keeps these rules, so that one who breaks one is not listened to any further: its link is closed.
//! The exceptions say so ([`PeerFault::breaks_a_rule`]).

use super::{WIRE_NEWEST, WIRE_OLDEST};
use crate::replica::Refusal;

/// Why something a peer sent was not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerFault {
    /// Shorter than the two bytes every frame starts with.
    #[error("a frame of {0} bytes")]
    Short(usize),
    /// A wire version this code does not speak.
    #[error("wire version {0}: this node speaks {WIRE_OLDEST} to {WIRE_NEWEST}")]
    Version(u8),
    /// A message kind this version does not have.
    #[error("unknown message kind {0}")]
    Kind(u8),
    /// The body is not what the kind promises.
    #[error("message kind {kind}: {why}")]
    Body {
        /// The kind.
        kind: u8,
        /// What is wrong with it.
        why: BodyFault,
    },
    /// More partitions asked for at once than a round has under way, or one of them twice.
    #[error("asked for {all} partitions at once, {distinct} different: at most {most}")]
    AskedTooMuch {
        /// Partitions asked for.
        all: usize,
        /// How many of them differ.
        distinct: usize,
        /// As many as an honest peer asks for.
        most: usize,
    },
    /// A partition that the mesh does not have.
    #[error("{what} partition {partition}: there are {partitions}")]
    NoSuchPartition {
        /// What it was named for: "a requested", "an adopted".
        what: &'static str,
        /// Its number.
        partition: u16,
        /// How many there are.
        partitions: u16,
    },
    /// More parts or pairs than there are partitions.
    #[error("{what} of {named} partitions: there are {partitions}")]
    TooManyPartitions {
        /// What names them.
        what: &'static str,
        /// How many it names.
        named: usize,
        /// How many there are.
        partitions: u16,
    },
    /// Hashes of another number of partitions than there are.
    #[error("hashes of {hashed} partitions: there are {partitions}")]
    Hashes {
        /// How many were hashed.
        hashed: usize,
        /// How many there are.
        partitions: u16,
    },
    /// An audit of more partitions than are compared at once.
    #[error("an audit of {named} partitions: at most {most}")]
    AuditTooLarge {
        /// How many it names.
        named: usize,
        /// As many as an honest peer compares at once.
        most: usize,
    },
    /// A partition taken apart into another number of buckets.
    #[error("sums of {buckets} buckets: {expected} expected")]
    Buckets {
        /// How many were summed.
        buckets: usize,
        /// How many there are.
        expected: usize,
    },
    /// Page after page that brings nothing and is not the last.
    #[error("{pages} pages of partition {partition} without anything new")]
    IdlePages {
        /// How many.
        pages: u32,
        /// Of what.
        partition: u16,
    },
    /// What it sent was read, and the replica refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its clock is further from this one than members may be. A wrong clock is nobody's fault.
    #[error("its clock is {apart_ms} ms {} this one (max_drift_ms = {max_ms})", if *.ahead { "ahead of" } else { "behind" })]
    ClockApart {
        /// How far (ms).
        apart_ms: u64,
        /// Whether it is ahead.
        ahead: bool,
        /// How far clocks may be apart (ms).
        max_ms: u64,
    },
}

impl PeerFault {
    /// Whether an honest peer never does it.
    pub fn breaks_a_rule(&self) -> bool {
        !matches!(self, Self::ClockApart { .. })
    }
}

/// What is wrong with a message's body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// It is no MessagePack of the message's shape: the decoder's words.
    #[error("{0}")]
    Shape(String),
    /// A push claims counters that cannot be.
    #[error("an impossible claim: {span} counters up to {hi}")]
    Claim {
        /// How many counters it spans.
        span: u64,
        /// The last of them.
        hi: u64,
    },
    /// Coverage ends within a number that should follow.
    #[error("{0} cut short")]
    CutShort(&'static str),
    /// More ranges of one origin than two replicas together can have.
    #[error("{ranges} ranges of one origin: at most {most}")]
    TooManyRanges {
        /// How many.
        ranges: u64,
        /// As many as can be.
        most: u64,
    },
    /// A range beyond what counters can be.
    #[error("a range out of bounds")]
    RangeOutOfBounds,
    /// A range that nobody can have written.
    #[error("an impossible range {lo}..={hi}")]
    Range {
        /// First counter.
        lo: u64,
        /// Last counter.
        hi: u64,
    },
    /// An index beyond the frame's table of origins.
    #[error("origin index {index} out of range: the frame names {named}")]
    OriginIndex {
        /// The index.
        index: u64,
        /// How many origins the table has.
        named: usize,
    },
    /// A number where a partition's should be that is none in any mesh.
    #[error("{what} partition {number} out of range")]
    Partition {
        /// What it was named for.
        what: &'static str,
        /// The number.
        number: u64,
    },
    /// Sums of another number of partitions than are named.
    #[error("{sums} exact sums of {partitions} partitions")]
    Sums {
        /// Sums.
        sums: usize,
        /// Partitions.
        partitions: usize,
    },
    /// A comparison that names nothing.
    #[error("a comparison of nothing")]
    NothingCompared,
    /// Hashes come in eights of bytes.
    #[error("{0} bytes of partition hashes: a hash has 8")]
    HashBytes(usize),
}
