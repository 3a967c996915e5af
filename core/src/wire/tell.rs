//! The answer to an [`Ask`](super::Ask): one session, joined without a claim; and the time.
//!
//! `[[request, wall_ms, origins], entry?]`. One that does not believe its own clock names nobody's origin last, which
//! older versions ignore: no op may name it.

use serde::de::SeqAccess;

use super::entry::{Bases, EntryReader, WireEntry, encode_entries};
use super::fault::BodyFault;
use super::read::{Fields, List, MOST, Many, next, read_list};
use super::write::list_frame;
use crate::causality::Origin;
use crate::frame::Kind;

/// The head of an answer; the entry, if there is one, follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TellHeader {
    /// The question's number.
    pub request: u64,
    /// The sender's wall time (ms).
    pub wall_ms: u64,
    /// Whether the sender believes its own wall clock.
    pub sound: bool,
    /// Origins the entry refers to.
    pub origins: Vec<Origin>,
}

/// An answer: its head and the whole record or tombstone, if the sender has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell<'a> {
    /// The head.
    pub header: TellHeader,
    /// The wire version of the entry.
    pub version: u16,
    /// The entry.
    pub entry: Option<WireEntry<'a>>,
}

impl TellHeader {
    /// The frame for a peer that speaks `version`, with an entry that is encoded already, or nothing.
    pub fn encode(&self, version: u16, entry: &[u8]) -> Vec<u8> {
        let nobody = (!self.sound).then(Origin::default);
        let origins: Vec<Origin> = self.origins.iter().copied().chain(nobody).collect();
        let head = (self.request, self.wall_ms, origins);
        list_frame(version, Kind::Tell, &head, u32::from(!entry.is_empty()), entry)
    }
}

impl<'a> Tell<'a> {
    /// The frame, its entry as it came.
    pub fn encode(&self) -> Vec<u8> {
        self.header.encode(self.version, &encode_entries(self.entry.as_slice()))
    }

    /// Reads it back.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn decode(version: u16, body: &'a [u8]) -> Result<Self, BodyFault> {
        let List { head: header, rest } = read_list(version, body)?;
        Ok(Self { header, version, entry: rest.into_iter().next() })
    }

    /// What its entry's numbers are relative to.
    pub fn bases(&self) -> Bases {
        Bases { wall_ms: self.header.wall_ms, counter: 0, version: self.version }
    }

    /// Reads its entry.
    pub fn reader(&self) -> EntryReader<'_> {
        EntryReader { bases: self.bases(), origins: &self.header.origins }
    }
}

impl<'de> Fields<'de> for TellHeader {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        let (request, wall_ms) = (next(fields)?, next(fields)?);
        let mut origins: Vec<Origin> = next::<Many<_, MOST>, A>(fields)?.0;
        let sound = !origins.contains(&Origin::default());
        origins.pop_if(|last| *last == Origin::default());
        Ok(Self { request, wall_ms, sound, origins })
    }
}
