//! ALGORITHM.md §3, I11: an idle mesh of equal nodes has nothing to send but digests, however much it holds. Two
//! nodes that sent each other the same thing for ever would show here.

use super::{Invariant, Look, Verdict};

/// The rule: traffic when everything became equal, and when (virtual ms).
#[derive(Default)]
pub struct QuietWhenEqual {
    since: Option<(u64, u64)>,
}

/// Digest and answer of a node and second, an audit now and then, freshness while expired sessions are retained
/// (bytes).
const IDLE_BYTES: u64 = 200;
/// A freshness entry: a member and a time (bytes).
const FRESH_BYTES: u64 = 30;

impl Invariant for QuietWhenEqual {
    fn equal(&mut self, look: &Look<'_>, _: &mut Verdict) {
        self.since = Some((look.world.sent.0, look.world.time_ms));
    }

    fn over(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        let Some((sent, since_ms)) = self.since else { return };
        let seconds = (look.world.time_ms - since_ms) / 1_000;
        let lives = look.history.lives.len() as u64;
        let nodes = look.world.up().len() as u64;
        // The rare partition exchange around a pruning is allowed for by the constant part.
        let most = 200_000 + nodes * seconds * (IDLE_BYTES + FRESH_BYTES * lives);
        let spent = look.world.sent.0 - sent;
        verdict.case(spent <= most, 0, None, || format!("{spent} bytes in {seconds} s of nothing: at most {most}"));
    }
}
