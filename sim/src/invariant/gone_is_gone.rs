//! docs/ALGORITHM.md §6: a life is declared over only when it is: its memory has ended or been replaced, or it has said
//! goodbye. A wrong mark would let sessions be reaped that the living life may still touch.

use super::{Invariant, Look, Verdict};
use crate::world::Seen;

/// The rule.
#[derive(Default)]
pub struct GoneIsGone;

impl Invariant for GoneIsGone {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        let Seen::Gone { at, life } = seen else { return };
        let Some(known) = look.history.lives.get(life) else { return };
        let leaving = look.world.nodes[known.at].as_ref().is_some_and(|n| n.leaving_since_ms.is_some());
        // Two processes of one name: the newer one ends the older one, which stops as soon as it learns of it.
        let names = look.world.hosts.iter().filter(|h| h.name == look.world.hosts[known.at].name).count();
        verdict.case(known.ended_ms.is_some() || leaving || names > 1, *at, None, || {
            format!("is told that life {life} of n{} is over, which it is not", known.at)
        });
    }
}
