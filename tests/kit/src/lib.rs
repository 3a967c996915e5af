//! Helpers for tests over real processes: children whose output is kept, agents, and a small HTTP client.
//!
//! Everything waits on events (a line of output, the end of a process, an answer) under one [`CEILING`], and a test
//! that fails prints what its children said. No test needs to clean up: a child dies with its handle, and with the
//! test process in any case, because agents watch the pipe on their stdin.

pub mod agent;
#[cfg(target_os = "linux")]
pub mod browser;
pub mod child;
pub mod http;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

pub use agent::{Agent, Launch};
pub use child::Child;
pub use http::{Answer, Target};

/// Nothing in these tests takes longer, on the slowest machine; what does, hangs.
pub const CEILING: Duration = Duration::from_secs(60);

/// The `sessionmesh` command of this build: beside the folder of the test that runs.
///
/// # Panics
/// If it was not built: then the test was not run by cargo in the agent's package.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("this test's own path");
    let built = test.parent().and_then(|deps| deps.parent()).expect("a folder of what was built");
    let binary = built.join("sessionmesh");
    assert!(binary.is_file(), "{}: not built; cargo builds it for the agent's tests", binary.display());
    binary
}

/// Waits for something that must come.
///
/// # Panics
/// After [`CEILING`], naming `what`.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(CEILING, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {CEILING:?}"),
    }
}

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
