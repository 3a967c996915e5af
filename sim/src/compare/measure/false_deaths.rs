//! False deaths: nobody dies, freezes or is cut off, and still somebody is declared dead.

use serde::Serialize;

use crate::compare::arena::Arena;
use crate::compare::stats::poisson_upper_95;

/// What healthy members were taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct FalseDeaths {
    /// Hours of all members together.
    pub node_hours: f64,
    /// Episodes: from the first member that declares a healthy one dead until none holds it dead.
    pub episodes: u64,
    /// Verdicts: one for each member that declares a healthy one dead.
    pub verdicts: u64,
    /// Hours for which healthy members were not held for members, over all pairs.
    pub missing_hours: f64,
    /// Hours of all pairs together.
    pub pair_hours: f64,
}

impl FalseDeaths {
    /// Watches a world that has warmed up for this long.
    pub fn of(arena: &mut Arena, for_ms: u64) -> Self {
        arena.view.watch_all();
        let before_ms = arena.view.missing_ms(arena.now_ms);
        arena.run(for_ms);
        let missing_ms = arena.view.missing_ms(arena.now_ms) - before_ms;
        let node_hours = arena.members() as f64 * for_ms as f64 / 3_600_000.0;
        let mut result = Self {
            node_hours,
            missing_hours: missing_ms as f64 / 3_600_000.0,
            pair_hours: node_hours * (arena.members() - 1) as f64,
            ..Self::default()
        };
        for about in 0..arena.members() {
            let seen = arena.view.seen(about);
            result.episodes += seen.episodes;
            result.verdicts += seen.verdicts;
        }
        result
    }

    /// Adds those of another world.
    pub fn add(&mut self, other: &Self) {
        self.node_hours += other.node_hours;
        self.episodes += other.episodes;
        self.verdicts += other.verdicts;
        self.missing_hours += other.missing_hours;
        self.pair_hours += other.pair_hours;
    }

    /// The share of time for which a healthy member was not held for one, over all pairs. In a world that has fallen
    /// apart few are left to be declared dead; this tells it.
    pub fn share(&self) -> f64 {
        self.missing_hours / self.pair_hours
    }

    /// Episodes per node-hour.
    pub fn rate(&self) -> f64 {
        self.episodes as f64 / self.node_hours
    }

    /// The one-sided 95 % upper bound on the rate, if episodes are independent of each other.
    pub fn bound(&self) -> f64 {
        poisson_upper_95(self.episodes) / self.node_hours
    }
}
