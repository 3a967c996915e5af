//! The identity of one life of one node's memory (docs/ALGORITHM.md §8: three lives, three names).
//!
//! A restart without memory is a new origin, so a dot `(origin, counter)` is never reused: the trap that
//! cost Riak silent loss ("key amnesia") cannot arise by construction.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 128 random bits naming one life of one node's memory.
///
/// Ordered, because the order of origins is the last tie-break between concurrent writes with equal clocks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Origin(pub u128);

impl Origin {
    /// Big-endian bytes: byte order equals numeric order.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The inverse of [`Origin::to_bytes`].
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for Origin {
    /// The first 8 hex digits: enough for a log line, and what the tools print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", (self.0 >> 96) as u32)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_bytes::serialize(&self.to_bytes(), serializer)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: [u8; 16] = serde_bytes::deserialize(deserializer)?;
        Ok(Self::from_bytes(bytes))
    }
}
