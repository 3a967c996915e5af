//! The tokio driver: runs one core node over the transport and discovery.
//!
//! All of the node's inputs meet in one task ([`engine`]); embedders' threads share only the replica and the small
//! tables here. The core does not know that tokio exists, and nothing above this floor sees a frame.

mod absent;
mod acks;
mod clock;
mod conduct;
mod ending;
mod engine;
mod found;
mod hold;
mod home;
mod life;
mod lines;
mod lives;
mod observe;
mod pulse;
mod refusals;
mod roster;
mod seeds;
mod shared;
mod timer;
pub(crate) mod told;
mod trace;
mod watchers;

pub(crate) use conduct::Faulty;
pub(crate) use engine::EngineConfig;
pub use engine::StartError;
pub(crate) use home::{StopOnDrop, start};
#[cfg(feature = "dashboard")]
pub(crate) use observe::{Flow, Note, NoteKind, Observed};
pub(crate) use refusals::Refusal;
pub(crate) use shared::{Answers, Asker, Command, MemberView, Numbers, SILENT, Shared};
pub use shared::{ForgetError, Stopped};
pub(crate) use timer::{until, within};
pub(crate) use trace::Tracer;
