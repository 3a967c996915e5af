//! Configuration of the transport, its checks and its fixed bounds.

use std::{
    fmt,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
};

use super::{drill::Drill, error::TransportError, identity::Identity};
use crate::core::causality::Origin;

/// Most bytes that wait for one peer in one class; beyond it [`send`](super::Transport::send) says `Backlog`.
///
/// At 100 MB/s it is 80 ms of bulk: enough to keep a link busy, little enough that what waits is still news.
pub const QUEUE_BYTES: usize = 8 << 20;

/// Largest gossip packet, in bytes. chitchat's own limit is 65,507; larger ones are dropped and counted.
pub const MAX_GOSSIP_BYTES: usize = 256 << 10;

/// Longest node or cluster name, in bytes. ALPN gives a cluster 255 less our prefix.
pub const MAX_NAME_BYTES: usize = 200;

/// Reads the wall clock: milliseconds since the Unix epoch.
pub type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Tells whether a life is over.
pub type LifeCheck = Arc<dyn Fn(Origin) -> bool + Send + Sync>;

/// Tells something of a peer by its life, if that is known yet, and the address its packets come from.
pub type PeerCheck = Arc<dyn Fn(Option<Origin>, SocketAddr) -> bool + Send + Sync>;

/// How a node reaches its peers and what it tells them about itself.
#[derive(Clone)]
pub struct TransportConfig {
    /// Name of the cluster: 1 to [`MAX_NAME_BYTES`] bytes. Only nodes with the same name link up.
    pub cluster: String,
    /// This node's name, unique in the cluster: 1 to [`MAX_NAME_BYTES`] bytes.
    pub node: String,
    /// The life of this node's memory.
    pub origin: Origin,
    /// Rises with every start of the node (its start time, say): of two processes under one name that both serve, the
    /// one with the higher `(generation, origin)` stays; of two that do not yet, the other.
    pub generation: u64,
    /// Address of the one UDP port. Port 0 takes a free one.
    pub bind: SocketAddr,
    /// Address peers shall dial. Default: the bound one; if that is unspecified (`0.0.0.0`, `::`), the address
    /// of the interface with the default route, and an error if there is none.
    pub advertise: Option<SocketAddr>,
    /// What proves membership.
    pub identity: Identity,
    /// Lowest and highest wire version spoken. A pair uses the highest both speak.
    pub versions: (u16, u16),
    /// Hash of the limits that must be equal on every node.
    pub config_hash: u64,
    /// The same as text (`name=value`, separated by spaces), so that a refusal can name the difference.
    pub limits: String,
    /// A link is dead after this long a silence, in milliseconds; keep-alives go out at a third of it.
    ///
    /// Silence counts from the last keep-alive sent before it, so a death is seen after one to one and a third
    /// of this. Shorter finds a cut sooner and takes a stalled process for dead more often.
    pub idle_timeout_ms: u64,
    /// A dial (and the handshake on the accepting side) is given up after this long, in milliseconds.
    pub dial_timeout_ms: u64,
    /// Largest frame sent or accepted, in bytes.
    pub max_frame_bytes: usize,
    /// A switch to drop, delay and cut packets. `None` costs nothing.
    pub drill: Option<Drill>,
    /// The wall clock, told in the handshake and compared with the peer's.
    pub wall_ms: WallClock,
    /// Whether a life was declared over here: it is refused, and told so.
    pub is_over: LifeCheck,
    /// Whether a peer is kept out for now.
    pub is_kept_out: PeerCheck,
    /// Whether this node believes its own wall clock: told in the handshake.
    pub is_sound: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Largest difference of wall clocks two nodes link up with, in milliseconds.
    pub max_drift_ms: u64,
}

impl TransportConfig {
    /// Defaults for everything but the names, the address and the identity: generation 0, wire version 1, dead
    /// after 3 s of silence, dials of 2 s, frames up to 4 MiB, the system's clock and a drift of 30 s.
    pub fn new(cluster: &str, node: &str, origin: Origin, bind: SocketAddr, identity: Identity) -> Self {
        Self {
            cluster: cluster.to_owned(),
            node: node.to_owned(),
            origin,
            generation: 0,
            bind,
            advertise: None,
            identity,
            versions: (1, 1),
            config_hash: 0,
            limits: String::new(),
            idle_timeout_ms: 3_000,
            dial_timeout_ms: 2_000,
            max_frame_bytes: 4 << 20,
            drill: None,
            wall_ms: Arc::new(system_wall_ms),
            is_over: Arc::new(|_| false),
            is_kept_out: Arc::new(|_, _| false),
            is_sound: Arc::new(|| true),
            max_drift_ms: 30_000,
        }
    }

    /// Checks everything that can be checked before a socket is opened.
    pub(super) fn check(&self) -> Result<(), TransportError> {
        for (what, name) in [("cluster name", &self.cluster), ("node name", &self.node)] {
            if name.is_empty() || name.len() > MAX_NAME_BYTES {
                let len = name.len();
                return Err(TransportError::Config(format!(
                    "{what} has {len} bytes, 1 to {MAX_NAME_BYTES} are possible"
                )));
            }
        }
        if self.versions.0 > self.versions.1 {
            return Err(TransportError::Config("lowest wire version above the highest".into()));
        }
        // QUIC counts an idle timeout of 0 as "never"; and below this the keep-alives themselves cost more
        // than the traffic.
        if self.idle_timeout_ms < 50 || self.dial_timeout_ms < 10 {
            return Err(TransportError::Config(
                "idle timeout below 50 ms or dial timeout below 10 ms".into(),
            ));
        }
        if self.max_frame_bytes == 0 || self.max_frame_bytes > u32::MAX as usize {
            return Err(TransportError::Config("max_frame_bytes must be 1 to 4294967295".into()));
        }
        self.check_loopback()
    }

    fn check_loopback(&self) -> Result<(), TransportError> {
        if !matches!(self.identity, Identity::Insecure) {
            return Ok(());
        }
        match [Some(self.bind), self.advertise]
            .into_iter()
            .flatten()
            .find(|a| !a.ip().to_canonical().is_loopback())
        {
            Some(addr) => Err(TransportError::InsecureBind { addr }),
            None => Ok(()),
        }
    }

    /// The address to tell peers, given the one really bound.
    pub(super) fn advertised(&self, bound: SocketAddr) -> Result<SocketAddr, TransportError> {
        let addr = match self.advertise {
            Some(addr) if addr.port() == 0 => SocketAddr::new(addr.ip(), bound.port()),
            Some(addr) => addr,
            None if bound.ip().is_unspecified() => SocketAddr::new(guess_ip(bound)?, bound.port()),
            None => bound,
        };
        if addr.ip().is_unspecified() {
            return Err(TransportError::NoAdvertise { addr, cause: "it is the unspecified address" });
        }
        Ok(canonical(addr))
    }
}

impl fmt::Debug for TransportConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportConfig")
            .field("cluster", &self.cluster)
            .field("node", &self.node)
            .field("origin", &self.origin)
            .field("bind", &self.bind)
            .field("advertise", &self.advertise)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// One form per address: IPv4 within IPv6 becomes IPv4, flow labels go.
pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_none() => {
            std::net::SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()).into()
        }
        _ => SocketAddr::new(addr.ip().to_canonical(), addr.port()),
    }
}

/// The local address packets to the outside would leave from. Connecting a UDP socket asks the routing table
/// and sends nothing; the targets are documentation addresses (RFC 5737, RFC 3849).
fn guess_ip(bound: SocketAddr) -> Result<IpAddr, TransportError> {
    let (any, outside) =
        if bound.is_ipv4() { ("0.0.0.0:0", "192.0.2.1:9") } else { ("[::]:0", "[2001:db8::1]:9") };
    let guess = |any: &str, outside: &str| {
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(outside).ok()?;
        socket.local_addr().ok().map(|addr| addr.ip()).filter(|ip| !ip.is_unspecified())
    };
    guess(any, outside)
        // A dual-stack socket on a host without an IPv6 route is reached over IPv4.
        .or_else(|| bound.is_ipv6().then(|| guess("0.0.0.0:0", "192.0.2.1:9")).flatten())
        .ok_or(TransportError::NoRoute { addr: bound })
}

fn system_wall_ms() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
