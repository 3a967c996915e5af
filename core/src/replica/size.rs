//! What an edit may make of a record: the caps, and what they never refuse.
//!
//! Caps bound what one side makes. A merge takes what is true, however large it gets, so that a record may stand above
//! a cap (`docs/ALGORITHM.md` §12). Then only what would make it larger still is refused: never a touch, a removal, an
//! overwrite that is no longer than what it replaces, a log-in or a log-out.

use super::local::WriteError;
use crate::limits::{Limits, MAX_KEY_BYTES};
use crate::session::{Field, Packed, is_reserved};

/// How large a record is, as the caps count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Fields that are set.
    pub fields: usize,
    /// Keys and values together, the keys of removed ones too: their number has no cap of its own.
    pub bytes: usize,
}

impl Extent {
    /// What a stored record has.
    pub fn of(packed: &Packed<'_>) -> Self {
        sum(packed.fields())
    }

    /// Refuses what is above a cap and larger than `before`.
    fn check(self, before: Self, limits: &Limits) -> Result<(), WriteError> {
        let max = limits.max_fields;
        if self.fields > max && (self.fields > before.fields || mutant!(CapsRefuseTheSame)) {
            return Err(WriteError::TooManyFields { fields: self.fields, max });
        }
        let max = limits.max_record_bytes;
        if self.bytes > max && (self.bytes > before.bytes || mutant!(CapsRefuseTheSame)) {
            return Err(WriteError::TooLarge { bytes: self.bytes, max });
        }
        Ok(())
    }
}

fn sum<'f>(fields: impl Iterator<Item = Field<'f>>) -> Extent {
    // Ours do not count against the application's.
    fields.filter(|f| !is_reserved(f.key) || mutant!(WebReservedCounts)).fold(
        Extent::default(),
        |sum, field| Extent {
            fields: sum.fields + usize::from(field.value.is_some()),
            bytes: sum.bytes + field.key.len() + field.value.map_or(0, <[u8]>::len),
        },
    )
}

/// Refuses an edit of what `held` is that could not be stored or would outgrow a cap: before anything is changed.
/// `fields` are those it writes, sorted by key, each key once. `full`: so much is held that nothing may grow.
pub(super) fn check_edit(
    held: &Packed<'_>,
    fields: &[Field<'_>],
    full: Option<u64>,
    limits: &Limits,
) -> Result<(), WriteError> {
    check_keys(fields)?;
    let before = Extent::of(held);
    let kept = held.fields().filter(|h| fields.binary_search_by(|f| f.key.cmp(h.key)).is_err());
    let after = sum(kept.chain(fields.iter().copied()));
    if let Some(bytes) = full.filter(|_| after.bytes > before.bytes) {
        return Err(WriteError::MemoryFull { bytes });
    }
    after.check(before, limits)
}

/// The same of a record that is created: as large as `copied`, if it is a copy of one that a merge made so large.
pub(super) fn check_create(fields: &[Field<'_>], copied: Extent, limits: &Limits) -> Result<(), WriteError> {
    check_keys(fields)?;
    sum(fields.iter().copied()).check(copied, limits)
}

fn check_keys(fields: &[Field<'_>]) -> Result<(), WriteError> {
    match fields.iter().map(|f| f.key.len()).find(|bytes| !(1..=MAX_KEY_BYTES).contains(bytes)) {
        Some(bytes) => Err(WriteError::KeyLength { bytes, max: MAX_KEY_BYTES }),
        None => Ok(()),
    }
}
