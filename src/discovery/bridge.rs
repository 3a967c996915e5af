//! chitchat's `Transport` over a [`GossipLink`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use chitchat::transport::{Socket, Transport};
use chitchat::{ChitchatMessage, Serializable};
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, mpsc};
use tracing::warn;

use super::config::limits;
use super::guard::Guard;

/// What carries gossip packets: implemented by the mesh's transport.
///
/// Gossip is made for loss: a link may drop any packet, and should rather drop than queue without bound.
/// Packets are at most 65,536 bytes. The peer's link must deliver them whole, with `from` being an address that
/// `send` accepts (replies go there).
pub trait GossipLink: Send + Sync + 'static {
    /// Sends one packet, without waiting. Called from the gossip task: must not block.
    fn send(&self, to: SocketAddr, bytes: Bytes);
}

/// The inbound channel's receiver, in a slot that outlives any one gossip server.
pub(super) type InboundSlot = Arc<AsyncMutex<mpsc::Receiver<(SocketAddr, Bytes)>>>;

/// Traffic counters, read by health.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) packets_sent: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
    pub(super) packets_received: AtomicU64,
    pub(super) bytes_received: AtomicU64,
}

/// Opens sockets on the link, one at a time.
#[derive(Clone)]
pub(super) struct Bridge {
    pub(super) link: Arc<dyn GossipLink>,
    pub(super) inbound: InboundSlot,
    pub(super) guard: Arc<Mutex<Guard>>,
    pub(super) traffic: Arc<Traffic>,
}

#[async_trait]
impl Transport for Bridge {
    /// Waits until the previous server's socket is dropped, which happens when its task ends, panic included.
    async fn open(&self, _listen_addr: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let inbound = Arc::clone(&self.inbound).lock_owned().await;
        Ok(Box::new(BridgeSocket { bridge: self.clone(), inbound }))
    }
}

struct BridgeSocket {
    bridge: Bridge,
    inbound: OwnedMutexGuard<mpsc::Receiver<(SocketAddr, Bytes)>>,
}

#[async_trait]
impl Socket for BridgeSocket {
    /// Never fails: chitchat takes an error for a lost packet at best, and there is nobody to tell.
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let packet = message.serialize_to_vec();
        if packet.len() > limits::PACKET_BYTES {
            self.bridge.guard.lock().refuse_outbound();
            warn!(%to, bytes = packet.len(), "gossip packet too large to send");
            return Ok(());
        }
        self.bridge.traffic.packets_sent.fetch_add(1, Ordering::Relaxed);
        self.bridge.traffic.bytes_sent.fetch_add(packet.len() as u64, Ordering::Relaxed);
        self.bridge.link.send(to, packet.into());
        Ok(())
    }

    /// Cancel-safe, as chitchat's `select!` requires: nothing is awaited between taking a packet and returning.
    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        while let Some((from, packet)) = self.inbound.recv().await {
            self.bridge.traffic.packets_received.fetch_add(1, Ordering::Relaxed);
            self.bridge.traffic.bytes_received.fetch_add(packet.len() as u64, Ordering::Relaxed);
            let admitted = self.bridge.guard.lock().admit(from, &packet);
            if let Some(message) = admitted {
                return Ok((from, message));
            }
        }
        // The transport is going down. An error would end the gossip server, whose restart would fail alike:
        // stay, able to send, until we are shut down too.
        std::future::pending().await
    }
}
