//! ALGORITHM.md §3: an operation is one dot, an atomic set of components. Two fields that are only ever written
//! together, to one value, are equal wherever a session is shown.

use super::{Invariant, Look, Verdict};
use crate::world::{Reading, Seen};

/// The rule, for the fields `pair_a` and `pair_b` of the workloads.
#[derive(Default)]
pub struct EditsAreAtomic;

impl Invariant for EditsAreAtomic {
    fn seen(&mut self, _: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        let Seen::Read { at, asked, reading: Reading::Found(fields), .. } = seen else { return };
        let (a, b) = (fields.get("pair_a"), fields.get("pair_b"));
        if a.is_some() || b.is_some() {
            verdict.case(a == b, *at, Some(asked.session), || format!("a pair read as {a:?} and {b:?}"));
        }
    }

    fn record(&mut self, look: &Look<'_>, at: usize, session: u64, verdict: &mut Verdict) {
        let known = &look.history.sessions[&session];
        look.world.replica(at).shared(known.partition, |p| {
            let Some(record) = p.get(known.id).filter(|r| !r.is_dead()) else { return };
            let (a, b) = (record.field("pair_a"), record.field("pair_b"));
            if a.is_some() || b.is_some() {
                verdict.case(a == b, at, Some(session), || format!("a pair held as {a:?} and {b:?}"));
            }
        });
    }
}
