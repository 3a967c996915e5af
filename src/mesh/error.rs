//! Errors of the public face: each names the culprit, the cause, and whether state changed.

use super::config::ConfigError;
use crate::core::replica::WriteError;
use crate::driver::{StartError, Stopped};

/// What can go wrong with a mesh.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is missing or impossible. Nothing runs.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The node could not start. Nothing runs.
    #[error(transparent)]
    Start(StartError),
    /// The node runs no more. Nothing changed.
    #[error(transparent)]
    Stopped(Stopped),
    /// A write was refused. Nothing changed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A value could not be encoded. Nothing changed.
    #[error("field {key:?} cannot be encoded: {cause}")]
    Encode {
        /// The field.
        key: String,
        /// serde's words.
        cause: String,
    },
    /// A member was not forgotten. Nothing changed.
    #[error(transparent)]
    Forget(#[from] crate::driver::ForgetError),
    /// A fact was not published. Nothing changed.
    #[error(transparent)]
    Publish(#[from] crate::discovery::DiscoveryError),
    /// The closure passed to an edit failed. Nothing changed.
    #[error("{0}")]
    Edit(String),
}
