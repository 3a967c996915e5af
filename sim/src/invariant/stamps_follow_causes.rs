//! The causality lemma (ALGORITHM.md §2): a write that a node covered when it wrote has a lesser stamp, whatever
//! the wall clocks say. So a causally later write always wins.
//!
//! Among writes of one session without exception, but that a tombstone wins whatever its stamp. Across sessions, where
//! nothing is compared, not after stamps further ahead of the time than peers take (docs/CLOCKS.md).

use std::collections::BTreeMap;

use sessionmesh::core::time::Hlc;

use super::{Invariant, Look, Verdict};
use crate::world::{OpKind, Seen};

/// The rule: the greatest stamps each machine's memory has covered, of all sessions and of each.
#[derive(Default)]
pub struct StampsFollowCauses {
    greatest: Vec<Greatest>,
}

#[derive(Clone, Default)]
struct Greatest {
    all: u64,
    of: BTreeMap<u64, u64>,
}

impl Greatest {
    fn raise(&mut self, session: u64, stamp: u64) {
        self.all = self.all.max(stamp);
        let held = self.of.entry(session).or_default();
        *held = (*held).max(stamp);
    }
}

impl StampsFollowCauses {
    fn of(&mut self, at: usize) -> &mut Greatest {
        if self.greatest.len() <= at {
            self.greatest.resize(at + 1, Greatest::default());
        }
        &mut self.greatest[at]
    }
}

impl Invariant for StampsFollowCauses {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        match seen {
            Seen::Ended { at, .. } => *self.of(*at) = Greatest::default(),
            Seen::Wrote { at, asked, result: Ok(written), wall_ms, .. } if written.wrote => {
                let latest = Hlc::from_ms(wall_ms + look.world.limits.max_drift_ms + 1).0;
                let greatest = self.of(*at);
                let (all, now) = (greatest.all, written.hlc.0);
                let same = greatest.of.get(&asked.session).copied().unwrap_or(0);
                let before = match asked.kind {
                    _ if all < latest => all,
                    OpKind::Destroy(_) => 0,
                    _ => same,
                };
                greatest.raise(asked.session, now);
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
            p.get(known.id).is_some_and(|r| {
                r.vers().any(|v| v.counter == counter && super::stamp(&v, p.origins()).1 == life.0)
            })
        });
        if here {
            self.of(at).raise(session, hlc);
        }
    }
}
