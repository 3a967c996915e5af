//! ALGORITHM.md §1.3: a node that covers a destroy's dot does not show the session.

use super::{Invariant, Look, Verdict};

/// The rule.
#[derive(Default)]
pub struct DestroyCoveredIsHidden;

impl Invariant for DestroyCoveredIsHidden {
    fn record(&mut self, look: &Look<'_>, at: usize, session: u64, verdict: &mut Verdict) {
        let covered =
            |(ix, op): (u32, &crate::oracle::Op)| op.effect.dead.is_some() && look.history.holds(at, ix);
        if look.history.ops_of(session).any(covered) {
            let id = look.history.sessions[&session].id;
            verdict.case(!look.world.visible(at, id), at, Some(session), || {
                "covers the destroy and shows the session".into()
            });
        }
    }

    fn equal(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        for at in look.core_up() {
            for &session in look.history.sessions.keys() {
                self.record(look, at, session, verdict);
            }
        }
    }
}
