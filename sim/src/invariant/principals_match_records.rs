//! ALGORITHM.md §11: the index of principals is what a scan of all records gives.

use super::{Invariant, Look, Verdict};

/// The rule.
#[derive(Default)]
pub struct PrincipalsMatchRecords;

fn check(look: &Look<'_>, at: usize, verdict: &mut Verdict) {
    let checked = look.world.replica(at).check_principals();
    verdict.case(checked.is_ok(), at, None, || checked.err().unwrap_or_default());
}

impl Invariant for PrincipalsMatchRecords {
    fn second(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        // A scan of everything: one node each second, and only where there is something to find.
        let up = look.world.up();
        if look.history.logins.any() && !up.is_empty() {
            check(look, up[(look.world.time_ms / 1_000) as usize % up.len()], verdict);
        }
    }

    fn equal(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        look.core_up().into_iter().for_each(|at| check(look, at, verdict));
    }
}
