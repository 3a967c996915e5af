//! What a scenario expects besides the invariants, and what must be watched for it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Run, mark_names};
use crate::scenario::Scenario;
use crate::world::{Seen, World};
use sessionmesh::core::membership::State;
use sessionmesh::core::replica::Serving;

/// What a thawed process may take to be heard of again (ms).
const THAW_MS: u64 = 2_000;

/// Watches for what expectations ask about.
#[derive(Default)]
pub(super) struct Watcher {
    views: BTreeMap<usize, Vec<usize>>,
    /// Deaths not yet noticed: who died when, and who has not noticed.
    deaths: Vec<(usize, u64, BTreeSet<usize>)>,
    slowest_notice_ms: u64,
    false_deaths: u64,
    joining: BTreeMap<usize, u64>,
    slowest_join_ms: u64,
    left: BTreeSet<usize>,
    /// Texts that no warning has said yet.
    pub unsaid: Vec<String>,
}

impl Watcher {
    pub fn of(scenario: &Scenario) -> Self {
        Self { unsaid: scenario.expect.warnings.clone(), ..Self::default() }
    }

    pub fn seen(&mut self, world: &World, seen: &Seen) {
        let now_ms = world.time_ms;
        match seen {
            Seen::Started { at, why, .. } => {
                self.left.remove(at);
                if *why != "new life" {
                    self.joining.insert(*at, now_ms);
                    self.deaths.retain(|d| d.0 != *at);
                    self.views.remove(at);
                }
            }
            Seen::Ended { at, left, .. } => self.ended(world, *at, *left),
            Seen::Members { at, alive } => {
                self.views.insert(*at, alive.clone());
                for (dead, since_ms, waiting) in &mut self.deaths {
                    if !alive.contains(dead) && waiting.remove(at) {
                        self.slowest_notice_ms = self.slowest_notice_ms.max(now_ms - *since_ms);
                    }
                }
                self.deaths.retain(|d| !d.2.is_empty());
            }
            Seen::Judged { at, about, change } if change.state == State::Dead => {
                let node = world.nodes[*about].as_ref();
                let lives = node.is_some_and(|n| {
                    let awake = n.suspended_since_ms.is_none() && n.frozen_until_ms + THAW_MS <= now_ms;
                    n.node.origin() == change.member && awake
                });
                self.false_deaths += u64::from(lives && at != about);
            }
            Seen::Serving { at, serving: Serving::Ready, .. } => {
                if let Some(since_ms) = self.joining.remove(at) {
                    self.slowest_join_ms = self.slowest_join_ms.max(now_ms - since_ms);
                }
            }
            _ => {}
        }
    }

    fn ended(&mut self, world: &World, at: usize, left: bool) {
        self.joining.remove(&at);
        self.views.remove(&at);
        self.deaths.iter_mut().for_each(|d| _ = d.2.remove(&at));
        if left {
            self.left.insert(at);
            return;
        }
        let believes = |o: &usize| self.views.get(o).is_some_and(|view| view.contains(&at));
        let cut = |o: &usize| world.net.cuts.contains(&(at, *o)) || world.net.cuts.contains(&(*o, at));
        let others = world.up().into_iter().filter(|o| *o != at && believes(o) && !cut(o)).collect();
        self.deaths.push((at, world.time_ms, others));
    }

    /// Whether each of these believes exactly the others alive.
    pub fn views_are(&self, core: &[usize]) -> bool {
        core.iter().all(|at| {
            let others = core.iter().filter(|o| *o != at);
            self.views.get(at).map_or(core.len() == 1, |view| view.iter().eq(others))
        })
    }

    /// Whom a node believes alive.
    pub fn view(&self, at: usize) -> Vec<usize> {
        self.views.get(&at).cloned().unwrap_or_default()
    }

    /// Who has left in good order and not come back.
    pub fn left(&self) -> BTreeSet<usize> {
        self.left.clone()
    }
}

impl Run {
    pub(super) fn expectations(&mut self) {
        let (expect, now_ms) = (self.scenario.expect.clone(), self.world.time_ms);
        let mut broken = Vec::new();
        if let Some(most) = expect.dead_at_all_within_ms {
            let open = self.watcher.deaths.iter().map(|d| now_ms - d.1).max().unwrap_or(0);
            let slowest = self.watcher.slowest_notice_ms.max(open);
            broken.extend(
                (slowest > most)
                    .then(|| format!("a death noticed by all after {slowest} ms; at most {most}")),
            );
        }
        let false_deaths = self.watcher.false_deaths;
        broken.extend(expect.false_deaths_at_most.filter(|most| false_deaths > *most).map(|most| {
            format!("members whose processes ran were declared dead {false_deaths} times; at most {most}")
        }));
        if let Some(most) = expect.ready_within_ms {
            let open = self.watcher.joining.values().map(|since| now_ms - since).max().unwrap_or(0);
            let slowest = self.watcher.slowest_join_ms.max(open);
            broken
                .extend((slowest > most).then(|| format!("a node ready after {slowest} ms; at most {most}")));
        }
        let at_least = |name: &str, held: u64, wanted: Option<u64>| {
            let wanted = wanted.filter(|wanted| held < *wanted)?;
            Some(format!("{name}: {held}, at least {wanted} expected"))
        };
        let at_most = |name: &str, held: u64, wanted: Option<u64>| {
            let wanted = wanted.filter(|wanted| held > *wanted)?;
            Some(format!("{name}: {held}, at most {wanted} expected"))
        };
        broken.extend(at_least("conflicts", self.totals.conflicts, expect.conflicts_at_least));
        broken.extend(at_most("conflicts", self.totals.conflicts, expect.conflicts_at_most));
        let unlabelled =
            self.core().into_iter().map(|at| self.world.replica(at).counts().unlabelled).sum::<u64>();
        broken.extend(at_most("overwrites of unknown label", unlabelled, expect.unlabelled_at_most));
        broken.extend(at_least("overwrites of unknown label", unlabelled, expect.unlabelled_at_least));
        broken.extend(at_most("links closed", self.totals.links_closed, expect.links_closed_at_most));
        broken.extend(self.watcher.unsaid.iter().map(|text| format!("no node warned of {text:?}")));
        broken.extend(at_most("bytes of replication", self.world.sent.0, expect.bytes_at_most));
        broken.extend(at_most("refused operations", self.totals.refused, expect.refused_at_most));
        broken.extend(at_most("acknowledged writes lost", self.acked_lost(), Some(expect.acked_writes_lost)));
        let shown = self.checks.violations.iter().filter(|v| v.invariant == "destroyed_stays_hidden").count();
        broken.extend(at_most("resurrections", shown as u64, Some(expect.resurrections)));
        if !expect.marks.is_empty() {
            self.world.up().into_iter().for_each(|at| self.take_marks(at));
            let hit = mark_names(self.marks);
            let missed: Vec<&String> = expect.marks.iter().filter(|m| !hit.contains(&m.as_str())).collect();
            broken.extend((!missed.is_empty()).then(|| format!("never happened: {missed:?}")));
        }
        let held = broken.is_empty();
        for text in broken {
            self.checks.runner(&self.world, "expectation", None, Some(text));
        }
        if held {
            self.checks.runner(&self.world, "expectation", None, None);
        }
    }

    /// Acknowledged writes that are nowhere at the end, their holders having died together included.
    fn acked_lost(&self) -> u64 {
        if self.converged_ms.is_none() {
            return 0;
        }
        let history = &self.checks.history;
        let wall_ms = self.core().first().map_or(0, |&at| self.world.now(at).wall_ms);
        let lost = history.ops.iter().filter(|op| op.acked && op.holders & self.checks.core == 0);
        // What has ended by itself since is not lost.
        let ended = |session: u64| {
            let all = crate::oracle::fold(history.ops_of(session).map(|(_, op)| op));
            all.dead.is_some() || all.deadline_ms().is_none_or(|d| d <= wall_ms)
        };
        lost.filter(|op| !ended(op.session)).count() as u64
    }

    /// A canary expects its alarm: the expected violation is taken off the list, its absence put on it.
    pub(super) fn expected_violation(&mut self) {
        let Some(wanted) = self.scenario.expect.violation.clone() else { return };
        let before = self.checks.violations.len();
        self.checks.violations.retain(|v| v.invariant != wanted);
        if self.checks.violations.len() == before {
            let text = format!("{wanted} was to be violated and was not: the alarm does not work");
            self.checks.runner(&self.world, "expectation", None, Some(text));
        }
    }
}
