//! Dots and versions: who wrote, and in which order writes are compared.

use std::cmp::Ordering;

use super::Origin;
use crate::time::Hlc;

/// One write event: the `counter`-th of `origin`. Never reused, see [`Origin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// The life of the node that wrote.
    pub origin: Origin,
    /// One counter per origin, shared by all partitions, starting at 1.
    pub counter: u64,
}

/// An origin as a partition-local index into its table of origins: 4 bytes in a record instead of 16.
pub type OriginIx = u32;

/// The version of a register: compared by stamp, then origin, then counter. A linear extension of
/// happens-before, because the stamp is advanced past everything observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ver {
    /// The hybrid clock stamp of the write.
    pub hlc: Hlc,
    /// The writer, as an index into the table of whoever holds this version.
    pub origin: OriginIx,
    /// The writer's counter.
    pub counter: u64,
}

impl Ver {
    /// Total order of versions; `origins` resolves indices, needed only when stamps are equal.
    pub fn cmp(&self, other: &Ver, origins: &[Origin]) -> Ordering {
        self.hlc.cmp(&other.hlc).then_with(|| self.cmp_dot(other, origins))
    }

    /// Order by (origin, counter) alone: the tie-break below a stamp or a touch time.
    pub fn cmp_dot(&self, other: &Ver, origins: &[Origin]) -> Ordering {
        if self.origin == other.origin {
            return self.counter.cmp(&other.counter);
        }
        origin_at(origins, self.origin)
            .cmp(&origin_at(origins, other.origin))
            .then(self.counter.cmp(&other.counter))
    }

    /// Whether both name the same write event.
    pub fn same_dot(&self, other: &Ver) -> bool {
        self.origin == other.origin && self.counter == other.counter
    }
}

/// The origin an index stands for.
pub fn origin_at(origins: &[Origin], ix: OriginIx) -> Origin {
    origins.get(ix as usize).copied().unwrap_or_default()
}

/// The 32-bit name of an origin in conflict contexts. Contexts only label overwrites as causal or concurrent,
/// so a collision costs a label, and 12 bytes a context entry are saved on the wire.
pub fn short_origin(origin: Origin) -> u32 {
    (origin.0 >> 96) as u32
}
