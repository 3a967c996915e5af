//! Runs a plan on several threads. Numbers do not depend on how many: units share nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use super::plan::{Plan, Unit};
use super::report::{CellReport, Report};

impl Plan {
    /// All its work, cell by cell.
    pub fn work(&self) -> Vec<Unit> {
        self.cells().into_iter().flat_map(|cell| self.units(cell)).collect()
    }

    /// Runs it on this many threads; `done` is told of every unit that is through.
    pub fn run(&self, jobs: usize, mut done: impl FnMut(&Unit)) -> Report {
        let begun = Instant::now();
        let units = self.work();
        // The longest first, so that no thread is left with one at the end.
        let mut order: Vec<usize> = (0..units.len()).collect();
        order.sort_by(|a, b| units[*b].weight().total_cmp(&units[*a].weight()));
        let next = AtomicUsize::new(0);
        let (sender, answers) = mpsc::channel();
        let mut answered: Vec<_> = units.iter().map(|_| None).collect();
        std::thread::scope(|scope| {
            for _ in 0..jobs.max(1) {
                let (sender, next, order, units) = (sender.clone(), &next, &order, &units);
                scope.spawn(move || {
                    while let Some(&nth) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let begun = Instant::now();
                        let answer = units[nth].run();
                        // The reader outlives the threads of this scope.
                        let _ = sender.send((nth, answer, begun.elapsed().as_secs_f64()));
                    }
                });
            }
            drop(sender);
            for (nth, answer, seconds) in answers {
                done(&units[nth]);
                answered[nth] = Some((answer, seconds));
            }
        });
        let mut cells: Vec<_> = self.cells().into_iter().map(CellReport::new).collect();
        for (unit, answer) in units.iter().zip(answered) {
            let cell = cells.iter_mut().find(|report| report.cell == unit.cell);
            if let (Some(cell), Some((answer, seconds))) = (cell, answer) {
                cell.take(answer, seconds);
            }
        }
        Report { plan: self.clone(), cells, seconds: begun.elapsed().as_secs_f64() }
    }
}
