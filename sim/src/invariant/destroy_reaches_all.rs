//! ALGORITHM.md §1.3: once everything has met, a destroy that any living memory knows hides the session everywhere.

use super::{Invariant, Look, Verdict};

/// The rule.
#[derive(Default)]
pub struct DestroyReachesAll;

impl Invariant for DestroyReachesAll {
    fn equal(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        let core = look.core_up();
        for (&number, session) in &look.history.sessions {
            let destroyed = |at: usize| {
                look.world
                    .replica(at)
                    .shared(session.partition, |p| p.get(session.id).is_some_and(|r| r.is_dead()))
            };
            let known = look
                .history
                .ops_of(number)
                .any(|(_, op)| op.effect.dead.is_some() && op.holders & look.core != 0);
            if !known && !core.iter().any(|&at| destroyed(at)) {
                continue;
            }
            for &at in &core {
                verdict.case(!look.world.visible(at, session.id), at, Some(number), || {
                    "shows a session whose destroy is known in the mesh".into()
                });
            }
        }
    }
}
