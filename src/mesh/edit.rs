//! What an edit changes: typed fields and expiry.

use std::time::Duration;

use serde::Serialize;

use super::{Error, value};
use crate::core::causality::Dot;
use crate::core::replica::{Change, Extent};
use crate::core::session::Ttl;

/// When a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    pub(crate) ttl: Ttl,
    pub(crate) at_most_ms: u64,
}

impl Expiry {
    /// This long after the last touch.
    pub fn sliding(idle: Duration) -> Self {
        Self { ttl: Ttl::Sliding(ms(idle)), at_most_ms: u64::MAX }
    }

    /// Never by itself: it lives as long as the cluster's `max_lifetime_ms` lets it.
    pub fn none() -> Self {
        Self { ttl: Ttl::Sliding(u64::MAX >> 16), at_most_ms: u64::MAX }
    }

    /// This long after now, touched or not. (Computed against the wall clock at the write.)
    pub fn after(life: Duration) -> Self {
        Self::none().at_most(life)
    }

    /// At this wall time (ms since the epoch), touched or not.
    pub fn at_ms(wall_ms: u64) -> Self {
        Self { ttl: Ttl::Absolute(wall_ms), at_most_ms: u64::MAX }
    }

    /// Never longer than this, however often it is touched. Clamped to the cluster's `max_lifetime_ms`.
    pub fn at_most(self, life: Duration) -> Self {
        Self { at_most_ms: self.at_most_ms.min(ms(life)), ..self }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Collects the changes of one edit. Everything in one edit appears together.
#[derive(Debug, Default)]
pub struct Fields {
    pub(crate) fields: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) remove_seen: Vec<(String, Dot)>,
    pub(crate) expiry: Option<Expiry>,
    pub(crate) clear: bool,
    pub(crate) skip_unchanged: bool,
    pub(crate) principal: Option<Option<String>>,
    pub(crate) reserved: Vec<(&'static str, Vec<u8>)>,
    pub(crate) copied: Extent,
}

impl Fields {
    /// Sets a field to any value serde can encode (as MessagePack with named struct fields, in serde's human-readable
    /// form: other ways in see the same).
    ///
    /// # Errors
    /// [`Error::Encode`] if serde cannot.
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Error> {
        let bytes = value::encode(value).map_err(|cause| Error::Encode { key: key.to_owned(), cause })?;
        self.set_bytes(key, bytes);
        Ok(())
    }

    /// Sets a field to bytes as they are. (Keys that begin with two zero bytes are refused when the edit is made.)
    pub fn set_bytes(&mut self, key: &str, bytes: impl Into<Vec<u8>>) {
        self.fields.push((key.to_owned(), Some(bytes.into())));
    }

    /// Removes a field. One that this node does not have is none: nothing is written, and if it was set on the other side
    /// of a partition it is there after the heal.
    pub fn remove(&mut self, key: &str) {
        self.fields.push((key.to_owned(), None));
    }

    /// Removes every field that this edit does not set, and logs out unless it logs in. A field added concurrently
    /// elsewhere stays.
    pub fn clear(&mut self) {
        self.clear = true;
    }

    /// Changes when the session ends: its idle time or its date. The hard end chosen at creation stays.
    pub fn set_expiry(&mut self, expiry: Expiry) {
        self.expiry = Some(expiry);
    }

    /// Writes nothing for fields whose value would not change. Right for savers of whole maps; wrong for
    /// re-asserting a value against a concurrent write.
    pub fn skip_unchanged(&mut self) {
        self.skip_unchanged = true;
    }

    /// Says that a field of the new session is that of another as it was.
    #[cfg_attr(not(any(feature = "axum", feature = "_merge")), allow(dead_code))]
    pub(crate) fn copied(&mut self, key: &str, value: &[u8]) {
        self.copied.fields += 1;
        self.copied.bytes += key.len() + value.len();
    }

    pub(crate) fn change(&self) -> Change<'_> {
        Change {
            fields: self.fields.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect(),
            remove_seen: self.remove_seen.iter().map(|(k, dot)| (k.as_str(), *dot)).collect(),
            skip_unchanged: self.skip_unchanged,
            ttl: self.expiry.map(|e| e.ttl),
            clear: self.clear,
            principal: self.principal.as_ref().map(Option::as_deref),
            reserved: self.reserved.iter().map(|(key, bytes)| (*key, bytes.as_slice())).collect(),
            copied: self.copied,
        }
    }
}
