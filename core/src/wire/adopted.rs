//! "I have now adopted your own counters up to here": closes a round that brought something.
//!
//! `[[partition, counter, partition, counter, ...]]`

use serde::de::SeqAccess;

use super::fault::BodyFault;
use super::read::{Fields, MOST, Many, next, read};
use super::write::frame;
use crate::frame::Kind;

/// What was adopted of the receiver's own writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Partition, and the last of the receiver's own counters up to which all are adopted there.
    pub upto: Vec<(u16, u64)>,
}

impl Adopted {
    /// The frame for a peer that speaks `version`.
    pub fn encode(&self, version: u16) -> Vec<u8> {
        let flat: Vec<u64> = self.upto.iter().flat_map(|&(ix, counter)| [u64::from(ix), counter]).collect();
        frame(version, Kind::Adopted, &(flat,))
    }

    /// Reads it back.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn decode(version: u16, body: &[u8]) -> Result<Self, BodyFault> {
        let Raw(flat) = read(version, body)?;
        let upto = flat.as_chunks().0.iter().map(|&[number, counter]| {
            let partition = u16::try_from(number);
            let what = "an adopted";
            Ok((partition.map_err(|_| BodyFault::Partition { what, number })?, counter))
        });
        Ok(Self { upto: upto.collect::<Result<_, BodyFault>>()? })
    }
}

struct Raw(Vec<u64>);

impl<'de> Fields<'de> for Raw {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        Ok(Self(next::<Many<_, MOST>, A>(fields)?.0))
    }
}
