//! What a save changes: the record against what its request has seen.
//!
//! A key whose value differs is set, a key gone is removed *if it is still the write that was seen*, anything else
//! is left alone: a key this request never saw cannot be removed by it, nor one that another request has written
//! since.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use tower_sessions_core::session_store::Result;

use super::recent::Wrote;
use super::token::{HIDDEN_KEY, SeenKey, encode, hash};
use crate::mesh::{Fields, Version};

/// What a save can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// A token of this session.
    Seen,
    /// A token that says nothing about this session.
    Foreign,
    /// No token: the record was cleared.
    Cleared,
}

/// A save's changes.
#[derive(Debug, Default)]
pub(super) struct Plan<'a> {
    /// Keys to set, with the hash of each value.
    sets: Vec<(&'a str, Vec<u8>, String)>,
    /// Keys to remove, with the write that was seen.
    removes: Vec<(String, Option<Version>)>,
    clear: bool,
    skip_unchanged: bool,
}

impl<'a> Plan<'a> {
    /// The changes between what was seen and `data`. A token that says nothing about this session removes nothing. A
    /// record without one was cleared: the session is emptied of what is held here, then the new keys are put; but
    /// only by the first save after the clear, since later ones know what this request has written.
    pub fn diff(
        data: &'a HashMap<String, Value>,
        seen: &BTreeMap<String, SeenKey>,
        basis: Basis,
    ) -> Result<Self> {
        let mut plan = Self { skip_unchanged: basis != Basis::Seen, ..Self::default() };
        plan.clear = basis == Basis::Cleared && (seen.is_empty() || visible(data).next().is_none());
        for (key, value) in visible(data) {
            let bytes = encode(key, value)?;
            let hash = hash(&bytes);
            if seen.get(key).is_none_or(|s| s.hash != hash) {
                plan.sets.push((key, bytes, hash));
            }
        }
        let gone = seen.iter().filter(|(key, _)| !data.contains_key(*key));
        plan.removes = gone.map(|(key, s)| (key.clone(), Version::parse(&s.version))).collect();
        Ok(plan)
    }

    /// Puts the changes into an edit.
    pub fn fill(&self, fields: &mut Fields) {
        for (key, bytes, _) in &self.sets {
            fields.set_bytes(key, bytes.as_slice());
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

    /// What the save leaves behind for this request's next one.
    pub fn wrote(self, version: Version) -> Wrote {
        let version = version.to_text();
        let sets = self.sets.into_iter().map(|(key, _, hash)| {
            let seen = SeenKey { version: version.clone(), hash };
            (key.to_owned(), Some(seen))
        });
        sets.chain(self.removes.into_iter().map(|(key, _)| (key, None))).collect()
    }
}

/// The application's own keys.
pub(super) fn visible(data: &HashMap<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    data.iter().map(|(key, value)| (key.as_str(), value)).filter(|(key, _)| *key != HIDDEN_KEY)
}
