//! ALGORITHM.md §3: a reported conflict names two real writes of the field, of which the one kept is the greater
//! in the order of writes, and neither of which had seen the other.

use super::{Invariant, Look, Verdict};
use crate::oracle::Op;
use crate::world::Seen;
use sessionmesh::core::causality::Origin;
use sessionmesh::core::replica::{ConflictEvent, Happened};
use sessionmesh::core::time::Hlc;

/// The rule.
#[derive(Default)]
pub struct ConflictsAreReal;

type Side = (Origin, Hlc, Option<Vec<u8>>);

fn find<'a>(look: &Look<'a>, session: u64, key: &str, side: &Side) -> Option<(u32, &'a Op)> {
    let wrote = |op: &Op| op.effect.fields.iter().any(|f| f.0 == key && f.1 == side.2);
    look.history.ops_of(session).find(|(_, op)| op.life == side.0 && op.hlc == side.1.0 && wrote(op))
}

impl ConflictsAreReal {
    fn check(&self, look: &Look<'_>, at: usize, conflict: &ConflictEvent, verdict: &mut Verdict) {
        let Some(session) = look.history.number_of(conflict.id) else { return };
        let (key, kept, lost) = (&conflict.key, &conflict.kept, &conflict.lost);
        let (found_kept, found_lost) = (find(look, session, key, kept), find(look, session, key, lost));
        let text = |what: &str| format!("conflict on {key}: {what}: kept {kept:?}, lost {lost:?}");
        let (Some(kept_op), Some(lost_op)) = (found_kept, found_lost) else {
            return verdict.case(false, at, Some(session), || text("nobody wrote one of them"));
        };
        verdict.case(kept_op.1.stamp() > lost_op.1.stamp(), at, Some(session), || text("the lesser one was kept"));
        // Contexts are cut at eight writers, forget what was superseded, and are unknown to wire version 1: then a
        // label may say more than is true.
        let writers: std::collections::BTreeSet<_> = look.history.ops_of(session).map(|(_, o)| o.life).collect();
        let direct = !look.history.ops_of(session).any(|(ix, op)| {
            ix != kept_op.0 && ix != lost_op.0 && op.effect.fields.iter().any(|f| &f.0 == key)
        });
        let contexts = look.world.hosts.iter().all(|h| h.version >= 2);
        if writers.len() <= 8 && direct && contexts {
            verdict.case(!kept_op.1.saw.contains(&lost_op.0), at, Some(session), || text("its writer had seen the other"));
        }
    }
}

impl Invariant for ConflictsAreReal {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        if let Seen::Event { at, event: Happened::Conflict(conflict), .. } = seen {
            self.check(look, *at, conflict, verdict);
        }
    }
}
