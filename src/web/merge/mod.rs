//! What adapters for savers of whole maps have in common: concurrent requests merge per key.
//!
//! A framework's store trait hands over a whole map at the end of a request and nothing about what changed in it. So
//! a load hides in the map what the request was shown ([`token`]), a save writes only what differs from it
//! ([`plan`]), a logout is final ([`logout`]), and a new id is told from one ([`cycles`]). [`Merge`] does this on encoded values; an adapter translates ids,
//! values and errors.

mod create;
mod cycles;
mod engine;
mod error;
pub mod expiry;
mod limits;
mod logout;
mod plan;
mod recent;
mod request;
mod token;
mod value;
mod whose;

pub use create::Create;
pub use engine::{Merge, Save, copied};
pub use error::{MergeError, Result};
pub use expiry::Asked;
pub use plan::Given;
pub use request::MapName;
pub use token::{HIDDEN_KEY, carried};
pub use value::{decode, encode, hash};
