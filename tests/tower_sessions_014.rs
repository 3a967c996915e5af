//! The same store beneath tower-sessions 0.14: every test of `tower_sessions.rs` once more.

extern crate tower_sessions_014 as tower_sessions;

#[path = "tower_sessions.rs"]
mod all;
