//! A part of a partition: what answers a [`Sync`](super::Sync), page after page until one is complete.
//!
//! `[[round, partition, nonce, epoch, wall_ms, complete, source, base_counter, origins, claims, inc], entry, ...]`;
//! claims as `ranges.rs` has them, entries as `entry.rs` has them.

use serde::de::SeqAccess;

use super::entry::{Bases, EntryReader, EntryWriter, WireEntry, encode_entries};
use super::fault::BodyFault;
use super::freshness::Inc;
use super::ranges::{flatten_claims, read_claims};
use super::read::{Fields, List, MOST, Many, next, read_list};
use super::table::OriginTable;
use super::write::list_frame;
use crate::causality::Origin;
use crate::frame::Kind;
use crate::replica::Claim;

/// The head of a page; entries follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageHeader {
    /// The round it answers.
    pub round: u64,
    /// Which partition.
    pub partition: u16,
    /// The request's nonce.
    pub nonce: (u32, u64),
    /// The sender's epoch of the partition.
    pub epoch: u32,
    /// The sender's wall time (ms), read before the partition was.
    pub wall_ms: u64,
    /// Whether nothing was cut.
    pub complete: bool,
    /// Whether the sender is ready and holds nothing revived here: only then is it a source for a joiner.
    pub source: bool,
    /// What counters in the frame are relative to.
    pub base_counter: u64,
    /// Origins that entries and claims refer to, by index; those of claims that it lacks are added in writing.
    pub origins: Vec<Origin>,
    /// What the receiver may take for covered once it has taken in the round.
    pub claims: Vec<Claim>,
    /// The sender's freshness vector.
    pub inc: Inc,
}

/// A page: its head and its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// The head.
    pub header: PageHeader,
    /// The wire version of the entries.
    pub version: u16,
    /// The entries.
    pub entries: Vec<WireEntry<'a>>,
}

impl PageHeader {
    /// The frame for a peer that speaks `version`, with `n` entries that are encoded already.
    pub fn encode(&self, version: u16, n: u32, entries: &[u8]) -> Vec<u8> {
        self.frame(version, &mut OriginTable::of(&self.origins), n, entries)
    }

    /// The frame with what a writer has written while the partition was locked, and with the writer's table of origins
    /// in place of the head's: a large mesh has tens of thousands, which are not to be entered twice.
    pub fn encode_written(&self, writer: &mut EntryWriter) -> Vec<u8> {
        let ((n, entries), version) = (writer.take(), writer.version());
        self.frame(version, writer.origins(), n, &entries)
    }

    fn frame(&self, version: u16, table: &mut OriginTable, n: u32, entries: &[u8]) -> Vec<u8> {
        let claims = flatten_claims(&self.claims, table);
        let Self { round, partition, nonce, epoch, wall_ms, complete, source, base_counter, inc, .. } = self;
        let origins = table.listed();
        let head =
            (round, partition, nonce, epoch, wall_ms, complete, source, base_counter, origins, claims, inc);
        list_frame(version, Kind::Page, &head, n, entries)
    }
}

impl<'a> Page<'a> {
    /// The frame, its entries as they came.
    pub fn encode(&self) -> Vec<u8> {
        self.header.encode(self.version, self.entries.len() as u32, &encode_entries(&self.entries))
    }

    /// Reads it back.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn decode(version: u16, body: &'a [u8]) -> Result<Self, BodyFault> {
        let List { head: Raw { header, claims }, rest: entries } = read_list(version, body)?;
        let claims = read_claims(&claims, &header.origins)?;
        Ok(Self { header: PageHeader { claims, ..header }, version, entries })
    }

    /// What its entries' numbers are relative to.
    pub fn bases(&self) -> Bases {
        Bases { wall_ms: self.header.wall_ms, counter: self.header.base_counter, version: self.version }
    }

    /// Reads its entries.
    pub fn reader(&self) -> EntryReader<'_> {
        EntryReader { bases: self.bases(), origins: &self.header.origins }
    }
}

/// A head whose claims are still flat.
struct Raw {
    header: PageHeader,
    claims: Vec<u64>,
}

impl<'de> Fields<'de> for Raw {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        let header = PageHeader {
            round: next(fields)?,
            partition: next(fields)?,
            nonce: next(fields)?,
            epoch: next(fields)?,
            wall_ms: next(fields)?,
            complete: next(fields)?,
            source: next(fields)?,
            base_counter: next(fields)?,
            origins: next::<Many<_, MOST>, A>(fields)?.0,
            claims: Vec::new(),
            inc: Inc::new(),
        };
        let claims = next::<Many<_, MOST>, A>(fields)?.0;
        let inc = next::<Many<_, MOST>, A>(fields)?.0;
        Ok(Self { header: PageHeader { inc, ..header }, claims })
    }
}
