//! MEMBERSHIP.md, "From silence to death": where the network carries everything and nobody stands still, a process that
//! ended is dead to everybody within the time that probes and windows take, whatever happened before.

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

/// The rule: who ended when, and when the mesh was last disturbed.
#[derive(Default)]
pub struct DeathsAreNoticed {
    ended_ms: BTreeMap<Origin, u64>,
    disturbed_ms: u64,
}

/// How long it may take (ms), with so many members: a probe, the longest window that two accusers leave, and the time
/// until somebody asks.
fn most_ms(config: &Config, members: usize) -> u64 {
    let window_ms =
        config.suspicion_mult as f64 * config.probe_interval_ms as f64 * (members as f64).log10().max(1.0);
    INTERVALS * config.probe_interval_ms + config.probe_timeout_ms + (2.6 * window_ms) as u64
}

impl DeathsAreNoticed {
    /// Whether the network carries everything and all processes run.
    fn is_calm(look: &Look<'_>) -> bool {
        let (world, sound) = (look.world, Faults::default());
        let quick = |f: &Faults| {
            f.drop_per_mille + f.late_per_mille + f.flip_per_mille + f.truncate_per_mille + f.burst_per_mille
                == 0
                && f.delay_max_ms <= sound.delay_max_ms
                && (f.bandwidth_bytes, f.queue_bytes, f.datagram_bytes) == (0, 0, 0)
        };
        let runs = |at: usize| !world.is_still(at) && world.hosts[at].slow_ms == 0;
        quick(&world.net.faults)
            && world.net.links.values().all(quick)
            && world.net.cuts.is_empty()
            && (0..world.nodes.len()).all(runs)
    }
}

impl Invariant for DeathsAreNoticed {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, _: &mut Verdict) {
        let now_ms = look.world.time_ms;
        match seen {
            // One at a time: where several die at once, those who are asked to help may be among them.
            Seen::Ended { life, left, .. } => {
                if !left && now_ms >= self.disturbed_ms + CALM_MS {
                    self.ended_ms.insert(*life, now_ms);
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
        let Some(config) = look.world.membership.as_ref().filter(|_| Self::is_calm(look)) else {
            self.disturbed_ms = now_ms;
            return self.ended_ms.clear();
        };
        let up = look.world.up();
        let (disturbed_ms, most_ms) = (self.disturbed_ms, most_ms(config, up.len() + 1));
        self.ended_ms.retain(|_, ended_ms| disturbed_ms <= *ended_ms);
        for (life, ended_ms) in &self.ended_ms {
            if now_ms < ended_ms + most_ms {
                continue;
            }
            for &at in &up {
                let detector = look.world.nodes[at].as_ref().and_then(|n| n.node.detector());
                let Some(member) = detector.and_then(|d| d.members().get(life)) else { continue };
                verdict.case(!member.state.is_living(), at, None, || {
                    let word = member.state.word();
                    format!("{life} ended {} ms ago in a calm mesh and is {word} here", now_ms - ended_ms)
                });
            }
        }
        self.ended_ms.retain(|_, ended_ms| now_ms < *ended_ms + most_ms);
    }
}
