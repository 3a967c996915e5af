//! What discovery says about itself: for `/health`, the dashboard and the person on call.

use std::net::SocketAddr;

/// A snapshot of discovery's own condition. All counters start at zero with the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiscoveryHealth {
    /// The gossip server runs. False between its death and its restart, and after leave or shutdown.
    pub gossip_alive: bool,
    /// The generation under which we gossip now.
    pub generation: u64,
    /// How often the gossip server died and was started again.
    pub gossip_restarts: u64,
    /// Why it died the last time.
    pub last_gossip_failure: Option<String>,
    /// Incarnations in our digest: live ones and those dead for less than the grace.
    pub known_incarnations: usize,
    /// What was kept away from chitchat.
    pub refused: RefusedPackets,
    /// State of each configured seed, in configured order.
    pub seeds: Vec<SeedHealth>,
    /// Peers remembered as a way back into the mesh when all seeds are gone.
    pub remembered_peers: usize,
    /// Packets handed to the link.
    pub packets_sent: u64,
    /// Bytes handed to the link.
    pub bytes_sent: u64,
    /// Packets of missed rounds that were not made up for, after the process stood still.
    pub rounds_skipped: u64,
    /// Packets taken from the link, refused ones included.
    pub packets_received: u64,
    /// Bytes taken from the link, refused ones included.
    pub bytes_received: u64,
    /// Events lost because nobody read them.
    pub events_dropped: u64,
}

impl DiscoveryHealth {
    /// This condition, with the counters of an earlier life added.
    pub fn with_counts_of(self, past: &Self) -> Self {
        Self {
            gossip_restarts: self.gossip_restarts + past.gossip_restarts,
            refused: self.refused.plus(&past.refused),
            packets_sent: self.packets_sent + past.packets_sent,
            bytes_sent: self.bytes_sent + past.bytes_sent,
            rounds_skipped: self.rounds_skipped + past.rounds_skipped,
            packets_received: self.packets_received + past.packets_received,
            bytes_received: self.bytes_received + past.bytes_received,
            events_dropped: self.events_dropped + past.events_dropped,
            ..self
        }
    }
}

/// Inbound gossip that never reached chitchat, and outbound gossip that never left, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefusedPackets {
    /// Longer than a gossip packet can be, in either direction.
    pub oversize: u64,
    /// Not decodable, or larger than allowed once decompressed.
    pub malformed: u64,
    /// For another cluster.
    pub wrong_cluster: u64,
    /// Carried a key or value chitchat must not store (non-ASCII key, value over 8 KiB ...).
    pub bad_key: u64,
    /// Carried a heartbeat, version or state that would freeze a node's entry or panic the server.
    pub absurd_state: u64,
    /// Claimed to know our own keys better than we do.
    pub forged_self: u64,
    /// Digest entries (not packets) ignored because too many incarnations are known already.
    pub over_ceiling: u64,
    /// Digest entries (not packets) ignored for an impossible node name.
    pub bad_name: u64,
}

impl RefusedPackets {
    fn plus(&self, past: &Self) -> Self {
        Self {
            oversize: self.oversize + past.oversize,
            malformed: self.malformed + past.malformed,
            wrong_cluster: self.wrong_cluster + past.wrong_cluster,
            bad_key: self.bad_key + past.bad_key,
            absurd_state: self.absurd_state + past.absurd_state,
            forged_self: self.forged_self + past.forged_self,
            over_ceiling: self.over_ceiling + past.over_ceiling,
            bad_name: self.bad_name + past.bad_name,
        }
    }
}

/// One seed's resolution state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeedHealth {
    /// The seed as configured.
    pub seed: String,
    /// What it last resolved to. Kept while later attempts fail: an old address beats none.
    pub resolved: Vec<SocketAddr>,
    /// The last attempt's error; `None` once it resolves.
    pub last_error: Option<String>,
    /// Attempts so far; an address literal needs none.
    pub attempts: u64,
}
