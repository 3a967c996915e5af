//! Freshness vectors on the wire: `[[member, wall time (ms)], ...]`.

use crate::causality::Origin;

/// Freshness vector: member and the wall time (ms) its state is incorporated up to.
pub type Inc = Vec<(Origin, u64)>;
