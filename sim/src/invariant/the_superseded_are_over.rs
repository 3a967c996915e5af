//! ALGORITHM.md §8: a life whose process was replaced by another under its name is known to be over within a minute of
//! calm: until then stability waits for it, and what expires is kept.

use std::collections::BTreeMap;

use sessionmesh::core::causality::Origin;
use sessionmesh::core::replica::GONE;

use super::{Invariant, Look, Verdict};

/// How long everybody must have heard everybody (s). A proof takes about five rounds of gossip, more under loss.
const CALM_S: u64 = 60;

/// The rule; for how long all has been calm, and since when each process has run.
#[derive(Default)]
pub struct TheSupersededAreOver {
    calm_s: u64,
    running: BTreeMap<usize, (Origin, u64)>,
}

impl TheSupersededAreOver {
    /// Nobody cut off, frozen, leaving or busy, and little lost.
    fn is_calm(look: &Look<'_>) -> bool {
        let world = look.world;
        let quiet = |at: &usize| {
            let node = world.nodes[*at].as_ref();
            world.hosts[*at].slow_ms == 0
                && node.is_some_and(|n| {
                    n.frozen_until_ms <= world.time_ms
                        && n.suspended_since_ms.is_none()
                        && n.leaving_since_ms.is_none()
                })
        };
        world.net.cuts.is_empty() && world.net.links.is_empty() && world.up().iter().all(quiet)
    }
}

impl Invariant for TheSupersededAreOver {
    fn second(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        let world = look.world;
        self.calm_s = if Self::is_calm(look) { self.calm_s + 1 } else { 0 };
        self.running.retain(|at, (life, _)| world.nodes[*at].as_ref().is_some_and(|n| n.node.origin() == *life));
        for at in world.up() {
            let life = world.nodes[at].as_ref().map(|n| n.node.origin());
            let fresh = life.map(|life| (life, world.time_ms));
            if let Some(fresh) = fresh {
                self.running.entry(at).or_insert(fresh);
            }
        }
        let since_ms = world.time_ms.saturating_sub(CALM_S * 1_000);
        let names = |name: &str| world.hosts.iter().filter(|h| h.name == name).count();
        // Without a board nobody hears of ends but by the world itself; after a minute of calm all can.
        if self.calm_s < CALM_S || self.running.values().any(|(_, from_ms)| *from_ms > since_ms) {
            return;
        }
        for by in world.up() {
            let Some(node) = &world.nodes[by] else { continue };
            let linked = node.links().count() + 1 >= world.up().len();
            for (life, value) in node.node.freshness().iter().filter(|_| linked) {
                let Some(known) = look.history.lives.get(life) else { continue };
                let replaced = known.ended_ms.is_some() && self.running.contains_key(&known.at);
                if replaced && known.at != by && names(&world.hosts[known.at].name) == 1 {
                    verdict.case(value & GONE != 0, by, None, || {
                        format!("still waits for life {life} of n{}, which another one replaced", known.at)
                    });
                }
            }
        }
    }
}
