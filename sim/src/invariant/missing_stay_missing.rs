//! ALGORITHM.md §8: a life that a node was linked with and that has not left, been replaced or been forgotten is
//! missing there while it is out of reach, however long: no word improves by time alone.

use std::collections::{BTreeMap, BTreeSet};

use sessionmesh::core::causality::Origin;

use super::{Invariant, Look, Verdict};
use crate::world::Seen;

/// The rule.
#[derive(Default)]
pub struct MissingStayMissing {
    met: BTreeMap<usize, BTreeSet<Origin>>,
}

impl Invariant for MissingStayMissing {
    fn seen(&mut self, _: &Look<'_>, seen: &Seen, _: &mut Verdict) {
        match seen {
            // Its memory is new.
            Seen::Started { at, why, .. } if *why != "new life" => _ = self.met.remove(at),
            Seen::Link { at, peer, up: true } => _ = self.met.entry(*at).or_default().insert(*peer),
            _ => {}
        }
    }

    fn second(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        for at in look.world.up() {
            let Some(node) = look.world.nodes[at].as_ref() else { continue };
            let Some(met) = self.met.get(&at) else { continue };
            let missing: BTreeSet<Origin> = node.node.missing().collect();
            let linked: BTreeSet<Origin> = node.links().collect();
            for life in met.iter().filter(|life| !linked.contains(life)) {
                let Some(known) = look.history.lives.get(life).filter(|known| known.at != at) else { continue };
                // A mark of a life that is over has served its time.
                let long_over =
                    known.ended_ms.is_some_and(|ms| look.world.time_ms > ms + look.world.limits.max_lifetime_ms);
                let told = missing.contains(life) || node.node.is_gone(*life) || long_over;
                verdict.case(told, at, None, || {
                    format!("was linked with life {life} of n{}, is not now, and does not miss it", known.at)
                });
            }
        }
    }
}
