//! "Adopted, but for these partitions": a receipt's copy.
//!
//! `[seq, [partition, ...]]`

use serde::de::SeqAccess;

use super::fault::BodyFault;
use super::read::{Fields, Many, next, read};
use super::write::frame;
use crate::frame::Kind;
use crate::limits::MOST_PARTITIONS;

/// The acknowledgement of a [`Push`](super::Push).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushAck {
    /// The push's sequence number.
    pub seq: u64,
    /// Partitions whose claim was not adopted; a round repairs.
    pub refused: Vec<u16>,
}

impl PushAck {
    /// The frame for a peer that speaks `version`.
    pub fn encode(&self, version: u16) -> Vec<u8> {
        frame(version, Kind::PushAck, &(self.seq, &self.refused))
    }

    /// Reads it back.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn decode(version: u16, body: &[u8]) -> Result<Self, BodyFault> {
        read(version, body)
    }
}

impl<'de> Fields<'de> for PushAck {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        Ok(Self { seq: next(fields)?, refused: next::<Many<_, MOST_PARTITIONS>, A>(fields)?.0 })
    }
}
