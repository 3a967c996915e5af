//! What this node knows of others' knowledge: when a peer was last found equal, and what "everything" was then.
//! Only for those who look at the mesh from outside; nothing in the protocol reads it, and it is kept only once
//! somebody observes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Node;
use crate::causality::Origin;
use crate::time::Now;

/// How this node and one peer compared last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// When they last compared everything (wall ms).
    pub at_ms: u64,
    /// Partitions that differed then.
    pub differing: u16,
    /// When nothing differed last (wall ms); 0: never.
    pub equal_at_ms: u64,
    /// The newest counter of each origin that both held then.
    pub seen: Arc<BTreeMap<Origin, u64>>,
}

impl Node {
    /// From now on this node keeps what [`Node::compared`] tells: one walk over all vectors a round.
    pub fn observe(&mut self) {
        self.compared.get_or_insert_default();
    }

    /// Per peer, how the last comparison went; `None` until [`Node::observe`].
    pub fn compared(&self) -> Option<&BTreeMap<Origin, Compared>> {
        self.compared.as_ref()
    }

    /// A round found a peer equal.
    pub(super) fn note_equal(&mut self, now: Now, peer: Origin) {
        if self.compared.is_none() {
            return;
        }
        let seen = Arc::new(self.replica.newest_counters());
        let fresh = Compared { at_ms: now.wall_ms, differing: 0, equal_at_ms: now.wall_ms, seen };
        if let Some(compared) = &mut self.compared {
            compared.insert(peer, fresh);
        }
    }

    /// A round found this many partitions of a peer different.
    pub(super) fn note_unequal(&mut self, now: Now, peer: Origin, differing: usize) {
        if let Some(compared) = &mut self.compared {
            let held = compared.entry(peer).or_default();
            held.at_ms = now.wall_ms;
            held.differing = u16::try_from(differing).unwrap_or(u16::MAX);
        }
    }
}
