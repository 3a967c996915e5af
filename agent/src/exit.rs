//! Exit codes, in one table: scripts and service managers decide by them.

use std::process::ExitCode;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Ok = 0,
    /// Something failed while running.
    Runtime = 1,
    /// The command line or the configuration is wrong. Nothing ran.
    Usage = 2,
    /// A port or socket could not be bound, or the host has no route to find its own address by. Nothing ran; it may pass.
    Bind = 3,
    /// Another process runs under this node's name: a newcomer does not start beside it, and of two that serve one stops.
    Clone = 4,
    /// Stopped before a peer had adopted every write of this node.
    Undrained = 5,
    /// `status`: the node is unreachable or not ready.
    NotReady = 6,
}

/// Every exit code and what it means.
pub const EXIT_CODES: [(Exit, &str); 7] = [
    (Exit::Ok, "success"),
    (Exit::Runtime, "failure while running"),
    (Exit::Usage, "usage or configuration: nothing was started"),
    (
        Exit::Bind,
        "port in use, an address that cannot be bound, or no network yet: nothing was started, try again",
    ),
    (Exit::Clone, "another process carries this node's name: not started beside it, or stopped"),
    (Exit::Undrained, "stopped with writes that no other member has acknowledged"),
    (Exit::NotReady, "status: the node is not ready, or cannot be reached"),
];

/// The table as the end of a help page.
pub fn help() -> String {
    let lines = EXIT_CODES.iter().map(|(exit, meaning)| format!("  {}  {meaning}\n", *exit as u8));
    format!("Exit codes:\n{}", lines.collect::<String>())
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do its work: the exit code, and a sentence naming culprit and cause.
#[derive(Debug)]
pub struct Failure {
    /// The code to exit with.
    pub exit: Exit,
    /// What to tell on stderr.
    pub message: String,
}

impl Failure {
    /// A failure of the given kind.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// A wrong command line or configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something that failed while running.
    pub fn runtime(message: impl Into<String>) -> Self {
        Self::new(Exit::Runtime, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_code_once_and_in_order() {
        let codes: Vec<u8> = EXIT_CODES.iter().map(|(exit, _)| *exit as u8).collect();
        assert_eq!(codes, (0..7).collect::<Vec<u8>>());
        assert!(help().contains("  4  another process carries this node's name"));
    }
}
