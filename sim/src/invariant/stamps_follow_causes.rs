//! The causality lemma (ALGORITHM.md §2): a write that a node covered when it wrote has a lesser stamp, whatever
//! the wall clocks say. So a causally later write always wins.

use super::{Invariant, Look, Verdict};
use crate::world::Seen;

/// The rule: the greatest stamp each machine's memory has covered.
#[derive(Default)]
pub struct StampsFollowCauses {
    greatest: Vec<u64>,
}

impl StampsFollowCauses {
    fn of(&mut self, at: usize) -> &mut u64 {
        if self.greatest.len() <= at {
            self.greatest.resize(at + 1, 0);
        }
        &mut self.greatest[at]
    }
}

impl Invariant for StampsFollowCauses {
    fn seen(&mut self, _: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        match seen {
            Seen::Ended { at, .. } => *self.of(*at) = 0,
            Seen::Wrote { at, asked, result: Ok(written), .. } if written.wrote => {
                let greatest = self.of(*at);
                let (before, now) = (*greatest, written.hlc.0);
                *greatest = before.max(now);
                verdict.case(now > before, *at, Some(asked.session), || {
                    format!("stamped {now}, although it covers a write stamped {before}")
                });
            }
            _ => {}
        }
    }

    fn covers(&mut self, look: &Look<'_>, at: usize, op: u32, _: &mut Verdict) {
        let hlc = look.history.ops[op as usize].hlc;
        let session = look.history.ops[op as usize].session;
        // Its record must really be here: what was superseded before it arrived was never observed.
        let known = &look.history.sessions[&session];
        let (life, counter) = (look.history.ops[op as usize].life, look.history.ops[op as usize].counter);
        let here = look.world.replica(at).shared(known.partition, |p| {
            p.get(known.id).is_some_and(|r| r.vers().any(|v| v.counter == counter && super::stamp(&v, p.origins()).1 == life.0))
        });
        if here {
            let greatest = self.of(at);
            *greatest = (*greatest).max(hlc);
        }
    }
}
