//! The origin table of a frame: whom the indices in it mean.

use std::collections::BTreeMap;

use crate::causality::Origin;

/// Origins in the order they were met, each once. A mesh that restarts often has tens of thousands.
#[derive(Debug, Default)]
pub struct OriginTable {
    listed: Vec<Origin>,
    by_origin: BTreeMap<Origin, u64>,
}

impl OriginTable {
    /// The table of these origins, in this order.
    pub fn of(origins: &[Origin]) -> Self {
        let mut table = Self::default();
        origins.iter().for_each(|origin| _ = table.index(*origin));
        table
    }

    /// The index of an origin, which is added if it is new.
    pub fn index(&mut self, origin: Origin) -> u64 {
        *self.by_origin.entry(origin).or_insert_with(|| {
            self.listed.push(origin);
            self.listed.len() as u64 - 1
        })
    }

    /// All of them, by index.
    pub fn listed(&self) -> &[Origin] {
        &self.listed
    }
}
