//! The end that an edit set: a reserved field beside the time to live, so that each of the two changes only when it is
//! named, and a later one of either kind wins as any field does.
//!
//! The hard end of a session is chosen at its birth and never moves. This one lies before it, may be moved to and fro by
//! later edits, and only ever takes away from how long a session is visible. So no member can think a session alive past
//! the stable deadline, which knows nothing of it (`docs/ALGORITHM.md` §6).

use super::state::{Field, Ttl};

/// The field of a session that ends at a date, whatever its time to live: ms since the epoch, eight bytes, the most
/// significant first.
pub const ENDS_KEY: &str = "\0\0e";

/// An idle time (ms) no shorter than this is none. It is what an expiry without idle time says.
pub const NEVER_MS: u64 = u64::MAX >> 16;

/// The longest a session may live from the moment it is asked for: both, the earlier one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// This long after the write (ms).
    pub within_ms: u64,
    /// Until this wall time (ms since the epoch).
    pub until_ms: u64,
}

impl Default for Bound {
    fn default() -> Self {
        Self { within_ms: u64::MAX, until_ms: u64::MAX }
    }
}

impl Bound {
    /// The date it stands for at `now_ms`, if it bounds anything.
    pub fn at(self, now_ms: u64) -> Option<u64> {
        let end_ms = now_ms.saturating_add(self.within_ms).min(self.until_ms);
        (end_ms != u64::MAX).then_some(end_ms)
    }

    /// Both bounds in one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { within_ms: self.within_ms.min(other.within_ms), until_ms: self.until_ms.min(other.until_ms) }
    }
}

/// What an edit at `now_ms` makes of the time to live and the bound it names. Without an idle time the end is a date for
/// the time to live as well: a longest one would keep the record, hidden, for as long as the cluster lets anything live.
pub fn asked(ttl: Option<Ttl>, bound: Bound, now_ms: u64) -> (Option<Ttl>, Option<u64>) {
    let end_ms = bound.at(now_ms);
    match (ttl, end_ms) {
        (Some(Ttl::Sliding(NEVER_MS..)), Some(end_ms)) => (Some(Ttl::Absolute(end_ms)), Some(end_ms)),
        _ => (ttl, end_ms),
    }
}

/// The end in a stored value; anything else is none.
pub fn end_in(value: Option<&[u8]>) -> u64 {
    value.and_then(|bytes| bytes.try_into().ok()).map_or(u64::MAX, u64::from_be_bytes)
}

/// The end among the fields of a record, which are sorted by key; the end of time, if there is none.
pub fn end_of(fields: &[Field<'_>]) -> u64 {
    let at = fields.binary_search_by(|field| field.key.cmp(ENDS_KEY));
    end_in(at.ok().and_then(|at| fields[at].value))
}
