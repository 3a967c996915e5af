//! The answer to a [`Compare`](super::Compare): what differs, and what could be compared at all.
//!
//! An [`AuditDiff`](super::AuditDiff) with `[verdicts]` behind it, a byte for each thing compared.

use serde_bytes::Bytes;

use super::number::Purpose;
use super::write::{frame, with_second};
use crate::frame::Kind;

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared<'a> {
    /// The question's number.
    pub request: Purpose,
    /// Partitions that differ, as in an [`AuditDiff`](super::AuditDiff).
    pub partitions: Vec<u16>,
    /// For each thing compared, in the question's order: whether it could be, and how it was.
    pub verdicts: Verdicts<'a>,
}

/// What became of one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// One side has what the other has not: no difference can be told from news. It proves nothing.
    Apart = 0,
    /// Both hold the same.
    Same = 1,
    /// Both hold the same writes and not the same values.
    Differs = 2,
}

/// Verdicts as they lie in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdicts<'a>(&'a [u8]);

impl<'a> Verdicts<'a> {
    /// Reads them where they lie.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes of these verdicts, which [`Verdicts::new`] reads.
    pub fn to_bytes(verdicts: &[Verdict]) -> Vec<u8> {
        verdicts.iter().map(|verdict| *verdict as u8).collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The n-th; `None` if there is none, or it is one that this version does not know, which proves nothing.
    pub fn get(&self, n: usize) -> Option<Verdict> {
        match self.0.get(n)? {
            0 => Some(Verdict::Apart),
            1 => Some(Verdict::Same),
            2 => Some(Verdict::Differs),
            _ => None,
        }
    }
}

impl Compared<'_> {
    /// The frame for a peer that speaks `version`.
    pub fn encode(&self, version: u16) -> Vec<u8> {
        let diff = frame(version, Kind::AuditDiff, &(self.request, &self.partitions));
        with_second(diff, &(Bytes::new(self.verdicts.0),))
    }
}
