//! The agent as its users see it: real processes, real sockets.

mod absent;
mod api;
mod cluster;
mod commands;
mod dashboard;
mod deaths;
mod doors;
mod ends;
mod full;
mod guards;
mod keys;
mod logouts;
mod names;
mod network;
mod pipes;
mod polyglot;
mod principals;
mod processes;
mod refused;
