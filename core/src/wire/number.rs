//! The number of a comparison: echoed by the answer, and the salt by which both sides draw buckets.
//!
//! On the wire it is one number: 0 of routine; of a joiner's question how many it has asked, above 16 bits that are one
//! more than the first partition asked for, or 0 where one is taken apart.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The bits that say where a question began.
const PLACE_BITS: u32 = 16;

/// What a comparison is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Nobody joins by it.
    Routine,
    /// The n-th question of a joiner that verifies what it adopted.
    Joining {
        /// Counts its questions, from 1.
        nth: u64,
        /// The first partition of the batch; `None` of one that is taken apart.
        first: Option<u16>,
    },
}

impl Purpose {
    /// Its number, which is also what buckets are salted with.
    pub fn number(self) -> u64 {
        match self {
            Self::Routine => 0,
            Self::Joining { nth, first } => nth << PLACE_BITS | first.map_or(0, |first| u64::from(first) + 1),
        }
    }

    /// What a number means.
    pub fn from_number(number: u64) -> Self {
        let (nth, place) = (number >> PLACE_BITS, number as u16);
        match number {
            0 => Self::Routine,
            _ => Self::Joining { nth, first: place.checked_sub(1) },
        }
    }
}

impl Serialize for Purpose {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.number().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Purpose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::from_number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_means_what_it_was_made_of() {
        let joining = |nth, first| Purpose::Joining { nth, first };
        let all = [
            (Purpose::Routine, 0),
            (joining(0, Some(16)), 17),
            (joining(1, None), 1 << 16),
            (joining(3, Some(0)), 3 << 16 | 1),
            (joining((1 << 48) - 1, Some(65_534)), u64::MAX),
        ];
        for (purpose, number) in all {
            assert_eq!((purpose.number(), Purpose::from_number(number)), (number, purpose));
        }
    }
}
