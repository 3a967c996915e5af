//! What a node holds of others, of its own log and of what waits: each bound with its reason. Bounds of the data plane are in
//! `core/src/limits.rs`, those of the network in `transport/limits.rs`.

/// Lines of the log that may wait for whoever takes them: minutes of an ordinary node's.
pub(crate) const MAX_QUEUED_LINES: usize = 8_192;

/// Bytes of lines of the log that may wait.
pub(crate) const MAX_QUEUED_LINE_BYTES: usize = 4 << 20;

/// Gossip packets that may wait for discovery; more are dropped, as gossip may be.
pub(crate) const MAX_QUEUED_GOSSIP: usize = 256;

/// Lines of a trace that may wait for the disk.
pub(crate) const MAX_QUEUED_TRACE_LINES: usize = 8_192;

/// Notes an observer may lag behind before it misses some.
pub(crate) const NOTES: usize = 1_024;

/// Bytes of notes that wait for who listens: a conflict has both values, of up to a record each.
pub(crate) const NOTES_BYTES: usize = 8 << 20;

/// Events watchers may lag behind before they are told to resync.
pub(crate) const WATCH_EVENTS: usize = 4_096;

/// Bytes of events that wait for one watcher: an edit may name a thousand fields.
pub(crate) const WATCH_BYTES: usize = 8 << 20;

/// Missing members a node names on the board: at up to 300 bytes each they fit a value of 8 KiB.
pub(crate) const MAX_NAMED: usize = 24;

/// Names of lives that are remembered, for sentences that tell of one; beyond they are learnt anew.
pub(crate) const MAX_NAMES: usize = 2_048;

/// Addresses of namesakes told in one life: a mesh has one to tell of, or none.
pub(crate) const MAX_NAMESAKES: usize = 8;

/// Records that one logout looks at: more than honest log-ins make of one session.
pub(crate) const MAX_RELATIVES: usize = 256;

/// Sessions of which that is remembered, at 24 bytes each; beyond, all are forgotten, which costs a question each.
pub(crate) const MAX_VAIN_ASKS: usize = 4_096;
