//! ALGORITHM.md §3, §4: an idle mesh of equal nodes has nothing to send but digests, however much it holds, and once the
//! faults are over no node asks again and again for what brings nothing. Two nodes that sent each other the same thing
//! for ever would show here.

use std::collections::BTreeMap;

use sessionmesh::core::causality::Origin;

use super::{Invariant, Look, Verdict};

/// The rule: traffic when everything became equal, and when (virtual ms); rounds of each life.
#[derive(Default)]
pub struct QuietWhenEqual {
    since: Option<(u64, u64)>,
    /// Of each life: seconds looked at, its rounds then, and what it may have begun.
    rounds: BTreeMap<Origin, Budget>,
}

/// Rounds a life may begin: so many at once, and so many for each second that passes.
#[derive(Clone, Copy, Default)]
struct Budget {
    rounds: u64,
    left: u64,
}

/// Digest and answer of a node and second, an audit now and then, freshness while expired sessions are retained
/// (bytes).
const IDLE_BYTES: u64 = 200;
/// A freshness entry, a member and a time (bytes): in the answer to each digest, so in every interval.
const FRESH_BYTES: u64 = 30;
/// Rounds at once, for each node of the mesh: links come up, pages bring something and so lead to the next.
const BURST: u64 = 20;

impl Invariant for QuietWhenEqual {
    fn equal(&mut self, look: &Look<'_>, _: &mut Verdict) {
        self.since = Some((look.world.sent.0, look.world.time_ms));
    }

    fn second(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        if look.healed_ms.is_none() {
            return;
        }
        let nodes = look.world.hosts.len() as u64;
        // A round of its own accord, and one with each peer that differs, per interval.
        let per_second = (1 + nodes) * 1_000u64.div_ceil(look.world.limits.sync_interval_ms);
        let burst = BURST * nodes;
        for at in look.core_up() {
            let Some(node) = &look.world.nodes[at] else { continue };
            let stats = node.node.stats();
            let rounds = stats.rounds_equal + stats.rounds_pulled + stats.rounds_failed;
            let first = Budget { rounds, left: burst };
            let budget = self.rounds.entry(look.world.origin(at)).or_insert(first);
            let begun = rounds.saturating_sub(budget.rounds);
            let left = (budget.left + per_second).min(burst);
            let holds = begun <= left;
            *budget = Budget { rounds, left: if holds { left - begun } else { burst } };
            verdict.case(holds, at, None, || format!("{begun} rounds within a second: at most {left} by now"));
        }
    }

    fn over(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        let Some((sent, since_ms)) = self.since else { return };
        let seconds = (look.world.time_ms - since_ms) / 1_000;
        let lives = look.history.lives.len() as u64;
        let nodes = look.world.up().len() as u64;
        // The rare partition exchange around a pruning is allowed for by the constant part.
        let answers = 1_000u64.div_ceil(look.world.limits.sync_interval_ms);
        let most = 200_000 + nodes * seconds * (IDLE_BYTES + FRESH_BYTES * lives * answers);
        let spent = look.world.sent.0 - sent;
        verdict.case(spent <= most, 0, None, || {
            format!("{spent} bytes in {seconds} s of nothing: at most {most}")
        });
    }
}
