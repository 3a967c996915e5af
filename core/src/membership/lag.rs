//! How far this node is behind its own inputs: the quickest of the last few members' answers, by the time in which this
//! process ran.
//!
//! On a machine with too much to do packets wait in sockets for seconds, and timers may be in time all the same. Whoever
//! judges by what it has read so far judges a past in which the member may only not have spoken yet. If *everybody* is
//! late, the lag is here; if one is, it is there. Up to a line's round trip it is none.

use crate::causality::Origin;

/// Members whose last answers count.
const MEMBERS: usize = 4;
/// What is assumed until anybody has answered (ms): a process that has just started on a busy machine has heard nobody.
const START_MS: u64 = 2_000;
/// No lag counts for more (ms): whoever was overloaded and is then cut off must notice that, too.
const MOST_LAG_MS: u64 = 10_000;
/// Answers this quick (ms) are no lag: a line takes as long.
const LINE_MS: u64 = 50;

/// The last answers: whose, and how long it took (ms).
#[derive(Clone, Debug, Default)]
pub(super) struct Lag {
    last: Vec<(Origin, u64)>,
}

impl Lag {
    pub(super) fn answered(&mut self, by: Origin, took_ms: u64) {
        self.last.retain(|(member, _)| *member != by);
        if self.last.len() == MEMBERS {
            self.last.remove(0);
        }
        self.last.push((by, took_ms));
    }

    /// The lag (ms).
    pub(super) fn ms(&self) -> u64 {
        if mutant!(LagIgnored) {
            return 0;
        }
        let least_ms = self.last.iter().map(|(_, took_ms)| *took_ms).min().unwrap_or(START_MS);
        if least_ms <= LINE_MS { 0 } else { least_ms.min(MOST_LAG_MS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_late_is_slow_itself_and_all_that_are_late_mean_me() {
        let mut lag = Lag::default();
        assert_eq!(lag.ms(), START_MS);
        (1..=4).for_each(|n| lag.answered(Origin(n), 1));
        lag.answered(Origin(1), 900);
        assert_eq!(lag.ms(), 0);
        (1..=4).for_each(|n| lag.answered(Origin(n), 700 + n as u64));
        assert_eq!(lag.ms(), 701);
        lag.answered(Origin(9), 2);
        assert_eq!(lag.ms(), 0, "over at once");
    }
}
