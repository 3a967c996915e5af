//! Lifeguard's local health (Dadgar et al. 2018, §IV-A): a node that has reason to doubt itself accuses more slowly.
//!
//! Raised by a probe that failed although relays should have said at least that they are there, by having to refute a
//! suspicion of oneself, by timers that come late, and by a queue that overflowed. Lowered by every probe that is
//! answered. All timeouts are multiplied by one more than it.

/// The penalty, 0 when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalHealth {
    penalty: u32,
    max: u32,
}

impl LocalHealth {
    pub(super) fn new(max: u32) -> Self {
        Self { penalty: 0, max }
    }

    pub(super) fn worse(&mut self, by: u32) {
        self.penalty = (self.penalty + by).min(self.max);
    }

    pub(super) fn better(&mut self) {
        self.penalty = self.penalty.saturating_sub(1);
    }

    /// The penalty.
    pub fn penalty(&self) -> u32 {
        self.penalty
    }

    /// A timeout as this node should use it.
    pub(super) fn stretch(&self, ms: u64) -> u64 {
        ms * u64::from(1 + self.penalty)
    }
}
