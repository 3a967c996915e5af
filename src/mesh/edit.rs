//! What an edit changes: typed fields and expiry.

use std::time::Duration;

use serde::Serialize;

use super::{Error, value};
use crate::core::causality::Dot;
use crate::core::replica::{Change, Extent};
use crate::core::session::{Bound, NEVER_MS, SessionId, Ttl};

/// When a session ends: after an idle time, or at a date; and a bound on both ([`Expiry::at_most`]). It means the same for
/// a new session and in an edit; the table of all cases is in `docs/EMBEDDING.md`, "When a session ends".
///
/// Times count in whole milliseconds, from the moment of the write. A time of nothing and a date that is over are refused
/// ([`crate::WriteError::Expired`]); one longer than the cluster's `max_lifetime_ms` is cut to that.
///
/// ```
/// use sessionmesh::Expiry;
/// use std::time::Duration;
///
/// let half_an_hour = Expiry::sliding(Duration::from_secs(1_800));
/// let but_not_beyond_a_day = half_an_hour.at_most(Duration::from_secs(86_400));
/// assert_ne!(half_an_hour, but_not_beyond_a_day);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    pub(crate) ttl: Ttl,
    pub(crate) bound: Bound,
}

impl Expiry {
    /// This long after the last touch.
    pub fn sliding(idle: Duration) -> Self {
        Self { ttl: Ttl::Sliding(ms(idle)), bound: Bound::default() }
    }

    /// Never by itself: it lives as long as the cluster's `max_lifetime_ms` lets it.
    pub fn none() -> Self {
        Self { ttl: Ttl::Sliding(NEVER_MS), bound: Bound::default() }
    }

    /// This long after the write, touched or not.
    pub fn after(life: Duration) -> Self {
        Self::none().at_most(life)
    }

    /// At this wall time (ms since the epoch), touched or not.
    pub fn at_ms(wall_ms: u64) -> Self {
        Self { ttl: Ttl::Absolute(wall_ms), bound: Bound::default() }
    }

    /// Never later than this after the write, however often it is touched. It stays when a later edit names another idle
    /// time or date. What a session is created with is its hard end, which no edit moves; what an edit names may be moved
    /// by a later one, up to the hard end.
    #[must_use]
    pub fn at_most(self, life: Duration) -> Self {
        Self { bound: self.bound.and(within(life)), ..self }
    }
}

fn within(life: Duration) -> Bound {
    Bound { within_ms: ms(life), ..Bound::default() }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Collects the changes of one edit. Everything in one edit appears together.
///
/// ```no_run
/// # async fn example(sessions: sessionmesh::Sessions, id: sessionmesh::SessionId) -> Result<(), Box<dyn std::error::Error>> {
/// sessions.edit(&id, |fields| {
///     fields.set("cart", &["tea", "milk"])?;
///     fields.remove("coupon");
///     fields.set_principal("ada");                            // a log-in: whose session it is from now on
///     Ok(())
/// })?;
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct Fields {
    pub(crate) fields: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) remove_seen: Vec<(String, Dot)>,
    pub(crate) expiry: Option<Expiry>,
    pub(crate) bound: Bound,
    pub(crate) clear: bool,
    pub(crate) clear_fields: bool,
    pub(crate) skip_unchanged: bool,
    pub(crate) principal: Option<Option<String>>,
    pub(crate) login_id: Option<SessionId>,
    pub(crate) reserved: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) unless_moved: bool,
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

    /// As [`Fields::clear`], but whose session it is stays.
    pub fn clear_fields(&mut self) {
        self.clear_fields = true;
    }

    /// Says when the session ends. For a new one it takes the place of what it is created with. In an edit the idle time
    /// or date takes the place of the one before, and a bound ([`Expiry::at_most`]) that of the one an edit set before; the
    /// hard end that the session was created with stays.
    pub fn set_expiry(&mut self, expiry: Expiry) {
        self.expiry = Some(expiry);
    }

    /// Bounds how long the session lives from this write on, as [`Expiry::at_most`] does; its idle time or date stays. Of
    /// this, and of a bound that is set in the same edit by [`Fields::set_expiry`], the earlier one counts.
    pub fn set_at_most(&mut self, life: Duration) {
        self.bound = within(life);
    }

    /// Refuses the edit, with [`crate::WriteError::Moved`], if a log-in went on from this session as another: its client
    /// would never see what is written.
    pub fn unless_moved(&mut self) {
        self.unless_moved = true;
    }

    /// What a new session ends by, if `asked` is what it was to be created with.
    pub(crate) fn expiry_or(&self, asked: Expiry) -> Expiry {
        let expiry = self.expiry.unwrap_or(asked);
        Expiry { bound: expiry.bound.and(self.bound), ..expiry }
    }

    /// Writes nothing for fields whose value would not change. Right for savers of whole maps; wrong for
    /// re-asserting a value against a concurrent write.
    pub fn skip_unchanged(&mut self) {
        self.skip_unchanged = true;
    }

    /// Says that a field of the new session is that of another as it was.
    #[cfg_attr(not(feature = "_merge"), allow(dead_code))]
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
            bound: self.expiry.map_or(self.bound, |e| e.bound.and(self.bound)),
            clear: self.clear,
            clear_fields: self.clear_fields,
            principal: self.principal.as_ref().map(Option::as_deref),
            login_id: self.login_id,
            reserved: self.reserved.iter().map(|(key, bytes)| (key.as_str(), bytes.as_deref())).collect(),
            unless_moved: self.unless_moved,
            copied: self.copied,
        }
    }
}
