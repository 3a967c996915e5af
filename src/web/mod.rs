//! Adapters for web frameworks, each behind a feature. `docs/EMBEDDING.md` shows how to use them.

#[cfg(feature = "actix")]
pub mod actix;
#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "_merge")]
// Each adapter uses its own part of it.
#[cfg_attr(not(all(feature = "actix", feature = "_tower")), allow(dead_code, unused_imports))]
mod merge;
#[cfg(feature = "_tower")]
pub mod tower_sessions;

/// The guide's snippets, compiled and run as doctests.
#[cfg(all(
    doctest,
    feature = "actix",
    feature = "axum",
    feature = "conformance",
    feature = "tower-sessions",
    feature = "tower-sessions-014"
))]
#[doc = include_str!("../../docs/EMBEDDING.md")]
struct Guide;
