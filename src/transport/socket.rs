//! The UDP socket under QUIC: counts bytes both ways and lets the drill act on packets.

use std::{
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use parking_lot::RwLock;
use quinn::{
    AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller,
    udp::{RecvMeta, Transmit},
};

use super::{
    drill::{Drill, Fate},
    stats::Counters,
};

/// Wraps the runtime's socket.
#[derive(Debug)]
pub(super) struct MeshSocket {
    /// `None` once unplugged. QUIC's tasks and handles keep this wrapper alive for as long as they please; the
    /// port must be free when the transport has closed.
    inner: RwLock<Option<Arc<dyn AsyncUdpSocket>>>,
    local: SocketAddr,
    counters: Arc<Counters>,
    /// The drill and the name of this node in its rules.
    drill: Option<(Drill, String)>,
}

impl MeshSocket {
    pub(super) fn new(
        socket: std::net::UdpSocket,
        counters: Arc<Counters>,
        drill: Option<(Drill, String)>,
    ) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let inner = RwLock::new(Some(TokioRuntime.wrap_udp_socket(socket)?));
        Ok(Self { inner, local, counters, drill })
    }

    /// Closes the socket: nothing is sent or received any more, and the port is free.
    pub(super) fn unplug(&self) {
        self.inner.write().take();
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    fn ask<T>(&self, otherwise: T, question: impl FnOnce(&dyn AsyncUdpSocket) -> T) -> T {
        self.inner.read().as_deref().map_or(otherwise, question)
    }

    /// Drops what the drill does not let in; the number of buffers left, kept in order at the front.
    fn sieve(&self, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta], count: usize) -> usize {
        let Some((drill, me)) = &self.drill else { return count };
        let mut kept = 0;
        for at in 0..count {
            if !drill.inbound(meta[at].addr, me) {
                self.counters.drill_dropped_packets.one();
                continue;
            }
            if at != kept {
                bufs.swap(at, kept);
                meta.swap(at, kept);
            }
            kept += 1;
        }
        kept
    }

    fn send_later(&self, transmit: &Transmit, delay: std::time::Duration) {
        let Some(inner) = self.inner.read().clone() else { return };
        let counters = self.counters.clone();
        let contents = transmit.contents.to_vec();
        let (destination, ecn, src_ip) = (transmit.destination, transmit.ecn, transmit.src_ip);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let late = Transmit { destination, ecn, contents: &contents, segment_size: None, src_ip };
            // A full socket buffer loses the packet: what a real line would do.
            if inner.try_send(&late).is_ok() {
                counters.udp_sent_bytes.add(contents.len());
            }
        });
    }
}

impl AsyncUdpSocket for MeshSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller { socket: self, waiting: None })
    }

    fn try_send(&self, transmit: &Transmit) -> io::Result<()> {
        if let Some((drill, me)) = &self.drill {
            match drill.outbound(me, transmit.destination) {
                Fate::Pass => {}
                Fate::Drop => {
                    self.counters.drill_dropped_packets.one();
                    return Ok(());
                }
                Fate::Delay(delay) => {
                    self.send_later(transmit, delay);
                    return Ok(());
                }
            }
        }
        let Some(inner) = &*self.inner.read() else { return Ok(()) };
        inner.try_send(transmit)?;
        self.counters.udp_sent_bytes.add(transmit.contents.len());
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let Some(inner) = &*self.inner.read() else { return Poll::Pending };
        loop {
            let count = ready!(inner.poll_recv(cx, bufs, meta))?;
            self.counters.udp_received_bytes.add(meta[..count].iter().map(|m| m.len).sum());
            let kept = self.sieve(bufs, meta, count);
            // Nothing left is not "ready with nothing": poll again until the socket itself says pending.
            if kept > 0 || count == 0 {
                return Poll::Ready(Ok(kept));
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn max_transmit_segments(&self) -> usize {
        // Under a drill every packet meets its own fate: a batch would be lost or kept as one.
        if self.drill.is_some() { 1 } else { self.ask(1, |inner| inner.max_transmit_segments()) }
    }

    fn max_receive_segments(&self) -> usize {
        self.ask(1, |inner| inner.max_receive_segments())
    }

    fn may_fragment(&self) -> bool {
        self.ask(true, |inner| inner.may_fragment())
    }
}

/// Waits until the socket takes packets again. It holds the inner socket only while it waits.
#[derive(Debug)]
struct Poller {
    socket: Arc<MeshSocket>,
    waiting: Option<Pin<Box<dyn UdpPoller>>>,
}

impl UdpPoller for Poller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<io::Result<()>> {
        if self.waiting.is_none() {
            let Some(inner) = self.socket.inner.read().clone() else { return Poll::Ready(Ok(())) };
            self.waiting = Some(inner.create_io_poller());
        }
        let polled =
            self.waiting.as_mut().map_or(Poll::Ready(Ok(())), |poller| poller.as_mut().poll_writable(cx));
        if polled.is_ready() {
            self.waiting = None;
        }
        polled
    }
}
