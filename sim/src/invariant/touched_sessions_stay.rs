//! ALGORITHM.md §6: a session that its user keeps touching stays alive where he touches it, through any partition, and
//! is alive everywhere after the heal: expiry on one side never logs out the other.

use super::{Invariant, Look, Verdict};
use crate::oracle::fold;

/// The rule.
#[derive(Default)]
pub struct TouchedSessionsStay;

impl Invariant for TouchedSessionsStay {
    fn equal(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        let core = look.core_up();
        for (&number, session) in &look.history.sessions {
            let ops = look.history.ops_of(number).map(|(_, op)| op);
            if ops.clone().any(|op| op.effect.dead.is_some()) {
                continue;
            }
            let deadline = fold(ops.filter(|op| op.holders & look.core != 0)).deadline_ms();
            for &at in &core {
                let wall_ms = look.world.now(at).wall_ms;
                if deadline.is_some_and(|deadline| wall_ms + look.world.limits.skew_ms < deadline) {
                    verdict.case(look.world.visible(at, session.id), at, Some(number), || {
                        format!("hides a session that lives until {deadline:?}")
                    });
                }
            }
        }
    }
}
