//! The handle an embedder holds: start, send, gossip, look, close.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};

use super::{
    accept,
    config::{MAX_GOSSIP_BYTES, TransportConfig, canonical},
    dial::{self, Dialer},
    endpoint,
    error::{RefusedReason, SendError, TransportError},
    event::{Event, PeerInfo},
    frame::{Class, Room},
    limits::VAIN_DIALS,
    namesake,
    refuse::Limiter,
    shared::Shared,
    socket::MeshSocket,
    stats::{Counters, Stats},
    table::Table,
};
use crate::core::causality::Origin;

/// Events that wait to be read. Beyond it frames wait at their senders and gossip is dropped.
const EVENT_SLOTS: usize = 1024;

/// How long [`Transport::close`] waits for peers to acknowledge what was queued.
const FLUSH: Duration = Duration::from_secs(1);

/// One node's transport. Clones are handles on the same one; when the last is dropped (or the receiver of
/// events) everything closes at once, without the flush of [`Transport::close`].
#[derive(Clone)]
pub struct Transport {
    shared: Arc<Shared>,
    socket: Arc<MeshSocket>,
    _last: Arc<Last>,
}

/// Closes the transport with its last handle: the tasks hold the shared state themselves.
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.shut();
    }
}

impl Transport {
    /// Binds the port and begins to accept. Must run within a tokio runtime, which then runs its tasks.
    ///
    /// # Errors
    /// See [`TransportError`]; nothing is left behind.
    pub async fn start(config: TransportConfig) -> Result<(Self, mpsc::Receiver<Event>), TransportError> {
        config.check()?;
        let tls = config.identity.tls(&config.cluster, &config.node)?;
        let counters = Arc::new(Counters::default());
        let (endpoint, socket) = endpoint::bind(&config, tls, &counters)?;
        let local = socket.local();
        let advertise = config.advertised(local)?;
        let (events, heard) = mpsc::channel(EVENT_SLOTS);
        let table = Table::new();
        for addr in [canonical(local), advertise] {
            table.add_self(addr);
            if let Some(drill) = &config.drill {
                drill.name_addr(&config.node, addr);
            }
        }
        let frame_room = Room::new(config.max_frame_bytes);
        let shared = Arc::new(Shared {
            config,
            endpoint,
            advertise,
            table,
            frame_room,
            dialer: Mutex::new(Dialer::default()),
            turns: Semaphore::new(VAIN_DIALS),
            counters,
            limiter: Limiter::default(),
            events,
            serving: AtomicBool::new(false),
            asked: Mutex::new(BTreeSet::new()),
            closing: watch::Sender::new(false),
            next_link: AtomicU64::new(1),
            runtime: tokio::runtime::Handle::current(),
        });
        shared.spawn(accept::accept_all(shared.clone()));
        Ok((Self { _last: Arc::new(Last(shared.clone())), shared, socket }, heard))
    }

    /// The address bound, with the port really taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.socket.local()
    }

    /// The address told to peers.
    pub fn advertise_addr(&self) -> SocketAddr {
        self.shared.advertise
    }

    /// Tells nodes of this node's name from now on whether this one serves: it has been ready once, and is not leaving.
    /// Of two processes of one name the one that serves stays.
    pub fn set_serving(&self, serving: bool) {
        self.shared.serving.store(serving, Relaxed);
    }

    /// Asks who is at `addr`, where another node of this node's name is said to be. Once an address; told by
    /// [`Event::Namesake`] and, if it lives, by [`Event::NameTaken`] or [`Event::Clone`].
    pub fn ask_namesake(&self, addr: SocketAddr) {
        let shared = self.shared.clone();
        self.shared.spawn(async move { namesake::ask(&shared, addr).await });
    }

    /// The set of addresses to keep connected, replacing the one before. Dialling goes on in the background;
    /// links to addresses left out stay until they die of themselves. Our own address is skipped.
    pub fn want(&self, addrs: Vec<SocketAddr>) {
        dial::want(&self.shared, addrs.into_iter().map(canonical).collect());
    }

    /// Queues a frame for a peer. Never waits. Queued is not delivered: a frame is lost with its link.
    ///
    /// # Errors
    /// See [`SendError`]; the frame is dropped.
    pub fn send(&self, to: Origin, class: Class, frame: Bytes) -> Result<(), SendError> {
        let max_bytes = self.shared.config.max_frame_bytes;
        if frame.len() > max_bytes {
            return Err(SendError::TooLarge { frame_bytes: frame.len(), max_bytes });
        }
        self.shared.table.by_origin(to).ok_or(SendError::NotConnected)?.push(class, frame)
    }

    /// Sends a gossip packet to the node at an address, dialling it if needed. May be lost, doubled never.
    pub fn gossip(&self, to: SocketAddr, bytes: Bytes) {
        let (shared, to) = (&self.shared, canonical(to));
        if bytes.len() > MAX_GOSSIP_BYTES || shared.is_closing() || shared.table.is_self(to) {
            shared.counters.gossip_dropped.one();
            return;
        }
        match shared.table.by_addr(to).filter(|link| link.is_open()) {
            Some(link) => link.gossip(shared, bytes),
            None => dial::gossip(shared, to, bytes),
        }
    }

    /// Sends a packet to a peer that may be lost: at most about 1,200 bytes. Without a link it is dropped.
    pub fn datagram(&self, to: Origin, bytes: &[u8]) {
        let counters = &self.shared.counters;
        if self.shared.table.by_origin(to).is_some_and(|link| link.is_open() && link.datagram(bytes)) {
            counters.datagrams_sent.one();
            counters.datagram_bytes_sent.add(1 + bytes.len());
        } else {
            counters.datagrams_unsent.one();
        }
    }

    /// The peers with a link, ordered by origin.
    pub fn peers(&self) -> Vec<PeerInfo> {
        self.shared.table.all().iter().map(|link| link.info.clone()).collect()
    }

    /// Closes the link to a peer that broke a rule of the floor above, telling it why. It may be dialled again.
    pub fn disconnect(&self, peer: Origin, why: &str) {
        if let Some(link) = self.shared.table.by_origin(peer) {
            let code = RefusedReason::Protocol(String::new()).close_code();
            link.conn.close(code, why.as_bytes());
        }
    }

    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }

    /// Bytes allocated for frames of which a part has come.
    #[cfg(test)]
    pub(super) fn unfinished_bytes(&self) -> usize {
        self.shared.frame_room.held_bytes()
    }

    /// Leaves in order: takes no more, waits up to a second until peers acknowledged what was queued, says
    /// "leaving", and waits up to another second until the port is quiet. The port is free afterwards.
    pub async fn close(&self) {
        self.shared.closing.send_replace(true);
        let links = self.shared.table.all();
        let flush_all = async {
            for link in &links {
                link.flush().await;
            }
        };
        let _ = timeout(FLUSH, flush_all).await;
        self.shared.shut();
        let _ = timeout(Duration::from_secs(1), self.shared.endpoint.wait_idle()).await;
        self.socket.unplug();
    }
}
