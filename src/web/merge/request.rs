//! Which request a save belongs to, and what that request has seen.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

use super::plan::Basis;
use super::recent::Saver;
use super::token::{Carried, SeenKey, Token};
use crate::SessionId;
use crate::mesh::Version;

/// The name of a map in memory: two requests never save maps of one name.
///
/// A place alone is no name, since the next request's map may lie where this one's lay. But every new map has a
/// hasher of its own (which is why a hash of anything names it), and only a clone has the same, elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct MapName {
    place: usize,
    hasher: u64,
}

impl MapName {
    /// The name of `map`, as long as it is not moved.
    pub fn of<V>(map: &HashMap<String, V>) -> Self {
        Self { place: std::ptr::from_ref(map) as usize, hasher: map.hasher().hash_one(0_u8) }
    }
}

/// A request, as its map shows it.
#[derive(Debug)]
pub(super) struct Request {
    /// Under which name its saves are remembered, if they are.
    pub saver: Option<Saver>,
    /// What its map can be compared with.
    pub basis: Basis,
    /// The keys it was given.
    pub seen: BTreeMap<String, SeenKey>,
    /// The hash of the principal it was shown.
    pub principal: Option<String>,
    /// The expiry date it was given (ms since the epoch).
    pub ends_ms: Option<i64>,
}

impl Request {
    /// What `carried` says of a request that claims to be of session `id`, whose birth is `birth` here.
    pub fn of(carried: Carried, map: Option<MapName>, id: SessionId, birth: Version) -> Self {
        let without = |basis| Self {
            // A map without a token is told apart from later ones by its own name alone.
            saver: map.map(|m| (m.hasher ^ id.table_hash(0), m.place)),
            basis,
            seen: BTreeMap::new(),
            principal: None,
            ends_ms: None,
        };
        match carried {
            Carried::Token(token) if token.is_of(id, birth) => Self::of_token(token, map),
            // It says nothing about this session.
            Carried::Token(_) | Carried::Foreign => without(Basis::Foreign),
            Carried::Nothing => without(Basis::Cleared),
        }
    }

    /// What a token says of its request, which is of the session that it names.
    pub fn of_token(token: Token, map: Option<MapName>) -> Self {
        Self {
            saver: Some((token.load, map.map_or(0, |m| m.place))),
            basis: Basis::Seen,
            seen: token.keys,
            principal: token.principal,
            ends_ms: Some(token.ends_ms),
        }
    }
}
