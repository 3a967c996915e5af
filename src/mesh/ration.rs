//! How often a session nobody here knows may be destroyed on suspicion.
//!
//! A logout must stick even at a node that has not seen the session, so while a member is out of reach a delete of an
//! unknown id leaves a tombstone. But ids come from cookies, and cookies from strangers, and tower-sessions itself
//! deletes an id that never was at every login of a new visitor: each tombstone stays for the longest life of a
//! session, so they are rationed.

use std::time::{Duration, Instant};

/// Blind tombstones a node may write at once: the logouts of a busy minute.
const BURST: u32 = 64;
/// One more becomes available this often. At the default lifetime of 30 days the ration is at most 260,000
/// tombstones, about 30 MB.
const REFILL: Duration = Duration::from_secs(10);

/// A bucket of permits.
pub(crate) struct Ration {
    left: u32,
    filled: Instant,
}

impl Ration {
    /// A full bucket.
    pub fn new(now: Instant) -> Self {
        Self { left: BURST, filled: now }
    }

    /// Takes a permit, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let due = now.saturating_duration_since(self.filled).as_millis() / REFILL.as_millis();
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        if due > 0 {
            self.left = self.left.saturating_add(due).min(BURST);
            // Whole refills only, so that frequent askers do not starve themselves; a full bucket saves nothing up.
            self.filled = if self.left == BURST { now } else { self.filled + REFILL * due };
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let start = Instant::now();
        let mut ration = Ration::new(start);
        assert!((0..BURST).all(|_| ration.take(start)));
        assert!(!ration.take(start));
        assert!(!ration.take(start + REFILL / 2));
        assert!(ration.take(start + REFILL));
        assert!(!ration.take(start + REFILL));
        let later = start + REFILL * (BURST + 7);
        assert!((0..BURST).all(|_| ration.take(later)));
        assert!(!ration.take(later), "what is not used does not pile up");
    }
}
