//! The network side of one life of a node: its transport and its discovery, and how they start.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::sync::mpsc;

use super::absent::Over;
use super::clock::Clock;
use super::conduct::KeptOut;
use super::engine::{EngineConfig, StartError};
use crate::core::causality::Origin;
use crate::core::replica::Replica;
use crate::core::wall::Trust;
use crate::core::wire::{WIRE_NEWEST, WIRE_OLDEST};
use crate::discovery::{Discovery, DiscoveryConfig, DiscoveryEvent, Families, GossipLink, fresh_generation};
use crate::limits::MAX_QUEUED_GOSSIP;
use crate::transport::{Event, Transport, TransportConfig};

/// The network side of one life.
pub(super) struct Life {
    pub(super) generation: u64,
    pub(super) transport: Transport,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) discovery: Discovery,
    pub(super) found: mpsc::Receiver<DiscoveryEvent>,
    pub(super) gossip: mpsc::Sender<(SocketAddr, Bytes)>,
}

struct Gossip(Transport);

impl GossipLink for Gossip {
    fn send(&self, to: SocketAddr, bytes: Bytes) {
        self.0.gossip(to, bytes);
    }
}

/// Randomness of the operating system.
pub(super) fn entropy<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|e| StartError::Entropy(e.to_string()))?;
    Ok(bytes)
}

/// What a life takes over from the one before it: where it is reached, and how old that one was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub bind: SocketAddr,
    pub advertise: Option<SocketAddr>,
    /// The generation before.
    pub before: u64,
}

/// Starts both, as the life `origin`.
pub(super) async fn start_life(
    config: &EngineConfig,
    (clock, replica): (Clock, &Arc<Replica>),
    (over, kept_out): (&Over, &KeptOut),
    origin: Origin,
    place: Place,
) -> Result<Life, StartError> {
    // A life begun because the clock was set back must still be newer than the one it follows.
    let fresh = fresh_generation(clock.wall_ms(), u16::from_le_bytes(entropy()?));
    let generation = fresh.max(place.before + 1);
    let (over, kept_out) = (Arc::clone(over), Arc::clone(kept_out));
    let (told, asked) = (Arc::clone(replica), Arc::clone(replica));
    let network = TransportConfig {
        is_over: Arc::new(move |life| over.read().contains(&life)),
        is_kept_out: Arc::new(move |life, addr| {
            kept_out.read().iter().any(|(out, at)| *at == addr || life == Some(*out))
        }),
        generation,
        advertise: place.advertise,
        versions: (config.wire.0.max(WIRE_OLDEST), config.wire.1.min(WIRE_NEWEST)),
        config_hash: config.limits.config_hash(),
        limits: config.limits.cluster_wide(),
        idle_timeout_ms: config.link_timeout_ms,
        max_frame_bytes: config.limits.max_frame_bytes(),
        drill: config.drill.clone(),
        wall_ms: Arc::new(move || told.wall().presented_ms(clock.now())),
        is_sound: Arc::new(move || asked.wall().trust() == Trust::Followed),
        max_drift_ms: config.limits.max_drift_ms,
        ..TransportConfig::new(&config.cluster, &config.node, origin, place.bind, config.identity.clone())
    };
    let (transport, events) = Transport::start(network).await?;
    let (gossip, inbound) = mpsc::channel(MAX_QUEUED_GOSSIP);
    let board = DiscoveryConfig {
        seeds: config.seeds.clone(),
        families: Families::of(transport.local_addr()),
        gossip_interval_ms: config.gossip_interval_ms,
        dead_grace_ms: config.dead_grace_ms,
        metadata: config.metadata.clone(),
        own_metadata: config.own_metadata.clone(),
        ..DiscoveryConfig::new(&config.cluster, &config.node, origin, transport.advertise_addr(), generation)
    };
    let link = Arc::new(Gossip(transport.clone()));
    match Discovery::start(board, link, inbound).await {
        Ok((discovery, found)) => Ok(Life { generation, transport, events, discovery, found, gossip }),
        Err(error) => {
            transport.close().await;
            Err(error.into())
        }
    }
}
