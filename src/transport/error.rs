//! Errors and refusals of the transport: each names the culprit and the cause.

use std::{fmt, io, net::SocketAddr};

use thiserror::Error;

use super::identity::IdentityError;

/// Why [`Transport::start`](super::Transport::start) failed. Nothing is left running.
#[derive(Debug, Error)]
pub enum TransportError {
    /// Without a secret a node may be reached over loopback only.
    #[error(
        "refusing to use {addr} without a secret: anyone who reaches it could join; \
         give a cluster secret, an own PKI, or a loopback address"
    )]
    InsecureBind {
        /// The address that is not loopback.
        addr: SocketAddr,
    },
    /// Another socket holds the UDP port.
    #[error("UDP port of {addr} is already in use by another process")]
    PortInUse {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The operating system refused the address for another reason.
    #[error("cannot bind UDP {addr}: {source}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The address to advertise is unusable.
    #[error("no usable address to advertise for {addr}: {cause}; set the advertise address")]
    NoAdvertise {
        /// The address bound or given.
        addr: SocketAddr,
        /// Why it cannot be advertised.
        cause: &'static str,
    },
    /// Bound to every interface, and this host has no default route now to guess its own address from. That may pass.
    #[error(
        "no usable address to advertise for {addr}: this host has no default route to guess from; set the advertise address, or wait for the network"
    )]
    NoRoute {
        /// The address bound.
        addr: SocketAddr,
    },
    /// A configuration value is out of its range.
    #[error("transport configuration: {0}")]
    Config(String),
    /// The identity cannot be used.
    #[error("node identity: {0}")]
    Identity(#[from] IdentityError),
}

/// Why a frame was not queued. The frame was dropped; nothing else changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// No link to that origin is up. Happens in normal life.
    #[error("no link to that peer is up")]
    NotConnected,
    /// The peer's queue for this class is full: it reads slower than we write. Happens under load.
    #[error("the peer's queue is full: {queued_bytes} bytes wait")]
    Backlog {
        /// Bytes waiting in the queue of that class.
        queued_bytes: usize,
    },
    /// The frame is larger than `max_frame_bytes`: an error of the caller.
    #[error("frame of {frame_bytes} bytes exceeds the limit of {max_bytes}")]
    TooLarge {
        /// Size of the frame.
        frame_bytes: usize,
        /// The configured limit.
        max_bytes: usize,
    },
}

/// Why two nodes do not link up. The same reason is told by both sides as far as each can know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RefusedReason {
    /// The peer's certificate is not signed by an authority this node accepts, or ours not by one of its.
    WrongSecret,
    /// The peer serves another cluster (another ALPN).
    WrongCluster,
    /// The two ranges of wire versions do not meet. All zero: the peer said so before we could see its range.
    NoCommonVersion {
        /// Lowest and highest version this node speaks.
        ours: (u16, u16),
        /// Lowest and highest version the peer speaks.
        theirs: (u16, u16),
    },
    /// Cluster-wide limits differ.
    ConfigMismatch {
        /// Which, with both values; empty if the peer said so before we could see its own.
        differ: String,
    },
    /// The two wall clocks differ by more than the limit. All zero: the peer said so, by its own limit.
    ClockSkew {
        /// The peer's wall clock minus ours, in milliseconds.
        offset_ms: i64,
        /// The limit, in milliseconds.
        max_ms: u64,
    },
    /// The peer is an older process (or life) that runs under this node's own name, or we are that to it.
    IdentityClash,
    /// A newcomer has the name of a member that serves: the newcomer is to stop.
    NameTaken,
    /// A life that was declared over is refused: it returns under a new one.
    LifeOver {
        /// It is this node's life, and the peer says so; else it is the peer's.
        ours: bool,
    },
    /// A peer that broke rules again and again is kept out for a while.
    KeptOut {
        /// It is this node, and the peer says so; else it is the peer.
        ours: bool,
    },
    /// The peer broke the protocol.
    Protocol(String),
    /// The peer refused us with a code this version does not know.
    Other(u64),
}

impl RefusedReason {
    /// A word for metrics and for the close code's reason text.
    pub fn word(&self) -> &'static str {
        match self {
            Self::WrongSecret => "wrong_secret",
            Self::WrongCluster => "wrong_cluster",
            Self::NoCommonVersion { .. } => "no_common_version",
            Self::ConfigMismatch { .. } => "config_mismatch",
            Self::ClockSkew { .. } => "clock_skew",
            Self::IdentityClash => "identity_clash",
            Self::NameTaken => "name_taken",
            Self::LifeOver { .. } => "life_over",
            Self::KeptOut { .. } => "kept_out",
            Self::Protocol(_) => "protocol",
            Self::Other(_) => "other",
        }
    }
}

impl fmt::Display for RefusedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongSecret => {
                f.write_str("wrong secret: one side does not accept the other's certificate")
            }
            Self::WrongCluster => f.write_str("wrong cluster: it serves another cluster name"),
            Self::NoCommonVersion { ours: (0, 0), .. } => f.write_str("no common wire version, it says"),
            Self::NoCommonVersion { ours, theirs } => write!(
                f,
                "no common wire version: this node speaks {}-{}, it speaks {}-{}",
                ours.0, ours.1, theirs.0, theirs.1
            ),
            Self::ConfigMismatch { differ } if differ.is_empty() => {
                f.write_str("cluster-wide limits differ from this node's")
            }
            Self::ConfigMismatch { differ } => write!(f, "cluster-wide limits differ: {differ}"),
            Self::ClockSkew { max_ms: 0, offset_ms: 0 } => {
                f.write_str("clock skew beyond its limit, it says")
            }
            Self::ClockSkew { offset_ms, max_ms } => {
                write!(f, "clock skew: its wall clock is {offset_ms} ms off ours, the limit is {max_ms} ms")
            }
            Self::IdentityClash => f.write_str("identity clash: two live processes claim one node name"),
            Self::NameTaken => f.write_str("name taken: a newcomer carries the name of a member that lives"),
            Self::LifeOver { ours: false } => {
                f.write_str("its life was declared over here: it may return under a new one")
            }
            Self::LifeOver { ours: true } => {
                f.write_str("this node's life was declared over there: it goes on under a new one")
            }
            Self::KeptOut { ours: false } => {
                f.write_str("kept out for a while: it broke rules again and again")
            }
            Self::KeptOut { ours: true } => f.write_str(
                "it keeps this node out for a while: it says that this node broke rules again and again",
            ),
            Self::Protocol(what) => write!(f, "broke the protocol: {what}"),
            Self::Other(code) => write!(f, "refused us with unknown code {code}"),
        }
    }
}
