//! ALGORITHM.md §1.4: a session is never shown past its deadline by the node's own clock, nor past the latest
//! deadline that any write ever gave it.

use super::{Invariant, Look, Verdict};
use crate::world::{Reading, Seen};
use sessionmesh::core::session::Ttl;

/// The rule.
#[derive(Default)]
pub struct ExpiryIsOnTime;

impl Invariant for ExpiryIsOnTime {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        let Seen::Read { at, asked, reading: Reading::Found(_), wall_ms, .. } = seen else { return };
        let ops = || look.history.ops_of(asked.session).map(|(_, op)| op);
        let Some((_, hard_ms)) = ops().find_map(|op| op.effect.birth) else { return };
        let touch = ops().filter_map(|op| op.effect.touch).max().unwrap_or(0);
        let longest = ops().filter_map(|op| op.effect.ttl).map(|ttl| match ttl {
            Ttl::Sliding(ms) => touch.saturating_add(ms),
            Ttl::Absolute(ms) => ms,
        });
        let latest = longest.max().unwrap_or(u64::MAX).min(hard_ms);
        verdict.case(*wall_ms < latest, *at, Some(asked.session), || {
            format!("read {} ms after its last possible deadline", wall_ms - latest)
        });
    }
}
