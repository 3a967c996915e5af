//! ALGORITHM.md §6: expiry is never a destroy. Every tombstone anywhere stands for a destroy that a client asked for.

use super::{Invariant, Look, Verdict};

/// The rule.
#[derive(Default)]
pub struct TombstonesHaveDestroys;

impl Invariant for TombstonesHaveDestroys {
    fn record(&mut self, look: &Look<'_>, at: usize, session: u64, verdict: &mut Verdict) {
        let known = &look.history.sessions[&session];
        let dead =
            look.world.replica(at).shared(known.partition, |p| p.get(known.id).is_some_and(|r| r.is_dead()));
        if dead {
            let asked = look.history.ops_of(session).any(|(_, op)| op.effect.dead.is_some());
            verdict.case(asked, at, Some(session), || "a tombstone that nobody asked for".into());
        }
    }

    fn second(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        let second = look.world.time_ms / 1_000;
        let sessions = look.history.sessions.len() as u64;
        let Some(&number) = look.history.sessions.keys().nth((second % sessions.max(1)) as usize) else {
            return;
        };
        for at in look.world.up() {
            self.record(look, at, number, verdict);
        }
    }

    fn equal(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        for at in look.core_up() {
            for &number in look.history.sessions.keys() {
                self.record(look, at, number, verdict);
            }
        }
    }
}
