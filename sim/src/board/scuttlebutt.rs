//! chitchat's scuttlebutt protocol, as a model inside the event loop.

/// A gossip message of the model.
#[derive(Clone, Debug, Default)]
pub struct Gossip {}
