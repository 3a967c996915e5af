//! Who holds which of our writes: what receipts wait on.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::core::causality::{Origin, RangeSet};
use crate::core::limits::MAX_RANGES;

/// Own counters each linked peer has adopted, per partition. A peer's entry ends with its link: a copy counts
/// only while its holder's life is known to go on (CRDT.md A12).
#[derive(Default)]
pub(crate) struct Acks {
    peers: Mutex<BTreeMap<Origin, BTreeMap<u16, RangeSet>>>,
    changed: Notify,
}

impl Acks {
    /// A peer's link is up.
    pub fn link_up(&self, peer: Origin) {
        self.peers.lock().insert(peer, BTreeMap::new());
    }

    /// A peer's link is gone, and waiters may have nobody left to wait for.
    pub fn link_down(&self, peer: Origin) {
        self.peers.lock().remove(&peer);
        self.changed.notify_waiters();
    }

    /// A peer has adopted own counters `lo..=hi`.
    pub fn adopted(&self, peer: Origin, partition: u16, lo: u64, hi: u64) {
        if let Some(held) = self.peers.lock().get_mut(&peer) {
            let ranges = held.entry(partition).or_default();
            ranges.insert(lo, hi);
            ranges.cap(MAX_RANGES);
        }
        self.changed.notify_waiters();
    }

    /// How many linked peers hold this counter.
    pub fn holders(&self, partition: u16, counter: u64) -> usize {
        let peers = self.peers.lock();
        peers.values().filter(|held| held.get(&partition).is_some_and(|r| r.contains(counter))).count()
    }

    /// The linked peers.
    #[cfg(feature = "dashboard")]
    pub fn linked_peers(&self) -> Vec<Origin> {
        self.peers.lock().keys().copied().collect()
    }

    /// Per peer, the newest own counter of a partition it is known to hold with all before it.
    #[cfg(feature = "dashboard")]
    pub fn upto(&self, partition: u16, of: &[Origin]) -> Vec<(Origin, u64)> {
        let peers = self.peers.lock();
        let held = of.iter().filter_map(|peer| Some((*peer, peers.get(peer)?)));
        held.map(|(peer, held)| (peer, held.get(&partition).map_or(0, RangeSet::max))).collect()
    }

    /// Whether one linked peer holds, for every partition, the counters up to the one given.
    pub fn any_holds_all(&self, last: &BTreeMap<u16, u64>) -> bool {
        let holds = |held: &BTreeMap<u16, RangeSet>, (partition, counter): (&u16, &u64)| {
            // From the first: a later write that arrived says nothing of one that was lost on the way.
            held.get(partition).is_some_and(|r| r.contains_range(1, *counter))
        };
        self.peers.lock().values().any(|held| last.iter().all(|entry| holds(held, entry)))
    }

    /// Whether a peer is linked.
    pub fn is_linked(&self, peer: Origin) -> bool {
        self.peers.lock().contains_key(&peer)
    }

    /// How many peers are linked.
    pub fn linked(&self) -> usize {
        self.peers.lock().len()
    }

    /// Waits until `enough` is true of this table.
    pub async fn wait(&self, mut enough: impl FnMut(&Self) -> bool) {
        loop {
            // Registered before the check, so that no change between the two is missed.
            let changed = self.changed.notified();
            if enough(self) {
                return;
            }
            changed.await;
        }
    }
}
