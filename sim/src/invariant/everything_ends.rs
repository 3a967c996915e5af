//! ALGORITHM.md §1.5: with nothing happening for longer than anything may live, no record, tombstone, index
//! entry, coverage entry or freshness mark is left.

use super::{Invariant, Look, Verdict};

/// The rule.
#[derive(Default)]
pub struct EverythingEnds;

impl Invariant for EverythingEnds {
    fn over(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        for at in look.core_up() {
            let replica = look.world.replica(at);
            for ix in 0..look.world.limits.partitions {
                let (records, cover, revived) = replica.shared(ix, |p| {
                    (p.records().count(), p.coverage().map(|(o, _)| o).collect::<Vec<_>>(), p.has_revived())
                });
                verdict.case(records == 0 && cover.is_empty() && !revived, at, None, || {
                    format!(
                        "partition {ix} still has {records} records and covers {cover:?}; revived: {revived}"
                    )
                });
            }
            let gone = look.world.nodes[at].as_ref().map_or(0, |n| {
                n.node.freshness().values().filter(|v| **v & sessionmesh::core::replica::GONE != 0).count()
            });
            verdict.case(gone == 0, at, None, || format!("{gone} marks of lives that are over"));
        }
    }
}
