//! What discovery tells the floors above: members, and events about them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::core::causality::Origin;

/// One node of the mesh as this node sees it: of the lives of its name the one that lives ([`super::lives`]).
///
/// When none is live, the newest known one stands for it, with `alive == false`, until `dead_grace_ms` has passed. The
/// list includes this node itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The node's name, unique in the mesh (see [`DiscoveryEvent::Clone`] for when it is not).
    pub node: String,
    /// The life of the node's memory, as the node itself published it.
    pub origin: Origin,
    /// The gossip generation: newer ones of the same life are greater; of two lives the clock may have lied.
    pub generation: u64,
    /// Where the node wants to be dialled.
    pub addr: SocketAddr,
    /// chitchat's failure detector believes in it, it has published an origin, and it has not left.
    pub alive: bool,
    /// It said goodbye.
    pub left: bool,
    /// What its failure detector wrote for the others': see [`super::Discovery::publish_fact`].
    pub facts: BTreeMap<String, String>,
    /// What it published: its configured metadata and later [`super::Discovery::publish`] calls.
    pub metadata: BTreeMap<String, String>,
}

/// A change seen by discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoveryEvent {
    /// The whole current view, sorted by node name. A newer view replaces an unread older one.
    Changed(Vec<Member>),
    /// This life of the node's memory is over: another one beats under its name and it does not, or it left.
    /// A node that merely fell silent is not gone, it is `alive == false` in [`DiscoveryEvent::Changed`].
    Gone {
        /// The node's name.
        node: String,
        /// The life that ended.
        origin: Origin,
    },
    /// A seed's name no longer resolves (or never did). Sent when it begins or its error changes, not at every
    /// retry; retries go on for ever.
    SeedUnresolved {
        /// The seed as configured.
        seed: String,
        /// The resolver's words.
        error: String,
    },
    /// The set of addresses behind all seeds changed.
    SeedsResolved(Vec<SocketAddr>),
    /// The gossip server had died and runs again under a new generation, same origin.
    GossipRestarted {
        /// The new generation.
        generation: u64,
    },
    /// Another life of this node's name that has said no goodbye is listed at another address. It may be over: whoever
    /// is there should be asked. Told once an address.
    Namesake {
        /// Where.
        addr: SocketAddr,
    },
    /// Another process runs under this node's name with another origin and a newer generation, and it is not
    /// an echo of our own past: its heartbeat keeps rising. The mesh now regards *it* as the member.
    Clone {
        /// This node's name.
        node: String,
        /// The other process's origin.
        origin: Origin,
        /// The other process's generation.
        generation: u64,
    },
    /// The ceiling on known incarnations was reached and newcomers are being ignored. At most once a minute.
    TooManyIncarnations {
        /// Incarnations known when it happened.
        known: usize,
    },
}
