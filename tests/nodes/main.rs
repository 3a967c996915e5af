//! Nodes over real sockets, in one process: what embedders call, what the transport and discovery do, and what peers can do to them.

#[path = "../meshes/mod.rs"]
mod meshes;

mod discovery;
mod ended;
mod expiry;
mod forget;
mod kept_out;
mod mesh;
mod owned;
mod principals;
mod transport;
mod watch;
