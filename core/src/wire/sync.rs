//! "Of these partitions I have this; send the rest": what a node asks for after an unequal answer.
//!
//! `[round, wall_ms, origins, [[partition, nonce, base, force, have], ...]]`; `base` as `ranges.rs` has it.

use serde::de::SeqAccess;

use super::fault::BodyFault;
use super::ranges::{flatten_base, numbers_of, read_base};
use super::read::{Fields, MOST, Many, next, next_arrays, read};
use super::table::OriginTable;
use super::write::frame;
use crate::causality::Origin;
use crate::frame::Kind;
use crate::limits::{MAX_FORCED, MAX_SYNC_NUMBERS, MOST_PARTITIONS};
use crate::replica::Base;
use crate::session::SessionId;

/// A request for partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    /// The round.
    pub round: u64,
    /// The requester's wall time (ms).
    pub wall_ms: u64,
    /// Origins of the bases, in the order that indices on the wire mean; those it lacks are added in writing.
    pub origins: Vec<Origin>,
    /// The partitions.
    pub items: Vec<SyncItem>,
}

/// One partition asked for in a [`Sync`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncItem {
    /// Which.
    pub partition: u16,
    /// The requester's epoch and version of it: echoed by the page, so that an answer to a previous life or to
    /// forgotten coverage is recognised (docs/ALGORITHM.md §4).
    pub nonce: (u32, u64),
    /// What the requester has.
    pub base: Base,
    /// Sessions wanted whole whatever the base says.
    pub force: Vec<SessionId>,
    /// How far the requester has adopted the responder's own counters.
    pub have: u64,
}

/// An item as it is written.
type Flat<'a> = (u16, (u32, u64), Vec<u64>, &'a [SessionId], u64);

impl Sync {
    /// The frame for a peer that speaks `version`.
    pub fn encode(&self, version: u16) -> Vec<u8> {
        let (table, items) = self.flat();
        self.frame(version, table.listed(), &items)
    }

    /// As many frames as the size of what is asked for wants. Partitions that crowds have written to have coverage
    /// enough for frames of their own: four in one would hold up the writes that take the same stream.
    pub fn encode_split(&self, version: u16) -> Vec<Vec<u8>> {
        let (table, mut items) = self.flat();
        let mut frames = Vec::new();
        for n in in_frames(self.items.iter().map(|item| numbers_of(&item.base))) {
            let rest = items.split_off(n);
            frames.push(self.frame(version, table.listed(), &items));
            items = rest;
        }
        frames
    }

    fn flat(&self) -> (OriginTable, Vec<Flat<'_>>) {
        let mut table = OriginTable::of(&self.origins);
        let mut flat = |item: &SyncItem| flatten_base(&item.base, &mut table);
        let items = self.items.iter().map(|i| (i.partition, i.nonce, flat(i), i.force.as_slice(), i.have));
        let items = items.collect();
        (table, items)
    }

    fn frame(&self, version: u16, origins: &[Origin], items: &[Flat<'_>]) -> Vec<u8> {
        frame(version, Kind::Sync, &(self.round, self.wall_ms, origins, items))
    }

    /// Reads it back.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn decode(version: u16, body: &[u8]) -> Result<Self, BodyFault> {
        let Raw { round, wall_ms, origins, items } = read(version, body)?;
        let item = |item: RawItem| {
            let RawItem { partition, nonce, base, force, have } = item;
            Ok(SyncItem { partition, nonce, base: read_base(&base, &origins)?, force, have })
        };
        let items = items.into_iter().map(item).collect::<Result<_, BodyFault>>()?;
        Ok(Self { round, wall_ms, origins, items })
    }
}

/// How many of the items, by the numbers of their bases, go into each frame.
fn in_frames(numbers: impl Iterator<Item = usize>) -> Vec<usize> {
    let (mut frames, mut sum) = (vec![0], 0);
    for of_item in numbers {
        sum += of_item;
        if sum > MAX_SYNC_NUMBERS && frames.last().is_some_and(|last| *last > 0) {
            frames.push(0);
            sum = of_item;
        }
        if let Some(last) = frames.last_mut() {
            *last += 1;
        }
    }
    frames
}

struct Raw {
    round: u64,
    wall_ms: u64,
    origins: Vec<Origin>,
    items: Vec<RawItem>,
}

impl<'de> Fields<'de> for Raw {
    fn read<A: SeqAccess<'de>>(version: u16, fields: &mut A) -> Result<Self, A::Error> {
        Ok(Self {
            round: next(fields)?,
            wall_ms: next(fields)?,
            origins: next::<Many<_, MOST>, A>(fields)?.0,
            items: next_arrays((version, MOST_PARTITIONS), fields)?,
        })
    }
}

struct RawItem {
    partition: u16,
    nonce: (u32, u64),
    base: Vec<u64>,
    force: Vec<SessionId>,
    have: u64,
}

impl<'de> Fields<'de> for RawItem {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        Ok(Self {
            partition: next(fields)?,
            nonce: next(fields)?,
            base: next::<Many<_, MOST>, A>(fields)?.0,
            force: next::<Many<_, MAX_FORCED>, A>(fields)?.0,
            have: next(fields)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crowded_partitions_are_asked_for_one_by_one_and_others_together() {
        let split = |sizes: &[usize]| in_frames(sizes.iter().copied());
        let most = MAX_SYNC_NUMBERS;
        assert_eq!(split(&[10, 10, 10, 10]), [4]);
        assert_eq!(split(&[most, most, most + 1, 1]), [1, 1, 1, 1]);
        assert_eq!(split(&[1, most - 1, 1, 1]), [2, 2]);
    }
}
