//! What all tasks of one transport share: configuration, links, counters, and the way to tell events.

use std::{
    collections::BTreeSet,
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use quinn::Endpoint;
use tokio::sync::{Semaphore, mpsc, watch};

use super::{
    config::TransportConfig,
    dial::Dialer,
    error::RefusedReason,
    event::{Event, PeerInfo},
    frame::Room,
    refuse::Limiter,
    stats::Counters,
    table::Table,
};
use crate::core::causality::Origin;

/// The state behind a transport's handles.
pub(super) struct Shared {
    pub(super) config: TransportConfig,
    pub(super) endpoint: Endpoint,
    pub(super) advertise: SocketAddr,
    pub(super) table: Table,
    /// Shared by frames of which a part has come.
    pub(super) frame_room: Room,
    pub(super) dialer: Mutex<Dialer>,
    /// Whose turn it is of the addresses that are dialled in vain.
    pub(super) turns: Semaphore,
    pub(super) counters: Arc<Counters>,
    pub(super) limiter: Limiter,
    pub(super) events: mpsc::Sender<Event>,
    /// This node has been ready once and is not leaving: told to namesakes.
    pub(super) serving: AtomicBool,
    /// Addresses where a node of our name was looked for.
    pub(super) asked: Mutex<BTreeSet<SocketAddr>>,
    /// True once the transport is closing: no task begins, waiting ones end.
    pub(super) closing: watch::Sender<bool>,
    pub(super) next_link: AtomicU64,
    /// The runtime `start` ran on: calls may come from threads without one.
    pub(super) runtime: tokio::runtime::Handle,
}

impl Shared {
    pub(super) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Returns when the transport begins to close.
    pub(super) async fn closing(&self) {
        // An error would mean the sender is gone; we hold it.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    pub(super) fn serving(&self) -> bool {
        self.serving.load(Relaxed)
    }

    pub(super) fn link_number(&self) -> u64 {
        self.next_link.fetch_add(1, Relaxed)
    }

    /// Runs a task of this transport. A panic in it ends that task only.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Tells an event, waiting for room: QUIC's flow control then holds the peer back. With nobody left to hear
    /// it the transport closes.
    pub(super) async fn tell(&self, event: Event) {
        if self.events.send(event).await.is_err() {
            self.shut();
        }
    }

    /// Tells a gossip packet if there is room: gossip repeats itself.
    pub(super) fn tell_gossip(&self, from: SocketAddr, bytes: Bytes) {
        self.counters.gossip_received.one();
        if self.events.try_send(Event::Gossip { from, bytes }).is_err() {
            self.counters.gossip_dropped.one();
        }
    }

    /// Tells a peer's time if there is room: the next handshake tells it again.
    pub(super) fn tell_clock(&self, origin: Origin, wall_ms: u64, is_sound: bool) {
        let _ = self.events.try_send(Event::Clock { origin, wall_ms, is_sound });
    }

    /// Tells a datagram if there is room: its sender counts on loss.
    pub(super) fn tell_datagram(&self, from: &PeerInfo, bytes: Bytes) {
        self.counters.datagrams_received.one();
        let event = Event::Datagram { origin: from.origin, link: from.link, bytes };
        if self.events.try_send(event).is_err() {
            self.counters.datagrams_dropped.one();
        }
    }

    /// Counts and tells that a node does not get in, and logs it if it is news.
    pub(super) fn refused(&self, addr: SocketAddr, node: Option<&str>, dialled: bool, reason: RefusedReason) {
        self.counters.refusals.one();
        let word = reason.word();
        let (line, left_out) = self.limiter.line(addr.ip(), word);
        if left_out > 0 {
            tracing::warn!(
                reason = word,
                "{left_out} more refusals ({word}) were left out in the last ten seconds"
            );
        }
        if let Some(more) = line {
            let cluster = &self.config.cluster;
            let node = node.unwrap_or("unknown");
            let more = if more > 0 {
                format!(" (and {more} times more since this was told last)")
            } else {
                String::new()
            };
            tracing::warn!(%addr, node, cluster, reason = word, "no link with {addr} ({node}): {reason}{more}");
        }
        if self.limiter.news(addr, word) || dialled {
            // Refusals repeat: one that finds no room is told again.
            let _ = self.events.try_send(Event::Refused { addr, dialled, reason });
        }
    }

    /// Logs an address to which no packet can leave.
    pub(super) fn no_way(&self, addr: SocketAddr, why: &str) {
        if self.limiter.news(addr, "no_way") {
            tracing::warn!(node = self.config.node, "no link with {addr} is possible: {why}");
        }
    }

    /// Logs and tells that another process under our name is the rightful one.
    pub(super) async fn cloned(&self, addr: SocketAddr, origin: Origin) {
        self.counters.refusals.one();
        if self.limiter.news(addr, "clone") {
            let node = self.config.node.clone();
            tracing::warn!(%addr, node, %origin, "another process at {addr} runs under this node's name, and this one goes");
            self.tell(Event::Clone { node, origin }).await;
        }
    }

    /// Logs and tells that this newcomer's name is that of a member that lives.
    pub(super) async fn name_taken(&self, addr: SocketAddr) {
        self.counters.refusals.one();
        if self.limiter.news(addr, "name_taken") {
            let node = self.config.node.clone();
            tracing::warn!(%addr, node, "a member of this node's name lives at {addr}");
            self.tell(Event::NameTaken { node, addr }).await;
        }
    }

    /// Ends everything at once.
    pub(super) fn shut(&self) {
        self.closing.send_replace(true);
        self.endpoint.close(super::refuse::code::LEAVING, b"leaving");
    }
}
