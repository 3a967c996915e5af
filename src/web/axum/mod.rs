//! [`SessionLayer`] and [`Session`]: sessions for axum, for those who want more than a store trait can say.
//!
//! ```no_run
//! use axum::{Router, routing::post};
//! use sessionmesh::web::axum::{Result, Session, SessionLayer};
//!
//! async fn visit(session: Session) -> Result<String> {
//!     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
//!     session.set("visits", &visits)?;
//!     Ok(format!("visit {visits}"))
//! }
//!
//! # fn app(mesh: sessionmesh::Mesh) -> Router {
//! Router::new().route("/visit", post(visit)).layer(SessionLayer::new(mesh.sessions()))
//! # }
//! ```
//!
//! * **Every read and write is of one key, and immediate**: nothing is loaded before a request and nothing saved after
//!   it, so that there is nothing to overwrite. A write is refused, and says so, once the session has ended anywhere
//!   this node knows of.
//! * **A client reads its own writes, on whichever node it lands**: its cookie names them, signed, and the node waits
//!   until it holds them ([`SessionLayer::with_patience`]), asking its peers for what does not come. If nobody can
//!   bring it, the request is served what is here, or refused: [`Behind`].
//! * **The answer waits for a second copy** of what was written, while another member is alive.
//! * **The cookie** is `HttpOnly`, `SameSite=Lax`, and `Secure` unless the request came to a loopback host. It names a
//!   session and carries a key of it, neither of which a client made up. It is taken away for a session that is known to
//!   have ended, and never replaced by that of another request that was slower.
//! * **[`Session::rotate`]** gives the session a new key, and those still under way with the old one a few seconds.
//!   **[`Session::login`]** begins a new session. Nothing of what the client holds is given up before the answer carries
//!   what takes its place: a handler that panics, or a client that hangs up, leaves all as it was.
//! * **[`Session::logout`]** ends all that log-ins made of the session, everywhere, for good.
//!
//! Writes made after the response began, from a body that streams, are written like any; they are not in the cookie.

mod config;
mod cookie;
mod error;
mod extract;
mod headers;
mod health;
mod hold;
mod plain_http;
mod service;
mod session;

pub use ::cookie::SameSite;
pub use config::{Behind, Secure, SessionLayer};
pub use error::{Result, SessionError};
pub use health::Health;
pub use service::SessionService;
pub use session::{Carried, Session};
