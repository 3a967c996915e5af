//! ALGORITHM.md §3, §6: coverage only grows while a memory lives. A counter may leave it only when its origin is
//! pruned, after the last hard deadline of what it wrote here, or when more than `MAX_RANGES` gaps are open.

use super::{Invariant, Look, Verdict};
use crate::oracle::CoverChange;
use sessionmesh::core::limits::MAX_RANGES;

/// The rule.
#[derive(Default)]
pub struct CoverageNeverRegresses;

impl Invariant for CoverageNeverRegresses {
    fn uncovers(
        &mut self,
        look: &Look<'_>,
        at: usize,
        partition: u16,
        change: &CoverChange,
        verdict: &mut Verdict,
    ) {
        let wall_ms = look.world.now(at).wall_ms;
        for (origin, lost) in &change.lost {
            let capped = look.history.cover(at, partition).and_then(|c| c.get(origin));
            if capped.is_some_and(|ranges| ranges.ranges().len() >= MAX_RANGES) {
                continue;
            }
            let dots = lost.ranges().iter().flat_map(|&(lo, hi)| lo..=hi.min(lo + 100_000));
            let ops = dots.filter_map(|counter| look.history.by_dot(partition, *origin, counter));
            for op in ops.map(|ix| &look.history.ops[ix as usize]) {
                let ends = crate::oracle::fold(look.history.ops_of(op.session).map(|(_, o)| o));
                let hard_ms = op.effect.dead.unwrap_or(ends.birth.map_or(0, |b| b.2));
                verdict.case(wall_ms > hard_ms, at, Some(op.session), || {
                    format!(
                        "no longer covers write {} of n{}, whose session may live {} ms more",
                        op.id,
                        op.at,
                        hard_ms - wall_ms
                    )
                });
            }
        }
    }
}
