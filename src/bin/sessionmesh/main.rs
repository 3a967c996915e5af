//! The `sessionmesh` command.

mod client;

fn main() {}
