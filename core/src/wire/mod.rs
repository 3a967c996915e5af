//! Replication between nodes: messages, their wire form, and the state machine that exchanges them.

mod codec;
mod entry;
mod message;
mod split;
mod table;

pub use codec::{
    DecodeError, PageFrame, PushFrame, PushPart, decode, encode, encode_page, encode_push, encode_push_part,
    encode_tell, flatten_ranges, is_marked_incomplete, mark_incomplete, unflatten_ranges,
};
pub use entry::{Bases, EntryReader, EntryWriter, WireEntry};
pub use message::{Inc, Message, PageHeader, PushHeader, SyncItem, Verdict, WIRE_NEWEST, WIRE_OLDEST, pairs};
pub use split::in_frames;
pub use table::OriginTable;
