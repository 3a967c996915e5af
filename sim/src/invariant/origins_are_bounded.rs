//! ALGORITHM.md §6: vectors hold only lives that were, and forget each after the last hard deadline of what it
//! wrote, with margins.

use super::{Invariant, Look, Verdict};

/// The rule; which partition is looked at next.
#[derive(Default)]
pub struct OriginsAreBounded {
    next: u16,
}

impl Invariant for OriginsAreBounded {
    fn second(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        self.next = (self.next + 1) % look.world.limits.partitions;
        for at in look.world.up() {
            let replica = look.world.replica(at);
            let unknown = replica.shared(self.next, |p| {
                p.coverage().map(|(o, _)| o).find(|o| !look.history.lives.contains_key(o))
            });
            verdict.case(unknown.is_none(), at, None, || format!("covers {unknown:?}, which never lived"));
        }
    }
}
