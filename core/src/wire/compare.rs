//! As an [`Audit`](super::Audit), from a node that wants to hear also what could not be compared. Answered by a
//! [`Compared`](super::Compared).
//!
//! An audit with `[margin_ms, [exact, ...]]` behind it, which older nodes do not read: they answer as they do to any. Of
//! partitions, an exact sum for each that the audit names. Of one that is taken apart the audit names none, since
//! older nodes are not asked that: `exact` is then its number, the hash of its coverage (0: no evidence), and two sums for
//! each bucket.

use serde::de::SeqAccess;

use super::audit::{AuditSum, MAX_NUMBERS, flatten, partition};
use super::fault::BodyFault;
use super::number::Purpose;
use super::read::{Fields, Many, next};
use super::write::{frame, with_second};
use crate::frame::Kind;

/// A question whether partitions are the same, or the buckets of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// Echoed by the answer.
    pub request: Purpose,
    /// The sender's wall time (ms), by which both sides leave out what is about to end.
    pub wall_ms: u64,
    /// What ends within this of `wall_ms` is left out of the exact sums (ms).
    pub margin_ms: u64,
    /// What is compared.
    pub sums: Sums,
}

/// What a [`Compare`] compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sums {
    /// Partitions, at least one.
    Partitions(Vec<ExactSum>),
    /// The buckets of one partition.
    Buckets {
        /// Which.
        partition: u16,
        /// The hash of what it covers; `None`, if that promises nothing.
        coverage: Option<u64>,
        /// A sum of versions and one of versions and values for each bucket.
        buckets: Vec<(u64, u64)>,
    },
}

/// One partition of a [`Compare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExactSum {
    /// As older nodes know it.
    pub audit: AuditSum,
    /// The sum of all that does not end within the margin.
    pub exact: u64,
}

impl Compare {
    /// The frame for a peer that speaks `version`.
    pub fn encode(&self, version: u16) -> Vec<u8> {
        let (sums, exact) = match &self.sums {
            Sums::Partitions(sums) => {
                (flatten(sums.iter().map(|s| &s.audit)), sums.iter().map(|s| s.exact).collect())
            }
            Sums::Buckets { partition, coverage, buckets } => {
                let mut exact = Vec::with_capacity(2 + 2 * buckets.len());
                exact.extend([u64::from(*partition), coverage.unwrap_or(0)]);
                exact.extend(buckets.iter().flat_map(|&(versions, values)| [versions, values]));
                (Vec::new(), exact)
            }
        };
        let audit = frame(version, Kind::Audit, &(self.request, self.wall_ms, sums));
        with_second(audit, &(self.margin_ms, exact))
    }

    /// An audit with what is behind it.
    pub(super) fn of(
        (request, wall_ms): (Purpose, u64),
        sums: &[AuditSum],
        second: &Second,
    ) -> Result<Self, BodyFault> {
        let Second { margin_ms, exact } = second;
        let sums = if sums.is_empty() {
            let [number, coverage, buckets @ ..] = exact.as_slice() else {
                return Err(BodyFault::NothingCompared);
            };
            let (buckets, []) = buckets.as_chunks() else { return Err(BodyFault::CutShort("a bucket")) };
            let buckets = buckets.iter().map(|&[versions, values]| (versions, values)).collect();
            let coverage = Some(*coverage).filter(|hash| *hash != 0);
            Sums::Buckets { partition: partition("a compared", *number)?, coverage, buckets }
        } else if sums.len() == exact.len() {
            let both = sums.iter().zip(exact);
            Sums::Partitions(both.map(|(&audit, &exact)| ExactSum { audit, exact }).collect())
        } else {
            return Err(BodyFault::Sums { sums: exact.len(), partitions: sums.len() });
        };
        Ok(Self { request, wall_ms, margin_ms: *margin_ms, sums })
    }
}

/// What a comparison has behind the audit.
pub(super) struct Second {
    margin_ms: u64,
    exact: Vec<u64>,
}

impl<'de> Fields<'de> for Second {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        Ok(Self { margin_ms: next(fields)?, exact: next::<Many<_, MAX_NUMBERS>, A>(fields)?.0 })
    }
}
