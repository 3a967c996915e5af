//! The pure core: no clock, no entropy, no sockets, no threads. Time, randomness and the hash key come in
//! from outside; effects leave as values. That is what lets the simulator run the shipped code.

pub mod causality;
pub mod limits;
pub mod marks;
pub mod node;
pub mod replica;
pub mod replication;
pub mod session;
pub mod time;
