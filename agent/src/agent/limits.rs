//! Every bound of the agent's HTTP server, in one place, each with its reason.

use std::time::Duration;

/// Clients served at once. Application servers keep pools of tens. One more takes the place of the one that has been idle
/// longest; while all of them are being served, more wait in the operating system's queue.
pub const CONNECTIONS: usize = 4_096;
/// How long the head of a connection's first request may take: clients connect in order to ask.
pub const FIRST_HEAD: Duration = Duration::from_secs(10);
/// How long the head of a later one may take, or a kept connection stay silent: pools of clients keep theirs for 5 to 60 s.
pub const LATER_HEAD: Duration = Duration::from_secs(60);
/// How long a client may take no byte of an answer: as long as a suspended laptop's kernel needs to give up is no one's
/// business here.
pub const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// Largest request head (bytes): ours carry an id and a token.
pub const HEAD_BYTES: usize = 32 * 1024;
/// Most headers of one request.
pub const HEADERS: usize = 64;
/// Pause after the operating system refused a connection, such as for want of file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a body may take to arrive: half a MB/s for the largest default one, with room.
pub const BODY_PATIENCE: Duration = Duration::from_secs(10);
/// The first bytes of a body have room in any case (times `CONNECTIONS`: 64 MiB), so that large ones, and those that never
/// end, keep out no ordinary request.
pub const FREE_BODY_BYTES: usize = 16 * 1024;
/// Bytes of request bodies beyond that held at once, whoever sends them: thirty of the largest by default. At least two of
/// the largest that are configured.
pub const BODY_BUDGET_BYTES: usize = 64 << 20;
/// Bytes read and thrown away beyond `http.max_body_bytes`, so that a client that writes first and reads then gets to see
/// the refusal instead of a reset connection.
pub const DISCARDED_BYTES: usize = 8 << 20;
/// How long an old key goes on being good after a rotation or a log-in (ms) if the request does not say: as the axum layer
/// has it. It covers requests under way, and an application that dies before its own answer has told the browser.
pub const GRACE_MS: u64 = 10_000;
/// The longest (ms): ten minutes, for an upload under way. For so long whoever else knew the old key can use it.
pub const MAX_GRACE_MS: u64 = 600_000;
