//! What an edit may say of a session's end.

use super::local::{Change, WriteError};
use crate::session::{ENDS_KEY, Field, Packed, Ttl, deadline_ms};

impl Change<'_> {
    /// Whether a date it names is over at `wall_ms`.
    pub(super) fn dates_over(&self, wall_ms: u64) -> bool {
        let date_ms = if let Some(Ttl::Absolute(date_ms)) = self.ttl { date_ms } else { u64::MAX };
        date_ms.min(self.bound.until_ms) <= wall_ms
    }
}

/// Refuses what would end a session at once: that is what a destroy is for, and an idle time of nothing is a mistake.
pub(super) fn check_ends(ttl: Option<Ttl>, end_ms: Option<u64>, now_ms: u64) -> Result<(), WriteError> {
    let asked_ms = ttl.map_or(u64::MAX, |ttl| deadline_ms(u64::MAX, now_ms, ttl));
    match asked_ms.min(end_ms.unwrap_or(u64::MAX)) {
        deadline_ms if deadline_ms <= now_ms => Err(WriteError::Expired { deadline_ms, now_ms }),
        _ => Ok(()),
    }
}

/// What an edit writes so that the session ends at `end_ms` at the latest, unless it does already. Past its hard end there
/// is none: then one that was set is lifted.
pub(super) fn new_end(packed: &Packed<'_>, end_ms: Option<u64>) -> Option<[u8; 8]> {
    let end_ms = end_ms?.min(packed.hard_ms());
    (end_ms != packed.last_ms()).then(|| end_ms.to_be_bytes())
}

/// Puts it where it belongs among the fields of the edit.
pub(super) fn put_end<'a>(fields: &mut Vec<Field<'a>>, end: Option<&'a [u8; 8]>) {
    if let Some(end) = end {
        let at = fields.partition_point(|field| field.key < ENDS_KEY);
        fields.insert(at, Field { key: ENDS_KEY, op: 0, value: Some(end) });
    }
}
