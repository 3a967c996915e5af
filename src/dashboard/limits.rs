//! Every bound of the dashboard, in one place, each with its reason.

use std::time::Duration;

/// Conflicts kept with what lost: an afternoon of a busy shop, about 1 MB with values of a kilobyte.
pub(super) const CONFLICTS: usize = 1_000;
/// Events kept: about an hour of a mesh of a hundred in which every member flaps once a minute would not fit, and
/// need not; a healthy mesh makes a few a day.
pub(super) const EVENTS: usize = 1_000;
/// Longest text of one event (bytes): warnings of the core name a peer and a cause.
pub(super) const EVENT_TEXT_BYTES: usize = 500;
/// Most bytes of one side's value kept in the ring of conflicts: enough to see what it was.
pub(super) const CONFLICT_VALUE_BYTES: usize = 4 * 1024;
/// Longest value shown as JSON (bytes as stored).
pub(super) const SHOWN_JSON_BYTES: usize = 4 * 1024;
/// Bytes shown of a value that is no JSON.
pub(super) const SHOWN_HEX_BYTES: usize = 2 * 1024;
/// Members in one answer: more than discovery can know.
pub(super) const MEMBERS: usize = 512;
/// Rows and columns of the lag matrix: 128 by 128 numbers are about 300 kB.
pub(super) const MATRIX: usize = 128;
/// Members named as holding back collection.
pub(super) const HOLDING_BACK: usize = 128;
/// Rows of one page of conflicts and events.
pub(super) const PAGE: usize = 1_000;
/// Rows of one page of sessions.
pub(super) const SESSIONS_PAGE: usize = 500;
/// Records looked at for one page of sessions: some milliseconds, a partition's lock held shared for a part of them.
pub(super) const LOOKED_AT: usize = 50_000;
/// Fields named as differing between two copies.
pub(super) const DIFFERING: usize = 100;
/// Streams open at once: a wall screen, a laptop or two, and their reconnects. Each costs one task.
pub(super) const STREAMS: usize = 16;
/// A stream whose client has taken nothing for so long (ms) makes room for another: there is news every second.
pub(super) const STALLED_MS: u64 = 15_000;
/// New events and conflicts in one message of a stream; the rest is in their own paths.
pub(super) const STREAM_NEWS: usize = 100;
/// How often streams are fed and rates are read.
pub(super) const BEAT: Duration = Duration::from_secs(1);
/// A matrix with more columns than this is streamed every fifth beat only: it changes all the time.
pub(super) const STREAMED_MATRIX: usize = 16;
/// Peers are asked about one session at a time: each answer is a whole record.
pub(super) const INSPECTIONS: usize = 2;
/// How long peers have to answer. They answer in a millisecond or two, or not at all.
pub(super) const INSPECT_PATIENCE: Duration = Duration::from_secs(1);
/// Readings that rates are averaged over, a second apart.
pub(super) const READINGS: usize = 6;
/// Beats over which loss is told: five minutes, in which a node has probed some hundreds of times.
pub(super) const PROBED: usize = 300;
/// Counting tombstones walks all records: not more often than this (ms).
pub(super) const TOMBSTONES_AGE_MS: u64 = 10_000;
/// Wrong tokens per second before the login form and the API refuse to look at more.
pub(super) const WRONG_TOKENS_PER_SECOND: u64 = 10;
/// Largest body (bytes): a token, or what a session is found by.
pub(super) const FORM_BYTES: usize = 4 * 1024;
/// Shortest token (characters): 16 random hex digits are 64 bits, past guessing over a network.
pub(super) const MIN_TOKEN_CHARS: usize = 16;
/// A login lasts this long (s): a working day.
pub(super) const LOGIN_S: u64 = 12 * 3_600;
/// How often the canary is written.
pub(super) const CANARY: Duration = Duration::from_secs(10);
/// A peer that was equal within this time (ms) is not behind: writes under way are no divergence.
pub(super) const CATCH_UP_MS: u64 = 5_000;
/// Rounds of gossip after the last change of who lives, before others' word of it is compared: each notices the silence by
/// itself, up to four seconds apart, and a mesh of 64 needs four rounds to carry what each says.
pub(super) const SETTLING_GOSSIPS: u64 = 10;
/// A member that answers others has no link with this node for so long (ms): no start takes that.
pub(super) const UNLINKED_MS: u64 = 10_000;
/// For so long (ms): it does not mend itself.
pub(super) const UNLINKED_LONG_MS: u64 = 60_000;
/// Members that a node publishes as having no link with: each is nine bytes of what gossip carries.
pub(super) const UNLINKED_TOLD: usize = 8;
/// A write answered without its second copy within this time (ms) is news.
pub(super) const RECENT_MS: u64 = 60_000;
