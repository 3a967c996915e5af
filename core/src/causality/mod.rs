//! Causality: origins, dots, versions, and version vectors with gaps.

mod origin;
mod ranges;
mod version;

pub use origin::Origin;
pub use ranges::RangeSet;
pub use version::{Dot, OriginIx, Ver, origin_at, short_origin};
