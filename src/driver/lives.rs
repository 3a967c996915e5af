//! A node's lives on the network: how one begins, and how the next one follows it on the same port.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::engine::{Engine, MAX_SHUTDOWN, StartError};
use super::life::{Life, Place, start_life};
use super::shared::{Numbers, Stopped};
use crate::core::membership::Detector;
use crate::core::node::{Input, Node};
use crate::core::time::Now;
use crate::discovery::DiscoveryHealth;

/// First pause before another try to begin a life (ms): the old socket may take a moment to go.
const FIRST_PAUSE_MS: u64 = 100;
/// Longest pause between two tries (ms): an interface that is up again is noticed soon.
const LONGEST_PAUSE_MS: u64 = 5_000;
/// The node looks at its clocks this often (ms) while it has no network.
const BEAT_MS: u64 = 250;

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
        for peer in self.links.keys().copied().collect::<Vec<_>>() {
            self.link_gone(peer);
        }
        self.said_gone.clear();
        let mut pause_ms = FIRST_PAUSE_MS;
        self.life = loop {
            let clock = (self.shared.clock, &self.shared.replica);
            let barred = (&self.remembered.over, &self.conduct.kept_out);
            match start_life(&self.config, clock, barred, self.node.origin(), place).await {
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

/// What is counted.
pub(super) fn numbers(node: &Node, (life, past): (&Life, &PastLives), now: Now) -> Numbers {
    let detector = node.detector();
    Numbers {
        node: node.stats(),
        members: detector.map(Detector::stats).unwrap_or_default(),
        clock: node.clock(now),
        penalty: detector.map_or(0, Detector::health_penalty),
        network: past.network(life),
        discovery: past.gossip(life),
    }
}
