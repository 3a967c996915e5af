//! Dates, the only form in which expiry reaches a tower-sessions store.

use time::{Duration, OffsetDateTime};

/// Milliseconds from now to `date`; none, if it has passed.
pub(super) fn left_ms(date: OffsetDateTime) -> u64 {
    let left = (date - OffsetDateTime::now_utc()).whole_milliseconds();
    u64::try_from(left.max(0)).unwrap_or(u64::MAX)
}

/// The date `left_ms` from now; the last one there is, if it lies beyond.
pub(super) fn date_in(left_ms: u64) -> OffsetDateTime {
    let left = Duration::milliseconds(i64::try_from(left_ms).unwrap_or(i64::MAX));
    OffsetDateTime::now_utc().saturating_add(left)
}

/// A date as a token keeps it (ms since the epoch).
pub(super) fn date_ms(date: OffsetDateTime) -> i64 {
    i64::try_from(date.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
