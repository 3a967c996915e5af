//! docs/ALGORITHM.md §10: a copy counts when its holder has *adopted* the write. A peer named as a holder covers the
//! write.

use super::{Invariant, Look, Verdict};
use crate::world::Seen;

/// The rule.
#[derive(Default)]
pub struct AcksAreTrue;

impl Invariant for AcksAreTrue {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        let Seen::Acked { at, op, peer } = seen else { return };
        let history = look.history;
        let (Some(ix), Some(life)) = (history.by_op(*op), history.lives.get(peer)) else { return };
        if life.ended_ms.is_some() || look.world.nodes[life.at].is_none() {
            return;
        }
        let op = &history.ops[ix as usize];
        let partition = history.sessions[&op.session].partition;
        let covers = look.world.replica(life.at).shared(partition, |p| p.covers(op.life, op.counter));
        // It may have ended there since: then its origin is pruned.
        let over = super::acked_writes_survive::over(look, op, look.world.now(life.at).wall_ms);
        verdict.case(covers || over, *at, Some(op.session), || {
            format!("n{} counts n{} as a holder of write {}, which it does not cover", at, life.at, op.id)
        });
    }
}
