//! Bounds of what requests about keys may ask for.

/// How long an old key goes on being good after a rotation or a log-in (ms) if the request does not say: as the axum layer
/// has it. It covers requests under way, and an application that dies before its own answer has told the browser.
pub const GRACE_MS: u64 = 10_000;
/// The longest (ms): ten minutes, for an upload under way. For so long whoever else knew the old key can use it.
pub const MAX_GRACE_MS: u64 = 600_000;
