//! Suspicion and its window, which shrinks as independent accusers join (Lifeguard §IV-B).

use std::collections::BTreeSet;

use super::config::Config;
use crate::causality::Origin;
use crate::limits::MAX_ACCUSERS;

/// Where this node's own probe of a suspect stands: the first of the two witnesses a death needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnCheck {
    /// It begins at this time (ms).
    Due(u64),
    /// It is under way.
    Running,
    /// It failed: direct, repeated, indirect and over a stream.
    Failed,
}

/// A suspicion of one member as this node holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// When it began (ms, this node's clock): evidence produced later clears it.
    pub began_ms: u64,
    /// The incarnation that is suspected.
    pub incarnation: u32,
    /// Who accuses, each once.
    pub(super) accusers: BTreeSet<Origin>,
    /// Counted apart from the set, so that a seeded bug can count one twice.
    pub(super) votes: usize,
    pub(super) check: OwnCheck,
    /// How long this process did not run since (ms): no part of the window.
    pub(super) paused_ms: u64,
}

impl Suspicion {
    pub(super) fn new(began_ms: u64, incarnation: u32, accuser: Origin, check: OwnCheck) -> Self {
        Self { began_ms, incarnation, accusers: BTreeSet::from([accuser]), votes: 1, check, paused_ms: 0 }
    }

    /// Enters an accuser. Returns whether that is news worth passing on.
    pub(super) fn join(&mut self, accuser: Origin) -> bool {
        let fresh = self.accusers.len() < MAX_ACCUSERS && self.accusers.insert(accuser);
        if fresh || mutant!(AccuserCountedTwice) {
            self.votes += 1;
        }
        fresh
    }

    /// Who accuses.
    pub fn accusers(&self) -> impl Iterator<Item = Origin> + '_ {
        self.accusers.iter().copied()
    }

    /// Accusations counted; as many as accusers.
    pub fn votes(&self) -> usize {
        self.votes
    }

    /// When the window closes (ms), with so many members alive.
    pub fn closes_ms(&self, config: &Config, members: usize) -> u64 {
        self.began_ms + self.paused_ms + window_ms(config, members, self.votes)
    }
}

/// The shortest window (ms).
pub(super) fn min_window_ms(config: &Config, members: usize) -> u64 {
    let scale = (members.max(1) as f64).log10().max(1.0);
    (config.suspicion_mult as f64 * config.probe_interval_ms as f64 * scale) as u64
}

/// The window with so many accusers (ms).
fn window_ms(config: &Config, members: usize, accusers: usize) -> u64 {
    let min = min_window_ms(config, members);
    // Nobody beyond the suspect and this node could confirm more.
    let wanted = config.confirmations.min(members.saturating_sub(2));
    if wanted == 0 {
        return min;
    }
    let max = min * config.suspicion_max_mult;
    let share = (accusers.max(1) as f64).ln() / ((wanted + 1) as f64).ln();
    max - ((max - min) as f64 * share.min(1.0)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accusers_shrink_the_window_to_its_minimum() {
        let config = Config::default();
        let at = |members, accusers| window_ms(&config, members, accusers);
        assert_eq!(at(2, 1), 1_000, "of two nobody could confirm");
        assert_eq!((at(10, 1), at(10, 4), at(10, 9)), (4_000, 1_000, 1_000));
        assert!(at(10, 2) < at(10, 1) && at(10, 3) < at(10, 2) && at(10, 4) < at(10, 3));
        assert_eq!(at(1_000, 4), 3_000, "more members take longer to hear of a refutation");
    }

    #[test]
    fn an_accuser_counts_once() {
        let mut suspicion = Suspicion::new(0, 0, Origin(1), OwnCheck::Failed);
        assert!(!suspicion.join(Origin(1)) && suspicion.join(Origin(2)) && !suspicion.join(Origin(2)));
        assert_eq!(suspicion.votes(), 2);
    }
}
