//! The theorem of ALGORITHM.md §4: equal coverage, equal states. Once all nodes cover the same they show the
//! same sessions with the same fields and know the same destroyed, but for what is about to end by itself.

use super::{Invariant, Look, Verdict};
use sessionmesh::core::replica::Partition;

/// The rule.
#[derive(Default)]
pub struct ReplicasAreEqual;

/// A record as comparable between nodes; `None` if there is none, or it ends within the margin.
fn spelled(p: &Partition, id: sessionmesh::core::session::SessionId, until_ms: u64) -> Option<Vec<String>> {
    let record = p.get(id)?;
    if record.is_dead() {
        return (record.hard_ms() > until_ms).then(|| vec!["destroyed".into()]);
    }
    if record.deadline_ms() <= until_ms {
        return None;
    }
    let mut lines = vec![
        format!("born {} to {}", record.created_ms(), record.hard_ms()),
        format!("touched {}, {:?}, ends {}", record.touch_ms(), record.ttl(), record.deadline_ms()),
        format!("stable from {}", record.stable_deadline_ms()),
    ];
    lines.extend(record.fields().map(|f| {
        let value = f.value.map(|v| String::from_utf8_lossy(&v[..v.len().min(40)]).into_owned());
        format!("{} = {value:?} {:?}", f.key, super::stamp(&record.ver(f.op), p.origins()))
    }));
    Some(lines)
}

impl Invariant for ReplicasAreEqual {
    fn equal(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        let core = look.core_up();
        let Some((&first, rest)) = core.split_first() else { return };
        let margin = 2 * look.world.limits.max_drift_ms;
        let until_ms = core.iter().map(|&at| look.world.now(at).wall_ms).max().unwrap_or(0) + margin;
        for (&number, session) in &look.history.sessions {
            let of = |at: usize| {
                look.world.replica(at).shared(session.partition, |p| spelled(p, session.id, until_ms))
            };
            let expected = of(first);
            for &at in rest {
                let held = of(at);
                verdict.case(held == expected, at, Some(number), || {
                    format!("n{at} holds {held:?}, n{first} holds {expected:?}, under equal coverage")
                });
            }
        }
    }
}
