//! Traffic: what members hand to the network while nothing happens.

use crate::compare::arena::Arena;
use crate::compare::network::{HEADER_BYTES, Traffic};

/// What was sent, by how many members in what time.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// Bytes and packets.
    pub traffic: Traffic,
    /// Seconds of all members together.
    pub node_seconds: f64,
}

impl Usage {
    /// Watches a world that has warmed up for this long.
    pub fn of(arena: &mut Arena, for_ms: u64) -> Self {
        arena.network.traffic = Traffic::default();
        arena.run(for_ms);
        let traffic = std::mem::take(&mut arena.network.traffic);
        Self { traffic, node_seconds: arena.members() as f64 * for_ms as f64 / 1_000.0 }
    }

    /// Adds that of another world.
    pub fn add(&mut self, other: &Self) {
        self.traffic.add(&other.traffic);
        self.node_seconds += other.node_seconds;
    }

    /// Payload bytes per member and second.
    pub fn bytes(&self) -> f64 {
        self.traffic.bytes as f64 / self.node_seconds
    }

    /// The same with the headers of IPv4 and UDP.
    pub fn bytes_with_headers(&self) -> f64 {
        self.bytes() + self.packets() * HEADER_BYTES as f64
    }

    /// Packets per member and second.
    pub fn packets(&self) -> f64 {
        self.traffic.packets as f64 / self.node_seconds
    }
}
