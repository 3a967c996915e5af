//! Everything a node can be told, what is refused of it, and what each floor below is handed. The builder has methods for
//! what most nodes set; the agent reads the same from file, environment and flags.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::private::{Exposure, exposure, first_line};
use crate::core::causality::Origin;
use crate::core::limits::{Limits, MIN_FENCE_MS};
use crate::core::membership;
use crate::core::wire::{WIRE_NEWEST, WIRE_OLDEST};
use crate::discovery::{DiscoveryConfig, DiscoveryError};
use crate::transport::{Identity, Secret};

/// A setting that is missing or impossible.
///
/// ```
/// use sessionmesh::{Config, Mesh};
///
/// let config = Config { cluster: "shop".into(), probe_interval_ms: 1_000, ..Config::default() };
/// let builder = Mesh::builder().config(config);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("configuration: {field}: {reason}")]
pub struct ConfigError {
    /// The setting.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl ConfigError {
    pub(crate) fn new(field: &str, reason: impl Into<String>) -> Self {
        Self { field: field.to_owned(), reason: reason.into() }
    }
}

/// Where the cluster secret comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// The text itself: at least 32 bytes, or hex or base64 of as many.
    Text(String),
    /// A file whose first line is the text.
    File(PathBuf),
}

/// Everything a node can be told. Unknown keys in a file are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The cluster's name: nodes of other clusters are refused even with the same secret.
    pub cluster: String,
    /// This node's name, unique in the cluster. Empty: the host's name and eight random hex digits, others at
    /// every start.
    pub node: String,
    /// Address of the one UDP port. Without a secret only loopback is possible. Port 0 takes a free one.
    pub bind: SocketAddr,
    /// Address peers shall dial, if not the bound one (NAT, containers).
    pub advertise: Option<SocketAddr>,
    /// Where to look for members: `host:port`; names are resolved again and again. None: the first of its mesh.
    pub seeds: Vec<String>,
    /// Secrets accepted; the first one signs. Two at once are a rotation under way.
    pub secrets: Vec<SecretSource>,
    /// How often a node gossips who exists (ms): a joiner is seen after 4 to 7 intervals. Idle traffic grows as
    /// members / interval (3.2 kB/s per node at 10 members and 1 s). Deaths are noticed by probes, not by this.
    pub gossip_interval_ms: u64,
    /// Time between two probes of a node (ms): a dead member is suspected after about this and `probe_timeout_ms`.
    /// Costs 26 bytes per probe, whatever the number of members. A second or more between data centres.
    pub probe_interval_ms: u64,
    /// How long a whole probe may take: direct, repeated, through others and over a stream (ms). Slow lines get more
    /// by themselves.
    pub probe_timeout_ms: u64,
    /// A suspect has `suspicion_mult` x `probe_interval_ms` x log10(members, at least 10) to be heard of before it is
    /// dead; up to four times that while only one member accuses it.
    pub suspicion_mult: u64,
    /// How long the board remembers a dead member (ms); a node goes on missing it. Every restart is a new identity there,
    /// so minutes, not hours.
    pub dead_grace_ms: u64,
    /// A link is dead after this long a silence (ms). Shorter notices a cut sooner and takes a stalled process
    /// for dead more often.
    pub link_timeout_ms: u64,
    /// How long a web adapter waits for the second copy of a write (ms), while another member is alive.
    pub ack_timeout_ms: u64,
    /// How long a read-through waits for peers (ms). Peers that are there answer within a millisecond or two; only a
    /// silent one makes a miss take this long. Too short, and a stalled peer reads as "nobody has it": a logout.
    pub ask_timeout_ms: u64,
    /// Number of partitions, cluster-wide; a power of two.
    pub partitions: u16,
    /// Longest life of a session (ms), cluster-wide; longer requests are clamped. Tombstones live as long.
    pub max_lifetime_ms: u64,
    /// Largest session that edits may make, keys and values and the keys of removed fields (bytes), cluster-wide.
    pub max_record_bytes: usize,
    /// Most fields that edits may set in one session, removed ones not counted, cluster-wide.
    pub max_fields: usize,
    /// Clocks further apart than this (ms) do not exchange data, cluster-wide.
    pub max_drift_ms: u64,
    /// How far honest clocks may be apart (ms) for expiry to be on time.
    pub skew_ms: u64,
    /// A touch that moves a sliding deadline by less than ttl / this costs nothing (and never under a second): an idle
    /// session may end that much early. 16: a thirty-minute session is touched at most every 112 s.
    pub touch_share: u64,
    /// Mean time between anti-entropy rounds (ms): halving it halves repair time and doubles idle traffic.
    pub sync_interval_ms: u64,
    /// How long past its last possible deadline an expired session waits for a missing member (ms). Then its fields go:
    /// a cut that outlasts it may bring back an older field of a session that its user went on with on the other side.
    pub expire_wait_ms: u64,
    /// What records and all that is kept of them may take (bytes): near it writes are refused, log-ins and log-outs last;
    /// 0: no limit.
    pub max_memory_bytes: u64,
    /// A process silent for this long (ms) was frozen and fences itself: no longer than the others need at least to
    /// declare it dead, `probe_timeout_ms` + `suspicion_mult` · `probe_interval_ms`.
    pub fence_after_ms: u64,
    /// A fenced node that reaches nobody serves again after this (ms).
    pub fence_timeout_ms: u64,
    /// A node whose seeds do not answer serves alone after this (ms).
    pub solo_after_ms: u64,
    /// A starting node that has met a ready member and lost it waits this long (ms) for it, before it serves without
    /// what only that member may hold.
    pub source_wait_ms: u64,
    /// Nodes that meet only other starting nodes wait this long (ms) for an older member to appear.
    pub settle_ms: u64,
    /// Mean time between audits (ms): two nodes compare the contents of one partition.
    pub audit_interval_ms: u64,
    /// Facts published about this node, such as its zone.
    pub metadata: BTreeMap<String, String>,
    /// Oldest and newest wire version to speak, for rolling upgrades.
    pub wire_versions: (u16, u16),
    /// The node runs on a thread and runtime of its own: handlers that block all workers of the embedder's do not make the
    /// others declare it dead. Off: on the runtime it is started on.
    pub own_thread: bool,
}

impl Default for Config {
    fn default() -> Self {
        let (limits, membership) = (Limits::default(), membership::Config::default());
        Self {
            cluster: "default".into(),
            node: String::new(),
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: None,
            seeds: Vec::new(),
            secrets: Vec::new(),
            gossip_interval_ms: 1_000,
            probe_interval_ms: membership.probe_interval_ms,
            probe_timeout_ms: membership.probe_timeout_ms,
            suspicion_mult: membership.suspicion_mult,
            dead_grace_ms: 300_000,
            link_timeout_ms: 3_000,
            ack_timeout_ms: 100,
            ask_timeout_ms: 500,
            partitions: limits.partitions,
            max_lifetime_ms: limits.max_lifetime_ms,
            max_record_bytes: limits.max_record_bytes,
            max_fields: limits.max_fields,
            max_drift_ms: limits.max_drift_ms,
            skew_ms: limits.skew_ms,
            touch_share: limits.touch_share,
            sync_interval_ms: limits.sync_interval_ms,
            expire_wait_ms: limits.expire_wait_ms,
            max_memory_bytes: 0,
            fence_after_ms: limits.fence_after_ms,
            fence_timeout_ms: limits.fence_timeout_ms,
            solo_after_ms: limits.solo_after_ms,
            source_wait_ms: limits.source_wait_ms,
            settle_ms: limits.settle_ms,
            audit_interval_ms: limits.audit_interval_ms,
            metadata: BTreeMap::new(),
            wire_versions: (WIRE_OLDEST, WIRE_NEWEST),
            own_thread: true,
        }
    }
}

impl Config {
    /// The settings of the data plane.
    pub fn limits(&self) -> Limits {
        let unlimited = |bytes: u64| if bytes == 0 { u64::MAX } else { bytes };
        Limits {
            partitions: self.partitions,
            max_lifetime_ms: self.max_lifetime_ms,
            max_record_bytes: self.max_record_bytes,
            max_fields: self.max_fields,
            max_drift_ms: self.max_drift_ms,
            skew_ms: self.skew_ms,
            touch_share: self.touch_share,
            sync_interval_ms: self.sync_interval_ms,
            expire_wait_ms: self.expire_wait_ms,
            max_memory_bytes: unlimited(self.max_memory_bytes),
            fence_after_ms: self.fence_after_ms,
            fence_timeout_ms: self.fence_timeout_ms,
            solo_after_ms: self.solo_after_ms,
            source_wait_ms: self.source_wait_ms,
            settle_ms: self.settle_ms,
            audit_interval_ms: self.audit_interval_ms,
            ..Limits::default()
        }
    }

    /// The settings of the failure detector.
    pub fn membership(&self) -> membership::Config {
        membership::Config {
            probe_interval_ms: self.probe_interval_ms,
            probe_timeout_ms: self.probe_timeout_ms,
            suspicion_mult: self.suspicion_mult,
            ..membership::Config::default()
        }
    }

    /// Checks everything that can be checked without a socket.
    ///
    /// # Errors
    /// The first setting that is wrong, and why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if let Err(why) = self.limits().validate().and_then(|()| self.membership().validate()) {
            let (field, reason) = why.split_once(": ").unwrap_or(("limits", &why));
            return Err(ConfigError::new(field, reason));
        }
        self.validate_fence()?;
        let (oldest, newest) = self.wire_versions;
        if oldest > newest || newest < WIRE_OLDEST || oldest > WIRE_NEWEST {
            let reason = format!("{oldest} to {newest}: this build speaks {WIRE_OLDEST} to {WIRE_NEWEST}");
            return Err(ConfigError::new("wire_versions", reason));
        }
        if self.link_timeout_ms < 200 {
            return Err(ConfigError::new(
                "link_timeout_ms",
                format!("{}: at least 200", self.link_timeout_ms),
            ));
        }
        let public = [Some(self.bind), self.advertise].into_iter().flatten().find(|a| !a.ip().is_loopback());
        if let Some(addr) = public.filter(|_| self.secrets.is_empty()) {
            let reason = format!(
                "{addr} is not a loopback address and no secret is set: anybody who reaches the port would be a member. \
                 Make one with `sessionmesh secret new`"
            );
            return Err(ConfigError::new("bind", reason));
        }
        self.validate_discovery()?;
        self.identity().map(|_| ())
    }

    /// A process that the others may have given up must not answer as if nothing had happened without it.
    fn validate_fence(&self) -> Result<(), ConfigError> {
        let most_ms = self.membership().earliest_death_ms().max(MIN_FENCE_MS);
        if self.fence_after_ms <= most_ms {
            return Ok(());
        }
        let reason = format!(
            "{}: at most {most_ms}, since a process that stood still for longer may have been declared dead \
             (probe_timeout_ms + suspicion_mult x probe_interval_ms)",
            self.fence_after_ms
        );
        Err(ConfigError::new("fence_after_ms", reason))
    }

    fn validate_discovery(&self) -> Result<(), ConfigError> {
        // The address is checked once the port is bound; until then any that can be dialled stands for it.
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        let board = DiscoveryConfig {
            seeds: self.seeds.clone(),
            gossip_interval_ms: self.gossip_interval_ms,
            dead_grace_ms: self.dead_grace_ms,
            metadata: self.metadata.clone(),
            ..DiscoveryConfig::new(&self.cluster, &self.node_name(), Origin(1), addr, 1)
        };
        board.validate().map_err(|error| match error {
            DiscoveryError::Config { field, reason } => ConfigError::new(field, reason),
            DiscoveryError::Publish { key, reason } => {
                ConfigError::new("metadata", format!("{key:?}: {reason}"))
            }
            other => ConfigError::new("discovery", other.to_string()),
        })
    }

    /// Reads the secrets.
    pub(crate) fn identity(&self) -> Result<Identity, ConfigError> {
        let secrets =
            self.secrets.iter().map(|s| parse_secret(&read_secret(s)?)).collect::<Result<Vec<_>, _>>()?;
        Ok(if secrets.is_empty() { Identity::Insecure } else { Identity::Secrets(secrets) })
    }

    /// What is allowed and unwise, for the log at the start.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.secrets.is_empty() {
            warnings.push(
                "no secret is set: any process on this machine, of whichever user, can join this mesh and read and end \
                 all sessions. Make one with `sessionmesh secret new`"
                    .to_owned(),
            );
        }
        for source in &self.secrets {
            if let SecretSource::File(path) = source
                && exposure(path).is_ok_and(|exposure| exposure == Exposure::Read)
            {
                warnings
                    .push(format!("secrets: {} can be read by every user of this machine", path.display()));
            }
            let secret = read_secret(source).ok().and_then(|text| parse_secret(&text).ok());
            if secret.is_some_and(|secret| secret.reads_like_words()) {
                warnings.push(
                    "secrets: a secret that reads like words can be guessed by whoever has recorded a handshake. Make one \
                     with `sessionmesh secret new`"
                        .to_owned(),
                );
            }
        }
        warnings
    }

    /// The key of the short hashes by which logs name sessions: from the signing secret, so that all members'
    /// logs agree.
    pub(crate) fn log_key(&self) -> Result<u64, ConfigError> {
        let text = self.secrets.first().map(read_secret).transpose()?.unwrap_or_default();
        let digest = Sha256::digest(format!("sessionmesh log names\0{}\0{text}", self.cluster));
        Ok(digest.iter().take(8).fold(0, |key, &byte| key << 8 | u64::from(byte)))
    }

    /// The keys of what clients carry for this cluster, one for each secret: the first one signs, all are accepted.
    pub(crate) fn client_keys(&self) -> Result<Vec<[u8; 32]>, ConfigError> {
        Ok(self.identity()?.client_keys(&self.cluster))
    }

    /// A copy fit for printing: secrets given as text are hidden.
    pub fn redacted(&self) -> Self {
        let hide = |source: &SecretSource| match source {
            SecretSource::Text(_) => SecretSource::Text("(hidden)".into()),
            SecretSource::File(path) => SecretSource::File(path.clone()),
        };
        Self { secrets: self.secrets.iter().map(hide).collect(), ..self.clone() }
    }

    /// The node's name; if none was given one made up, another at every call.
    pub(crate) fn node_name(&self) -> String {
        if !self.node.is_empty() {
            return self.node.clone();
        }
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        made_up_name(host.trim(), rand::random())
    }
}

/// A name that does not meet itself: the host's name alone, or with the process id, is the same in containers of one host
/// name, where every process is number 1. What a name may not hold is left out, and a long one is cut.
fn made_up_name(host: &str, chance: u32) -> String {
    let tail = format!("-{chance:08x}");
    let sound = host.chars().filter(char::is_ascii_graphic);
    let host: String = sound.take(crate::discovery::limits::NODE_NAME_BYTES - tail.len()).collect();
    let host = if host.is_empty() { "node" } else { &host };
    format!("{host}{tail}")
}

fn parse_secret(text: &str) -> Result<Secret, ConfigError> {
    Secret::parse(text).map_err(|e| ConfigError::new("secrets", e.to_string()))
}

fn read_secret(source: &SecretSource) -> Result<String, ConfigError> {
    let text = match source {
        SecretSource::Text(text) => text.clone(),
        SecretSource::File(path) => first_line(path).map_err(|why| ConfigError::new("secrets", why))?,
    };
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fence_is_no_later_than_the_earliest_death() {
        let told = |config: Config| config.validate().err().map(|e| e.to_string()).unwrap_or_default();
        let good = Config { node: "a".into(), ..Config::default() };
        assert_eq!(told(good.clone()), "");
        let late = told(Config { fence_after_ms: 1_401, ..good.clone() });
        assert!(late.contains("fence_after_ms") && late.contains("at most 1400"), "{late}");
        assert_eq!(told(Config { fence_after_ms: 1_401, probe_timeout_ms: 401, ..good.clone() }), "");
        let quick = Config { probe_interval_ms: 50, probe_timeout_ms: 100, ..good };
        assert!(told(quick.clone()).contains("at most 750"));
        assert_eq!(told(Config { fence_after_ms: 750, ..quick }), "");
    }

    #[test]
    fn a_made_up_name_fits_whatever_the_host_is_called_and_differs() {
        assert_eq!(made_up_name("web", 0x1f), "web-0000001f");
        assert_eq!(made_up_name("", 1), "node-00000001");
        for host in ["h".repeat(64).as_str(), "zwölf dächer", "\u{7f}"] {
            let config = Config { node: made_up_name(host, 7), ..Config::default() };
            assert!(config.validate().is_ok(), "{}", config.node);
        }
        let names: std::collections::BTreeSet<_> = (0..100).map(|_| Config::default().node_name()).collect();
        assert_eq!(names.len(), 100, "processes of one host, or of containers alike, do not meet");
    }
}
