//! ALGORITHM.md §6: a session that is not destroyed is shown until its deadline. A node that covers a touch shows
//! the session until that touch's deadline by its own clock, and no read may miss it before.
//!
//! What has ended stays ended when a clock is set back: a node goes by the greatest time it has believed (§7), until a
//! new life takes that back (§7), and what was reaped meanwhile is gone everywhere. CLOCKS.md promises that a step
//! alone ends nothing, *if the time is true on every followed clock*. So a time that was believed counts here only
//! where that premise did not hold (`oracle/misled.rs`): otherwise it ended nothing that could be missed.

use std::collections::BTreeMap;

use super::{Invariant, Look, Verdict};
use crate::EPOCH_MS;
use crate::oracle::{Misled, Peaks, fold};
use crate::world::{Reading, Seen};
use sessionmesh::core::replica::WriteError;

/// The rule.
#[derive(Default)]
pub struct ExpiryIsNotEarly {
    misled: Misled,
    /// The greatest time each node's present life went by (wall ms).
    highest_ms: BTreeMap<usize, u64>,
    /// When which time was the greatest that any node went by.
    anywhere: Peaks,
}

impl ExpiryIsNotEarly {
    /// A node has looked at its clocks.
    fn looked(&mut self, look: &Look<'_>, at: usize) {
        let Some(wall_ms) = self.misled.believes(look.world, at) else { return };
        let highest_ms = self.highest_ms.entry(at).or_default();
        *highest_ms = wall_ms.max(*highest_ms);
        self.anywhere.push(look.world.time_ms, wall_ms);
    }

    /// Until when (wall ms) the session must be shown here by what this node covers, if that is later than `wall_ms`.
    fn must_show(&self, look: &Look<'_>, at: usize, session: u64, wall_ms: u64) -> Option<u64> {
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
        let deadline_ms = fold(covered.clone().map(|(_, op)| op)).deadline_ms()?;
        let true_ms = EPOCH_MS + look.world.time_ms + look.world.limits.skew_ms;
        let highest_ms = self.highest_ms.get(&at).copied().unwrap_or(0);
        // Reaped by somebody since its last write, and covered here by his word.
        let written_ms = covered.map(|(_, op)| op.time_ms).max()?;
        let reaped_ms = self.anywhere.since(written_ms).saturating_sub(look.world.limits.grace_ms);
        (wall_ms.max(true_ms).max(highest_ms).max(reaped_ms) < deadline_ms).then_some(deadline_ms)
    }
}

impl Invariant for ExpiryIsNotEarly {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        let (at, session, wall_ms, missed) = match seen {
            Seen::Started { at, why, .. } => {
                self.highest_ms.remove(at);
                if *why != "new life" {
                    self.misled.started(look.world, *at);
                }
                return self.looked(look, *at);
            }
            Seen::Step { at, .. } => return self.looked(look, *at),
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
        if let Some(deadline_ms) = self.must_show(look, at, session, wall_ms) {
            verdict.case(!missed, at, Some(session), || {
                format!("absent {} ms before its deadline", deadline_ms - wall_ms)
            });
        }
    }
}
