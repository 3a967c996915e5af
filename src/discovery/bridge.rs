//! chitchat's `Transport` over a [`GossipLink`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chitchat::transport::{Socket, Transport};
use chitchat::{ChitchatMessage, Serializable};
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, mpsc};
use tokio::time::Instant;
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

/// SYNs of one round of the gossip server: three to the living, one to a dead one, one to a seed.
const ROUND_SYNS: u32 = 5;
/// Rounds that may be made up for at once. After the process stood still the server has a round due for each it missed,
/// and all of them say the same.
const ROUNDS_AT_ONCE: u32 = 2;

/// How many SYNs may go out now.
#[derive(Debug)]
struct Budget {
    left: u32,
    filled: Instant,
}

/// Traffic counters, read by health, and what rounds may send.
#[derive(Debug)]
pub(super) struct Traffic {
    round: Duration,
    budget: Mutex<Budget>,
    /// SYNs that the server was asked for beside its rounds.
    expected: AtomicU64,
    /// SYNs of missed rounds that were not sent.
    pub(super) syns_skipped: AtomicU64,
    pub(super) packets_sent: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
    pub(super) packets_received: AtomicU64,
    pub(super) bytes_received: AtomicU64,
}

impl Traffic {
    /// Nothing was sent yet; a round lasts this long.
    pub(super) fn new(round: Duration) -> Self {
        let count = AtomicU64::default;
        Self {
            round,
            budget: Mutex::new(Budget { left: ROUNDS_AT_ONCE * ROUND_SYNS, filled: Instant::now() }),
            expected: count(),
            syns_skipped: count(),
            packets_sent: count(),
            bytes_sent: count(),
            packets_received: count(),
            bytes_received: count(),
        }
    }

    /// The server is about to be asked for a SYN beside its rounds.
    pub(super) fn expect_syn(&self) {
        self.expected.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether one more SYN may go out now.
    fn admits_syn(&self) -> bool {
        let mut budget = self.budget.lock();
        let due = budget.filled.elapsed().as_nanos() / self.round.as_nanos().max(1);
        if due >= u128::from(ROUNDS_AT_ONCE) {
            *budget = Budget { left: ROUNDS_AT_ONCE * ROUND_SYNS, filled: Instant::now() };
        } else if due > 0 {
            budget.left = (budget.left + ROUND_SYNS).min(ROUNDS_AT_ONCE * ROUND_SYNS);
            // Not from now on: rounds that come a little early or late keep their share.
            budget.filled += self.round;
        }
        let asked_for = |expected: u64| expected.checked_sub(1);
        let admitted = self.expected.fetch_update(Ordering::Relaxed, Ordering::Relaxed, asked_for).is_ok()
            || budget.left.checked_sub(1).map(|left| budget.left = left).is_some();
        if !admitted {
            self.syns_skipped.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }
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
        if matches!(message, ChitchatMessage::Syn { .. }) && !self.bridge.traffic.admits_syn() {
            return Ok(());
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that stood still for a minute sent 135 kB of one and the same in half a second.
    #[tokio::test(start_paused = true)]
    async fn rounds_that_were_missed_are_skipped() {
        let round = Duration::from_secs(1);
        let traffic = Traffic::new(round);
        let syns = |asked: u32| (0..asked).filter(|_| traffic.admits_syn()).count() as u32;
        for _ in 0..100 {
            assert_eq!(syns(ROUND_SYNS), ROUND_SYNS, "in time nothing is held back");
            tokio::time::advance(round).await;
        }
        tokio::time::advance(60 * round).await;
        assert_eq!(syns(60 * ROUND_SYNS), ROUNDS_AT_ONCE * ROUND_SYNS);
        (0..16).for_each(|_| traffic.expect_syn());
        assert_eq!(syns(60), 16, "what was asked for goes out");
        assert_eq!(traffic.syns_skipped.load(Ordering::Relaxed), u64::from(58 * ROUND_SYNS) + 44);
    }
}
