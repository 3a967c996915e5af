//! Helpers for tests over real processes: children whose output is kept, agents, and a small HTTP client.
//!
//! Everything waits on events (a line of output, the end of a process, an answer) under one [`CEILING`], and a test
//! that fails prints what its children said. No test needs to clean up: a child dies with its handle, and with the
//! test process in any case, because agents watch the pipe on their stdin.

// Each test binary uses its own part of this.
#![allow(dead_code, unused_imports)]

pub mod agent;
pub mod child;
pub mod http;

use std::process::Command;
use std::time::{Duration, Instant};

pub use agent::{Agent, Launch};
pub use child::Child;
pub use http::{Answer, Target};

/// Nothing in these tests takes longer, on the slowest machine; what does, hangs.
pub const CEILING: Duration = Duration::from_secs(60);

/// Runs `ip` with these words.
///
/// # Errors
/// What it says: this machine may not have it, or not let us use it.
pub fn ip(words: &str) -> Result<(), String> {
    let output =
        Command::new("ip").args(words.split_whitespace()).output().map_err(|e| format!("ip: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// Asks until there is an answer: for what no event tells, such as another process's view.
///
/// # Panics
/// After [`CEILING`], naming `what`.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + CEILING;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {CEILING:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
