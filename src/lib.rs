//! sessionmesh: web sessions without a session server.

pub mod core;
pub mod discovery;
pub mod transport;
