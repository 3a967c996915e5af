//! "Mine differs; here is each partition's": the answer to a digest that a round goes on from.
//!
//! `[round, wall_ms, ready, inc, hashes]`, the hashes as eight bytes a partition, little-endian; and the mark of an
//! incomplete node as a digest has it.

use serde::de::SeqAccess;
use serde_bytes::Bytes;

use super::digest::{mark_incomplete, read_marked};
use super::fault::BodyFault;
use super::freshness::Inc;
use super::read::{Fields, MOST, Many, next};
use super::write::frame;
use crate::frame::Kind;

/// The bytes of a hash.
const HASH_BYTES: usize = 8;

/// A hash of each partition, as it lies in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashes<'a>(&'a [u8]);

impl<'a> Hashes<'a> {
    /// Reads them where they lie.
    ///
    /// # Errors
    /// If the bytes are no whole number of hashes.
    pub fn new(bytes: &'a [u8]) -> Result<Self, BodyFault> {
        match bytes.len() % HASH_BYTES {
            0 => Ok(Self(bytes)),
            _ => Err(BodyFault::HashBytes(bytes.len())),
        }
    }

    /// Those whose bytes [`Hashes::to_bytes`] made.
    pub fn of(bytes: &'a [[u8; HASH_BYTES]]) -> Self {
        Self(bytes.as_flattened())
    }

    /// The bytes of these hashes, as they go on the wire.
    pub fn to_bytes(hashes: &[u64]) -> Vec<[u8; HASH_BYTES]> {
        hashes.iter().map(|hash| hash.to_le_bytes()).collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len() / HASH_BYTES
    }

    /// Each of them, by partition.
    pub fn iter(&self) -> impl Iterator<Item = u64> + 'a {
        self.0.as_chunks::<HASH_BYTES>().0.iter().map(|hash| u64::from_le_bytes(*hash))
    }
}

/// Both hash differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unequal<'a> {
    /// The digest's round.
    pub round: u64,
    /// The responder's wall time (ms), read before its first partition was hashed.
    pub wall_ms: u64,
    /// Whether the responder is ready.
    pub ready: bool,
    /// Its freshness vector, if wanted.
    pub inc: Inc,
    /// Each partition's hash.
    pub hashes: Hashes<'a>,
    /// Whether the responder knows of something it may lack.
    pub incomplete: bool,
}

impl<'a> Unequal<'a> {
    /// The frame for a peer that speaks `version`.
    pub fn encode(&self, version: u16) -> Vec<u8> {
        let Self { round, wall_ms, ready, inc, hashes, incomplete } = self;
        let body = (round, wall_ms, ready, inc, Bytes::new(hashes.0));
        mark_incomplete(frame(version, Kind::Unequal, &body), *incomplete)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn decode(version: u16, body: &'a [u8]) -> Result<Self, BodyFault> {
        let (Raw { round, wall_ms, ready, inc, hashes }, incomplete) = read_marked(version, body)?;
        Ok(Self { round, wall_ms, ready, inc, hashes: Hashes::new(hashes)?, incomplete })
    }
}

struct Raw<'a> {
    round: u64,
    wall_ms: u64,
    ready: bool,
    inc: Inc,
    hashes: &'a Bytes,
}

impl<'de> Fields<'de> for Raw<'de> {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        Ok(Self {
            round: next(fields)?,
            wall_ms: next(fields)?,
            ready: next(fields)?,
            inc: next::<Many<_, MOST>, A>(fields)?.0,
            hashes: next(fields)?,
        })
    }
}
