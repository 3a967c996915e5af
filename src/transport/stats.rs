//! Counters of one transport since its start.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Sums over the life of one transport. All only rise.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Stats { $($(#[$doc])* pub $name: u64,)* }

        impl Stats {
            /// These and those of an earlier life.
            pub fn plus(&self, past: &Self) -> Self {
                Self { $($name: self.$name + past.$name,)* }
            }
        }

        /// The live counters behind [`Stats`].
        #[derive(Debug, Default)]
        pub(super) struct Counters { $(pub(super) $name: Count,)* }

        impl Counters {
            pub(super) fn read(&self) -> Stats {
                Stats { $($name: self.$name.0.load(Relaxed),)* }
            }
        }
    };
}

/// One counter. Relaxed: nobody infers order between two of them.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Relaxed);
    }

    pub(super) fn one(&self) {
        self.add(1);
    }
}

counters! {
    /// UDP payload bytes handed to the socket.
    udp_sent_bytes,
    /// UDP payload bytes received from the socket, before any drill drops them.
    udp_received_bytes,
    /// Packets (or GRO batches) the drill swallowed, both ways.
    drill_dropped_packets,
    /// Frames written to a stream.
    frames_sent,
    /// Bytes of those frames, without length prefixes.
    frame_bytes_sent,
    /// Frames received whole.
    frames_received,
    /// Bytes of those frames.
    frame_bytes_received,
    /// Gossip packets sent, as datagram or stream.
    gossip_sent,
    /// Gossip packets received.
    gossip_received,
    /// Gossip packets given up: no connection, too large, or the reader of events lags.
    gossip_dropped,
    /// Datagrams of the floor above sent.
    datagrams_sent,
    /// Their bytes, tags included.
    datagram_bytes_sent,
    /// Datagrams for the floor above received.
    datagrams_received,
    /// Datagrams that could not leave: no link, or it is full.
    datagrams_unsent,
    /// Datagrams received and dropped: the reader of events lags, or they have an unknown tag.
    datagrams_dropped,
    /// Dials begun.
    dials,
    /// Dials that ended in no connection at all (silence, no route).
    dial_failures,
    /// Handshakes refused by either side, repetitions included.
    refusals,
    /// Handshakes that were asked to prove their address first, since many were under way.
    handshakes_retried,
    /// Hello messages sent, all after a verified TLS handshake.
    hellos_sent,
    /// Hello messages received.
    hellos_received,
    /// Links that came up.
    links_up,
    /// Links that went down.
    links_down,
}
