//! The store itself.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use parking_lot::Mutex;
use time::OffsetDateTime;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::{Error as StoreError, ExpiredDeletion, Result, SessionStore};
use tracing::{debug, warn};

use super::blind::Ration;
use super::expiry::{self, Held};
use super::plan::{Plan, visible};
use super::recent::Recent;
use super::request::Request;
use super::token::{HIDDEN_KEY, SeenKey, Token, carried, decode, encode, hash};
use crate::mesh::{Error, Expiry, Found, Receipt, Sessions, Versioned};
use crate::{SessionId, WriteError};

/// Ids tried by one create. The first random one is free; more than a few taken ones are no accident.
const MAX_ID_TRIES: usize = 8;

/// A session store over a mesh. Cheap to clone; clones share one memory of recent saves, so make one per node.
#[derive(Clone)]
pub struct MeshStore(pub(super) Arc<Inner>);

pub(super) struct Inner {
    sessions: Sessions,
    recent: Mutex<Recent>,
    pub(super) blind: Mutex<Ration>,
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

    pub(super) fn sessions(&self) -> &Sessions {
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

    /// The expiry a save asks for, if it asks for another.
    fn new_expiry(&self, request: &Request, date: OffsetDateTime, current: &Versioned) -> Option<Expiry> {
        if request.ends_ms == Some(expiry::date_ms(date)) {
            return None;
        }
        let wall_ms = self.sessions().wall_ms();
        let held = Held {
            left_ms: current.left_ms(wall_ms),
            idle_ms: current.idle_ms(wall_ms),
            dated: current.ends_at_date(),
        };
        expiry::of_save(self.left_ms(date), &held, wall_ms)
    }

    /// What a request is given of a session: its keys, its expiry, and a new token.
    fn record(&self, cookie_id: Id, versioned: &Versioned) -> Result<Record> {
        let expiry_date = expiry::date_in(versioned.left_ms(self.sessions().wall_ms()));
        let (mut data, mut seen) = (HashMap::new(), BTreeMap::new());
        for (key, bytes, version) in versioned.fields().filter(|f| f.0 != HIDDEN_KEY) {
            let Some(value) = decode(bytes) else {
                // Never shown to the request, so nothing it does can touch it.
                debug!(
                    session = self.sessions().log_name(&session_id(&cookie_id)),
                    key, "no JSON value: left out"
                );
                continue;
            };
            // The hash is of the value encoded again: another writer may have encoded it differently.
            let hash = hash(&encode(key, &value)?);
            seen.insert(key.to_owned(), SeenKey { version: version.to_text(), hash });
            data.insert(key.to_owned(), value);
        }
        let ends_ms = expiry::date_ms(expiry_date);
        Token::new(session_id(&cookie_id), versioned.birth, ends_ms, seen).hide_in(&mut data)?;
        Ok(Record { id: cookie_id, data, expiry_date })
    }

    /// Writes what a record changes. `None`: the session is gone, and a save does not bring it back.
    async fn write(&self, record: &Record) -> Result<Option<Receipt>> {
        let id = session_id(&record.id);
        // Told even if the session is gone: the mistake is the application's either way.
        carried(&record.data)?;
        let Some(current) = self.find(&id).await? else { return Ok(None) };
        let mut request = Request::of(record, id, current.birth)?;
        self.0.recent.lock().overlay(Instant::now(), request.saver, &mut request.seen);
        let plan = Plan::diff(&record.data, &request.seen, request.basis)?;
        let new_expiry = self.new_expiry(&request, record.expiry_date, &current);
        let saved = self.sessions().edit(&id, |fields| {
            plan.fill(fields);
            if let Some(expiry) = new_expiry {
                fields.set_expiry(expiry);
            }
            Ok(())
        });
        match saved {
            Ok(receipt) => {
                self.0.recent.lock().note(Instant::now(), request.saver, plan.wrote(receipt.version()));
                Ok(Some(receipt))
            }
            Err(Error::Write(WriteError::Absent)) => Ok(None),
            Err(error) => Err(refused(&error)),
        }
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
                let mut given = self.record(record.id, &versioned)?.data;
                record.data.extend(given.remove_entry(HIDDEN_KEY));
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
        let found = self.find(&session_id(cookie_id)).await?;
        found.map(|versioned| self.record(*cookie_id, &versioned)).transpose()
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

pub(super) fn refused(error: &Error) -> StoreError {
    StoreError::Backend(error.to_string())
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Backend(format!("503: {why}; try again, here or on another node"))
}
