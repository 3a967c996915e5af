//! Configuration of discovery, its validation, and generations.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::error::DiscoveryError;
use super::{keys, seeds};
use crate::core::causality::Origin;

/// Every bound of discovery, with its reason.
pub mod limits {
    /// Longest node name, bytes. A digest entry costs 53 bytes (IPv6) and the name.
    pub const NODE_NAME_BYTES: usize = 64;
    /// Most incarnations we can be told to know.
    ///
    /// chitchat sends its digest whole and builds the rest of a reply in what is left of 65,507 bytes. Below
    /// 100 bytes left it panics; and already below 16,384 bytes left (a digest over 49,122 bytes) its two
    /// compressors may cut blocks differently, which fails another of its assertions. 400 entries of
    /// 53 + 64 bytes are 46,800 bytes: below both.
    pub const INCARNATIONS: usize = 400;
    /// Of those, kept for newcomers that come themselves, one in so many: whatever others tell, who stands at the door is
    /// let in.
    pub const RESERVED_SHARE: usize = 8;
    /// Of those, told of by one sender, one in so many: it cannot fill the house with whom it made up. A joiner hears of the
    /// rest from others, or from themselves.
    pub const SENDER_SHARE: usize = 2;
    /// Longest gossip packet, bytes: chitchat's 65,507 and its four-byte header, rounded up.
    pub const PACKET_BYTES: usize = 65_536;
    /// Most bytes one packet's delta may unpack to. Blocks compress by up to 1 : 3,000, so that without a
    /// bound one packet could claim hundreds of megabytes.
    pub const UNPACKED_BYTES: usize = 4 << 20;
    /// Longest key on the board, bytes, prefix included.
    pub const KEY_BYTES: usize = 128;
    /// Longest value on the board, bytes. One value over about 65,400 bytes would block all later keys of its
    /// node for ever; 8 KiB also keeps a whole node within few packets.
    pub const VALUE_BYTES: usize = 8 << 10;
    /// Most keys of our own: every change of any key makes every peer copy all of them.
    pub const OWN_KEYS: usize = 64;
    /// Heartbeats and versions above this are nonsense: at 1,000 a second it takes two years to get there.
    /// chitchat never lowers either, so believing one absurd value would bury its node for good.
    pub const COUNTER: u64 = 1 << 36;
    /// Peers remembered beyond their chitchat lifetime.
    pub const REMEMBERED_PEERS: usize = 128;
    /// Events kept for a reader who is slow.
    pub const QUEUED_EVENTS: usize = 1024;
    /// Names whose last origin is remembered, to say `Gone` when they come back with another.
    pub const REMEMBERED_ORIGINS: usize = 1024;
    /// Addresses taken from one seed name.
    pub const ADDRESSES_PER_SEED: usize = 64;
    /// Seeds in one configuration.
    pub const SEEDS: usize = 64;
}

/// Which addresses this node's socket can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Families {
    /// IPv4 addresses.
    pub v4: bool,
    /// IPv6 addresses.
    pub v6: bool,
}

impl Families {
    /// All of them.
    pub const BOTH: Self = Self { v4: true, v6: true };

    /// Of a socket that is bound to `bound`: only `[::]` reaches both.
    pub fn of(bound: SocketAddr) -> Self {
        Self { v4: bound.is_ipv4() || bound.ip().is_unspecified(), v6: bound.is_ipv6() }
    }

    /// Whether a packet to this address can leave at all.
    pub fn reach(self, addr: SocketAddr) -> bool {
        if addr.ip().to_canonical().is_ipv4() { self.v4 } else { self.v6 }
    }
}

/// How this node takes part in discovery.
#[derive(Debug, Clone)]
pub struct DiscoveryConfig {
    /// Cluster name: gossip of another cluster is refused.
    pub cluster: String,
    /// This node's name, unique in the mesh: 1 to 64 printable ASCII bytes without spaces.
    pub node: String,
    /// The life of this node's memory. A restart without memory needs a new one.
    pub origin: Origin,
    /// Where peers dial us.
    pub advertise: SocketAddr,
    /// Ways into the mesh: `host:port`, `1.2.3.4:7946`, `[::1]:7946`. Names are resolved again every
    /// `reseed_interval_ms`, for ever. May be empty for the first node.
    pub seeds: Vec<String>,
    /// Which of the seeds' addresses can be reached at all: others are left out, and a seed that has none is told as one
    /// that does not resolve.
    pub families: Families,
    /// Gossip round, ms. A joiner is seen after 4 to 7 rounds, a death after about 8 mean heartbeat intervals
    /// (5 to 10 rounds); cost per node is about 9 packets a round, each as large as 50 bytes times the known
    /// incarnations. 10 to 60,000.
    pub gossip_interval_ms: u64,
    /// How long a dead incarnation is remembered, ms. Each restart is one more incarnation, so: restarts
    /// expected within this time, plus the nodes, must stay below `max_incarnations`. Longer helps a split
    /// heal through the dead list; remembered peers do that anyway. At least 10 gossip rounds, at most 1 h.
    pub dead_grace_ms: u64,
    /// Ceiling on known incarnations, 2 to 400. At the ceiling newcomers are ignored until old ones expire;
    /// present members are not harmed.
    pub max_incarnations: usize,
    /// How often seed names are resolved again, ms; every 2 s while nobody is alive to us. A failing name is retried
    /// sooner: first after one gossip round, then doubling up to this.
    pub reseed_interval_ms: u64,
    /// Facts about this node for everyone: zone, protocol versions, capabilities. Few and small.
    pub metadata: BTreeMap<String, String>,
    /// Facts that the node itself publishes; they do not count against the 64 of `metadata`.
    pub own_metadata: BTreeMap<String, String>,
    /// Generation of this start; must exceed every earlier one of this name: [`fresh_generation`].
    pub generation: u64,
}

impl DiscoveryConfig {
    /// A configuration with the defaults: 1 s rounds, 5 min grace, 400 incarnations, seeds every 30 s.
    pub fn new(cluster: &str, node: &str, origin: Origin, advertise: SocketAddr, generation: u64) -> Self {
        Self {
            cluster: cluster.to_owned(),
            node: node.to_owned(),
            origin,
            advertise,
            seeds: Vec::new(),
            families: Families::BOTH,
            gossip_interval_ms: 1_000,
            dead_grace_ms: 300_000,
            max_incarnations: limits::INCARNATIONS,
            reseed_interval_ms: 30_000,
            metadata: BTreeMap::new(),
            own_metadata: BTreeMap::new(),
            generation,
        }
    }

    /// One gossip round.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_millis(self.gossip_interval_ms)
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`DiscoveryError::Config`] naming the first field at fault.
    pub fn validate(&self) -> Result<(), DiscoveryError> {
        let fail = |field, reason: &str| Err(DiscoveryError::Config { field, reason: reason.to_owned() });
        if self.cluster.is_empty() || self.cluster.len() > 255 {
            return fail("cluster", "must be 1 to 255 bytes");
        }
        if !keys::node_name_is_sound(&self.node) {
            return fail("node", "must be 1 to 64 printable ASCII bytes without spaces");
        }
        if self.advertise.ip().is_unspecified() || self.advertise.port() == 0 {
            return fail("advertise", "must be an address peers can dial");
        }
        if !(10..=60_000).contains(&self.gossip_interval_ms) {
            return fail("gossip_interval_ms", "must be 10 to 60,000");
        }
        if self.dead_grace_ms > 3_600_000 || self.dead_grace_ms < 10 * self.gossip_interval_ms {
            return fail("dead_grace_ms", "must be at least 10 gossip rounds and at most one hour");
        }
        if !(2..=limits::INCARNATIONS).contains(&self.max_incarnations) {
            return fail("max_incarnations", "must be 2 to 400");
        }
        if !(self.gossip_interval_ms..=3_600_000).contains(&self.reseed_interval_ms) {
            return fail("reseed_interval_ms", "must be between one gossip round and one hour");
        }
        if self.seeds.len() > limits::SEEDS {
            return fail("seeds", "more than 64");
        }
        for seed in &self.seeds {
            seeds::parse(seed).map_err(|reason| DiscoveryError::Config { field: "seeds", reason })?;
        }
        keys::check_own(&self.metadata)
    }
}

/// A generation for one start of a node: wall-clock milliseconds above 16 random bits.
///
/// Later starts get greater ones as long as the wall clock moves on between them; the tail keeps two starts
/// within one millisecond, or two processes given the same name by accident, from sharing one. A clock set back
/// yields a lower generation, so that nothing irrevocable may be concluded from it: see [`super::lives`].
pub fn fresh_generation(wall_ms: u64, random: u16) -> u64 {
    (wall_ms << 16) | u64::from(random)
}

/// The generation after `previous` within one process: as much later as the process's own clock has moved on
/// since. The wall clock is not asked again, so that one set back does no harm and virtual time is enough.
pub(super) fn next_generation(previous: u64, since: Duration) -> u64 {
    let wall_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    previous.saturating_add(wall_ms.saturating_mul(1 << 16).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> DiscoveryConfig {
        DiscoveryConfig::new("shop", "a", Origin(1), "10.0.0.1:7946".parse().unwrap(), 1)
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(config().validate(), Ok(()));
    }

    #[test]
    fn each_bound_is_enforced_and_names_its_field() {
        type Break = fn(&mut DiscoveryConfig);
        let table: [(&str, Break); 9] = [
            ("cluster", |c| c.cluster.clear()),
            ("node", |c| c.node = "é".into()),
            ("node", |c| c.node = "n".repeat(65)),
            ("advertise", |c| c.advertise = "0.0.0.0:1".parse().unwrap()),
            ("gossip_interval_ms", |c| c.gossip_interval_ms = 0),
            ("dead_grace_ms", |c| c.dead_grace_ms = 24 * 3_600_000),
            ("max_incarnations", |c| c.max_incarnations = 401),
            ("reseed_interval_ms", |c| c.reseed_interval_ms = 0),
            ("seeds", |c| c.seeds = vec!["no-port".into()]),
        ];
        for (expected, break_it) in table {
            let mut broken = config();
            break_it(&mut broken);
            match broken.validate() {
                Err(DiscoveryError::Config { field, .. }) => assert_eq!(field, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_ceiling_keeps_the_digest_below_the_first_assertion() {
        const { assert!(limits::INCARNATIONS * (53 + limits::NODE_NAME_BYTES) + 3 < 65_507 - 1 - 16_384) };
    }

    #[test]
    fn generations_rise_with_the_clock_and_within_a_process() {
        assert!(fresh_generation(1_001, 0) > fresh_generation(1_000, u16::MAX));
        let first = fresh_generation(1_000, 7);
        assert!(next_generation(first, Duration::ZERO) > first, "two starts within a millisecond");
        assert_eq!(next_generation(first, Duration::from_secs(1)), fresh_generation(2_000, 7));
        let far_future = u64::MAX - 5;
        assert!(next_generation(far_future, Duration::from_secs(1)) > far_future);
    }
}
