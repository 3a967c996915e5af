//! Web sessions without a session server: services embed a node, nodes find each other by gossip, and every node
//! holds the sessions as last-writer-wins CRDT maps. No leader, no external store.
//!
//! ```
//! use std::time::Duration;
//! use sessionmesh::{Expiry, Mesh};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mesh = Mesh::builder().cluster("shop").start().await?;       // alone; `seeds` and a secret to find others
//! mesh.ready().await?;                                            // not before: an unknown session is a user logged out
//! let sessions = mesh.sessions();
//! let created = sessions.create(Expiry::sliding(Duration::from_secs(1_800)), |s| s.set("user", "ada"))?;
//! created.replicated().await;                                     // one more node holds it, if another is there
//! let session = sessions.get(&created.id()).session().ok_or("it was just created")?;
//! assert_eq!(session.get::<&str>("user")?, Some("ada"));
//! sessions.destroy(&created.id())?;                               // final: no write brings it back
//! mesh.leave().await;                                             // hand over, say goodbye
//! # Ok(()) }
//! ```
//!
//! Adapters for web frameworks are in [`web`]; `README.md` and `docs/EMBEDDING.md` show each way in.
//!
//! # Reader's map
//! * [`mesh`]: the public handle. Start at [`Mesh::builder`] and [`Sessions`].
//! * [`web`]: adapters for web frameworks; `conformance`: what any session store owes its users, as checks.
//! * `dashboard`: page, JSON API and metrics as an axum router, behind a feature.
//! * `driver`: the task that runs a node; [`discovery`]: who exists; [`transport`]: QUIC between nodes.
//! * [`core`]: the data plane, pure and deterministic: `core::node` is the state machine, `core::session` the
//!   lattice, `core::replica` what a node holds, `core::wire` the wire.
//!
//! Lower floors never import upper ones. `docs/ARCHITECTURE.md` draws the picture, `docs/ALGORITHM.md` has the proofs.

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "dashboard")]
pub mod dashboard;
#[cfg(feature = "dashboard-page")]
pub mod dashboard_page;
pub mod discovery;
#[cfg(any(feature = "axum", feature = "dashboard"))]
#[doc(hidden)]
pub mod door;
mod driver;
mod limits;
mod lines;
pub mod mesh;
pub mod transport;
pub mod web;

#[macro_use]
extern crate sessionmesh_core;

/// The data plane, a crate of its own: pure and deterministic.
pub mod core {
    pub use sessionmesh_core::*;
}

pub use crate::core::replica::WriteError;
pub use crate::core::session::{LogHash, SessionId};
pub use crate::driver::{ForgetError, StartError, Stopped};
pub use crate::lines::Lines;
#[cfg(any(feature = "_merge", feature = "dashboard"))]
pub use mesh::AsJson;
pub use mesh::{
    Builder, Config, ConfigError, Error, Expiry, FieldError, Fields, Found, MemberInfo, Mesh,
    MisbehavingInfo, Receipt, RefusedInfo, Revocation, SecretSource, Session, SessionEvent, Sessions,
    Shutdown, Status, TooFewCopies, Watch,
};

/// The README's code compiles.
#[cfg(all(doctest, feature = "actix", feature = "axum", feature = "tower-sessions"))]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

/// The manual's code compiles.
#[cfg(all(doctest, feature = "dashboard"))]
#[doc = include_str!("../docs/DASHBOARD.md")]
struct DashboardDoctests;
