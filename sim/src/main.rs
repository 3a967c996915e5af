//! The `sessionmesh-sim` command.

mod cli;

/// A run allocates a frame for every message: the allocator is a tenth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
