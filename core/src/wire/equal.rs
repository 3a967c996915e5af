//! "So does mine": the answer to a digest that completes a round of every partition at once (docs/ALGORITHM.md §4).
//!
//! `[round, wall_ms, ready, inc]`, and the mark of an incomplete node as a digest has it.

use serde::de::SeqAccess;

use super::digest::{mark_incomplete, read_marked};
use super::fault::BodyFault;
use super::freshness::Inc;
use super::read::{Fields, MOST, Many, next};
use super::write::frame;
use crate::frame::Kind;

/// Both hash alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equal {
    /// The digest's round.
    pub round: u64,
    /// The responder's wall time (ms), read before its first partition was hashed.
    pub wall_ms: u64,
    /// Whether the responder is ready.
    pub ready: bool,
    /// Its freshness vector, if wanted.
    pub inc: Inc,
    /// Whether the responder knows of something it may lack.
    pub incomplete: bool,
}

impl Equal {
    /// The frame for a peer that speaks `version`.
    pub fn encode(&self, version: u16) -> Vec<u8> {
        let Self { round, wall_ms, ready, inc, incomplete } = self;
        mark_incomplete(frame(version, Kind::Equal, &(round, wall_ms, ready, inc)), *incomplete)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn decode(version: u16, body: &[u8]) -> Result<Self, BodyFault> {
        let (read, incomplete) = read_marked::<Self>(version, body)?;
        Ok(Self { incomplete, ..read })
    }
}

impl<'de> Fields<'de> for Equal {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        Ok(Self {
            round: next(fields)?,
            wall_ms: next(fields)?,
            ready: next(fields)?,
            inc: next::<Many<_, MOST>, A>(fields)?.0,
            incomplete: false,
        })
    }
}
