//! SWIM §4.2: a member's incarnation only rises, and only the member raises it.

use std::collections::BTreeMap;

use sessionmesh::core::causality::Origin;
use sessionmesh::core::membership::State;

use super::{Invariant, Look, Verdict};
use crate::world::Seen;

/// The rule: the greatest incarnation each node has known of each life.
#[derive(Default)]
pub struct IncarnationsAreOwned {
    known: BTreeMap<(usize, Origin), u32>,
}

impl Invariant for IncarnationsAreOwned {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        let (at, change) = match seen {
            // Whoever begins a new life begins to learn again.
            Seen::Started { at, .. } | Seen::Ended { at, .. } => {
                return self.known.retain(|(node, _), _| node != at);
            }
            Seen::Judged { at, change, .. } => (*at, change),
            _ => return,
        };
        if change.state == State::Left {
            // It is over, whatever it was at: whoever had forgotten it and reads of it on the board knows no more.
            return;
        }
        let held = self.known.entry((at, change.member)).or_insert(0);
        let before = std::mem::replace(held, change.incarnation);
        verdict.case(change.incarnation >= before, at, None, || {
            format!("knew incarnation {before} of {} and now knows {}", change.member, change.incarnation)
        });
        let owner = look.world.at_origin(change.member);
        let own = owner.and_then(|o| look.world.nodes[o].as_ref()?.node.detector().map(|d| d.incarnation()));
        if let Some(own) = own {
            verdict.case(change.incarnation <= own, at, None, || {
                format!("knows incarnation {} of {}, which is at {own}", change.incarnation, change.member)
            });
        }
    }
}
