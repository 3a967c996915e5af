//! ALGORITHM.md §6: a session that is not destroyed is shown until its deadline. A node that covers a touch shows
//! the session until that touch's deadline by its own clock, and no read may miss it before.

use super::{Invariant, Look, Verdict};
use crate::EPOCH_MS;
use crate::oracle::fold;
use crate::world::{Reading, Seen};
use sessionmesh::core::replica::WriteError;

/// The rule.
#[derive(Default)]
pub struct ExpiryIsNotEarly;

impl ExpiryIsNotEarly {
    /// Whether what this node covers says that the session must be shown at this wall time.
    fn must_show(look: &Look<'_>, at: usize, session: u64, wall_ms: u64) -> Option<u64> {
        let destroyed = look.history.ops_of(session).any(|(_, op)| op.effect.dead.is_some());
        // A time-to-live this node does not know may have ended the session before what it covers says.
        let unknown_ttl = look
            .history
            .ops_of(session)
            .any(|(ix, op)| op.effect.ttl.is_some() && !look.history.holds(at, ix));
        if destroyed || unknown_ttl {
            return None;
        }
        let covered = look.history.ops_of(session).filter(|(ix, _)| look.history.holds(at, *ix));
        let true_ms = EPOCH_MS + look.world.time_ms + look.world.limits.skew_ms;
        // A clock that was set back does not bring back what had ended: it may be gone.
        fold(covered.map(|(_, op)| op)).deadline_ms().filter(|&deadline| wall_ms.max(true_ms) < deadline)
    }
}

impl Invariant for ExpiryIsNotEarly {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        let (at, session, wall_ms, missed) = match seen {
            Seen::Read { at, asked, reading, wall_ms, .. } => {
                (*at, asked.session, *wall_ms, *reading == Reading::Absent)
            }
            Seen::Wrote { at, asked, result, wall_ms, .. } => {
                (*at, asked.session, *wall_ms, *result == Err(WriteError::Absent))
            }
            _ => return,
        };
        if look.world.nodes[at].is_none() {
            return;
        }
        if let Some(deadline_ms) = Self::must_show(look, at, session, wall_ms) {
            verdict.case(!missed, at, Some(session), || {
                format!("absent {} ms before its deadline", deadline_ms - wall_ms)
            });
        }
    }
}
