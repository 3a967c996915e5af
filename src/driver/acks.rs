//! Who holds which of our writes: what receipts wait on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::core::causality::{Dot, Origin, RangeSet};
use crate::core::limits::{MAX_RANGES, SLOW_MEMBER_MS};

/// What one linked peer is known to hold.
#[derive(Default)]
struct Held {
    /// Own counters it has adopted, per partition.
    own: BTreeMap<u16, RangeSet>,
    /// Counters it covers of lives that are not linked, per partition: as of the last round that told.
    unlinked: BTreeMap<u16, BTreeMap<Origin, RangeSet>>,
    /// It let the last grace pass: nobody waits for it until then.
    slow_until: Option<Instant>,
}

impl Held {
    fn has(&self, partition: u16, counter: u64) -> bool {
        self.own.get(&partition).is_some_and(|r| r.contains(counter))
    }
}

/// Who holds which writes, as far as linked peers have shown. A peer's entry ends with its link: a copy counts
/// only while its holder's life is known to go on (docs/ALGORITHM.md §10).
#[derive(Default)]
pub(crate) struct Acks {
    peers: Mutex<BTreeMap<Origin, Held>>,
    changed: Notify,
}

impl Acks {
    /// A peer's link is up.
    pub fn link_up(&self, peer: Origin) {
        self.peers.lock().insert(peer, Held::default());
    }

    /// A peer's link is gone, and waiters may have nobody left to wait for.
    pub fn link_down(&self, peer: Origin) {
        self.peers.lock().remove(&peer);
        self.changed.notify_waiters();
    }

    /// The node runs no more: nobody is linked, and nobody will say anything.
    pub fn stop(&self) {
        self.peers.lock().clear();
        self.changed.notify_waiters();
    }

    /// A peer has adopted own counters `lo..=hi`.
    pub fn adopted(&self, peer: Origin, partition: u16, lo: u64, hi: u64) {
        if let Some(held) = self.peers.lock().get_mut(&peer) {
            let ranges = held.own.entry(partition).or_default();
            ranges.insert(lo, hi);
            ranges.cap(MAX_RANGES);
        }
        self.changed.notify_waiters();
    }

    /// A round has shown what a peer covers of lives that are not linked.
    pub fn covers(&self, peer: Origin, shown: Vec<(u16, BTreeMap<Origin, RangeSet>)>) {
        if let Some(held) = self.peers.lock().get_mut(&peer) {
            held.unlinked.extend(shown);
        }
        self.changed.notify_waiters();
    }

    /// How many linked peers hold this own counter.
    pub fn holders(&self, partition: u16, counter: u64) -> usize {
        self.peers.lock().values().filter(|held| held.has(partition, counter)).count()
    }

    /// How many linked peers are known to hold another life's write: its writer, and whoever has shown it.
    pub fn holders_of(&self, partition: u16, dot: Dot) -> usize {
        let shown = |held: &Held| {
            held.unlinked.get(&partition)?.get(&dot.origin).map(|ranges| ranges.contains(dot.counter))
        };
        let peers = self.peers.lock();
        peers.iter().filter(|(peer, held)| **peer == dot.origin || shown(held) == Some(true)).count()
    }

    /// Whether every linked peer that keeps up holds this own counter.
    pub fn all_keeping_up_hold(&self, partition: u16, counter: u64, now: Instant) -> bool {
        let waited_for = |held: &&Held| held.slow_until.is_none_or(|until| until <= now);
        self.peers.lock().values().filter(waited_for).all(|held| held.has(partition, counter))
    }

    /// The grace for this own counter is over: whoever lacks it still does not keep up.
    pub fn let_pass(&self, partition: u16, counter: u64, now: Instant) {
        let until = now + Duration::from_millis(SLOW_MEMBER_MS);
        let mut peers = self.peers.lock();
        let slow = peers.values_mut().filter(|held| !held.has(partition, counter));
        slow.for_each(|held| held.slow_until = Some(until));
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
        held.map(|(peer, held)| (peer, held.own.get(&partition).map_or(0, RangeSet::max))).collect()
    }

    /// Whether one linked peer holds, for every partition, the counters up to the one given.
    pub fn any_holds_all(&self, last: &BTreeMap<u16, u64>) -> bool {
        let holds = |held: &Held, (partition, counter): (&u16, &u64)| {
            // From the first: a later write that arrived says nothing of one that was lost on the way.
            held.own.get(partition).is_some_and(|r| r.contains_range(1, *counter))
        };
        self.peers.lock().values().any(|held| last.iter().all(|entry| holds(held, entry)))
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

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Origin = Origin(1);
    const SLOW: Origin = Origin(2);
    const GONE: Origin = Origin(3);

    /// One member behind a narrow line cost every write of the mesh the whole grace.
    #[test]
    fn a_member_that_let_a_grace_pass_is_not_waited_for_until_a_while_has_gone_by() {
        let acks = Acks::default();
        acks.link_up(FAST);
        acks.link_up(SLOW);
        let start = Instant::now();
        let mut graces = 0;
        for counter in 1..=100 {
            let now = start + Duration::from_millis(counter);
            acks.adopted(FAST, 7, counter, counter);
            if !acks.all_keeping_up_hold(7, counter, now) {
                graces += 1;
                acks.let_pass(7, counter, now);
            }
        }
        assert_eq!(graces, 1, "one write waited for the slow member, and the other 99 did not");
        let later = start + Duration::from_millis(200 + SLOW_MEMBER_MS);
        assert!(!acks.all_keeping_up_hold(7, 101, later), "then it is given another chance");
        acks.adopted(FAST, 7, 101, 101);
        acks.adopted(SLOW, 7, 1, 101);
        assert!(acks.all_keeping_up_hold(7, 101, later), "which it took");
        assert!(!acks.all_keeping_up_hold(7, 102, later));
    }

    #[test]
    fn a_dead_writers_write_is_held_by_whoever_has_shown_it() {
        let acks = Acks::default();
        acks.link_up(FAST);
        acks.link_up(SLOW);
        let dot = |origin, counter| Dot { origin, counter };
        assert_eq!(acks.holders_of(7, dot(GONE, 5)), 0, "nobody has shown anything");
        assert_eq!(acks.holders_of(7, dot(SLOW, 5)), 1, "a writer holds what it wrote");
        let shown = |upto| vec![(7, BTreeMap::from([(GONE, RangeSet::from_range(1, upto))]))];
        acks.covers(FAST, shown(5));
        acks.covers(SLOW, shown(4));
        assert_eq!(acks.holders_of(7, dot(GONE, 5)), 1);
        assert_eq!(acks.holders_of(7, dot(GONE, 4)), 2);
        assert_eq!(acks.holders_of(8, dot(GONE, 4)), 0, "nothing was shown of that partition");
        acks.link_down(FAST);
        acks.link_up(FAST);
        assert_eq!(
            acks.holders_of(7, dot(GONE, 5)),
            0,
            "what an earlier link showed is not known of this one"
        );
    }
}
