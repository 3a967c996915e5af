//! The clocks of a real process, as the core is told them: the one place where the wall clock is read for it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::core::time::Now;

/// Reads both clocks. `offset_ms` falsifies the wall clock, for drills.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    /// Leaked, a word for each node that is ever started, so that a clock can be copied like the number it is.
    offset_ms: &'static AtomicI64,
}

impl Clock {
    /// A clock whose monotonic half starts now.
    pub fn new(offset_ms: i64) -> Self {
        Self { started: Instant::now(), offset_ms: Box::leak(Box::new(AtomicI64::new(offset_ms))) }
    }

    /// Falsifies the wall clock from now on, on all copies of this clock: a step, as an operator's or NTP's.
    pub fn step_to(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
    }

    /// Both clocks now. Monotonic time starts at a minute, so that no subtraction falls below zero.
    pub fn now(&self) -> Now {
        Now { mono_ms: 60_000 + self.started.elapsed().as_millis() as u64, wall_ms: self.wall_ms() }
    }

    /// Milliseconds since the Unix epoch.
    pub fn wall_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        since.saturating_add_signed(self.offset_ms.load(Ordering::Relaxed))
    }

    /// The instant at which the monotonic clock shows `mono_ms`.
    pub fn instant_at(&self, mono_ms: u64) -> Instant {
        self.started + std::time::Duration::from_millis(mono_ms.saturating_sub(60_000))
    }
}
