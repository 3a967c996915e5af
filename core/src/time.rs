//! Time as the core sees it: a reading passed in, and the hybrid logical clock built on it.
//!
//! The clock follows Kulkarni et al., "Logical Physical Clocks" (2014): 48 bits of milliseconds, 16 bits of
//! logical count. It is advanced past everything observed, so stamp order extends causal order (the causality
//! lemma of `docs/ALGORITHM.md`): that, and not any version vector, decides which write wins.

use std::sync::atomic::{AtomicU64, Ordering};

/// One reading of both clocks, taken by the driver (or by the simulator's virtual time).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Monotonic milliseconds since an arbitrary start: timers, fences, round-trip times.
    pub mono_ms: u64,
    /// Milliseconds since the Unix epoch: expiry, drift checks, the physical half of [`Hlc`].
    pub wall_ms: u64,
}

/// A hybrid logical clock stamp: milliseconds since the epoch in the high 48 bits, a logical count below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(pub u64);

impl Hlc {
    /// The smallest stamp of a millisecond.
    pub fn from_ms(ms: u64) -> Self {
        Self(ms << 16)
    }

    /// The stamp with this millisecond and logical count.
    pub fn new(ms: u64, logical: u16) -> Self {
        Self(ms << 16 | u64::from(logical))
    }

    /// Milliseconds since the epoch.
    pub fn ms(self) -> u64 {
        self.0 >> 16
    }

    /// The logical count within the millisecond.
    pub fn logical(self) -> u16 {
        self.0 as u16
    }
}

/// The node's hybrid clock: one atomic, shared by all partitions.
#[derive(Debug, Default)]
pub struct HybridClock(AtomicU64);

impl HybridClock {
    /// A stamp greater than every stamp issued or observed before. A full logical count carries into the
    /// millisecond, which is why this is plain addition.
    pub fn tick(&self, wall_ms: u64) -> Hlc {
        let floor = Hlc::from_ms(wall_ms).0;
        if mutant!(WallClockStamps) {
            return Hlc(floor);
        }
        let previous =
            self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| Some(floor.max(last + 1)));
        let last = previous.unwrap_or_else(|last| last);
        Hlc(floor.max(last + 1))
    }

    /// As [`HybridClock::tick`]; but if this clock is more than `bound_ms` ahead of the wall, a stamp that peers will
    /// take: greater only than `newest`, the newest of the record it is for. Winners are decided within a record.
    pub fn tick_within(&self, wall_ms: u64, bound_ms: u64, newest: impl FnOnce() -> Hlc) -> Hlc {
        if self.latest().ms() <= wall_ms.saturating_add(bound_ms) || mutant!(FarStampsGoOn) {
            return self.tick(wall_ms);
        }
        let stamp = Hlc(Hlc::from_ms(wall_ms).0.max(newest().0 + 1));
        // Past the newest of a record from ahead it may be past this clock too. Issued unseen, it would be issued again
        // once the time has caught up: to a later edit of that record, which would lose.
        self.0.fetch_max(stamp.0, Ordering::AcqRel);
        stamp
    }

    /// Advances past a stamp seen in a message or a client's token. The caller has checked it against the
    /// drift bound: a stamp near `u64::MAX` would otherwise poison the clock for ever.
    pub fn observe(&self, seen: Hlc) {
        if !mutant!(RemoteStampsUnseen) {
            self.0.fetch_max(seen.0, Ordering::AcqRel);
        }
    }

    /// The greatest stamp issued or observed.
    pub fn latest(&self) -> Hlc {
        Hlc(self.0.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_passes_everything_observed_even_when_the_wall_is_behind() {
        let clock = HybridClock::default();
        clock.observe(Hlc::new(5_000, 7));
        assert_eq!(clock.tick(1_000), Hlc::new(5_000, 8));
        assert_eq!(clock.tick(6_000), Hlc::new(6_000, 0));
    }

    #[test]
    fn a_stamp_issued_while_the_clock_was_far_ahead_is_not_issued_again() {
        let clock = HybridClock::default();
        clock.observe(Hlc::new(100_000, 0));
        let (record, bound_ms) = (Hlc::new(100_000, 0), 60_000);
        let first = clock.tick_within(30_000, bound_ms, || record);
        let second = clock.tick_within(30_000, bound_ms, || first);
        assert_eq!((first, second), (Hlc::new(100_000, 1), Hlc::new(100_000, 2)));
        assert_eq!(clock.tick_within(30_000, bound_ms, Hlc::default), Hlc::new(30_000, 0), "of today");
        let later = clock.tick_within(50_000, bound_ms, || second);
        assert!(later > second, "{later:?} is issued to the same record, and would lose to {second:?}");
    }

    #[test]
    fn a_full_logical_count_carries_into_the_millisecond() {
        let clock = HybridClock::default();
        clock.observe(Hlc::new(9, u16::MAX));
        assert_eq!(clock.tick(0), Hlc::new(10, 0));
    }
}
