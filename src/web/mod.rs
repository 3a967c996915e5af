//! Adapters for web frameworks, each behind a feature. `docs/EMBEDDING.md` shows how to use them.

#[cfg(feature = "actix")]
pub mod actix;
#[cfg(feature = "_merge")]
mod merge;
#[cfg(feature = "_tower")]
pub mod tower_sessions;

/// The guide's snippets, compiled and run as doctests.
#[cfg(all(doctest, feature = "tower-sessions"))]
#[doc = include_str!("../../docs/EMBEDDING.md")]
struct Guide;
