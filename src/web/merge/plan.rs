//! What a save changes: the map against what its request has seen.
//!
//! A key whose value differs is set, a key gone is removed *if it is still the write that was seen*, anything else
//! is left alone: a key this request never saw cannot be removed by it, nor one that another request has written
//! since.

use std::collections::{BTreeMap, BTreeSet};

use super::recent::Wrote;
use super::token::SeenKey;
use crate::mesh::{Fields, Version};

/// One key of a map that is to be saved.
#[derive(Clone, Debug)]
pub struct Given<'a> {
    /// The key.
    pub key: &'a str,
    /// The value as the mesh stores it.
    pub bytes: Vec<u8>,
    /// The hash of the value as the adapter compares it: see [`super::Merge::show`].
    pub hash: String,
}

/// What a save can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// A token of this session.
    Seen,
    /// A token that says nothing about this session.
    Foreign,
    /// No token: the map was cleared.
    Cleared,
}

/// A save's changes.
#[derive(Debug, Default)]
pub(super) struct Plan<'a> {
    /// Keys to set.
    sets: Vec<Given<'a>>,
    /// Keys to remove, with the write that was seen.
    removes: Vec<(String, Option<Version>)>,
    clear: bool,
    skip_unchanged: bool,
}

impl<'a> Plan<'a> {
    /// The changes between what was seen and `given`. A token that says nothing about this session removes nothing. A
    /// map without one was cleared: the session is emptied of what is held here, then the new keys are put. (A later
    /// save of such a map is compared with the one before, as [`super::recent`] remembers it.)
    pub fn diff(given: Vec<Given<'a>>, seen: &BTreeMap<String, SeenKey>, basis: Basis) -> Self {
        let there: BTreeSet<&str> = given.iter().map(|g| g.key).collect();
        let gone = seen.iter().filter(|(key, _)| !there.contains(key.as_str()));
        let removes = gone.map(|(key, s)| (key.clone(), Version::parse(&s.version))).collect();
        let changed = |g: &Given<'_>| seen.get(g.key).is_none_or(|s| s.hash != g.hash);
        let sets = given.into_iter().filter(changed).collect();
        Self { sets, removes, clear: basis == Basis::Cleared, skip_unchanged: basis != Basis::Seen }
    }

    /// Puts the changes into an edit.
    pub fn fill(&self, fields: &mut Fields) {
        for given in &self.sets {
            fields.set_bytes(given.key, given.bytes.as_slice());
        }
        for (key, version) in &self.removes {
            if let Some(version) = version {
                fields.remove_seen(key, *version);
            }
        }
        if self.clear {
            fields.clear();
        }
        if self.skip_unchanged {
            fields.skip_unchanged();
        }
    }

    /// What the save leaves behind for this request's next one. `own` is the save's own write; `kept` says which write
    /// a key still is that was as given and so was not written again.
    pub fn wrote(self, own: Version, kept: impl Fn(&Given<'_>) -> Option<Version>) -> Wrote {
        let sets = self.sets.into_iter().map(|given| {
            let kept = if self.skip_unchanged { kept(&given) } else { None };
            let seen = SeenKey { version: kept.unwrap_or(own).to_text(), hash: given.hash };
            (given.key.to_owned(), Some(seen))
        });
        sets.chain(self.removes.into_iter().map(|(key, _)| (key, None))).collect()
    }
}
