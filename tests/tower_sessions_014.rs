//! The same store beneath tower-sessions 0.14: every test of `web/tower_sessions` once more.

extern crate tower_sessions_014 as tower_sessions;

#[path = "web/tower_sessions/mod.rs"]
mod all;
#[path = "meshes/mod.rs"]
mod meshes;
