//! The transport: one UDP port, QUIC between nodes, membership proved by the cluster secret.
//!
//! What a reader should know, top down:
//!
//! - [`Transport`] is the handle: [`want`](Transport::want) names the peers to keep connected, [`Event`]s come
//!   back, [`send`](Transport::send) queues a frame in one of two [`Class`]es, [`gossip`](Transport::gossip)
//!   throws a packet.
//! - `dial` and `accept` make connections, `shake` turns one into a link (`hello` is what is said), `table`
//!   keeps one link per peer, `namesake` asks another node of our name, `link` runs a link (`outbox` what waits, `frame` how it looks on the wire).
//! - [`Identity`] and [`Secret`] are who may join; `verify` is the half of it that rustls lacks.
//! - `limits` is what anybody can make a node hold or do, `refuse` what is told of those who do not get in.
//! - `endpoint` sets up QUIC over `socket`, where [`Drill`] can cut the wires.
//!
//! Nothing leaves before TLS has verified the peer, every length is checked before memory is taken for it, and
//! a peer that breaks the rules loses its connection and nothing else.

mod accept;
mod config;
mod dial;
mod drill;
mod endpoint;
mod error;
mod event;
mod frame;
mod handle;
mod hello;
#[cfg(test)]
mod hostile;
mod identity;
mod limits;
mod link;
mod namesake;
mod outbox;
mod refuse;
mod secret;
mod shake;
mod shared;
mod socket;
mod stats;
mod table;
mod verify;

pub use config::{MAX_GOSSIP_BYTES, MAX_NAME_BYTES, PeerCheck, QUEUE_BYTES, TransportConfig, WallClock};
pub use drill::{Drill, Rule};
pub use error::{RefusedReason, SendError, TransportError};
pub use event::{Event, PeerInfo};
pub use frame::Class;
pub use handle::Transport;
pub use identity::{Identity, IdentityError, MEMBER_NAME};
pub use secret::{MIN_SECRET_BYTES, Secret, SecretError};
pub use stats::Stats;
