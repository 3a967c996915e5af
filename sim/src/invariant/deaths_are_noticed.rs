//! MEMBERSHIP.md, "From silence to death": where the network carries everything and nobody stands still, a process that
//! ended is dead to everybody within the time that probes and windows take, whatever happened before.
//!
//! The two bounds are those of its paragraph "At most": where somebody who lives is asked for help with every probe, and
//! where so many died together that all who are asked may be gone.

use std::collections::BTreeMap;

use sessionmesh::core::causality::Origin;
use sessionmesh::core::membership::Config;

use super::{Invariant, Look, Verdict};
use crate::net::Faults;
use crate::world::Seen;

/// All must be calm for this long before an end (ms), and from then on.
const CALM_MS: u64 = 3_000;
/// A member is probed by somebody within this many intervals (p999), and by each node through its own check besides.
const INTERVALS: u64 = 8;
/// A member that was slow is measured anew by so many quick answers, one an interval, of so many members at a time.
const QUICK_AGAIN: (u64, u64) = (4, 8);

/// The rule: who ended when, and when the mesh was last disturbed.
#[derive(Default)]
pub struct DeathsAreNoticed {
    ended: BTreeMap<Origin, Ended>,
    disturbed_ms: u64,
    /// When a line or a machine was last slow: its members are waited for longer until they are measured anew.
    slow_ms: u64,
}

/// An end in a calm mesh.
struct Ended {
    at_ms: u64,
    /// How many ended about then, it included.
    together: u64,
}

/// How long it may take (ms) with so many members of whom so many ended together.
fn most_ms(config: &Config, members: u64, together: u64) -> u64 {
    let (interval_ms, timeout_ms) = (config.probe_interval_ms, config.probe_timeout_ms);
    let scale = (members as f64).log10().max(1.0);
    let window_ms = ((config.suspicion_mult * interval_ms) as f64 * scale) as u64;
    let asked = (config.indirect as u64).min(members.saturating_sub(2));
    if together <= asked.max(1) {
        // One of the asked lives, says so, and accuses as well: the longest window that two accusers leave.
        return INTERVALS * interval_ms + timeout_ms + window_ms * 26 / 10;
    }
    // Nobody may answer: this node doubts itself, so that each probe takes longer, and the window is one accuser's. Its
    // own check of whom another accuses begins within half the shortest window.
    let probe_ms = u64::from(1 + config.health_max) * timeout_ms;
    let probed_ms = interval_ms * INTERVALS.max(2 * (members - 1));
    probed_ms + probe_ms + (config.suspicion_max_mult * window_ms).max(window_ms / 2 + probe_ms)
}

/// How long after a time of slow answers a death may be told by it (ms): until all are measured anew. Each member is
/// probed within two rounds, and then at every interval.
fn slow_ms(config: &Config, members: u64) -> u64 {
    let others = members.saturating_sub(1);
    config.probe_interval_ms * (2 * others + QUICK_AGAIN.0 * others.div_ceil(QUICK_AGAIN.1))
}

impl DeathsAreNoticed {
    /// Whether the network carries everything, and no machine is slow.
    fn is_quick(look: &Look<'_>) -> bool {
        let (world, sound) = (look.world, Faults::default());
        let quick = |f: &Faults| {
            f.drop_per_mille + f.late_per_mille + f.flip_per_mille + f.truncate_per_mille + f.burst_per_mille
                == 0
                && f.delay_max_ms <= sound.delay_max_ms
                && (f.bandwidth_bytes, f.queue_bytes, f.datagram_bytes) == (0, 0, 0)
        };
        quick(&world.net.faults)
            && world.net.links.values().all(quick)
            && world.hosts.iter().all(|host| host.slow_ms == 0)
    }

    /// Whether besides everybody reaches everybody, and all processes run.
    fn is_calm(look: &Look<'_>) -> bool {
        let world = look.world;
        world.net.cuts.is_empty() && (0..world.nodes.len()).all(|at| !world.is_still(at))
    }

    /// A process ended in a calm mesh.
    fn ended(&mut self, life: Origin, at_ms: u64) {
        let together = 1 + self.ended.len() as u64;
        self.ended.values_mut().for_each(|other| other.together += 1);
        self.ended.insert(life, Ended { at_ms, together });
    }
}

impl Invariant for DeathsAreNoticed {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, _: &mut Verdict) {
        let now_ms = look.world.time_ms;
        match seen {
            Seen::Ended { life, left, .. } => {
                let members = look.world.up().len() as u64 + 1;
                let slow_ms = look.world.membership.as_ref().map_or(0, |config| slow_ms(config, members));
                let calm = now_ms >= self.disturbed_ms + CALM_MS && now_ms >= self.slow_ms + slow_ms;
                if !left && calm {
                    self.ended(*life, now_ms);
                } else {
                    self.disturbed_ms = now_ms;
                }
            }
            Seen::Started { .. } | Seen::Still { .. } => self.disturbed_ms = now_ms,
            _ => {}
        }
    }

    fn second(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        let now_ms = look.world.time_ms;
        let quick = Self::is_quick(look);
        if !quick {
            self.slow_ms = now_ms;
        }
        let calm = |_: &&Config| quick && Self::is_calm(look);
        let Some(config) = look.world.membership.as_ref().filter(calm) else {
            self.disturbed_ms = now_ms;
            return self.ended.clear();
        };
        let (up, disturbed_ms) = (look.world.up(), self.disturbed_ms);
        self.ended.retain(|_, ended| disturbed_ms <= ended.at_ms);
        let due_ms = |ended: &Ended| {
            ended.at_ms + most_ms(config, up.len() as u64 + ended.together, ended.together)
        };
        for (life, ended) in self.ended.iter().filter(|(_, ended)| now_ms >= due_ms(ended)) {
            for &at in &up {
                let detector = look.world.nodes[at].as_ref().and_then(|n| n.node.detector());
                let Some(member) = detector.and_then(|d| d.members().get(life)) else { continue };
                verdict.case(!member.state.is_living(), at, None, || {
                    let (word, ago_ms) = (member.state.word(), now_ms - ended.at_ms);
                    format!("{life} ended {ago_ms} ms ago in a calm mesh and is {word} here")
                });
            }
        }
        self.ended.retain(|_, ended| now_ms < due_ms(ended));
    }
}
