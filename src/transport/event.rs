//! What the transport tells the floor above.

use std::net::SocketAddr;

use bytes::Bytes;

use super::error::RefusedReason;
use crate::core::causality::Origin;

/// A peer with a link that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its name.
    pub node: String,
    /// The life of its memory.
    pub origin: Origin,
    /// Its generation.
    pub generation: u64,
    /// The address it advertises.
    pub addr: SocketAddr,
    /// The address its packets come from: QUIC has proven it.
    pub remote: SocketAddr,
    /// The wire version of this pair: the highest both speak.
    pub version: u16,
    /// Its wall clock minus ours at the handshake, in milliseconds.
    pub wall_offset_ms: i64,
    /// Number of this connection, unique in this process.
    pub link: u64,
}

/// Events come in the order they happened, per link: `Up`, then its frames, then `Down`. Of two links to one
/// origin the earlier is down before the later is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A link is up: frames can be sent.
    Up(PeerInfo),
    /// A link is gone. Frames on their way were lost.
    Down {
        /// The life of the peer.
        origin: Origin,
        /// Its name.
        node: String,
        /// Number of the connection, as in its `Up`.
        link: u64,
        /// Why, for a person.
        reason: String,
    },
    /// A frame arrived.
    Frame {
        /// The life of its sender.
        origin: Origin,
        /// Number of the connection.
        link: u64,
        /// The frame as it was sent.
        bytes: Bytes,
    },
    /// A datagram of the floor above arrived. These are dropped, and counted, if events are read too slowly.
    Datagram {
        /// The life of its sender.
        origin: Origin,
        /// Number of the connection.
        link: u64,
        /// The packet as it was sent.
        bytes: Bytes,
    },
    /// A gossip packet arrived. These are dropped, and counted, if events are read too slowly.
    Gossip {
        /// The address its sender advertises.
        from: SocketAddr,
        /// The packet as it was sent.
        bytes: Bytes,
    },
    /// A handshake was refused by either side. Of dials of our own each is told, of those that come in one per address
    /// and reason in ten seconds, like the log.
    Refused {
        /// The UDP address of the other side.
        addr: SocketAddr,
        /// Whether this node dialled: then whoever is wanted at that address has answered.
        dialled: bool,
        /// Why.
        reason: RefusedReason,
    },
    /// A handshake told another member's time, whether it led to a link or not.
    Clock {
        /// The life of the peer.
        origin: Origin,
        /// Its wall time now (ms).
        wall_ms: u64,
        /// Whether it believes its own wall clock.
        is_sound: bool,
    },
    /// Another node of this node's name is said to be at this address. Told before any link that comes of the same
    /// handshake is up; once an address.
    Namesake {
        /// Where.
        addr: SocketAddr,
        /// Whether it has been asked: what it answered, if anything, was told before this.
        asked: bool,
    },
    /// A member that serves carries this node's name, and this node does not serve yet: it must not start. Told once
    /// per address in ten seconds.
    NameTaken {
        /// The name, which is ours.
        node: String,
        /// Where it lives.
        addr: SocketAddr,
    },
    /// Another live process claims this node's name, and of the two it is the one that stays: this one should stop. Told
    /// once per address in ten seconds.
    Clone {
        /// The name, which is ours.
        node: String,
        /// The life of the other process.
        origin: Origin,
    },
}
