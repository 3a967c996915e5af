//! ALGORITHM.md §11: once everything has met, no session lives whose login had not seen a revocation of its principal
//! that any living memory knows: not one whose login was concurrent with it either.

use super::{Invariant, Look, Verdict};
use sessionmesh::core::causality::{Dot, origin_at};
use sessionmesh::core::replica::Partition;
use sessionmesh::core::session::{PRINCIPAL_KEY, SessionId};

/// The rule.
#[derive(Default)]
pub struct RevocationsHold;

/// The write that the session's principal comes from, if it has one and is not destroyed.
fn login(p: &Partition, id: SessionId) -> Option<Dot> {
    let record = p.get(id)?;
    let field = record.fields().find(|f| f.key == PRINCIPAL_KEY && f.value.is_some())?;
    let ver = record.ver(field.op);
    Some(Dot { origin: origin_at(p.origins(), ver.origin), counter: ver.counter })
}

impl Invariant for RevocationsHold {
    fn equal(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        let logins = &look.history.logins;
        if logins.revocations.is_empty() {
            return;
        }
        for at in look.core_up() {
            let (replica, now) = (look.world.replica(at), look.world.now(at));
            for (&number, session) in &look.history.sessions {
                let dot = replica.shared(session.partition, |p| login(p, session.id));
                let Some(login) = dot.and_then(|dot| logins.by_dot(dot)) else { continue };
                // One that ends now may be gone, and with it what it did.
                let here = logins.unseen(login).filter(|r| {
                    now.wall_ms + 2 * look.world.limits.max_drift_ms < r.until_ms
                        && replica.shared(r.partition, |p| p.covers(r.dot.origin, r.dot.counter))
                });
                let missed = here.count();
                verdict.case(missed == 0, at, Some(number), || {
                    format!("lives though its login had not seen {missed} revocations of its principal")
                });
            }
        }
    }
}
