//! What the stores remember between a framework's calls: each bound with its reason.

/// Ids tried by one create. The first random one is free; more than a few taken ones are no accident.
pub(super) const MAX_ID_TRIES: usize = 8;

/// Deletes remembered, about 200 bytes each: a hundred a second for as long as [`REMEMBER`].
pub(super) const MAX_DELETES: usize = 65_536;

/// Deleted sessions whose fields are kept until the create comes. Beyond, what others wrote beside it is lost.
pub(super) const MAX_HELD_MAPS: usize = 4_096;

/// Keys remembered over all saves. A key of 255 bytes with its version and hash takes under 400 bytes, so this
/// bounds the memory at about 25 MB, and at typical keys at a third of that.
pub(super) const MAX_RECENT_KEYS: usize = 65_536;
