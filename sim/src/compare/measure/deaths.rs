//! Deaths: members are killed one at a time, and the others find out.

use crate::compare::arena::Arena;
use crate::compare::stats::Times;

/// A death that not all have noticed after this long (ms) counts as not noticed.
pub const WITHIN_MS: u64 = 60_000;
/// Between a death that all know of and the next (ms): what it set off settles.
const SETTLE_MS: u64 = 5_000;
/// And up to this much more (ms), so that deaths come at any point of a round.
const PHASE_MS: u64 = 2_000;

/// How long deaths took to be noticed.
#[derive(Clone, Debug, Default)]
pub struct Deaths {
    /// Until anybody suspected the dead, or declared it dead.
    pub suspect: Times,
    /// Until anybody declared it dead.
    pub first: Times,
    /// Until all living members held it dead at once.
    pub all: Times,
}

impl Deaths {
    /// Kills this many members of a world that has warmed up.
    pub fn of(arena: &mut Arena, kills: usize) -> Self {
        let mut deaths = Self::default();
        let draw = arena.draw.of("kill");
        for nth in 0..kills as u64 {
            arena.run(SETTLE_MS + draw.of("phase").at(nth) % PHASE_MS);
            let living: Vec<usize> = arena.view.living().collect();
            let victim = draw.pick(nth, &living);
            let killed_ms = arena.now_ms;
            arena.kill(victim);
            arena.run_until(WITHIN_MS, |view| view.seen(victim).all_dead_ms.is_some());
            let seen = arena.view.seen(victim);
            let since = |at_ms: Option<u64>| at_ms.map(|at_ms| at_ms - killed_ms);
            deaths.suspect.push(since(seen.suspect_ms));
            deaths.first.push(since(seen.dead_ms));
            deaths.all.push(since(seen.all_dead_ms));
        }
        deaths
    }

    /// Adds those of another world.
    pub fn add(&mut self, other: &Self) {
        self.suspect.add(&other.suspect);
        self.first.add(&other.first);
        self.all.add(&other.all);
    }
}
