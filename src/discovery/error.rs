//! What can go wrong for the caller of discovery. Peers' faults never arrive here: they are counted in health.

/// Why a call to discovery was refused. No variant leaves anything half done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// The configuration cannot work; nothing was started.
    #[error("discovery configuration: {field}: {reason}")]
    Config {
        /// The field at fault.
        field: &'static str,
        /// What is wrong with it, in words for the operator.
        reason: String,
    },
    /// A key or value does not fit the board; nothing was published.
    #[error("cannot publish {key:?}: {reason}")]
    Publish {
        /// The key as the caller gave it.
        key: String,
        /// Which bound it breaks.
        reason: String,
    },
    /// The gossip server could not be started; nothing runs.
    #[error("gossip server did not start: {0}")]
    Start(String),
    /// Discovery was shut down or has left the mesh; nothing was published.
    #[error("discovery has stopped")]
    Stopped,
}
