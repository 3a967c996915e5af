//! What is written on the board, world-wide: every incarnation once, whoever has heard of it.
//!
//! Contents never change after they are written, so that what a process knows of an incarnation is a single
//! number: up to which version.

use std::collections::BTreeMap;

use sessionmesh::core::causality::Origin;

/// Bytes of one digest entry on the wire of version 0, without the name.
const DIGEST_ENTRY_BYTES: usize = 41;
/// Bytes that open a node's part of a delta, without the name.
const DELTA_NODE_BYTES: usize = 34;
/// Bytes of one key-value operation, without key and value.
const KEY_VALUE_BYTES: usize = 14;
/// The prefix of published keys.
const METADATA_PREFIX_BYTES: usize = "sm.m.".len();

/// The prefix of the failure detector's keys.
const FACT: &str = "sm.d.";

/// One write of an owner. Its version is its place in the log, from 1.
struct Fact {
    /// `None` for the product's own keys.
    key: Option<String>,
    value: String,
    /// Bytes of all facts up to this one, in a delta.
    bytes_upto: usize,
    /// Writes of the failure detector up to this one.
    detector_upto: usize,
}

impl Fact {
    fn is_fact(&self) -> bool {
        self.key.as_deref().is_some_and(|key| key.starts_with(FACT))
    }
}

/// One start of a process.
pub(super) struct Incarnation {
    /// The index of the process, which is its address.
    pub(super) at: usize,
    /// Its name, by number.
    pub(super) name: u32,
    /// Its generation.
    pub(super) generation: u64,
    /// The life of its memory.
    pub(super) origin: Origin,
    /// The version with which it said goodbye; 0 while it has not.
    pub(super) left_version: u32,
    /// Bytes of its name.
    name_bytes: usize,
    facts: Vec<Fact>,
}

impl Incarnation {
    fn write(&mut self, key: Option<&str>, key_bytes: usize, value: String) {
        let before = self.facts.last().map_or((0, 0), |fact| (fact.bytes_upto, fact.detector_upto));
        let bytes_upto = before.0 + KEY_VALUE_BYTES + key_bytes + value.len();
        let detector_upto = before.1 + usize::from(key.is_some_and(|key| key.starts_with(FACT)));
        self.facts.push(Fact { key: key.map(str::to_owned), value, bytes_upto, detector_upto });
    }

    /// The owner's newest version.
    pub(super) fn version(&self) -> u32 {
        self.facts.len() as u32
    }

    /// Publishes a key; the same value again is no write.
    pub(super) fn publish(&mut self, key: &str, value: &str) {
        if self.read(self.version(), key) != Some(value) {
            self.write(Some(key), METADATA_PREFIX_BYTES + key.len(), value.to_owned());
        }
    }

    /// Writes a key of the failure detector; the same value again is no write.
    pub(super) fn publish_fact(&mut self, key: &str, value: &str) {
        let full = format!("{FACT}{key}");
        if self.read(self.version(), &full) != Some(value) {
            let bytes = full.len();
            self.write(Some(&full), bytes, value.to_owned());
        }
    }

    /// Writes of the failure detector up to `version`: whoever knows as many knows the same.
    pub(super) fn facts_upto(&self, version: u32) -> usize {
        (version as usize).checked_sub(1).map_or(0, |last| self.facts[last].detector_upto)
    }

    /// What the failure detector's keys say as of `version`.
    pub(super) fn detector_facts(&self, version: u32) -> Vec<(String, String)> {
        let mut latest = BTreeMap::new();
        for fact in self.facts.iter().take(version as usize).filter(|f| f.is_fact()) {
            let key = fact.key.as_deref().unwrap_or_default();
            latest.insert(key[FACT.len()..].to_owned(), fact.value.clone());
        }
        latest.into_iter().collect()
    }

    /// Says goodbye.
    pub(super) fn leave(&mut self) {
        self.write(None, "sm.left".len(), "1".to_owned());
        self.left_version = self.version();
    }

    /// Whoever knows it up to `version` knows that it left.
    pub(super) fn has_left(&self, version: u32) -> bool {
        self.left_version != 0 && self.left_version <= version
    }

    /// The value under `key` as of `version`.
    pub(super) fn read(&self, version: u32, key: &str) -> Option<&str> {
        let facts = self.facts.iter().take(version as usize).rev();
        facts.filter(|fact| fact.key.as_deref() == Some(key)).map(|fact| fact.value.as_str()).next()
    }

    /// Bytes of a delta that takes its reader from one version to another, before compression.
    pub(super) fn delta_bytes(&self, from: u32, to: u32) -> usize {
        let upto = |version: u32| match version {
            0 => 0,
            version => self.facts[version as usize - 1].bytes_upto,
        };
        DELTA_NODE_BYTES + self.name_bytes + upto(to) - upto(from)
    }
}

/// All incarnations and names of the world, numbered in order of appearance.
#[derive(Default)]
pub(super) struct Ledger {
    incarnations: Vec<Incarnation>,
    /// Apart from the rest, because every digest adds them up.
    digest_bytes: Vec<u32>,
    names: Vec<String>,
    numbers: BTreeMap<String, u32>,
}

impl Ledger {
    /// Enters a new incarnation, which has published its origin; returns its number.
    pub(super) fn enter(&mut self, at: usize, name: &str, generation: u64, origin: Origin) -> u32 {
        let next = self.names.len() as u32;
        let number = *self.numbers.entry(name.to_owned()).or_insert(next);
        if number == next {
            self.names.push(name.to_owned());
        }
        let mut incarnation = Incarnation {
            at,
            name: number,
            generation,
            origin,
            left_version: 0,
            name_bytes: name.len(),
            facts: Vec::new(),
        };
        incarnation.write(None, "sm.origin".len(), format!("{:032x}", origin.0));
        self.incarnations.push(incarnation);
        self.digest_bytes.push((DIGEST_ENTRY_BYTES + name.len()) as u32);
        self.incarnations.len() as u32 - 1
    }

    /// One incarnation.
    #[inline]
    pub(super) fn get(&self, number: u32) -> &Incarnation {
        &self.incarnations[number as usize]
    }

    /// One incarnation, to write to.
    pub(super) fn get_mut(&mut self, number: u32) -> &mut Incarnation {
        &mut self.incarnations[number as usize]
    }

    /// Bytes of one incarnation's digest entry.
    #[inline]
    pub(super) fn digest_bytes(&self, number: u32) -> usize {
        self.digest_bytes[number as usize] as usize
    }

    /// Names so far.
    pub(super) fn names(&self) -> usize {
        self.names.len()
    }

    /// A name by its number.
    pub(super) fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }
}
