//! "All I cover hashes to this": begins a round. Every interval a node sends one peer a digest.
//!
//! `[round, root, wall_ms, want_inc, ready]`, and behind it `[true]` of a node that is incomplete: older nodes do not
//! read that; they are told that the sender is not ready, which keeps them from taking it for a source.

use serde::de::SeqAccess;

use super::fault::BodyFault;
use super::read::{Fields, next, read_both};
use super::write::{frame, with_second};
use crate::frame::Kind;

/// One hash over everything its sender covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Names the round.
    pub round: u64,
    /// Hash over the partitions' hashes.
    pub root: u64,
    /// The sender's wall time (ms).
    pub wall_ms: u64,
    /// Whether the sender retains expired sessions and needs freshness.
    pub want_inc: bool,
    /// Whether the sender is ready.
    pub ready: bool,
    /// Whether the sender knows of something it may lack.
    pub incomplete: bool,
}

impl Digest {
    /// The frame for a peer that speaks `version`.
    pub fn encode(&self, version: u16) -> Vec<u8> {
        let Self { round, root, wall_ms, want_inc, ready, incomplete } = self;
        mark_incomplete(frame(version, Kind::Digest, &(round, root, wall_ms, want_inc, ready)), *incomplete)
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

impl<'de> Fields<'de> for Digest {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        Ok(Self {
            round: next(fields)?,
            root: next(fields)?,
            wall_ms: next(fields)?,
            want_inc: next(fields)?,
            ready: next(fields)?,
            incomplete: false,
        })
    }
}

/// The second value of a digest and of the answers to one.
struct Incomplete(bool);

impl<'de> Fields<'de> for Incomplete {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        next(fields).map(Self)
    }
}

/// Adds to a digest or the answer to one that its sender knows of something it may lack.
pub(super) fn mark_incomplete(frame: Vec<u8>, incomplete: bool) -> Vec<u8> {
    if incomplete { with_second(frame, &(true,)) } else { frame }
}

/// Reads a digest or the answer to one, and whether it is marked so.
pub(super) fn read_marked<'a, T: Fields<'a>>(version: u16, body: &'a [u8]) -> Result<(T, bool), BodyFault> {
    let (read, mark) = read_both::<T, Incomplete>(version, body)?;
    Ok((read, mark.is_some_and(|mark| mark.0)))
}
