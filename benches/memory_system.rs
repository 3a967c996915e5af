//! Resident bytes a session with the system allocator: what embedders get. `cargo bench --bench memory_system`
#![allow(missing_docs)]

mod support;

fn main() {
    support::memory("system");
}
