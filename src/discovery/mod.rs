//! Discovery: who exists, where, and with which metadata.
//!
//! chitchat (scuttlebutt gossip) is our bulletin board. It runs over a [`GossipLink`], so that its packets ride
//! on the mesh's own authenticated transport. It tells who exists; who lives is judged by the detector of the core
//! (`core/src/membership`), which also writes here what it finds. It carries addresses and a few small keys, never
//! session data: its digest travels whole and its watcher copies every node's state.
//!
//! How a packet flows: the transport puts `(from, bytes)` on the inbound channel; [`bridge`] takes it and shows
//! it to [`guard`], which reads it with [`inspect`] and drops what would hurt; only then chitchat decodes it.
//! What chitchat then knows is read by [`board`], condensed by [`view`] into members, which asks [`lives`] who of one
//! name lives, and leaves as events.
//!
//! Reader's order: [`config`] and [`member`] for the vocabulary, [`keys`] for what is on the board,
//! [`inspect`] and [`guard`] for what a peer may not send, [`board`] for the one task that owns it all.

mod board;
mod bridge;
mod config;
mod error;
mod gossip;
mod guard;
mod handle;
mod health;
mod inspect;
mod keys;
pub mod lives;
mod lookup;
mod member;
mod outbox;
mod peers;
mod rivals;
mod seeds;
mod server;
#[cfg(test)]
mod testkit;
mod view;

pub use bridge::GossipLink;
pub use config::{DiscoveryConfig, Families, fresh_generation, limits};
pub use error::DiscoveryError;
pub use handle::Discovery;
pub use health::{DiscoveryHealth, RefusedPackets, SeedHealth};
pub use member::{DiscoveryEvent, Member};
pub use seeds::{SeedResolver, SystemResolver};
