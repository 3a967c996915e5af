//! ALGORITHM.md §11: a session is ended by a revocation only if one of its logins had not seen a revocation of its
//! principal. One that logged in again after it stands, whatever it meets.

use super::{Invariant, Look, Verdict};
use crate::world::Seen;

/// The rule.
#[derive(Default)]
pub struct SeenLoginsStand;

impl Invariant for SeenLoginsStand {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        let Seen::Revoked { at, id, .. } = seen else { return };
        let Some(number) = look.history.number_of(*id) else { return };
        let logins = &look.history.logins;
        let unseen = logins.of_session(number).any(|login| logins.unseen(login).next().is_some());
        verdict.case(unseen, *at, Some(number), || "ended by a revocation that its login had seen".into());
    }
}
