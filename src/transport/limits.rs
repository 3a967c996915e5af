//! What a stranger, or a member gone bad, can make a transport hold or do: each bound with its reason.

use std::time::Duration;

/// Handshakes served at once. A mesh of this size that restarts together gets in at once; beyond it dials are
/// refused and tried again.
pub(super) const MAX_HANDSHAKES: usize = 512;

/// Handshakes served at once for one IP address: half of all, so that none keeps the others out, and enough for a mesh
/// that runs behind one address or on one machine.
pub(super) const MAX_HANDSHAKES_PER_IP: usize = 256;

/// With so many handshakes under way, one whose address is not proven is answered with a Retry (RFC 9000, section 8.1.2):
/// a few bytes instead of a certificate, sent three times as large as what was received to wherever a forged packet says.
/// A mesh that starts together has fewer at one node; where it has more, each takes one round trip longer.
pub(super) const RETRY_FROM: usize = 64;

/// Links with one address, a port included: one, and another life's that is about to end, and some that cross.
pub(super) const MAX_LINKS_PER_ADDR: usize = 4;

/// Links in all: twice what the board can list. Each may hold the windows of its streams.
pub(super) const MAX_LINKS: usize = 1_024;

/// A frame of which less than [`STALL_BYTES`] come in this time is given up, and its link with it. A line that carries
/// less than 2 kB/s carries no mesh; a link is taken for dead after seconds of silence.
pub(super) const STALL: Duration = Duration::from_secs(30);

/// See [`STALL`].
pub(super) const STALL_BYTES: usize = 64 << 10;

/// Bytes of a frame that wait for nobody: an ordinary page fits. Beyond this a frame takes room that all links share.
pub(super) const FREE_FRAME_BYTES: usize = 1 << 20;

/// Room for frames that have not come whole, beyond the largest that there may be (bytes).
pub(super) const SPARE_FRAME_BYTES: usize = 64 << 20;

/// Lines told of one cause in ten seconds, whatever the number of addresses: what a person can read.
pub(super) const MAX_LINES_PER_CAUSE: u32 = 20;

/// One line about one address (without its port) and one cause in this time.
pub(super) const QUIET: Duration = Duration::from_secs(10);

/// Addresses remembered for that. Beyond it all are forgotten: strangers may come from any number of addresses, and the
/// budget of lines holds all the same.
pub(super) const MAX_REMEMBERED: usize = 1_024;

/// Gossip packets that wait for one dial; what comes beyond is dropped, as gossip may be.
pub(super) const MAX_PENDING_PACKETS: usize = 16;

/// Addresses dialled at once of those that were silent before. Without any link all are dialled in earnest.
pub(super) const VAIN_DIALS: usize = 2;

/// Longest text of the cluster-wide limits that is passed on to an operator, in bytes: five times today's.
pub(super) const MAX_LIMITS_BYTES: usize = 1 << 10;

/// Deepest nesting in a handshake message: unknown fields of later versions are skipped, not followed forever.
pub(super) const MAX_HELLO_DEPTH: usize = 16;

/// Gossip streams that may wait for each other on one link.
pub(super) const MAX_GOSSIP_STREAMS: usize = 64;

/// Addresses asked in one life of a transport. A mesh has one namesake to tell of, or none; a member that lies must not
/// keep a joiner waiting for ever.
pub(super) const MAX_ASKED: usize = 8;
