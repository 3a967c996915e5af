//! The store itself.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::Value;
use time::OffsetDateTime;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::{Error as StoreError, ExpiredDeletion, Result, SessionStore};
use tracing::{debug, warn};

use super::blind::Ration;
use super::expiry::{self, Held};
use super::plan::{Plan, visible};
use super::recent::{Recent, Saver};
use super::token::{Carried, HIDDEN_KEY, SeenKey, Token, carried, decode, encode, hash};
use crate::core::replica::WriteError;
use crate::core::session::SessionId;
use crate::mesh::{Error, Expiry, Found, Receipt, Sessions, Versioned};

/// Ids tried by one create. The first random one is free; more than a few taken ones are no accident.
const MAX_ID_TRIES: usize = 8;

/// A session store over a mesh. Cheap to clone; clones share one memory of recent saves, so make one per node.
#[derive(Clone)]
pub struct MeshStore(Arc<Inner>);

struct Inner {
    sessions: Sessions,
    recent: Mutex<Recent>,
    blind: Mutex<Ration>,
    warned_clamped: AtomicBool,
}

impl MeshStore {
    /// A store over `sessions`.
    pub fn new(sessions: Sessions) -> Self {
        Self(Arc::new(Inner {
            sessions,
            recent: Mutex::default(),
            blind: Mutex::new(Ration::new(Instant::now())),
            warned_clamped: AtomicBool::new(false),
        }))
    }

    fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// The session, asking peers if it is not here; `None` only if it is known to be gone or nobody has it.
    async fn find(&self, id: &SessionId) -> Result<Option<Versioned>> {
        self.sessions().fetch(id).await;
        match self.sessions().versioned(id) {
            Ok(versioned) => Ok(Some(versioned)),
            Err(Found::NotYetKnown) => {
                Err(unavailable("this node is joining and no member it reaches has the session"))
            }
            Err(Found::Fenced) => {
                Err(unavailable("this node was frozen or has stopped, and may have missed a logout"))
            }
            Err(Found::Absent | Found::Session(_)) => Ok(None),
        }
    }

    /// Milliseconds left to `date`, at most the longest life a session may have.
    fn left_ms(&self, date: OffsetDateTime) -> u64 {
        let (left, max) = (expiry::left_ms(date), self.sessions().max_lifetime_ms());
        // Dates are computed against a clock read a little earlier or later.
        if left > max.saturating_add(expiry::SLACK_MS) && !self.0.warned_clamped.swap(true, Ordering::Relaxed)
        {
            warn!(
                asked_s = left / 1_000,
                max_s = max / 1_000,
                "a session asks to live longer than max_lifetime_ms and is clamped; said once"
            );
        }
        left.min(max)
    }

    fn new_session(
        &self,
        id: SessionId,
        expiry: Expiry,
        fields: &[(String, Vec<u8>)],
    ) -> Result<Option<Receipt>> {
        let created = self.sessions().create_with_id(id, expiry, |f| {
            fields.iter().for_each(|(key, bytes)| f.set_bytes(key, bytes.as_slice()));
            Ok(())
        });
        match created {
            Ok(receipt) => Ok(Some(receipt)),
            Err(Error::Write(WriteError::IdTaken)) => Ok(None),
            Err(error) => Err(refused(&error)),
        }
    }

    /// Puts a new token for this load into `data`.
    fn hide_token(
        &self,
        id: SessionId,
        versioned: &Versioned,
        data: &mut HashMap<String, Value>,
    ) -> Result<()> {
        let mut keys = BTreeMap::new();
        for (key, bytes, version) in versioned.fields().filter(|f| f.0 != HIDDEN_KEY) {
            let Some(value) = decode(bytes) else {
                // Never shown to the request, so nothing it does can touch it.
                debug!(session = self.sessions().log_name(&id), key, "not a JSON value: left out");
                continue;
            };
            // The hash is of the value encoded again: another writer may have encoded it differently.
            let seen = SeenKey { version: version.to_text(), hash: hash(&encode(key, &value)?) };
            keys.insert(key.to_owned(), seen);
            data.insert(key.to_owned(), value);
        }
        Token::new(id, versioned.birth, keys).hide_in(data)
    }

    /// Whose save this is, and what its request has seen by now.
    fn seen_by(
        &self,
        id: SessionId,
        record: &Record,
        current: &Versioned,
    ) -> Result<(Saver, bool, BTreeMap<String, SeenKey>)> {
        let place = std::ptr::from_ref(record) as usize;
        let (load, mut seen, has_token) = match carried(&record.data)? {
            Carried::Token(token) if token.is_of(id, current.birth) => (token.load, token.keys, true),
            // Of another session or layout: it says nothing about this one, and the record counts as cleared.
            Carried::Token(_) | Carried::Foreign | Carried::Nothing => {
                (cleared_load(id), BTreeMap::new(), false)
            }
        };
        self.0.recent.lock().overlay(Instant::now(), (load, place), &mut seen);
        Ok(((load, place), has_token, seen))
    }

    /// Writes what a record changes. `None`: the session is gone, and a save does not bring it back.
    async fn write(&self, record: &Record) -> Result<Option<Receipt>> {
        let id = session_id(&record.id);
        // Told even if the session is gone: the mistake is the application's either way.
        carried(&record.data)?;
        let Some(current) = self.find(&id).await? else { return Ok(None) };
        let (saver, has_token, seen) = self.seen_by(id, record, &current)?;
        let plan =
            if has_token { Plan::diff(&record.data, &seen) } else { Plan::cleared(&record.data, &seen) }?;
        let wall_ms = self.sessions().wall_ms();
        let held = Held {
            left_ms: current.left_ms(wall_ms),
            idle_ms: current.idle_ms(wall_ms),
            dated: current.ends_at_date(),
        };
        let new_expiry = expiry::of_save(self.left_ms(record.expiry_date), &held, wall_ms);
        let saved = self.sessions().edit(&id, |fields| {
            plan.fill(fields);
            if let Some(expiry) = new_expiry {
                fields.set_expiry(expiry);
            }
            Ok(())
        });
        match saved {
            Ok(receipt) => {
                self.0.recent.lock().note(Instant::now(), saver, plan.wrote(receipt.version()));
                Ok(Some(receipt))
            }
            Err(Error::Write(WriteError::Absent)) => Ok(None),
            Err(error) => Err(refused(&error)),
        }
    }

    /// Whether a session nobody here knows may live on a node out of reach: this one has not caught up, or a member
    /// that did not say goodbye is not linked. A name counts once: after a restart its old life is dead for good.
    fn somebody_is_missing(&self) -> bool {
        let mesh = self.sessions().mesh();
        let members = mesh.members();
        let linked = |name: &str| members.iter().any(|m| m.node == name && m.linked);
        let missing = |name: &str| name != mesh.node() && !linked(name);
        !mesh.readiness().0 || members.iter().any(|m| m.state != "left" && missing(&m.node))
    }

    /// Destroys a session for good. `None`: nobody who could be asked has it.
    async fn destroy(&self, id: &SessionId) -> Result<Option<Receipt>> {
        if let Some(receipt) = found(self.sessions().destroy(id))? {
            return Ok(Some(receipt));
        }
        let (_, all_answered) = self.sessions().fetch_sure(id).await;
        if let Some(receipt) = found(self.sessions().destroy(id))? {
            return Ok(Some(receipt));
        }
        if all_answered && !self.somebody_is_missing() {
            return Ok(None);
        }
        let session = self.sessions().log_name(id);
        if !self.0.blind.lock().take(Instant::now()) {
            warn!(
                session,
                "a delete of an unknown session while members are out of reach: too many, not recorded"
            );
            return Ok(None);
        }
        debug!(session, "unknown here while members are out of reach: destroyed blind");
        self.sessions().destroy_blind(id).await.map(Some).map_err(|e| refused(&e))
    }
}

#[async_trait]
impl SessionStore for MeshStore {
    async fn create(&self, record: &mut Record) -> Result<()> {
        // A token here is that of the session this one was cycled from: of no meaning for a new one, which takes
        // all keys. (A diff would leave out the unchanged ones.)
        carried(&record.data)?;
        record.data.remove(HIDDEN_KEY);
        let left_ms = self.left_ms(record.expiry_date);
        if left_ms == 0 {
            // Born expired: nobody can ever load it.
            return Ok(());
        }
        let fields = visible(&record.data).map(|(key, value)| Ok((key.to_owned(), encode(key, value)?)));
        let fields = fields.collect::<Result<Vec<_>>>()?;
        for _ in 0..MAX_ID_TRIES {
            let id = session_id(&record.id);
            let Some(receipt) = self.new_session(id, expiry::idle(left_ms), &fields)? else {
                record.id = Id::default();
                continue;
            };
            // So that this request may save again; a session that is gone already needs no token.
            if let Ok(versioned) = self.sessions().versioned(&id) {
                self.hide_token(id, &versioned, &mut record.data)?;
            }
            receipt.replicated().await;
            return Ok(());
        }
        Err(StoreError::Backend(format!(
            "{MAX_ID_TRIES} session ids in a row were taken; nothing was created"
        )))
    }

    async fn save(&self, record: &Record) -> Result<()> {
        if let Some(receipt) = self.write(record).await? {
            receipt.replicated().await;
        }
        Ok(())
    }

    async fn load(&self, cookie_id: &Id) -> Result<Option<Record>> {
        let id = session_id(cookie_id);
        let Some(versioned) = self.find(&id).await? else { return Ok(None) };
        let mut data = HashMap::new();
        self.hide_token(id, &versioned, &mut data)?;
        let expiry_date = expiry::date_in(versioned.left_ms(self.sessions().wall_ms()));
        Ok(Some(Record { id: *cookie_id, data, expiry_date }))
    }

    async fn delete(&self, cookie_id: &Id) -> Result<()> {
        if let Some(receipt) = self.destroy(&session_id(cookie_id)).await? {
            receipt.replicated().await;
        }
        Ok(())
    }
}

#[async_trait]
impl ExpiredDeletion for MeshStore {
    /// Does nothing: every node hides a session at its deadline and drops it by itself. No task is needed.
    async fn delete_expired(&self) -> Result<()> {
        Ok(())
    }
}

impl fmt::Debug for MeshStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshStore").field("mesh", self.sessions().mesh()).finish_non_exhaustive()
    }
}

/// The mesh's name for a tower-sessions id: the bytes that its cookie text encodes.
fn session_id(id: &Id) -> SessionId {
    SessionId::from_bytes(id.0.to_le_bytes())
}

/// The name that saves without a token go under. It is no secret's equal: it never leaves the process.
fn cleared_load(id: SessionId) -> u64 {
    id.table_hash(0)
}

fn found(destroyed: std::result::Result<Receipt, Error>) -> Result<Option<Receipt>> {
    match destroyed {
        Ok(receipt) => Ok(Some(receipt)),
        Err(Error::Write(WriteError::Absent)) => Ok(None),
        Err(error) => Err(refused(&error)),
    }
}

fn refused(error: &Error) -> StoreError {
    StoreError::Backend(error.to_string())
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Backend(format!("503: {why}; try again, here or on another node"))
}
