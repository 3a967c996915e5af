//! A node's lives on the network: how one begins, and how the next one follows it on the same port.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::absent::Over;
use super::clock::Clock;
use super::engine::{Engine, EngineConfig, Gossip, Life, MAX_SHUTDOWN, StartError};
use super::shared::Stopped;
use crate::core::causality::Origin;
use crate::core::node::Input;
use crate::core::replica::Replica;
use crate::core::replication::{WIRE_NEWEST, WIRE_OLDEST};
use crate::core::wall::Trust;
use crate::discovery::{Discovery, DiscoveryConfig, DiscoveryHealth, Families, fresh_generation};
use crate::transport::{Transport, TransportConfig};

/// Gossip packets that may wait for discovery; more are dropped, as gossip may be.
const GOSSIP_QUEUE: usize = 256;
/// First pause before another try to begin a life (ms): the old socket may take a moment to go.
const FIRST_PAUSE_MS: u64 = 100;
/// Longest pause between two tries (ms): an interface that is up again is noticed soon.
const LONGEST_PAUSE_MS: u64 = 5_000;
/// The node looks at its clocks this often (ms) while it has no network.
const BEAT_MS: u64 = 250;

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

impl Engine {
    /// Reconnects everything under the node's new origin, on the same port and under the same address: what was found out
    /// at the start may not be found out now, on a machine that has just woken up. Whatever stands in the way may pass, so
    /// that this never gives up; what the node holds is served meanwhile, as in any cut.
    pub(super) async fn rebirth(&mut self) -> Option<Stopped> {
        let place = Place {
            bind: self.life.transport.local_addr(),
            advertise: Some(self.life.transport.advertise_addr()),
            before: self.life.generation,
        };
        self.past_lives.add(&self.life);
        let ended = self.life.discovery.shutdown();
        let _ = tokio::time::timeout(MAX_SHUTDOWN, ended).await;
        self.life.transport.close().await;
        for peer in std::mem::take(&mut self.links).into_keys().collect::<BTreeSet<_>>() {
            self.shared.acks.link_down(peer);
        }
        let mut pause_ms = FIRST_PAUSE_MS;
        self.life = loop {
            let clock = (self.shared.clock, &self.shared.replica);
            let over = &self.remembered.over;
            match start_life(&self.config, clock, over, self.node.origin(), place).await {
                Ok(life) => break life,
                Err(error) => self.tell_no_life(&error, pause_ms),
            }
            if let Some(stopped) = self.wait_offline(Duration::from_millis(pause_ms)).await {
                return Some(stopped);
            }
            pause_ms = (2 * pause_ms).min(LONGEST_PAUSE_MS);
        };
        if pause_ms > FIRST_PAUSE_MS {
            info!(node = self.config.node, "the new life has begun");
        }
        self.hold_in_new_life();
        *self.shared.life.write() = (self.node.origin(), self.life.transport.advertise_addr());
        self.remembered.told_again();
        self.drain();
        None
    }

    /// Told when it is not over at once, and when it is clear that it lasts.
    fn tell_no_life(&self, error: &StartError, pause_ms: u64) {
        if [4 * FIRST_PAUSE_MS, LONGEST_PAUSE_MS].contains(&pause_ms) {
            warn!(node = self.config.node, "no new life yet: {error}; trying on, and serving what is here");
        }
    }

    /// Waits without a network: commands are obeyed, and the node's time goes on.
    async fn wait_offline(&mut self, pause: Duration) -> Option<Stopped> {
        let until = tokio::time::Instant::now() + pause;
        let mut beat = tokio::time::interval(Duration::from_millis(BEAT_MS));
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let shared = Arc::clone(&self.shared);
        loop {
            let stopped = tokio::select! {
                () = tokio::time::sleep_until(until) => return None,
                () = shared.stop.notified() => Some(Stopped::Dropped),
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => Some(Stopped::Dropped),
                },
                _ = beat.tick() => { self.input(Input::Tick); None }
            };
            if stopped.is_some() {
                return stopped;
            }
        }
    }
}

pub(super) async fn start_life(
    config: &EngineConfig,
    (clock, replica): (Clock, &Arc<Replica>),
    over: &Over,
    origin: Origin,
    place: Place,
) -> Result<Life, StartError> {
    // A life begun because the clock was set back must still be newer than the one it follows.
    let fresh = fresh_generation(clock.wall_ms(), u16::from_le_bytes(entropy()?));
    let generation = fresh.max(place.before + 1);
    let over = Arc::clone(over);
    let (told, asked) = (Arc::clone(replica), Arc::clone(replica));
    let network = TransportConfig {
        is_over: Arc::new(move |life| over.read().contains(&life)),
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
    let (gossip, inbound) = mpsc::channel(GOSSIP_QUEUE);
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

/// What the lives before this one counted: what is told is the process's, and only rises.
#[derive(Clone, Debug, Default)]
pub(super) struct PastLives {
    network: crate::transport::Stats,
    gossip: DiscoveryHealth,
}

impl PastLives {
    /// A life is about to end.
    fn add(&mut self, life: &Life) {
        self.network = self.network(life);
        self.gossip = self.gossip(life);
    }

    /// Counters of the network over all lives.
    pub fn network(&self, life: &Life) -> crate::transport::Stats {
        life.transport.stats().plus(&self.network)
    }

    /// Discovery's condition, with counters over all lives.
    pub fn gossip(&self, life: &Life) -> DiscoveryHealth {
        life.discovery.health().with_counts_of(&self.gossip)
    }
}
