//! The handle the floors above hold.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::board::{self, Command};
use super::bridge::{GossipLink, Traffic};
use super::config::{DiscoveryConfig, limits};
use super::error::DiscoveryError;
use super::guard::Guard;
use super::health::DiscoveryHealth;
use super::keys;
use super::member::{DiscoveryEvent, Member};
use super::peers::RememberedPeers;
use super::seeds::{Mood, SeedBook, SeedResolver, SystemResolver};

/// What the one task writes and everyone may read.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) own_addr: SocketAddr,
    pub(super) members: RwLock<Vec<Member>>,
    pub(super) peers: Mutex<RememberedPeers>,
    pub(super) seeds: Arc<Mutex<SeedBook>>,
    pub(super) mood: watch::Sender<Mood>,
    pub(super) guard: Arc<Mutex<Guard>>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) run: Mutex<RunHealth>,
    pub(super) posts: Mutex<Posts>,
    /// Wakes the task after a post.
    pub(super) posted: Notify,
}

/// What is to be written on the board. Of one key the newest value counts: nothing is lost, and nothing queues up.
#[derive(Debug, Default)]
pub(super) struct Posts {
    pending: BTreeMap<String, String>,
    /// Names of the user's own facts.
    names: BTreeSet<String>,
}

impl Posts {
    pub(super) fn new(names: BTreeSet<String>) -> Self {
        Self { pending: BTreeMap::new(), names }
    }

    /// The board key of a fact, if there is room for it.
    fn admit(&mut self, name: &str, value: &str, own: bool) -> Result<String, DiscoveryError> {
        let key = keys::metadata_key(name, value)?;
        if !own && !self.names.contains(name) {
            if self.names.len() >= limits::OWN_KEYS {
                let reason = format!("{} keys are published already", limits::OWN_KEYS);
                return Err(DiscoveryError::Publish { key: name.to_owned(), reason });
            }
            self.names.insert(name.to_owned());
        }
        Ok(key)
    }

    /// Everything that waits.
    pub(super) fn take(&mut self) -> BTreeMap<String, String> {
        std::mem::take(&mut self.pending)
    }
}

/// The part of health that the task keeps itself.
#[derive(Debug, Clone, Default)]
pub(super) struct RunHealth {
    pub(super) gossip_alive: bool,
    pub(super) generation: u64,
    pub(super) gossip_restarts: u64,
    pub(super) last_gossip_failure: Option<String>,
    pub(super) events_dropped: u64,
}

impl Shared {
    /// Seeds and remembered peers: whom to dial although gossip may not know them.
    pub(super) fn fallback_addresses(&self) -> BTreeSet<SocketAddr> {
        let mut addresses = self.seeds.lock().addresses();
        addresses.extend(self.peers.lock().addresses());
        addresses.remove(&self.own_addr);
        addresses
    }

    /// Addresses of live members but us.
    pub(super) fn live_addresses(&self) -> BTreeSet<SocketAddr> {
        let members = self.members.read();
        let live = members.iter().filter(|member| member.alive && member.addr != self.own_addr);
        live.map(|member| member.addr).collect()
    }
}

/// Discovery of this node. Cheap to clone; when the last clone is dropped, gossip stops without a goodbye.
#[derive(Debug, Clone)]
pub struct Discovery {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

impl Discovery {
    /// Starts gossiping over `link`, with inbound packets from `inbound`.
    ///
    /// Returns at once; finding others shows in the events. The events' reader may be slow: views coalesce and
    /// other events are kept up to 1,024.
    ///
    /// # Errors
    /// [`DiscoveryError::Config`] or [`DiscoveryError::Publish`] for a configuration that cannot work,
    /// [`DiscoveryError::Start`] if the gossip server does not start. Nothing runs then.
    pub async fn start(
        config: DiscoveryConfig,
        link: Arc<dyn GossipLink>,
        inbound: mpsc::Receiver<(SocketAddr, Bytes)>,
    ) -> Result<(Self, mpsc::Receiver<DiscoveryEvent>), DiscoveryError> {
        Self::start_with_resolver(config, link, inbound, Arc::new(SystemResolver)).await
    }

    /// [`Discovery::start`] with another way to resolve seed names.
    ///
    /// # Errors
    /// As [`Discovery::start`].
    pub async fn start_with_resolver(
        config: DiscoveryConfig,
        link: Arc<dyn GossipLink>,
        inbound: mpsc::Receiver<(SocketAddr, Bytes)>,
        resolver: Arc<dyn SeedResolver>,
    ) -> Result<(Self, mpsc::Receiver<DiscoveryEvent>), DiscoveryError> {
        config.validate()?;
        let (shared, commands, events) = board::start(config, link, inbound, resolver).await?;
        Ok((Self { shared, commands }, events))
    }

    /// Everyone known, sorted by name, ourselves included: per name the life that lives.
    pub fn members(&self) -> Vec<Member> {
        self.shared.members.read().clone()
    }

    /// Everyone worth dialling: live members, resolved seeds, remembered peers; never ourselves. Bounded by
    /// `max_incarnations`, 64 addresses per seed and 128 remembered peers.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses = self.shared.fallback_addresses();
        addresses.extend(self.shared.live_addresses());
        addresses.into_iter().collect()
    }

    /// All addresses behind all seeds.
    pub fn seed_addresses(&self) -> BTreeSet<SocketAddr> {
        self.shared.seeds.lock().addresses()
    }

    /// Has every seed's name resolved at once. Returns what [`Discovery::resolved_since`] needs, or `None` if no seed is
    /// a name.
    pub fn resolve_again(&self) -> Option<Vec<u64>> {
        let before = self.shared.seeds.lock().attempts();
        self.shared.mood.send_modify(|mood| mood.asked += 1);
        (!before.is_empty()).then_some(before)
    }

    /// Whether every seed's name was resolved, or failed to be, since [`Discovery::resolve_again`]. That takes no longer
    /// than a resolver may, 5 s.
    pub fn resolved_since(&self, before: &[u64]) -> bool {
        let now = self.shared.seeds.lock().attempts();
        now.iter().zip(before).all(|(now, before)| now > before)
    }

    /// Publishes a fact about this node; it appears under `key` in everyone's [`Member::metadata`].
    ///
    /// The same value again costs nothing; each new one makes every peer copy all nodes' keys once.
    ///
    /// # Errors
    /// [`DiscoveryError::Publish`] if key (123 printable ASCII bytes), value (8 KiB) or the number of keys (64)
    /// is out of bounds; [`DiscoveryError::Stopped`] after leave or shutdown. Dropped at an await, it is published all the same.
    pub async fn publish(&self, key: &str, value: String) -> Result<(), DiscoveryError> {
        let key = self.shared.posts.lock().admit(key, &value, false)?;
        let (done, answer) = oneshot::channel();
        let command = Command::Publish { key, value, done };
        self.commands.send(command).await.map_err(|_| DiscoveryError::Stopped)?;
        answer.await.map_err(|_| DiscoveryError::Stopped)
    }

    /// As [`Discovery::publish`], without waiting until it stands on the board. A fact of the node's `own` does not count
    /// against the 64.
    ///
    /// # Errors
    /// [`DiscoveryError::Publish`], as there. A task that has stopped takes it and does nothing.
    pub fn publish_soon(&self, key: &str, value: &str, own: bool) -> Result<(), DiscoveryError> {
        let key = self.shared.posts.lock().admit(key, value, own)?;
        self.post(key, value.to_owned());
        Ok(())
    }

    /// Publishes a small key of the failure detector; it appears in everyone's [`Member::facts`]. Does not wait, and is not
    /// lost: a busy task reads the newest value of each key when it comes to it.
    pub fn publish_fact(&self, key: &str, value: String) {
        self.post(format!("{}{key}", keys::FACT), value);
    }

    fn post(&self, key: String, value: String) {
        self.shared.posts.lock().pending.insert(key, value);
        self.shared.posted.notify_one();
    }

    /// Tells nodes of this node's name that it serves: it has been ready once.
    pub fn publish_served(&self) {
        self.publish_fact(keys::SERVED, "1".to_owned());
    }

    /// Says goodbye to the mesh, which takes a third of a second, or nothing if nobody is there; then stops. Idempotent.
    /// Needs tokio. Dropped at an await, it goes on by itself.
    pub async fn leave(&self) {
        self.stop(|done| Command::Leave { done }).await;
    }

    /// Stops without a goodbye: peers will notice by silence. Idempotent. Dropped at an await, it goes on by itself.
    pub async fn shutdown(&self) {
        self.stop(|done| Command::Shutdown { done }).await;
    }

    /// Discovery's own condition.
    pub fn health(&self) -> DiscoveryHealth {
        let shared = &self.shared;
        let run = shared.run.lock().clone();
        let (refused, known_incarnations) = {
            let guard = shared.guard.lock();
            (guard.refused().clone(), guard.known())
        };
        DiscoveryHealth {
            gossip_alive: run.gossip_alive,
            generation: run.generation,
            gossip_restarts: run.gossip_restarts,
            last_gossip_failure: run.last_gossip_failure,
            known_incarnations,
            refused,
            seeds: shared.seeds.lock().health(),
            remembered_peers: shared.peers.lock().addresses().len(),
            packets_sent: shared.traffic.packets_sent.load(Ordering::Relaxed),
            bytes_sent: shared.traffic.bytes_sent.load(Ordering::Relaxed),
            rounds_skipped: shared.traffic.syns_skipped.load(Ordering::Relaxed),
            packets_received: shared.traffic.packets_received.load(Ordering::Relaxed),
            bytes_received: shared.traffic.bytes_received.load(Ordering::Relaxed),
            events_dropped: run.events_dropped,
        }
    }

    async fn stop(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (done, stopped) = oneshot::channel();
        if self.commands.send(command(done)).await.is_ok() {
            // An error means the task ended by another command: stopped all the same.
            let _ = stopped.await;
        }
    }
}
