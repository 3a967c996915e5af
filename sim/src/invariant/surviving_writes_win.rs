//! ALGORITHM.md §4, and the oracle: the union of all writes that some living memory covers, folded by plain maxima, is
//! exactly what every node holds at the end.

use super::{Invariant, Look, Verdict};
use crate::oracle::{Expected, fold};
use sessionmesh::core::replica::Partition;
use sessionmesh::core::session::SessionId;

/// The rule.
#[derive(Default)]
pub struct SurvivingWritesWin;

fn differs(p: &Partition, id: SessionId, expected: &Expected) -> Option<String> {
    let Some(record) = p.get(id) else { return Some("there is no record".into()) };
    if expected.dead.is_some() || record.is_dead() {
        let same = expected.dead.is_some() == record.is_dead();
        return (!same).then(|| format!("destroyed here: {}", record.is_dead()));
    }
    for (key, (stamp, value)) in &expected.fields {
        let held = record.fields().find(|f| f.key == key);
        let version = held.map(|f| super::stamp(&record.ver(f.op), p.origins()));
        if version.is_none_or(|v| v < *stamp) {
            return Some(format!("{key} is {version:?}; the last write of it is {stamp:?}"));
        }
        if version == Some(*stamp) && held.and_then(|f| f.value) != value.as_deref() {
            return Some(format!("{key} has the right version and another value"));
        }
    }
    let touch = expected.touch.map_or(0, |t| t.0);
    if record.touch_ms() < touch {
        return Some(format!("touched {}, but there was a touch at {touch}", record.touch_ms()));
    }
    let ttl = expected.ttl.map(|t| t.1);
    (ttl != Some(record.ttl()))
        .then(|| format!("time-to-live {:?}; the last write of it says {ttl:?}", record.ttl()))
}

impl Invariant for SurvivingWritesWin {
    fn equal(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        let core = look.core_up();
        for (&number, session) in &look.history.sessions {
            let alive =
                look.history.ops_of(number).map(|(_, op)| op).filter(|op| op.holders & look.core != 0);
            let expected = fold(alive);
            for &at in &core {
                let wall_ms = look.world.now(at).wall_ms + 2 * look.world.limits.max_drift_ms;
                let ends = expected.dead.map(|d| d.0).or(expected.deadline_ms()).unwrap_or(0);
                // Without its birth nothing of a session can be held; what is about to end may have been dropped.
                if ends <= wall_ms || expected.birth.is_none() && expected.dead.is_none() {
                    continue;
                }
                let differs =
                    look.world.replica(at).shared(session.partition, |p| differs(p, session.id, &expected));
                verdict.case(differs.is_none(), at, Some(number), || differs.unwrap_or_default());
            }
        }
    }
}
