//! What nodes say to each other of sessions, and how it looks on the wire: one file a message, which has its fields,
//! its story, and what each wire version writes and reads of it.
//!
//! The protocol's story. Every interval a node sends one peer a [`Digest`]: one hash over everything it covers. The peer
//! answers [`Equal`], which completes a round of every partition at once, or [`Unequal`] with a hash per partition; the
//! requester then asks for the unequal ones with [`Sync`], naming what it has, and gets [`Page`]s until each is complete.
//! It reports what it adopted in [`Adopted`]. A local write does not wait for that: it leaves at once as a [`Push`],
//! acknowledged by [`PushAck`]. [`Ask`] and [`Tell`] read one session through; [`Audit`] and [`AuditDiff`] look for what
//! equal vectors cannot show, [`Compare`] and [`Compared`] also while vectors differ.
//!
//! A frame is `version u8 · kind u8 · one MessagePack value` (`frame.rs`), read once at the door (`message.rs`). A field
//! is added at the end of its message under a new version: `encode(version)` leaves out what a version does not know,
//! `decode(version)` fills in what it did not write and passes over what a later one appended (`read.rs`). Every message
//! has golden bytes in `sim/tests/state_machine/golden.rs`.

mod adopted;
#[cfg(test)]
mod appended;
mod ask;
mod audit;
mod audit_diff;
mod compare;
mod compared;
mod digest;
mod entry;
mod equal;
mod fault;
mod freshness;
#[cfg(test)]
mod golden;
mod message;
mod number;
mod page;
mod push;
mod push_ack;
mod ranges;
mod read;
mod sync;
mod table;
mod tell;
mod unequal;
mod write;

pub use adopted::Adopted;
pub use ask::Ask;
pub use audit::{Audit, AuditSum};
pub use audit_diff::AuditDiff;
pub use compare::{Compare, ExactSum, Sums};
pub use compared::{Compared, Verdict, Verdicts};
pub use digest::Digest;
pub use entry::{Bases, EntryReader, EntryWriter, WireEntry};
pub use equal::Equal;
pub use fault::{BodyFault, PeerFault};
pub use freshness::Inc;
pub use message::{Frame, Message, decode, encode};
pub use number::Purpose;
pub use page::{Page, PageHeader};
pub use push::{Push, PushHeader, PushPart, encode_push_part};
pub use push_ack::PushAck;
pub use sync::{Sync, SyncItem};
pub use table::OriginTable;
pub use tell::{Tell, TellHeader};
pub use unequal::{Hashes, Unequal};

/// The oldest wire version this code speaks. Version 1 carries no conflict context: whether an overwrite by such a peer
/// was concurrent is not known.
pub const WIRE_OLDEST: u16 = 1;
/// The newest wire version this code speaks.
pub const WIRE_NEWEST: u16 = 2;
