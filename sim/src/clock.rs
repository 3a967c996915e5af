//! A node's clocks: off by an offset, running fast or slow, jumping, and standing still through a suspend.

use sessionmesh::core::time::Now;

/// The wall time at which every world starts (ms).
pub const EPOCH_MS: u64 = 1_800_000_000_000;

/// The clocks of one machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// When the rate last changed (virtual ms), and what this clock had counted then.
    since: (u64, u64),
    /// How much faster than true time it runs, in millionths.
    drift_ppm: i64,
    /// How long the machine has been suspended: its monotonic clock stood still (ms).
    suspended_ms: u64,
}

impl Clock {
    /// Milliseconds this clock has counted by `time_ms` of virtual time.
    fn counted(&self, time_ms: u64) -> u64 {
        let passed = time_ms - self.since.0;
        let extra = passed as i128 * i128::from(self.drift_ppm) / 1_000_000;
        (i128::from(self.since.1) + i128::from(passed) + extra) as u64
    }

    /// What the machine's clocks say, its wall clock being `offset_ms` off.
    pub fn now(&self, time_ms: u64, offset_ms: i64) -> Now {
        let counted = self.counted(time_ms);
        Now {
            mono_ms: counted - self.suspended_ms,
            wall_ms: (EPOCH_MS + counted).saturating_add_signed(offset_ms),
        }
    }

    /// From now on runs this much faster than true time (millionths; negative: slower).
    pub fn drift(&mut self, time_ms: u64, drift_ppm: i64) {
        self.since = (time_ms, self.counted(time_ms));
        self.drift_ppm = drift_ppm;
    }

    /// How much faster than true time it runs (millionths).
    pub fn drift_ppm(&self) -> i64 {
        self.drift_ppm
    }

    /// The machine was suspended for this long of virtual time: only the wall clock went on.
    pub fn suspended(&mut self, for_ms: u64) {
        self.suspended_ms += for_ms;
    }

    /// How long until the monotonic clock has gone `mono_ms` further, rounded up (virtual ms).
    pub fn until(&self, mono_ms: u64) -> u64 {
        match self.drift_ppm {
            0 => mono_ms,
            ppm => ((mono_ms as u128 * 1_000_000).div_ceil((1_000_000 + ppm) as u128)) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_gains_and_a_changed_rate_never_jumps() {
        let mut clock = Clock::default();
        clock.drift(0, 10_000);
        assert_eq!(clock.now(100_000, 0).mono_ms, 101_000);
        clock.drift(100_000, -10_000);
        assert_eq!(clock.now(100_000, -5).wall_ms, EPOCH_MS + 101_000 - 5);
        assert_eq!(clock.now(200_000, 0).mono_ms, 200_000);
        assert_eq!(clock.until(99), 100);
        clock.suspended(30_000);
        let now = clock.now(200_000, 0);
        assert_eq!((now.mono_ms, now.wall_ms), (170_000, EPOCH_MS + 200_000));
    }
}
