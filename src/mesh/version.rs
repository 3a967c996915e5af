//! The narrow door for adapters that save whole maps: which write each value came from, as opaque names.
//!
//! An adapter whose client holds a snapshot must tell "the client removed this" from "the client never saw this".
//! It keeps the names that came with the snapshot and hands them back; what they are made of is not its business.

use super::edit::Fields;
use super::receipt::Receipt;
use super::sessions::Sessions;
use super::view::{Found, Session};
use crate::core::causality::{Dot, Origin};
use crate::core::replica::Lookup;
use crate::core::session::{SessionId, Ttl};

/// The name of one write event. Equal on every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version(Dot);

impl Version {
    /// That of a write event.
    pub(super) fn of(dot: Dot) -> Self {
        Self(dot)
    }

    /// A text form that survives whatever a record passes through.
    pub fn to_text(self) -> String {
        format!("{:032x}.{:x}", self.0.origin.0, self.0.counter)
    }

    /// The inverse of [`Version::to_text`]; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (origin, counter) = text.split_once('.')?;
        let origin = Origin(u128::from_str_radix(origin, 16).ok()?);
        Some(Self(Dot { origin, counter: u64::from_str_radix(counter, 16).ok()? }))
    }
}

/// A snapshot and the writes it stands on.
pub(crate) struct Versioned {
    pub session: Session,
    /// The creation: two sessions of one id differ in it.
    pub birth: Version,
    /// In the order of [`Session::fields`].
    pub fields: Vec<Version>,
}

impl Versioned {
    /// All fields that are set, in key order, with the write each value came from.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8], Version)> {
        self.session.fields().zip(&self.fields).map(|((key, bytes), version)| (key, bytes, *version))
    }

    /// Milliseconds from now until the session ends if nobody touches it.
    pub fn left_ms(&self, now_ms: u64) -> u64 {
        self.session.deadline_ms().saturating_sub(now_ms)
    }

    /// Milliseconds since the last touch.
    pub fn idle_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.session.0.packed().touch_ms())
    }

    /// Whether it ends at a date, touched or not.
    pub fn ends_at_date(&self) -> bool {
        matches!(self.session.0.packed().ttl(), Ttl::Absolute(_))
    }
}

impl Sessions {
    /// Reads a session with the writes it stands on; what was found instead, otherwise.
    pub(crate) fn versioned(&self, id: &SessionId) -> Result<Versioned, Found> {
        let shared = self.mesh().shared();
        match shared.replica.lookup_with(*id, || shared.clock.now(), |p| p.seen(*id)) {
            (Lookup::Found(view), Some(seen)) => Ok(Versioned {
                session: Session(view),
                birth: Version(seen.birth),
                fields: seen.fields.into_iter().map(Version).collect(),
            }),
            (Lookup::Fenced, _) => Err(Found::Fenced),
            (Lookup::NotYetKnown, _) => Err(Found::NotYetKnown),
            (Lookup::Absent | Lookup::Found(_), _) => Err(Found::Absent),
        }
    }

    /// The longest life of a session in this cluster (ms).
    pub(crate) fn max_lifetime_ms(&self) -> u64 {
        self.mesh().shared().replica.limits().max_lifetime_ms
    }
}

impl Fields {
    /// Removes a field only while it is still the write named.
    pub(crate) fn remove_seen(&mut self, key: &str, version: Version) {
        self.remove_seen.push((key.to_owned(), version.0));
    }
}

impl Receipt {
    /// The name of this write.
    pub(crate) fn version(&self) -> Version {
        Version(self.dot())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_survives_its_text() {
        let version = Version(Dot { origin: Origin(u128::MAX / 3), counter: 77 });
        assert_eq!(Version::parse(&version.to_text()), Some(version));
        for bad in ["", "12", "x.1", "1.", "1.2.3"] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }
}
