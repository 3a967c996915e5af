//! Whose believed clock may be ahead of the true time: CLOCKS.md promises what it does while the time is true on every
//! followed clock, and this is where that does not hold.
//!
//! A wall clock that is ahead is followed rightly only by a process that has found it so from its start, by one whom
//! nobody contradicted for a minute, and by whoever hears so from one of these. A step that is believed for any other
//! reason is a fault, and not found here.

use std::collections::BTreeMap;

use crate::EPOCH_MS;
use crate::world::World;

/// A step that stands for so long may be followed (ms).
const CONFIRMED_MS: u64 = 60_000;

/// One machine.
#[derive(Default)]
struct Machine {
    /// Since when (virtual ms) its wall clock has been ahead.
    ahead_ms: Option<u64>,
    /// It was when the process started.
    from_start: bool,
    /// Its process believes what is ahead, and may.
    misled: bool,
}

/// All machines.
#[derive(Default)]
pub struct Misled {
    machines: BTreeMap<usize, Machine>,
}

impl Misled {
    /// A process has started.
    pub fn started(&mut self, world: &World, at: usize) {
        let from_start = is_ahead(world, world.machine(at).wall_ms);
        self.machines.insert(at, Machine { from_start, ..Machine::default() });
    }

    /// What a process believes now (wall ms), as far as it may: no more than the true time and `skew_ms`, unless it is
    /// misled. `None` if no process runs.
    pub fn believes(&mut self, world: &World, at: usize) -> Option<u64> {
        world.nodes[at].as_ref()?;
        let (time_ms, believed_ms) = (world.time_ms, world.now(at).wall_ms);
        let by_another =
            self.machines.iter().any(|(other, m)| *other != at && m.misled && world.nodes[*other].is_some());
        let machine = self.machines.entry(at).or_default();
        if is_ahead(world, world.machine(at).wall_ms) {
            machine.ahead_ms.get_or_insert(time_ms);
        } else {
            (machine.ahead_ms, machine.from_start) = (None, false);
        }
        let stands = machine.ahead_ms.is_some_and(|since_ms| time_ms >= since_ms + CONFIRMED_MS);
        let may = machine.misled || machine.from_start || stands || by_another;
        machine.misled = may && is_ahead(world, believed_ms);
        Some(if machine.misled { believed_ms } else { believed_ms.min(latest_ms(world)) })
    }
}

/// The latest that a clock says while the premise holds (wall ms).
fn latest_ms(world: &World) -> u64 {
    EPOCH_MS + world.time_ms + world.limits.skew_ms
}

fn is_ahead(world: &World, wall_ms: u64) -> bool {
    wall_ms > latest_ms(world)
}

/// The greatest of a value that rises and falls, since any moment.
#[derive(Default)]
pub struct Peaks {
    /// Moments and values: each value is less than the one before, the others are hidden by a later one.
    falling: Vec<(u64, u64)>,
}

impl Peaks {
    /// The value at this moment; moments do not go back.
    pub fn push(&mut self, at_ms: u64, value: u64) {
        while self.falling.last().is_some_and(|(_, last)| *last <= value) {
            self.falling.pop();
        }
        self.falling.push((at_ms, value));
    }

    /// The greatest value from this moment on; 0 if there is none.
    pub fn since(&self, at_ms: u64) -> u64 {
        let first = self.falling.partition_point(|(moment, _)| *moment < at_ms);
        self.falling.get(first).map_or(0, |(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_know_the_greatest_since_any_moment() {
        let mut peaks = Peaks::default();
        [(1, 5), (2, 9), (3, 4), (4, 7), (5, 6)].into_iter().for_each(|(at, value)| peaks.push(at, value));
        assert_eq!([0, 2, 3, 4, 5, 6].map(|at| peaks.since(at)), [9, 9, 7, 7, 6, 0]);
    }
}
