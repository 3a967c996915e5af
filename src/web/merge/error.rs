//! Why a store could not do what it was asked. Nothing was changed in either case.

use crate::mesh::Error;

/// A result of the merge.
pub type Result<T> = std::result::Result<T, MergeError>;

/// A refusal, for the adapter to put into its framework's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// The map itself cannot be saved: the application's mistake.
    #[error("{0}")]
    Encode(String),
    /// The node cannot answer, or a limit forbids it. Begins with `503:` if another node may do better.
    #[error("{0}")]
    Backend(String),
}

impl MergeError {
    pub(super) fn over() -> Self {
        let why = "409: the session was ended while this request was under way, and gets no new id; nothing was saved";
        Self::Backend(why.to_owned())
    }

    pub(super) fn went_on() -> Self {
        let why = "409: the session was given another id while this request was under way; nothing was saved";
        Self::Backend(why.to_owned())
    }

    pub(super) fn unavailable(why: &str) -> Self {
        Self::Backend(format!("503: {why}; try again, here or on another node"))
    }
}

impl From<Error> for MergeError {
    fn from(error: Error) -> Self {
        Self::Backend(error.to_string())
    }
}
