//! Peers remembered beyond their chitchat lifetime: the way back after a split longer than the grace.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::config::limits;

/// Addresses of past and present peers, the most recently alive ones, bounded.
#[derive(Debug, Default)]
pub(super) struct RememberedPeers {
    /// When each was last seen alive, in observations.
    last_alive: BTreeMap<SocketAddr, u64>,
    observations: u64,
}

impl RememberedPeers {
    /// Notes who is alive now.
    pub(super) fn observe(&mut self, alive: impl Iterator<Item = SocketAddr>) {
        self.observations += 1;
        self.last_alive.extend(alive.map(|addr| (addr, self.observations)));
        while self.last_alive.len() > limits::REMEMBERED_PEERS {
            let oldest = self.last_alive.iter().min_by_key(|(_, seen)| **seen).map(|(addr, _)| *addr);
            oldest.map(|addr| self.last_alive.remove(&addr));
        }
    }

    /// Forgets an address whose node said goodbye.
    pub(super) fn forget(&mut self, addr: SocketAddr) {
        self.last_alive.remove(&addr);
    }

    /// All of them.
    pub(super) fn addresses(&self) -> BTreeSet<SocketAddr> {
        self.last_alive.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    #[test]
    fn the_longest_silent_are_forgotten_first() {
        let mut peers = RememberedPeers::default();
        peers.observe([addr(1), addr(2)].into_iter());
        for port in 10..10 + u16::try_from(limits::REMEMBERED_PEERS).unwrap() - 1 {
            peers.observe([addr(port), addr(2)].into_iter());
        }
        let kept = peers.addresses();
        assert_eq!(kept.len(), limits::REMEMBERED_PEERS);
        assert!(kept.contains(&addr(2)) && !kept.contains(&addr(1)));
    }

    #[test]
    fn who_said_goodbye_is_forgotten() {
        let mut peers = RememberedPeers::default();
        peers.observe([addr(1)].into_iter());
        peers.forget(addr(1));
        assert!(peers.addresses().is_empty());
    }
}
