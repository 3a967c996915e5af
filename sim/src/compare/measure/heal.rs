//! Heal: two halves cannot reach each other for a while, then they can.

use crate::compare::arena::Arena;
use crate::compare::stats::Times;

/// How long the halves are apart (ms).
pub const SPLIT_MS: u64 = 120_000;
/// A view that is not full this long after (ms) counts as never full.
pub const WITHIN_MS: u64 = 300_000;

/// How long full views took.
#[derive(Clone, Debug, Default)]
pub struct Heal {
    /// From the end of the split until nobody holds anybody dead.
    pub full: Times,
}

impl Heal {
    /// Splits a world that has warmed up into processes of even and of odd number, and mends it.
    pub fn of(arena: &mut Arena) -> Self {
        arena.run(arena.draw.of("split").at(0) % 1_000);
        arena.network.split(|at| (at % 2) as u8);
        arena.run(SPLIT_MS);
        arena.network.mend();
        let mended_ms = arena.now_ms;
        let full = arena.run_until(WITHIN_MS, |view| view.is_complete());
        let mut heal = Self::default();
        heal.full.push(full.then(|| arena.now_ms - mended_ms));
        heal
    }

    /// Adds that of another world.
    pub fn add(&mut self, other: &Self) {
        self.full.add(&other.full);
    }
}
