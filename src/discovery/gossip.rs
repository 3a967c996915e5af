//! One run of the chitchat server: how it is configured, started and read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use chitchat::{
    Chitchat, ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, NodeState, spawn_chitchat,
};

use super::bridge::Bridge;
use super::config::DiscoveryConfig;
use super::error::DiscoveryError;
use super::keys;

/// What chitchat knows of one incarnation, copied out from under its lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Incarnation {
    pub(super) node: String,
    pub(super) generation: u64,
    pub(super) addr: SocketAddr,
    /// chitchat's verdict.
    pub(super) live: bool,
    pub(super) heartbeat: u64,
    /// Raw value of `sm.origin`; `None` until it has reached us.
    pub(super) origin_hex: Option<String>,
    pub(super) left: bool,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) facts: BTreeMap<String, String>,
}

/// The id a node gossips under.
pub(super) fn own_id(config: &DiscoveryConfig, generation: u64) -> ChitchatId {
    ChitchatId::new(config.node.as_str(), generation, config.advertise)
}

/// Starts a gossip server under `generation`, publishing `board`.
///
/// chitchat gets no seeds: it takes them only at start, and resolves names once a minute with nobody told of
/// failures. We dial seeds and remembered peers ourselves, through `ChitchatHandle::gossip`.
pub(super) async fn start(
    config: &DiscoveryConfig,
    generation: u64,
    board: &BTreeMap<String, String>,
    bridge: &Bridge,
) -> Result<ChitchatHandle, DiscoveryError> {
    let grace = Duration::from_millis(config.dead_grace_ms);
    let chitchat_config = ChitchatConfig {
        chitchat_id: own_id(config, generation),
        cluster_id: config.cluster.clone(),
        gossip_interval: config.interval(),
        listen_addr: config.advertise,
        seed_nodes: Vec::new(),
        failure_detector_config: FailureDetectorConfig {
            // 8: no false death at up to 50 % loss in the measurements of docs; death seen after ~8 means.
            phi_threshold: 8.0,
            // The default of 1,000 costs 8 KB for each known incarnation.
            sampling_window_size: 100,
            max_interval: config.interval() * 10,
            // The prior has the weight of five samples: the default 5 s makes young meshes slow to notice death.
            initial_interval: config.interval(),
            dead_node_grace_period: grace,
        },
        marked_for_deletion_grace_period: grace,
        catchup_callback: None,
        extra_liveness_predicate: None,
    };
    let board = board.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    spawn_chitchat(chitchat_config, board, bridge)
        .await
        .map_err(|error| DiscoveryError::Start(error.to_string()))
}

/// Copies out what we need of every known incarnation.
pub(super) fn read(chitchat: &Chitchat) -> Vec<Incarnation> {
    let live: BTreeSet<&ChitchatId> = chitchat.live_nodes().collect();
    let states = chitchat.node_states().iter();
    states
        .map(|(id, state)| Incarnation {
            node: id.node_id.to_string(),
            generation: id.generation_id,
            addr: id.gossip_advertise_addr,
            live: live.contains(id),
            heartbeat: state.heartbeat().into(),
            origin_hex: state.get(keys::ORIGIN).map(str::to_owned),
            left: state.get(keys::LEFT).is_some(),
            metadata: under(state, keys::METADATA),
            facts: under(state, keys::FACT),
        })
        .collect()
}

/// Keys under a prefix, without it.
fn under(state: &NodeState, prefix: &str) -> BTreeMap<String, String> {
    let entries = state.iter_prefix(prefix);
    entries.map(|(key, value)| (key[prefix.len()..].to_owned(), value.value.clone())).collect()
}
