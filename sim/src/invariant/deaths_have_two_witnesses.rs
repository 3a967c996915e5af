//! MEMBERSHIP.md, "The two witnesses": a member dies in a node's view only if that node's own probe of it failed, and
//! nothing that it produced since the suspicion began has arrived. And news of it clears a suspicion only if it was
//! produced after that. Held against what the network really carried, not against what the detector believes.

use std::collections::BTreeMap;

use sessionmesh::core::causality::Origin;
use sessionmesh::core::membership::{State, Why};

use super::{Invariant, Look, Verdict};
use crate::world::{Seen, SimNode};

/// What a probe of one's own may take at the worst (ms): the longest timeout of a node in bad health.
const PROBE_MS: u64 = 20_000;
/// The longest round trip that a clock is anchored by (ms): what news may be misdated by.
const ROUND_TRIP_MS: u64 = 400;
/// What clocks that run at different rates, and rounding, may make of a window (ms).
const SLACK_MS: u64 = 100;
/// A node that stood still for at least this long (ms) ...
const STOOD_STILL_MS: u64 = 1_500;
/// ... declares nobody dead for this long after (ms): a probe of its own takes at least as long.
const THAWED_MS: u64 = 300;

/// The rule.
#[derive(Default)]
pub struct DeathsHaveTwoWitnesses {
    /// Suspicions: when they began (virtual ms), and whether the node's own probe began them.
    suspicions: BTreeMap<(usize, Origin), (u64, bool)>,
    /// When lives ended (virtual ms).
    ended: BTreeMap<Origin, u64>,
    /// Since when and until when (virtual ms) each node stands still, or stood last.
    still: BTreeMap<usize, (u64, u64)>,
    /// Since when and until when (virtual ms) each machine was suspended last: its node's clock stood still as well.
    asleep: BTreeMap<usize, (u64, u64)>,
}

impl DeathsHaveTwoWitnesses {
    fn died(&self, look: &Look<'_>, at: usize, member: Origin, silent_ms: u64, verdict: &mut Verdict) {
        let now_ms = look.world.time_ms;
        let awake_ms = now_ms.saturating_sub(silent_ms + SLACK_MS);
        let slept = self.asleep.get(&at).filter(|(_, until_ms)| awake_ms < *until_ms);
        let began_ms = awake_ms.saturating_sub(slept.map_or(0, |(since_ms, until_ms)| until_ms - since_ms));
        let Some(witness) = look.world.nodes[at].as_ref().map(|n| &n.witness) else { return };
        let asked_ms = witness.asked_ms.get(&member).copied().unwrap_or(0);
        let own = self.suspicions.get(&(at, member)).is_none_or(|s| s.1);
        let since_ms = if own { began_ms.saturating_sub(PROBE_MS) } else { began_ms };
        verdict.case(asked_ms >= since_ms, at, None, || {
            format!("declares {member} dead, asked last at {asked_ms} ms and suspected since {began_ms} ms")
        });
        let heard_ms = witness.heard_ms.get(&member).copied().unwrap_or(0);
        // While its machine slept nothing was heard.
        verdict.case(heard_ms <= awake_ms + 2 * SLACK_MS, at, None, || {
            format!("declares {member} dead, suspected since {awake_ms} ms and heard from at {heard_ms} ms")
        });
        let (since_ms, until_ms) = self.still.get(&at).copied().unwrap_or_default();
        let thawed = until_ms >= since_ms + STOOD_STILL_MS && now_ms >= until_ms;
        verdict.case(!thawed || now_ms >= until_ms + THAWED_MS, at, None, || {
            format!("declares {member} dead {} ms after it stood still itself", now_ms - until_ms)
        });
    }

    fn suspected(&mut self, look: &Look<'_>, at: usize, member: Origin, why: Why) {
        let now_ms = look.world.time_ms;
        let detector = look.world.nodes[at].as_ref().and_then(|n| n.node.detector());
        let suspicion = detector.and_then(|d| d.members().get(&member)?.suspicion.as_ref());
        let age_ms = suspicion.map_or(0, |s| look.world.now(at).mono_ms.saturating_sub(s.began_ms));
        self.suspicions.insert((at, member), (now_ms.saturating_sub(age_ms), why == Why::ProbeFailed));
    }

    fn cleared(&mut self, look: &Look<'_>, at: usize, member: Origin, verdict: &mut Verdict) {
        let began_ms = self.suspicions.remove(&(at, member)).map(|s| s.0);
        // Whoever never answered a node cannot be dated by it, and gets the benefit of the doubt.
        let dated = |n: &SimNode| {
            n.node.detector().is_some_and(|d| d.members().get(&member).is_some_and(|m| m.is_dated()))
        };
        if !look.world.nodes[at].as_ref().is_some_and(dated) {
            return;
        }
        if let (Some(began_ms), Some(ended_ms)) = (began_ms, self.ended.get(&member)) {
            verdict.case(ended_ms + ROUND_TRIP_MS >= began_ms, at, None, || {
                format!("has heard of {member} since {began_ms} ms, which ended at {ended_ms} ms")
            });
        }
    }
}

impl Invariant for DeathsHaveTwoWitnesses {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        let now_ms = look.world.time_ms;
        match seen {
            Seen::Started { at, .. } => self.suspicions.retain(|(node, _), _| node != at),
            Seen::Ended { at, life, .. } => {
                self.ended.insert(*life, now_ms);
                self.suspicions.retain(|(node, _), _| node != at);
            }
            Seen::Still { at, how: "freeze", until_ms } => {
                let since_ms = self.still.get(at).filter(|s| s.1 >= now_ms).map_or(now_ms, |s| s.0);
                self.still.insert(*at, (since_ms, *until_ms));
            }
            Seen::Still { at, how: "suspend", until_ms } => {
                self.asleep.insert(*at, (now_ms, *until_ms));
            }
            Seen::Still { at, how: "thaw", until_ms } => {
                self.still.entry(*at).and_modify(|s| s.1 = *until_ms);
            }
            Seen::Judged { at, change, .. } => match (change.state, change.why) {
                (State::Suspect, why) => self.suspected(look, *at, change.member, why),
                (State::Dead, Why::Silent(ms)) => self.died(look, *at, change.member, ms, verdict),
                (State::Alive, Why::HeardSince) => self.cleared(look, *at, change.member, verdict),
                _ => {}
            },
            _ => {}
        }
    }
}
