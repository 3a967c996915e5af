//! What a read gives: a snapshot held by a reference count, fields decoded only when asked for.

use serde::Deserialize;

use super::edit::Expiry;
use super::value;
use crate::core::replica::View;
use crate::core::session::{Bound, is_reserved};

/// What a node can say about a session.
#[derive(Clone, Debug)]
pub enum Found {
    /// The session, as of now.
    Session(Session),
    /// No such session: never created, expired, or destroyed.
    Absent,
    /// This node does not have it and another may: it is still joining, or `fetch` asked and nobody answered.
    NotYetKnown,
    /// This node was frozen and may have missed a logout; it does not answer until it has caught up.
    Fenced,
}

impl Found {
    /// Why this node cannot say whether the session is there, if so.
    #[cfg_attr(not(feature = "axum"), allow(dead_code))]
    pub(crate) fn why_unsure(&self) -> Option<&'static str> {
        match self {
            Self::Session(_) | Self::Absent => None,
            Self::NotYetKnown => Some("it is not on this node, and nobody who may have it has answered"),
            Self::Fenced => Some("this node was frozen or has stopped, and may have missed a logout"),
        }
    }

    /// The session if it was found.
    pub fn session(self) -> Option<Session> {
        match self {
            Self::Session(session) => Some(session),
            _ => None,
        }
    }
}

/// A field whose bytes are not what was asked for. The other fields are fine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field {key:?} cannot be decoded: {cause}")]
pub struct FieldError {
    /// The field.
    pub key: String,
    /// Which kind of value it holds and which type was asked for; not the value.
    pub cause: String,
}

/// A snapshot of one session. It does not change; read again for news.
///
/// ```no_run
/// # async fn example(sessions: sessionmesh::Sessions, id: sessionmesh::SessionId) -> Result<(), Box<dyn std::error::Error>> {
/// if let Some(session) = sessions.get(&id).session() {
///     let cart: Vec<&str> = session.get("cart")?.unwrap_or_default();
///     println!("{} things of {:?}", cart.len(), session.principal());
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Session(pub(crate) View);

impl Session {
    /// The value of a field; `None` if it is not set. Strings and byte slices are borrowed, not copied.
    ///
    /// # Errors
    /// [`FieldError`] if the bytes do not decode as `T`, to the last of them.
    pub fn get<'a, T: Deserialize<'a>>(&'a self, key: &str) -> Result<Option<T>, FieldError> {
        let decode = |bytes| value::decode(bytes).map_err(|cause| FieldError { key: key.to_owned(), cause });
        self.bytes(key).map(decode).transpose()
    }

    /// The bytes of a field.
    pub fn bytes(&self, key: &str) -> Option<&[u8]> {
        // What the mesh keeps in a record is nobody's field.
        if is_reserved(key) { None } else { self.0.packed().field(key) }
    }

    /// All fields that are set, in key order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.packed().fields().filter(|f| !is_reserved(f.key)).filter_map(|f| Some((f.key, f.value?)))
    }

    /// When it ends if nobody touches it (ms since the epoch).
    pub fn deadline_ms(&self) -> u64 {
        self.0.packed().deadline_ms()
    }

    /// When it ends whatever happens (ms since the epoch): no touch moves this, and an edit only as far as it has itself
    /// bounded the session before.
    pub fn hard_deadline_ms(&self) -> u64 {
        self.0.packed().last_ms()
    }

    /// How it ends, for another session that shall end alike: its idle time or date, and its end as a date.
    pub fn expiry(&self) -> Expiry {
        let (packed, within_ms) = (self.0.packed(), u64::MAX);
        Expiry { ttl: packed.ttl(), bound: Bound { within_ms, until_ms: packed.last_ms() } }
    }

    /// When it was created (ms since the epoch).
    pub fn created_ms(&self) -> u64 {
        self.0.packed().created_ms()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("fields", &self.fields().count()).finish_non_exhaustive()
    }
}
