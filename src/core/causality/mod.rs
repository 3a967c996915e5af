//! Causality: origins, dots, version vectors with gaps.

mod origin;

pub use origin::Origin;
