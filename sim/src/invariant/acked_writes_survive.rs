//! No lost update (ALGORITHM.md §1.2 with §4): a write that had its second copy, and of which one holder's memory
//! goes on, is at the end held by every node, or what causally or by stamp superseded it is.

use super::{Invariant, Look, Verdict};
use crate::EPOCH_MS;
use crate::oracle::Op;

/// The rule; it also counts what was lost with all its holders, which no rule can prevent.
#[derive(Default)]
pub struct AckedWritesSurvive;

/// Whether a node's record reflects a write: each register it wrote is there at least as new, or the session is
/// over as far as this node is concerned.
pub(super) fn reflects(look: &Look<'_>, at: usize, op: &Op) -> bool {
    let session = &look.history.sessions[&op.session];
    let wall_ms = look.world.now(at).wall_ms;
    look.world.replica(at).shared(session.partition, |p| {
        let Some(record) = p.get(session.id) else { return over(look, op, wall_ms) };
        // A copy that is over may be left behind by those that reaped it as expired-stable.
        if record.is_dead() || !record.visible(wall_ms) && over(look, op, wall_ms) {
            return true;
        }
        let newer = |key: &str| {
            let held = record.fields().find(|f| f.key == key).map(|f| record.ver(f.op));
            held.is_some_and(|ver| super::stamp(&ver, p.origins()) >= op.stamp())
        };
        op.effect.dead.is_none() && op.effect.fields.iter().all(|(key, _)| newer(key))
            || op.effect.dead.is_some() && over(look, op, wall_ms)
    })
}

/// ALGORITHM.md §6: what the bounded wait of expiry gives away. In this partition sessions were reaped although a member
/// was not heard of: should one come back alive from it, its fields may be older ones.
pub(super) fn given_away(look: &Look<'_>, op: &Op) -> bool {
    let partition = look.history.sessions[&op.session].partition;
    let counts = look.core_up().into_iter().map(|at| look.world.replica(at).shared(partition, |p| p.counts()));
    op.effect.dead.is_none() && counts.map(|c| c.reaped_unheard).sum::<u64>() > 0
}

/// Whether a session that is not there may be gone by its age: past the latest deadline anything ever gave it.
pub(super) fn over(look: &Look<'_>, op: &Op, wall_ms: u64) -> bool {
    let limits = &look.world.limits;
    if let Some(hard_ms) = op.effect.dead {
        return wall_ms > hard_ms;
    }
    // Nobody may have dropped it before its idle deadline, by any clock that was right to the skew.
    // Writes that died with their writer extended it for nobody; nor does a clock further off than is allowed.
    let honest = |o: &Op| o.wall_ms.abs_diff(EPOCH_MS + o.time_ms) <= limits.max_drift_ms;
    let counts = |o: &&Op| o.holders != 0 && honest(o) || o.id == op.id;
    let alive = look.history.ops_of(op.session).map(|(_, op)| op).filter(counts);
    let all = crate::oracle::fold(alive);
    let Some(deadline_ms) = all.deadline_ms() else { return true };
    wall_ms + limits.skew_ms >= deadline_ms || over_by_agreement(look, op, deadline_ms)
}

/// CLOCKS, costs 3 and the row "ahead, all, long": reaping goes by the lower median of the clocks that are believed, also
/// where they turn out to have been ahead together. What was over by that time has gone on all nodes that lived then, and
/// stays gone when the clocks are set right; not what anybody has written since.
fn over_by_agreement(look: &Look<'_>, op: &Op, deadline_ms: u64) -> bool {
    let (at_ms, agreed_ms) = look.history.agreed;
    let since = |o: &Op| o.time_ms > at_ms && o.holders != 0;
    agreed_ms + look.world.limits.skew_ms >= deadline_ms
        && op.time_ms <= at_ms
        && !look.history.ops_of(op.session).any(|(_, o)| since(o))
}

impl Invariant for AckedWritesSurvive {
    fn equal(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        let core = look.core_up();
        let held = |op: &Op| op.holders & look.core != 0;
        for op in look.history.ops.iter().filter(|op| op.acked && held(op)) {
            for &at in &core {
                verdict.case(reflects(look, at, op) || given_away(look, op), at, Some(op.session), || {
                    format!("write {} of n{} had two copies and is not there: {:?}", op.id, op.at, op.effect)
                });
            }
        }
    }
}
