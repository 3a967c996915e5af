//! The door: a frame is read here once, and what goes further is true by its type.

use super::adopted::Adopted;
use super::ask::Ask;
use super::audit::{self, Audit};
use super::audit_diff::{self, AuditDiff};
use super::compare::Compare;
use super::compared::Compared;
use super::digest::Digest;
use super::equal::Equal;
use super::fault::{BodyFault, PeerFault};
use super::page::Page;
use super::push::Push;
use super::push_ack::PushAck;
use super::sync::Sync;
use super::tell::Tell;
use super::unequal::Unequal;
use super::{WIRE_NEWEST, WIRE_OLDEST};
use crate::frame::{Kind, Split, split};

/// A frame that came over a link's streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// What nodes say to each other of sessions.
    Sessions(Message<'a>),
    /// A detector's packet, which its own decoder reads.
    Detectors(&'a [u8]),
}

impl<'a> Frame<'a> {
    /// Reads a frame.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(bytes: &'a [u8]) -> Result<Self, PeerFault> {
        match Kind::of(bytes) {
            Some(kind) if kind.is_detectors() => Ok(Self::Detectors(bytes)),
            _ => decode(bytes).map(Self::Sessions),
        }
    }
}

/// Everything nodes say to each other of sessions, borrowed from its frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// "All I cover hashes to this."
    Digest(Digest),
    /// "So does mine."
    Equal(Equal),
    /// "Mine differs; here is each partition's."
    Unequal(Unequal<'a>),
    /// "Of these partitions I have this; send the rest."
    Sync(Sync),
    /// Part of a partition.
    Page(Page<'a>),
    /// "I have now adopted your own counters up to here."
    Adopted(Adopted),
    /// Fresh local writes.
    Push(Push<'a>),
    /// "Adopted, but for these partitions."
    PushAck(PushAck),
    /// "What do you hold of this session?"
    Ask(Ask),
    /// The answer to an `Ask`.
    Tell(Tell<'a>),
    /// "My partitions hash to this, contents and all."
    Audit(Audit),
    /// As `Audit`, from a node that knows three answers.
    Compare(Compare),
    /// Partitions whose coverage is equal and whose contents are not.
    AuditDiff(AuditDiff),
    /// The answer to a `Compare`.
    Compared(Compared<'a>),
}

impl Message<'_> {
    /// The wall time of its sender that it tells (ms).
    pub fn wall_ms(&self) -> Option<u64> {
        match self {
            Self::Digest(digest) => Some(digest.wall_ms),
            Self::Equal(equal) => Some(equal.wall_ms),
            Self::Unequal(unequal) => Some(unequal.wall_ms),
            Self::Sync(sync) => Some(sync.wall_ms),
            Self::Page(page) => Some(page.header.wall_ms),
            Self::Push(push) => Some(push.header.wall_ms),
            Self::Tell(tell) => Some(tell.header.wall_ms),
            Self::Audit(audit) => Some(audit.wall_ms),
            Self::Compare(compare) => Some(compare.wall_ms),
            Self::Adopted(_) | Self::PushAck(_) | Self::Ask(_) | Self::AuditDiff(_) | Self::Compared(_) => {
                None
            }
        }
    }
}

/// Encodes a message for a peer that speaks `version`. Entries are written as they came, in the version they came in.
pub fn encode(version: u16, message: &Message<'_>) -> Vec<u8> {
    match message {
        Message::Digest(digest) => digest.encode(version),
        Message::Equal(equal) => equal.encode(version),
        Message::Unequal(unequal) => unequal.encode(version),
        Message::Sync(sync) => sync.encode(version),
        Message::Page(page) => page.encode(),
        Message::Adopted(adopted) => adopted.encode(version),
        Message::Push(push) => push.encode(),
        Message::PushAck(ack) => ack.encode(version),
        Message::Ask(ask) => ask.encode(version),
        Message::Tell(tell) => tell.encode(),
        Message::Audit(audit) => audit.encode(version),
        Message::Compare(compare) => compare.encode(version),
        Message::AuditDiff(diff) => diff.encode(version),
        Message::Compared(compared) => compared.encode(version),
    }
}

/// Decodes a frame that is no detector's.
///
/// # Errors
/// What is wrong with it.
pub fn decode(bytes: &[u8]) -> Result<Message<'_>, PeerFault> {
    let Split { version, kind, body } = split(bytes).ok_or(PeerFault::Short(bytes.len()))?;
    let spoken = u16::from(version);
    if !(WIRE_OLDEST..=WIRE_NEWEST).contains(&spoken) {
        return Err(PeerFault::Version(version));
    }
    let known = Kind::from_byte(kind).filter(|kind| !kind.is_detectors());
    let known = known.ok_or(PeerFault::Kind(kind))?;
    read(spoken, known, body).map_err(|why| PeerFault::Body { kind, why })
}

fn read(version: u16, kind: Kind, body: &[u8]) -> Result<Message<'_>, BodyFault> {
    Ok(match kind {
        Kind::Digest => Message::Digest(Digest::decode(version, body)?),
        Kind::Equal => Message::Equal(Equal::decode(version, body)?),
        Kind::Unequal => Message::Unequal(Unequal::decode(version, body)?),
        Kind::Sync => Message::Sync(Sync::decode(version, body)?),
        Kind::Page => Message::Page(Page::decode(version, body)?),
        Kind::Adopted => Message::Adopted(Adopted::decode(version, body)?),
        Kind::Push => Message::Push(Push::decode(version, body)?),
        Kind::PushAck => Message::PushAck(PushAck::decode(version, body)?),
        Kind::Ask => Message::Ask(Ask::decode(version, body)?),
        Kind::Tell => Message::Tell(Tell::decode(version, body)?),
        Kind::Audit => audit::decode(version, body)?,
        Kind::AuditDiff => audit_diff::decode(version, body)?,
        Kind::Ping | Kind::Ack | Kind::PingReq | Kind::Relayed | Kind::Nack | Kind::Gossip => {
            return Err(BodyFault::Shape("a detector's packet among messages of sessions".into()));
        }
    })
}
