//! ALGORITHM.md §3: a dot is in the index if and only if some component of a record still carries it.

use super::{Invariant, Look, Verdict};

/// The rule; which partition is looked at next.
#[derive(Default)]
pub struct IndexMatchesRecords {
    next: u16,
}

fn check(look: &Look<'_>, at: usize, partition: u16, verdict: &mut Verdict) {
    let checked = look.world.replica(at).shared(partition, |p| p.check_index());
    verdict.case(checked.is_ok(), at, None, || checked.err().unwrap_or_default());
}

impl Invariant for IndexMatchesRecords {
    fn second(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        self.next = (self.next + 1) % look.world.limits.partitions;
        for at in look.world.up() {
            check(look, at, self.next, verdict);
        }
    }

    fn equal(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        for at in look.core_up() {
            (0..look.world.limits.partitions).for_each(|ix| check(look, at, ix, verdict));
        }
    }
}
