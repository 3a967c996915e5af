//! ALGORITHM.md §3: a dot names one write for ever. A life is never begun twice, and a life's counters rise.

use std::collections::{BTreeMap, BTreeSet};

use super::{Invariant, Look, Verdict};
use crate::world::Seen;
use sessionmesh::core::causality::Origin;

/// The rule: lives begun, and each life's last counter.
#[derive(Default)]
pub struct DotsAreUnique {
    begun: BTreeSet<Origin>,
    last: BTreeMap<Origin, u64>,
}

impl Invariant for DotsAreUnique {
    fn seen(&mut self, _: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        match seen {
            Seen::Started { at, life, .. } => {
                let fresh = self.begun.insert(*life);
                verdict.case(fresh, *at, None, || format!("life {life} begins a second time"));
            }
            Seen::Wrote { at, asked, result: Ok(written), .. } if written.wrote => {
                let last = self.last.entry(written.dot.origin).or_insert(0);
                let (before, now) = (*last, written.dot.counter);
                *last = now;
                verdict
                    .case(now > before, *at, Some(asked.session), || format!("counter {now} after {before}"));
            }
            _ => {}
        }
    }
}
