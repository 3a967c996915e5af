//! The tokio driver: runs one core node over the transport and discovery.
//!
//! All of the node's inputs meet in one task ([`engine`]); embedders' threads share only the replica and the small
//! tables here. Nothing below this floor knows that tokio exists, nothing above it sees a dot's frame.

mod acks;
mod clock;
mod engine;
mod observe;
mod refusals;
mod roster;
mod shared;
mod trace;

pub use engine::StartError;
pub(crate) use engine::{Engine, EngineConfig};
#[cfg(feature = "dashboard")]
pub(crate) use observe::{Flow, Note, NoteKind, Observed};
pub(crate) use refusals::Refusal;
pub use shared::Stopped;
pub(crate) use shared::{Asker, Command, MemberView, Numbers, Shared};
pub(crate) use trace::Tracer;
