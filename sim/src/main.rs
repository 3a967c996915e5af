//! The `sessionmesh-sim` command.

fn main() {}
