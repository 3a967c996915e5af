//! "What do you hold of this session?": reads one session through, and asks for the time. Answered by a
//! [`Tell`](super::Tell).
//!
//! `[request, id]`

use serde::de::SeqAccess;

use super::fault::BodyFault;
use super::read::{Fields, next, read};
use super::write::frame;
use crate::frame::Kind;
use crate::session::SessionId;

/// A question about one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Echoed by the answer.
    pub request: u64,
    /// The session.
    pub id: SessionId,
}

impl Ask {
    /// The frame for a peer that speaks `version`.
    pub fn encode(&self, version: u16) -> Vec<u8> {
        frame(version, Kind::Ask, &(self.request, self.id))
    }

    /// Reads it back.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn decode(version: u16, body: &[u8]) -> Result<Self, BodyFault> {
        read(version, body)
    }
}

impl<'de> Fields<'de> for Ask {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        Ok(Self { request: next(fields)?, id: next(fields)? })
    }
}
