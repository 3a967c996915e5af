//! Which request a save belongs to, and what that request has seen.

use std::collections::BTreeMap;

use tower_sessions_core::session::Record;
use tower_sessions_core::session_store::Result;

use super::plan::Basis;
use super::recent::Saver;
use super::token::{Carried, SeenKey, carried};
use crate::SessionId;
use crate::mesh::Version;

/// A request, as its record shows it.
#[derive(Debug)]
pub(super) struct Request {
    /// Under which name its saves are remembered.
    pub saver: Saver,
    pub basis: Basis,
    /// The keys it was given.
    pub seen: BTreeMap<String, SeenKey>,
    /// The expiry date it was given.
    pub ends_ms: Option<i64>,
}

impl Request {
    /// Reads the token in `record`, which claims to be of session `id`, whose birth is `birth` here.
    pub fn of(record: &Record, id: SessionId, birth: Version) -> Result<Self> {
        // Where the record lies tells copies of one token apart; see `Saver`.
        let place = std::ptr::from_ref(record) as usize;
        let without = |basis| Self {
            // Any name will do that differs between sessions; it never leaves the process.
            saver: (id.table_hash(0), place),
            basis,
            seen: BTreeMap::new(),
            ends_ms: None,
        };
        Ok(match carried(&record.data)? {
            Carried::Token(token) if token.is_of(id, birth) => Self {
                saver: (token.load, place),
                basis: Basis::Seen,
                seen: token.keys,
                ends_ms: Some(token.ends_ms),
            },
            // It says nothing about this session.
            Carried::Token(_) | Carried::Foreign => without(Basis::Foreign),
            Carried::Nothing => without(Basis::Cleared),
        })
    }
}
