//! Many seeds, on several threads, and what they exercised together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use crate::invariant::{Exercised, names};
use crate::run::{FaultKind, Options, Outcome, run};

use super::draw::scenario;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// Threads.
    pub jobs: usize,
    /// Nodes of every seed, if not drawn.
    pub nodes: Option<usize>,
    /// Stop at the first seed that fails, and each seed at its first violation.
    pub stop_early: bool,
}

/// What came of a campaign.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Seeds run.
    pub seeds: u64,
    /// Seeds that failed, in rising order.
    pub failed: Vec<Outcome>,
    /// Rules exercised, by faults in force.
    pub exercised: Exercised,
    /// Marks hit: one bit each.
    pub marks: [u64; 2],
    /// Operations of clients, of each seed.
    pub ops: Vec<u64>,
    /// Faults, of each seed.
    pub faults: Vec<u64>,
    /// Time to convergence after the heal (ms), of each seed.
    pub converged_ms: Vec<u64>,
    /// Messages and timers handled in all.
    pub handled: u64,
    /// Virtual time in all (ms).
    pub virtual_ms: u64,
    /// Seconds it took.
    pub seconds: f64,
    /// Every seed's hash, in order of seeds.
    pub hashes: Vec<(u64, String)>,
}

/// An invariant and a fault, by their names.
pub type Pair = (&'static str, &'static str);

/// The middle of a list of numbers, 0 if it is empty.
pub fn median(numbers: &[u64]) -> u64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

impl Campaign {
    /// Runs it; `done` is told of every seed that is through.
    pub fn run(self, mut done: impl FnMut(&Outcome)) -> Report {
        let begun = Instant::now();
        let next = AtomicU64::new(0);
        let (sender, outcomes) = mpsc::channel();
        let mut report = Report::default();
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    loop {
                        let nth = next.fetch_add(1, Ordering::Relaxed);
                        if nth >= self.seeds {
                            return;
                        }
                        let scenario = scenario(self.from + nth, self.nodes);
                        let options = Options { stop_early: self.stop_early, ..Options::default() };
                        // The report may have stopped listening: then nobody wants more.
                        if sender.send(run(&scenario, options)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            for outcome in outcomes {
                done(&outcome);
                let failed = !outcome.passed();
                report.add(outcome);
                if failed && self.stop_early {
                    next.store(self.seeds, Ordering::Relaxed);
                }
            }
        });
        report.failed.sort_by_key(|o| o.seed);
        report.hashes.sort();
        report.seconds = begun.elapsed().as_secs_f64();
        report
    }
}

impl Report {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.exercised.add(&outcome.exercised);
        self.marks.iter_mut().zip(outcome.marks).for_each(|(sum, more)| *sum |= more);
        self.ops.push(outcome.totals.ops);
        self.faults.push(outcome.totals.faults);
        self.converged_ms.extend(outcome.converged_ms);
        self.handled += outcome.totals.handled;
        self.virtual_ms += outcome.totals.virtual_ms;
        self.hashes.push((outcome.seed, outcome.hash.clone()));
        if !outcome.passed() {
            self.failed.push(outcome);
        }
    }

    /// What random seeds can exercise: all invariants, without what only scenario files ask for.
    pub fn invariants() -> Vec<&'static str> {
        names().into_iter().filter(|name| !["look", "no_livelock", "no_panic"].contains(name)).collect()
    }

    /// The faults random seeds have: members lie only in scenario files.
    pub fn faults() -> &'static [FaultKind] {
        let (last, rest) = FaultKind::ALL.split_last().unwrap_or((&FaultKind::Loss, &[]));
        if *last == FaultKind::Lie { rest } else { FaultKind::ALL }
    }

    /// The rarest exercised pair with its count, and the pairs never exercised.
    pub fn rarest(&self) -> (Option<(Pair, u64)>, Vec<Pair>) {
        let (mut rarest, mut never): (Option<(Pair, u64)>, Vec<Pair>) = (None, Vec::new());
        let mine = Self::invariants();
        for (invariant, counts) in
            names().into_iter().zip(&self.exercised.0).filter(|(i, _)| mine.contains(i))
        {
            for (kind, &count) in Self::faults().iter().zip(counts) {
                if count == 0 {
                    never.push((invariant, kind.name()));
                } else if rarest.is_none_or(|r| count < r.1) {
                    rarest = Some(((invariant, kind.name()), count));
                }
            }
        }
        (rarest, never)
    }
}
