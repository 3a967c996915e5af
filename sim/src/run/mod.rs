//! Runs a scenario in two phases: safety while the faults last, then, after the heal, liveness within a floor
//! computed from the settings. Everything seen goes to the invariants on the way.

mod apply;
mod expect;
mod fault;

use std::panic::{AssertUnwindSafe, catch_unwind};

use sessionmesh::core::causality::{Origin, RangeSet};
use sessionmesh::core::marks::Mark;
use sessionmesh::core::time::Hlc;

use self::expect::Watcher;
pub use self::fault::FaultKind;
use self::fault::InForce;
use crate::board::{Board, BoardConfig, FullBoard, run_seeded};
use crate::invariant::{Checks, Exercised, Violation};
use crate::oracle::Op;
use crate::scenario::{Membership, Scenario, Step};
use crate::trace::Recorder;
use crate::world::{Seen, Watch, World};

/// How often equality is looked for after the heal (ms).
const LOOK_MS: u64 = 250;

/// Writes from further ahead (ms) are not waited for: the swarm's clocks are set back by nine minutes at most.
const MOST_HELD_BACK_MS: u64 = 3_600_000;

/// Messages and timers a run may handle besides one per node and millisecond: a busy seed handles 100,000.
const MOST_HANDLED: u64 = 2_000_000;

/// How to run.
#[derive(Default)]
pub struct Options {
    /// Record a trace of everything.
    pub trace: bool,
    /// Stop at the first violation: what the shrinker and the hunt for mutants want.
    pub stop_early: bool,
    /// Another board than the model.
    pub board: Option<Box<dyn Board>>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Operations of clients that were tried on a node.
    pub ops: u64,
    /// Writes that happened.
    pub writes: u64,
    /// Writes that had a second copy.
    pub acked: u64,
    /// Operations that met a node that was down, or an error.
    pub refused: u64,
    /// Steps that did something to the mesh.
    pub faults: u64,
    /// Conflicts reported.
    pub conflicts: u64,
    /// Links closed because a peer broke a rule.
    pub links_closed: u64,
    /// Messages and timers handled by nodes.
    pub handled: u64,
    /// Virtual time (ms).
    pub virtual_ms: u64,
    /// Bytes of replication sent.
    pub sent_bytes: u64,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The scenario's name.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// The hash of everything that happened.
    pub hash: String,
    /// Rules broken, the first first.
    pub violations: Vec<Violation>,
    /// Rules exercised, by faults in force.
    pub exercised: Exercised,
    /// Counts.
    pub totals: Totals,
    /// How long after the heal everything was equal (ms), if it became so.
    pub converged_ms: Option<u64>,
    /// Marks of the core that were hit: one bit each.
    pub marks: [u64; 2],
    /// The trace, a line each, if it was asked for.
    pub trace: Vec<String>,
}

impl Outcome {
    fn panicked(scenario: &Scenario, text: String) -> Self {
        let violation = Violation { invariant: "no_panic".into(), at_ms: 0, node: None, session: None, text };
        let canary = scenario.expect.violation.as_deref() == Some("no_panic");
        Self {
            name: scenario.name.clone(),
            seed: scenario.seed,
            hash: "panicked".into(),
            violations: if canary { Vec::new() } else { vec![violation] },
            exercised: Exercised::default(),
            totals: Totals::default(),
            converged_ms: None,
            marks: [0; 2],
            trace: Vec::new(),
        }
    }

    /// Whether everything held.
    pub fn passed(&self) -> bool {
        self.violations.is_empty()
    }
}

/// Runs a scenario. A panic, of the core or of anything under it, is a violation like any other.
pub fn run(scenario: &Scenario, options: Options) -> Outcome {
    let caught = catch_unwind(AssertUnwindSafe(|| Run::new(scenario, options).whole()));
    caught.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome::panicked(scenario, said.unwrap_or_default())
    })
}

/// Runs a scenario with the product's discovery and the real chitchat in it, in virtual time. Linux only.
///
/// # Panics
/// Elsewhere than on Linux.
pub fn run_full(scenario: &Scenario, trace: bool) -> Outcome {
    let scenario = scenario.clone();
    run_seeded(scenario.seed, move || {
        let board: Option<Box<dyn Board>> = match scenario.mesh.membership {
            Membership::Board => Some(Box::new(FullBoard::new(BoardConfig::default()))),
            Membership::Direct => None,
        };
        run(&scenario, Options { trace, board, ..Options::default() })
    })
}

/// A run under way.
struct Run {
    scenario: Scenario,
    world: World,
    checks: Checks,
    watcher: Watcher,
    faults: InForce,
    recorder: Option<Recorder>,
    totals: Totals,
    buffer: Vec<Seen>,
    next_second_ms: u64,
    stop_early: bool,
    converged_ms: Option<u64>,
    /// Marks of processes that have ended.
    marks: [u64; 2],
    livelocked: bool,
    /// Violations that are in the trace already.
    told: usize,
}

impl Run {
    fn new(scenario: &Scenario, options: Options) -> Self {
        let scenario = scenario.expanded();
        let (mesh, limits) = (&scenario.mesh, scenario.mesh.limits());
        let seeds: Vec<usize> = mesh.seeds.iter().map(|n| n.0).collect();
        let mut world = match (options.board, mesh.membership) {
            (Some(board), _) => World::on_board(scenario.seed, mesh.nodes, limits, &seeds, board),
            (None, Membership::Board) => World::with_board(scenario.seed, mesh.nodes, limits, &seeds),
            (None, Membership::Direct) => {
                let mut world = World::with_limits(scenario.seed, 0, limits);
                (0..mesh.nodes).for_each(|_| _ = world.add_host());
                world
            }
        };
        world.watch = if options.trace { Watch::All } else { Watch::Checks };
        world.net.faults = scenario.network;
        let mut checks = Checks::new();
        checks.bounds_only = scenario.network.unsealed;
        let recorder = options.trace.then(|| Recorder::new(&scenario));
        let faults = InForce::of(&scenario);
        Self {
            world,
            checks,
            watcher: Watcher::of(&scenario),
            faults,
            recorder,
            totals: Totals::default(),
            buffer: Vec::new(),
            next_second_ms: 1_000,
            stop_early: options.stop_early,
            converged_ms: None,
            marks: [0; 2],
            livelocked: false,
            told: 0,
            scenario,
        }
    }

    fn whole(mut self) -> Outcome {
        self.begin();
        let steps = std::mem::take(&mut self.scenario.step);
        let heal_ms = self.scenario.heal.at_ms;
        let (before, after): (Vec<&Step>, Vec<&Step>) = steps.iter().partition(|s| s.at_ms < heal_ms);
        for step in before {
            if self.over() {
                break;
            }
            self.advance(step.at_ms);
            self.apply(&step.action);
        }
        if !self.over() {
            self.advance(heal_ms);
            self.heal();
            self.become_equal(&after);
        }
        self.scenario.step = steps;
        self.finish()
    }

    fn begin(&mut self) {
        let late = &self.scenario.mesh.late;
        let n = self.scenario.mesh.nodes;
        let early: Vec<usize> = (0..n).filter(|at| !late.iter().any(|l| l.0 == *at)).collect();
        for at in early {
            self.world.start(at, n > 1);
            self.drain();
        }
    }

    /// Whether there is nothing more to learn.
    fn over(&self) -> bool {
        self.stop_early && !self.checks.violations.is_empty() || self.livelocked
    }

    /// Nodes that keep each other busy for nothing would keep the simulator busy for ever.
    fn notice_livelock(&mut self) {
        let (handled, time_ms) = (self.world.handled, self.world.time_ms);
        let most = MOST_HANDLED + time_ms * self.scenario.mesh.nodes as u64;
        if handled > most && !self.livelocked {
            self.livelocked = true;
            let text = format!("{handled} messages and timers within {time_ms} ms; at most {most}");
            self.checks.runner(&self.world, "no_livelock", None, Some(text));
        }
    }

    /// Lets virtual time pass, with every second a look.
    fn advance(&mut self, until_ms: u64) {
        while self.world.time_ms < until_ms && !self.over() {
            let stop_ms = until_ms.min(self.next_second_ms);
            let mut steps = 0u64;
            while self.world.step(stop_ms) {
                self.drain();
                steps += 1;
                if steps.is_multiple_of(100_000) {
                    self.notice_livelock();
                    if self.livelocked {
                        return;
                    }
                }
            }
            if self.world.time_ms >= self.next_second_ms {
                self.next_second_ms += 1_000;
                self.notice_livelock();
                self.checks.faults = self.faults.mask(self.world.time_ms);
                self.checks.second(&self.world, &self.scenario);
                if let Some(recorder) = &mut self.recorder {
                    recorder.sample(&self.world, &self.checks.history);
                }
            }
        }
    }

    /// Shows everything that happened since the last call to whoever watches.
    fn drain(&mut self) {
        self.world.swap_seen(&mut self.buffer);
        if self.buffer.is_empty() {
            return;
        }
        for seen in &self.buffer {
            match seen {
                Seen::Wrote { result: Ok(written), .. } => self.totals.writes += u64::from(written.wrote),
                Seen::Wrote { .. } | Seen::Refused { .. } => self.totals.refused += 1,
                Seen::Acked { .. } => self.totals.acked += 1,
                Seen::Closed { .. } => self.totals.links_closed += 1,
                Seen::Warned { text, .. } => self.watcher.unsaid.retain(|wanted| !text.contains(wanted)),
                Seen::Event { event: sessionmesh::core::replica::Happened::Conflict(_), .. } => {
                    self.totals.conflicts += 1;
                }
                _ => {}
            }
            self.watcher.seen(&self.world, seen);
        }
        self.checks.take_in(&self.world, &self.scenario, &self.buffer);
        if let Some(recorder) = &mut self.recorder {
            recorder.take_in(&self.world, &self.checks.history, &self.buffer);
        }
        self.buffer.clear();
        self.tell_violations();
    }

    /// Writes the violations found since the last call into the trace.
    fn tell_violations(&mut self) {
        let Some(recorder) = &mut self.recorder else { return };
        for violation in &self.checks.violations[self.told..] {
            recorder.violation(&self.world, violation);
        }
        self.told = self.checks.violations.len();
    }

    /// Phase two: runs until all of the core serve and cover the same, within the floor; then looks at everything.
    fn become_equal(&mut self, looks: &[&Step]) {
        let healed_ms = self.world.time_ms;
        let promised = self.scenario.expect.converged_within_ms;
        let floor_ms = promised.unwrap_or(self.scenario.liveness_floor_ms());
        self.checks.faults = self.faults.all();
        self.look_until(healed_ms, healed_ms + floor_ms);
        if promised.is_none()
            && self.converged_ms.is_none()
            && let Some(due_ms) = self.held_back_until_ms()
        {
            self.look_until(healed_ms, due_ms + floor_ms);
        }
        if self.over() {
            return;
        }
        let broken = self.converged_ms.is_none().then(|| self.why_unequal(floor_ms));
        let equal = broken.is_none();
        self.checks.faults = self.faults.all();
        self.checks.runner(&self.world, "converges", None, broken);
        if equal {
            self.checks.equal(&self.world, &self.scenario);
        }
        for step in looks {
            self.advance(step.at_ms);
            self.apply(&step.action);
        }
        let linger_ms = self.scenario.heal.linger_ms;
        if linger_ms > 0 && equal && !self.over() {
            self.advance(self.world.time_ms + linger_ms + self.lives_longer_ms());
            self.checks.faults = self.faults.all();
            self.checks.over(&self.world, &self.scenario);
        }
    }

    fn look_until(&mut self, healed_ms: u64, until_ms: u64) {
        while self.converged_ms.is_none() && self.world.time_ms < until_ms && !self.over() {
            self.advance(self.world.time_ms + LOOK_MS);
            self.converged_ms = self.is_equal().then(|| self.world.time_ms - healed_ms);
        }
    }

    /// CLOCKS, costs 5: what was written in the future is refused, by members that were not ahead themselves, until that
    /// time has come. When that is (virtual ms), if everybody serves and only such writes are lacking somewhere.
    fn held_back_until_ms(&self) -> Option<u64> {
        let (core, world) = (self.core(), &self.world);
        let wait_ms = |op: &Op, at: usize| {
            let most_ms = world.now(at).wall_ms + world.limits.max_drift_ms;
            Hlc(op.hlc).ms().checked_sub(most_ms).filter(|_| op.holders >> at & 1 == 0)
        };
        let held = self.checks.history.ops.iter().filter(|op| op.holders & self.checks.core != 0);
        let waits = held.flat_map(|op| core.iter().filter_map(move |&at| wait_ms(op, at)));
        let longest = waits.max().filter(|&ms| ms <= MOST_HELD_BACK_MS && self.is_together());
        longest.map(|ms| world.time_ms + ms)
    }

    /// What was created by clocks that were ahead may live so much longer (ms) than what is created now.
    fn lives_longer_ms(&self) -> u64 {
        let now_ms = self.core().iter().map(|&at| self.world.now(at).wall_ms).min().unwrap_or(0);
        let longest_ms = now_ms + self.world.limits.max_lifetime_ms;
        let hard_ms = |op: &Op| op.effect.birth.map(|b| b.1).max(op.effect.dead);
        let last_ms = self.checks.history.ops.iter().filter_map(hard_ms).max().unwrap_or(0);
        last_ms.saturating_sub(longest_ms).min(MOST_HELD_BACK_MS)
    }

    fn core(&self) -> Vec<usize> {
        self.world.up().into_iter().filter(|at| self.checks.core >> at & 1 == 1).collect()
    }

    fn is_equal(&self) -> bool {
        let core = self.core();
        self.is_together() && core.windows(2).all(|w| self.hashes(w[0]) == self.hashes(w[1]))
    }

    /// Whether all of the core serve, know exactly each other and are linked.
    fn is_together(&self) -> bool {
        let core = self.core();
        core.iter().all(|&at| self.world.ready(at))
            && self.watcher.views_are(&core)
            && core
                .iter()
                .all(|&at| self.world.nodes[at].as_ref().is_some_and(|n| n.links().count() + 1 == core.len()))
    }

    /// By one clock for all, as the nodes themselves compare.
    fn hashes(&self, at: usize) -> Vec<u64> {
        let first = self.core().first().copied().unwrap_or(at);
        let (replica, wall_ms) = (self.world.replica(at), self.world.now(first).wall_ms);
        let limits = &self.world.limits;
        (0..limits.partitions).map(|ix| replica.shared(ix, |p| p.cov_hash(wall_ms, limits))).collect()
    }

    fn why_unequal(&self, floor_ms: u64) -> String {
        let mut text = format!("not equal {floor_ms} ms after the heal:");
        for at in self.core() {
            let reason = self.world.nodes[at].as_ref().map_or("", |n| n.node.phase_reason());
            let ready = self.world.ready(at);
            let hashes = self.hashes(at).iter().fold(0u64, |sum, h| sum.rotate_left(9) ^ h);
            let links = self.world.nodes[at].as_ref().map_or(0, |n| n.links().count());
            text += &format!(" n{at} ready {ready} ({reason}), {links} links, covers {hashes:016x};");
        }
        text + &self.first_difference().unwrap_or_default()
    }

    /// The first counters that one node of the core covers and another does not.
    fn first_difference(&self) -> Option<String> {
        let core = self.core();
        let cover = |at: usize, ix: u16| -> Vec<(Origin, RangeSet)> {
            self.world.replica(at).shared(ix, |p| p.coverage().map(|(o, r)| (o, r.clone())).collect())
        };
        for ix in 0..self.world.limits.partitions {
            if core
                .windows(2)
                .all(|w| self.hashes(w[0])[usize::from(ix)] == self.hashes(w[1])[usize::from(ix)])
            {
                continue;
            }
            let ends = |at: usize| -> Vec<(Origin, u64, usize)> {
                self.world.replica(at).shared(ix, |p| p.ends().collect())
            };
            for (&a, &b) in core.iter().flat_map(|a| core.iter().map(move |b| (a, b))) {
                let theirs = ends(b);
                for (origin, until_ms, live) in ends(a) {
                    let held = theirs.iter().find(|e| e.0 == origin);
                    if held.is_some_and(|held| (held.1, held.2) != (until_ms, live)) {
                        return Some(format!(
                            " in partition {ix} n{a} keeps life {origin} until {until_ms} for {live} dots, n{b} {held:?}"
                        ));
                    }
                }
            }
            for (&a, &b) in core.iter().flat_map(|a| core.iter().map(move |b| (a, b))) {
                let theirs = cover(b, ix);
                for (origin, ranges) in cover(a, ix) {
                    let held =
                        theirs.iter().find(|(o, _)| *o == origin).map(|(_, r)| r.clone()).unwrap_or_default();
                    let lacking = ranges.minus(&held);
                    if let Some((lo, hi)) = lacking.ranges().first() {
                        let whose = self.checks.history.lives.get(&origin).map_or(usize::MAX, |l| l.at);
                        return Some(format!(
                            " in partition {ix} n{a} covers {lo} to {hi} of n{whose}'s life {origin}, n{b} does not"
                        ));
                    }
                }
            }
        }
        None
    }

    fn finish(mut self) -> Outcome {
        self.drain();
        if !self.over() {
            self.expectations();
        }
        self.tell_violations();
        for at in self.world.up() {
            self.take_marks(at);
        }
        self.totals.handled = self.world.handled;
        self.totals.virtual_ms = self.world.time_ms;
        self.totals.sent_bytes = self.world.sent.0;
        let hash = self.world.trace_hash().to_string();
        self.expected_violation();
        let passed = self.checks.violations.is_empty();
        Outcome {
            name: self.scenario.name.clone(),
            seed: self.scenario.seed,
            trace: self.recorder.map(|r| r.finish(self.world.time_ms, &hash, passed)).unwrap_or_default(),
            hash,
            violations: self.checks.violations,
            exercised: self.checks.exercised,
            totals: self.totals,
            converged_ms: self.converged_ms,
            marks: self.marks,
        }
    }

    fn take_marks(&mut self, at: usize) {
        if let Some(node) = &self.world.nodes[at] {
            let hit = node.node.hit_marks();
            self.marks.iter_mut().zip(hit).for_each(|(sum, more)| *sum |= more);
        }
    }
}

/// The names of marks that are set.
pub fn mark_names(marks: [u64; 2]) -> Vec<&'static str> {
    let set = |ix: usize| marks[ix / 64] >> (ix % 64) & 1 == 1;
    Mark::ALL.iter().enumerate().filter(|(ix, _)| set(*ix)).map(|(_, mark)| mark.name()).collect()
}
