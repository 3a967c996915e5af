//! ALGORITHM.md §8: a life that a node was linked with and that has not left, been replaced or been forgotten is
//! missing there while it is out of reach, however long: no word improves by time alone.
//!
//! The mark of a life that is over serves for as long as a session may live, and sessions live by the clock that a node
//! believes (docs/CLOCKS.md): so does the mark. Where all clocks are followed far back and then far ahead it is dropped
//! as much sooner as the sessions are.

use std::collections::{BTreeMap, BTreeSet};

use sessionmesh::core::causality::Origin;

use super::{Invariant, Look, Verdict};
use crate::world::Seen;

/// The rule: whom each memory has met, and of those that are over since when their mark serves there.
#[derive(Default)]
pub struct MissingStayMissing {
    met: BTreeMap<usize, BTreeSet<Origin>>,
    over: BTreeMap<(usize, Origin), Over>,
}

/// A life that is over, at one node.
struct Over {
    /// The earliest time that the node believed it to be between the end and when it first said so (wall ms).
    from_ms: u64,
    is_told: bool,
}

impl MissingStayMissing {
    /// Whether a mark has served its time at a node that believes it to be `now_ms`. It was made between the end and when
    /// the node first said so.
    fn has_served(&mut self, key: (usize, Origin), is_told: bool, now_ms: u64, most_ms: u64) -> bool {
        let over = self.over.entry(key).or_insert(Over { from_ms: now_ms, is_told: false });
        if !over.is_told {
            (over.from_ms, over.is_told) = (over.from_ms.min(now_ms), is_told);
        }
        now_ms > over.from_ms + most_ms
    }
}

impl Invariant for MissingStayMissing {
    fn seen(&mut self, _: &Look<'_>, seen: &Seen, _: &mut Verdict) {
        match seen {
            // Its memory is new.
            Seen::Started { at, why, .. } if *why != "new life" => {
                self.met.remove(at);
                self.over.retain(|(node, _), _| node != at);
            }
            Seen::Link { at, peer, up: true } => _ = self.met.entry(*at).or_default().insert(*peer),
            _ => {}
        }
    }

    fn second(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        for at in look.world.up() {
            let Some(node) = look.world.nodes[at].as_ref() else { continue };
            let Some(met) = self.met.get(&at).cloned() else { continue };
            let missing: BTreeSet<Origin> = node.node.missing().collect();
            let linked: BTreeSet<Origin> = node.links().collect();
            let (now_ms, most_ms) = (look.world.now(at).wall_ms, look.world.limits.max_lifetime_ms);
            for life in met {
                let Some(known) = look.history.lives.get(&life).filter(|known| known.at != at) else { continue };
                let is_told = node.node.is_gone(life);
                let served =
                    known.ended_ms.is_some() && self.has_served((at, life), is_told, now_ms, most_ms);
                if linked.contains(&life) {
                    continue;
                }
                verdict.case(missing.contains(&life) || is_told || served, at, None, || {
                    format!("was linked with life {life} of n{}, is not now, and does not miss it", known.at)
                });
            }
        }
    }
}
