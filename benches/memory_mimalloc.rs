//! Resident bytes a session with the allocator the binary ships. `cargo bench --bench memory_mimalloc`
#![allow(missing_docs)]

mod support;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    support::memory("mimalloc");
}
