//! Coverage on the wire: flat numbers, per origin its index in the frame's table, a number of ranges, and for each its
//! distance from the previous one's end and its length. A base has nothing more; claims have a last number per origin:
//! until when it matters (wall ms).

use super::fault::BodyFault;
use super::table::OriginTable;
use crate::causality::{Origin, RangeSet};
use crate::limits::{MAX_CLAIM_SPAN, MAX_COUNTER, MAX_RANGES};
use crate::replica::{Base, Claim};

/// A base as it goes on the wire; origins that the table lacks are entered.
pub(super) fn flatten_base(base: &Base, table: &mut OriginTable) -> Vec<u64> {
    let mut out = Vec::new();
    base.iter().for_each(|(origin, ranges)| flatten(table.index(*origin), ranges, &mut out));
    out
}

/// Claims as they go on the wire; origins that the table lacks are entered.
pub(super) fn flatten_claims(claims: &[Claim], table: &mut OriginTable) -> Vec<u64> {
    let mut out = Vec::new();
    for (origin, ranges, until_ms) in claims {
        flatten(table.index(*origin), ranges, &mut out);
        out.push(*until_ms);
    }
    out
}

/// How many numbers a base takes on the wire.
pub(super) fn numbers_of(base: &Base) -> usize {
    base.values().map(|ranges| 2 + 2 * ranges.ranges().len()).sum()
}

fn flatten(index: u64, ranges: &RangeSet, out: &mut Vec<u64>) {
    out.extend([index, ranges.ranges().len() as u64]);
    let mut end = 0;
    for &(lo, hi) in ranges.ranges() {
        out.extend([lo - end, hi - lo]);
        end = hi;
    }
}

/// Reads a base back.
pub(super) fn read_base(flat: &[u64], origins: &[Origin]) -> Result<Base, BodyFault> {
    let mut ints = flat.iter().copied();
    let mut base = Base::new();
    while let Some((origin, ranges)) = unflatten(&mut ints, origins)? {
        base.insert(origin, ranges);
    }
    Ok(base)
}

/// Reads claims back.
pub(super) fn read_claims(flat: &[u64], origins: &[Origin]) -> Result<Vec<Claim>, BodyFault> {
    let mut ints = flat.iter().copied();
    let mut claims = Vec::new();
    while let Some((origin, ranges)) = unflatten(&mut ints, origins)? {
        let until_ms = ints.next().ok_or(BodyFault::CutShort("a claim"))?;
        claims.push((origin, ranges, until_ms));
    }
    Ok(claims)
}

/// Reads one origin's ranges; `None` at the end.
fn unflatten(
    ints: &mut impl Iterator<Item = u64>,
    origins: &[Origin],
) -> Result<Option<(Origin, RangeSet)>, BodyFault> {
    let Some(index) = ints.next() else { return Ok(None) };
    let origin = usize::try_from(index).ok().and_then(|index| origins.get(index));
    let origin = *origin.ok_or(BodyFault::OriginIndex { index, named: origins.len() })?;
    let mut need = || ints.next().ok_or(BodyFault::CutShort("ranges"));
    let n = need()?;
    // What is lacking can have a range more than both sides' together.
    let most = 2 * MAX_RANGES as u64 + 1;
    if n > most {
        return Err(BodyFault::TooManyRanges { ranges: n, most });
    }
    let (mut ranges, mut end) = (RangeSet::default(), 0u64);
    for _ in 0..n {
        let lo = end.checked_add(need()?).ok_or(BodyFault::RangeOutOfBounds)?;
        let hi = lo.checked_add(need()?).ok_or(BodyFault::RangeOutOfBounds)?;
        if lo == 0 || hi > MAX_COUNTER || hi - lo > MAX_CLAIM_SPAN {
            return Err(BodyFault::Range { lo, hi });
        }
        ranges.insert(lo, hi);
        end = hi;
    }
    Ok(Some((origin, ranges)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGINS: [Origin; 2] = [Origin(7), Origin(5)];

    fn gapped() -> RangeSet {
        let mut ranges = RangeSet::from_range(1, 90);
        ranges.insert(95, 100_000);
        ranges
    }

    #[test]
    fn coverage_reads_back_and_takes_the_numbers_that_were_counted() {
        let base = Base::from([(ORIGINS[0], gapped()), (ORIGINS[1], RangeSet::default())]);
        let mut table = OriginTable::default();
        let flat = flatten_base(&base, &mut table);
        assert_eq!(flat, [0, 0, 1, 2, 1, 89, 5, 99_905]);
        assert_eq!(flat.len(), numbers_of(&base));
        assert_eq!(read_base(&flat, table.listed()), Ok(base));

        let claims = vec![(ORIGINS[0], gapped(), 17), (ORIGINS[1], RangeSet::from_range(3, 3), 0)];
        let flat = flatten_claims(&claims, &mut table);
        assert_eq!(flat, [1, 2, 1, 89, 5, 99_905, 17, 0, 1, 3, 0, 0]);
        assert_eq!(read_claims(&flat, table.listed()), Ok(claims));
    }

    #[test]
    fn impossible_coverage_is_named() {
        let read = |flat: &[u64]| read_claims(flat, &ORIGINS).map(|_| ());
        assert_eq!(read(&[2, 0, 9]), Err(BodyFault::OriginIndex { index: 2, named: 2 }));
        assert_eq!(read(&[0]), Err(BodyFault::CutShort("ranges")));
        assert_eq!(read(&[0, 1, 1]), Err(BodyFault::CutShort("ranges")));
        assert_eq!(read(&[0, 1, 1, 0]), Err(BodyFault::CutShort("a claim")));
        assert_eq!(read(&[0, 1, 0, 5, 9]), Err(BodyFault::Range { lo: 0, hi: 5 }));
        assert_eq!(read(&[0, 1, 9, u64::MAX, 9]), Err(BodyFault::RangeOutOfBounds));
        let hi = MAX_COUNTER + 1;
        assert_eq!(read(&[0, 1, hi, 0, 9]), Err(BodyFault::Range { lo: hi, hi }));
        let most = 2 * MAX_RANGES as u64 + 1;
        assert_eq!(read(&[0, most + 1]), Err(BodyFault::TooManyRanges { ranges: most + 1, most }));
    }
}
