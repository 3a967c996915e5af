//! ALGORITHM.md §2: a reported conflict names two real writes of the field, of which the one kept is the greater in the
//! order of writes; and what was lost fell to a write that had not seen it: the one kept, or one in its past, as where the
//! winner of a conflict is overwritten, once or more often, before it gets here. However many lives wrote the session. And it
//! is told once.

use std::collections::BTreeSet;

use super::{Invariant, Look, Verdict};
use crate::oracle::{Op, Stamp};
use crate::world::Seen;
use sessionmesh::core::causality::Origin;
use sessionmesh::core::replica::{ConflictEvent, Happened};
use sessionmesh::core::time::Hlc;

/// The rule, and what each life has told: session, field, and the stamps of the two writes.
#[derive(Default)]
pub struct ConflictsAreReal {
    told: BTreeSet<(Origin, u64, String, Stamp, Stamp)>,
}

type Side = (Origin, Hlc, Option<Vec<u8>>);

fn find<'a>(look: &Look<'a>, session: u64, key: &str, side: &Side) -> Option<(u32, &'a Op)> {
    let wrote = |op: &Op| op.effect.fields.iter().any(|f| f.0 == key && f.1 == side.2);
    look.history.ops_of(session).find(|(_, op)| op.life == side.0 && op.hlc == side.1.0 && wrote(op))
}

/// A write and all that it had seen, and what they had seen: a write that was overwritten on the way here is among them,
/// though the last one's writer never held it.
fn past_of(look: &Look<'_>, session: u64, write: u32) -> BTreeSet<u32> {
    let mut past = BTreeSet::from([write]);
    let ops: Vec<(u32, &Op)> = look.history.ops_of(session).collect();
    // A write has seen earlier ones only.
    for (ix, op) in ops.into_iter().rev() {
        if past.contains(&ix) {
            past.extend(&op.saw);
        }
    }
    past
}

impl ConflictsAreReal {
    fn check(&mut self, look: &Look<'_>, at: usize, conflict: &ConflictEvent, verdict: &mut Verdict) {
        let Some(session) = look.history.number_of(conflict.id) else { return };
        let (key, kept, lost) = (&conflict.key, &conflict.kept, &conflict.lost);
        let (found_kept, found_lost) = (find(look, session, key, kept), find(look, session, key, lost));
        let text = |what: &str| format!("conflict on {key}: {what}: kept {kept:?}, lost {lost:?}");
        let (Some(kept_op), Some(lost_op)) = (found_kept, found_lost) else {
            return verdict.case(false, at, Some(session), || text("nobody wrote one of them"));
        };
        verdict.case(kept_op.1.stamp() > lost_op.1.stamp(), at, Some(session), || text("the lesser one was kept"));
        let unseen = |op: &Op| !op.saw.contains(&lost_op.0) && op.stamp() > lost_op.1.stamp();
        let past = past_of(look, session, kept_op.0);
        let fell = look.history.ops_of(session).any(|(ix, op)| {
            past.contains(&ix) && unseen(op) && op.effect.fields.iter().any(|f| &f.0 == key)
        });
        verdict.case(fell, at, Some(session), || text("whatever beat it had seen it"));
        let (life, pair) = (look.world.origin(at), (kept_op.1.stamp(), lost_op.1.stamp()));
        let first = self.told.insert((life, session, key.clone(), pair.0, pair.1));
        verdict.case(first, at, Some(session), || text("told before"));
    }
}

impl Invariant for ConflictsAreReal {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        if let Seen::Event { at, event: Happened::Conflict(conflict), .. } = seen {
            self.check(look, *at, conflict, verdict);
        }
    }
}
