//! The dead stay dead until they refute: only a greater incarnation revives, and whoever said goodbye never returns
//! under the same origin.

use std::collections::BTreeMap;

use sessionmesh::core::causality::Origin;
use sessionmesh::core::membership::{State, Why};

use super::{Invariant, Look, Verdict};
use crate::world::Seen;

/// The rule: who is over in whose view, with which incarnation, and whether for good.
#[derive(Default)]
pub struct DeadStayDead {
    over: BTreeMap<(usize, Origin), (u32, bool)>,
}

impl Invariant for DeadStayDead {
    fn seen(&mut self, _: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        let (at, change) = match seen {
            Seen::Started { at, .. } | Seen::Ended { at, .. } => {
                return self.over.retain(|(node, _), _| node != at);
            }
            Seen::Judged { at, change, .. } => (*at, change),
            _ => return,
        };
        let key = (at, change.member);
        match change.state {
            State::Dead => _ = self.over.insert(key, (change.incarnation, false)),
            // The process that took its name may be gone, and the first still be there; and what others say of it is true
            // only while it is silent.
            State::Left if matches!(change.why, Why::Superseded | Why::Hearsay) => _ = self.over.remove(&key),
            State::Left => _ = self.over.insert(key, (change.incarnation, true)),
            State::Alive | State::Suspect => {
                if let Some((before, left)) = self.over.remove(&key) {
                    let (member, now) = (change.member, change.incarnation);
                    verdict.case(!left && now > before, at, None, || {
                        let how = if left { "said goodbye" } else { "died" };
                        format!("{member} {how} at incarnation {before} and returns at {now}")
                    });
                }
            }
        }
    }
}
