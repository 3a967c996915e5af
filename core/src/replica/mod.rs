//! The replica: partitions of records with their causality, behind one lock each.
//!
//! Embedded reads and local writes come straight here and never queue behind the node: a read takes its
//! partition's lock shared, a write exclusively for one operation. No lock is held while another is, but for the
//! index of principals, which is a leaf.

mod arena;
mod audit;
mod context;
mod cover;
mod dump;
mod ends;
mod local;
mod memory;
mod merge;
mod page;
mod partition;
mod principals;
mod reap;
mod remote;
mod revived;
mod revoke;
mod revoke_again;
mod size;
mod store;
mod tell;

pub use arena::{Arena, Held, Place};
pub use audit::{Sifted, bucket_of};
pub use dump::{Dumped, DumpedLive, Stamp};
pub use local::{Change, Seen, Stamper, WriteError, Written, touch_quantum_ms};
pub use memory::Need;
pub use page::{Base, EntrySink, PageOut, PushOut};
pub use partition::{Counts, Partition};
pub use reap::{GONE, gone_is_over};
pub use remote::{Claim, Entry, Gate, PageIn, PageOutcome, Refusal};
pub use revoke::Revoked;
pub use size::Extent;
pub use store::{Lookup, Replica, Serving, View};
pub use tell::{ConflictEvent, Happened, Watchers};
