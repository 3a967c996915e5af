//! Expiry: what a save asks for, against what the session has.
//!
//! tower-sessions turns `OnInactivity(ttl)` into *now + ttl* before each save, so that only a date reaches the store. The
//! ttl is found again by subtraction, rounded to the second: an unchanged one is a touch, which costs nothing until it
//! moves the deadline by a sixteenth; a changed one is a write. actix-session hands over the ttl itself.
//!
//! A time of nothing and a date that has passed end a session, as they do in every store of these frameworks: one that is
//! to be created is not, one that is saved is destroyed.

use std::time::Duration;

use crate::mesh::Expiry;

/// Dates closer than this (ms) are the same: half of the second that idle times are rounded to.
pub const SLACK_MS: u64 = 500;
/// A save whose date has not moved this long (ms) after the last touch asks for the date itself: a sliding one
/// would have moved. Several times the slack, so that no rounding can look like that.
const DATED_AFTER_MS: u64 = 2_000;

/// The expiry that a save names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A date.
    Date {
        /// The date (ms since the epoch): one that the request was given asks for nothing.
        date_ms: i64,
        /// From now to the date (ms).
        left_ms: u64,
    },
    /// An idle time (ms).
    Idle(u64),
}

impl Asked {
    /// Whether it asks for a session that is over. `given_ms` is the date that the request was shown.
    pub(super) fn is_over(self, given_ms: Option<i64>) -> bool {
        match self {
            Self::Date { date_ms, left_ms } => left_ms == 0 && given_ms != Some(date_ms),
            Self::Idle(ms) => ms == 0,
        }
    }
}

/// The idle time that `left_ms` stands for. Under a second it is kept as it is: rounded, it would be none.
pub fn idle(left_ms: u64) -> Expiry {
    let seconds = left_ms.saturating_add(SLACK_MS) / 1_000;
    Expiry::sliding(if seconds == 0 { Duration::from_millis(left_ms) } else { Duration::from_secs(seconds) })
}

/// What a session's current expiry looks like.
pub(super) struct Held {
    /// Until its deadline (ms).
    pub left_ms: u64,
    /// Since its last touch (ms).
    pub idle_ms: u64,
    /// Whether it ends at a date, touched or not.
    pub dated: bool,
}

/// The expiry that a date asks for at `wall_ms`; `None` if it leaves it as it is.
pub(super) fn of_date(left_ms: u64, held: &Held, wall_ms: u64) -> Option<Expiry> {
    if left_ms.abs_diff(held.left_ms) > SLACK_MS {
        return Some(idle(left_ms));
    }
    if held.dated || held.idle_ms < DATED_AFTER_MS {
        return None;
    }
    Some(Expiry::at_ms(wall_ms.saturating_add(held.left_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(left_ms: u64, held_left_ms: u64, idle_ms: u64, dated: bool) -> Option<Expiry> {
        of_date(left_ms, &Held { left_ms: held_left_ms, idle_ms, dated }, 1_000_000)
    }

    fn seconds(n: u64) -> Option<Expiry> {
        Some(Expiry::sliding(Duration::from_secs(n)))
    }

    #[test]
    fn the_idle_time_is_found_again_whatever_the_moment() {
        for jitter_ms in [0, 3, 450] {
            assert_eq!(asked(600_000 - jitter_ms, 500_000, 100_000, false), seconds(600));
        }
        assert_eq!(asked(700_000, 600_000, 0, false), seconds(700), "a changed one is a write");
        assert_eq!(asked(300, 600_000, 0, false), Some(Expiry::sliding(Duration::from_millis(300))));
    }

    #[test]
    fn a_date_that_does_not_move_is_a_date() {
        assert_eq!(asked(600_000, 600_000, 100, false), None, "too early to tell");
        assert_eq!(asked(600_000, 600_300, 9_000, false), Some(Expiry::at_ms(1_600_300)));
        assert_eq!(asked(600_000, 600_300, 9_000, true), None, "and is written once");
        assert_eq!(asked(600_000, 500_000, 9_000, true), seconds(600), "until it moves");
    }
}
