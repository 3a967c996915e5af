//! "My partitions hash to this, contents and all": looks for what equal vectors cannot show. Answered by an
//! [`AuditDiff`](super::AuditDiff). Only older nodes ask so; newer ones send a [`Compare`](super::Compare).
//!
//! `[number, wall_ms, [partition, coverage, sum, ...]]`

use serde::de::SeqAccess;

use super::compare::Compare;
use super::fault::BodyFault;
use super::message::Message;
use super::number::Purpose;
use super::read::{Fields, Many, next, read_both};
use super::write::frame;
use crate::frame::Kind;
use crate::limits::MOST_PARTITIONS;

/// Numbers that one message may hold: three for each partition of any mesh.
pub(super) const MAX_NUMBERS: usize = 3 * MOST_PARTITIONS;

/// A question whether partitions are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Echoed by the answer.
    pub request: Purpose,
    /// The sender's wall time (ms), by which both sides leave out what is about to end.
    pub wall_ms: u64,
    /// What is compared.
    pub sums: Vec<AuditSum>,
}

/// One partition as the sender of an audit has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditSum {
    /// Which.
    pub partition: u16,
    /// The hash of what it covers.
    pub coverage: u64,
    /// The sum of its contents.
    pub sum: u64,
}

impl Audit {
    /// The frame for a peer that speaks `version`.
    pub fn encode(&self, version: u16) -> Vec<u8> {
        frame(version, Kind::Audit, &(self.request, self.wall_ms, flatten(&self.sums)))
    }
}

/// Reads an audit, or a comparison: the same with a second value.
///
/// # Errors
/// What is wrong with the body.
pub(super) fn decode(version: u16, body: &[u8]) -> Result<Message<'_>, BodyFault> {
    let (Raw { request, wall_ms, sums }, second) = read_both(version, body)?;
    let sums = unflatten(&sums)?;
    match second {
        Some(second) => Compare::of((request, wall_ms), &sums, &second).map(Message::Compare),
        None => Ok(Message::Audit(Audit { request, wall_ms, sums })),
    }
}

/// Sums as they go on the wire.
pub(super) fn flatten<'a>(sums: impl IntoIterator<Item = &'a AuditSum>) -> Vec<u64> {
    sums.into_iter().flat_map(|s| [u64::from(s.partition), s.coverage, s.sum]).collect()
}

fn unflatten(flat: &[u64]) -> Result<Vec<AuditSum>, BodyFault> {
    let sums = flat.as_chunks().0.iter().map(|&[number, coverage, sum]| {
        Ok(AuditSum { partition: partition("an audited", number)?, coverage, sum })
    });
    sums.collect()
}

/// A partition that is named by a number.
pub(super) fn partition(what: &'static str, number: u64) -> Result<u16, BodyFault> {
    u16::try_from(number).map_err(|_| BodyFault::Partition { what, number })
}

struct Raw {
    request: Purpose,
    wall_ms: u64,
    sums: Vec<u64>,
}

impl<'de> Fields<'de> for Raw {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        Ok(Self {
            request: next(fields)?,
            wall_ms: next(fields)?,
            sums: next::<Many<_, MAX_NUMBERS>, A>(fields)?.0,
        })
    }
}
