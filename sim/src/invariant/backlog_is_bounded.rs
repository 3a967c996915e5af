//! ALGORITHM.md §3: no per-peer queues. Per peer a node keeps a cursor, at most one push under way, and a set of
//! partitions with news: never more than there are partitions, however long the peer is silent.

use super::{Invariant, Look, Verdict};

/// The rule.
#[derive(Default)]
pub struct BacklogIsBounded;

impl Invariant for BacklogIsBounded {
    fn second(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        for (at, node) in look.world.nodes.iter().enumerate().filter_map(|(at, n)| Some((at, n.as_ref()?))) {
            let most = node.node.backlog().map(|(_, dirty, _)| dirty).max().unwrap_or(0);
            verdict.case(most <= usize::from(look.world.limits.partitions), at, None, || {
                format!("{most} partitions wait for one peer")
            });
        }
    }
}
