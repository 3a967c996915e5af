//! Partitions whose coverage is equal and whose contents are not: the answer to an [`Audit`](super::Audit).
//!
//! `[number, [partition, ...]]`

use serde::de::SeqAccess;
use serde_bytes::Bytes;

use super::compared::{Compared, Verdicts};
use super::fault::BodyFault;
use super::message::Message;
use super::number::Purpose;
use super::read::{Fields, Many, next, read_both};
use super::write::frame;
use crate::frame::Kind;
use crate::limits::MOST_PARTITIONS;

/// What an audit found different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditDiff {
    /// The audit's number.
    pub request: Purpose,
    /// The partitions.
    pub partitions: Vec<u16>,
}

impl AuditDiff {
    /// The frame for a peer that speaks `version`.
    pub fn encode(&self, version: u16) -> Vec<u8> {
        frame(version, Kind::AuditDiff, &(self.request, &self.partitions))
    }
}

/// Reads the answer to an audit, or to a comparison: the same with a second value.
///
/// # Errors
/// What is wrong with the body.
pub(super) fn decode(version: u16, body: &[u8]) -> Result<Message<'_>, BodyFault> {
    let (AuditDiff { request, partitions }, second) = read_both(version, body)?;
    Ok(match second {
        Some(Second(verdicts)) => {
            Message::Compared(Compared { request, partitions, verdicts: Verdicts::new(verdicts) })
        }
        None => Message::AuditDiff(AuditDiff { request, partitions }),
    })
}

impl<'de> Fields<'de> for AuditDiff {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        Ok(Self { request: next(fields)?, partitions: next::<Many<_, MOST_PARTITIONS>, A>(fields)?.0 })
    }
}

/// What the answer to a comparison has behind it.
struct Second<'a>(&'a [u8]);

impl<'de> Fields<'de> for Second<'de> {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        next::<&'de Bytes, A>(fields).map(|bytes| Self(bytes))
    }
}
