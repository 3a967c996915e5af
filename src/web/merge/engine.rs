//! [`Merge`]: find, show and save, on encoded values.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tracing::{debug, warn};

use super::create::changes;
use super::cycles::Cycles;
use super::error::{MergeError, Result};
use super::expiry::{self, Asked, Held};
use super::plan::{Given, Plan};
use super::recent::{Recent, Saved};
use super::request::{MapName, Request};
use super::token::{Carried, HIDDEN_KEY, SeenKey, Token};
use super::whose;
use crate::mesh::{Error, Expiry, Found, Receipt, Sessions, Version, Versioned};
use crate::{SessionId, WriteError};

/// A map that is to be saved.
#[derive(Debug)]
pub struct Save<'a> {
    /// What lay under the hidden key.
    pub carried: Carried,
    /// The map's name, if a request that saves twice hands over the same map. Without one, a token alone names the
    /// request, and saves of a map without a token are not remembered.
    pub map: Option<MapName>,
    /// All other keys.
    pub given: Vec<Given<'a>>,
    /// Whose session the map says it is (nobody's, if `Some(None)`), if the store is told how to read that.
    pub principal: Option<Option<String>>,
    /// The expiry that came with it.
    pub asked: Asked,
}

/// What a request is shown of a session.
#[derive(Debug)]
pub struct Shown<T> {
    /// The session's keys, without the hidden one.
    pub data: HashMap<String, T>,
    /// What belongs under the hidden key.
    pub token: Token,
}

/// The merge over one node's sessions. One per node: it holds the memory of recent saves.
pub struct Merge {
    sessions: Sessions,
    pub(super) recent: Mutex<Recent>,
    pub(super) cycles: Arc<Mutex<Cycles>>,
    warned_clamped: AtomicBool,
    warned_left_out: AtomicBool,
}

impl Merge {
    /// A merge over `sessions`.
    pub fn new(sessions: Sessions) -> Self {
        Self {
            sessions,
            recent: Mutex::default(),
            cycles: Arc::default(),
            warned_clamped: AtomicBool::new(false),
            warned_left_out: AtomicBool::new(false),
        }
    }

    /// The sessions beneath.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The session, asking peers if it is not here; `None` only if it is known to be gone or nobody has it.
    pub async fn find(&self, id: &SessionId) -> Result<Option<Versioned>> {
        let unknown = matches!(self.sessions.fetch(id).await, Found::NotYetKnown);
        match self.sessions.versioned(id) {
            Ok(versioned) => Ok(Some(versioned)),
            Err(Found::NotYetKnown) => {
                Err(MergeError::unavailable("this node is joining and no member it reaches has the session"))
            }
            Err(Found::Absent) if unknown => {
                Err(MergeError::unavailable("the session is not here, and no member could be asked for it"))
            }
            Err(Found::Fenced) => Err(MergeError::unavailable(
                "this node was frozen or has stopped, and may have missed a logout",
            )),
            Err(Found::Absent | Found::Session(_)) => Ok(None),
        }
    }

    /// Cuts the time a session asks to live (ms) to the longest it may.
    pub fn clamp(&self, asked_ms: u64) -> u64 {
        let max_ms = self.sessions.max_lifetime_ms();
        // Dates are computed against a clock read a little earlier or later.
        let beyond = asked_ms > max_ms.saturating_add(expiry::SLACK_MS);
        if beyond && !self.warned_clamped.swap(true, Ordering::Relaxed) {
            warn!(
                asked_s = asked_ms / 1_000,
                max_s = max_ms / 1_000,
                "a session asks to live longer than max_lifetime_ms and is clamped; said once"
            );
        }
        asked_ms.min(max_ms)
    }

    /// What a request is shown of a session. `show` decodes a value and hashes it *as this request would hand it
    /// back unchanged*, since another writer may have encoded it differently; `None` for a value that the framework
    /// cannot say. `ends_ms` is the expiry date it is shown (ms since the epoch), if it is shown one.
    pub fn show<T>(
        &self,
        id: SessionId,
        versioned: &Versioned,
        ends_ms: i64,
        mut show: impl FnMut(&str, &[u8]) -> Result<Option<(T, String)>>,
    ) -> Result<Shown<T>> {
        let (mut data, mut seen) = (HashMap::new(), BTreeMap::new());
        for (key, bytes, version) in versioned.fields().filter(|f| f.0 != HIDDEN_KEY) {
            let Some((value, hash)) = show(key, bytes)? else {
                // Never shown to the request, so nothing it does can touch it.
                self.say_left_out(&id, key);
                continue;
            };
            seen.insert(key.to_owned(), SeenKey { version: version.to_text(), hash });
            data.insert(key.to_owned(), value);
        }
        let mut token = Token::new(id, versioned.birth, ends_ms, seen);
        token.principal = whose::shown(versioned.session.principal());
        Ok(Shown { data, token })
    }

    /// Tells of a field that a framework is not shown.
    fn say_left_out(&self, id: &SessionId, key: &str) {
        let session = self.sessions.log_name(id);
        if self.warned_left_out.swap(true, Ordering::Relaxed) {
            debug!(session, key, "no JSON value: left out");
        } else {
            warn!(session, key, "a field holds what JSON cannot say, and is left out here; said once");
        }
    }

    /// Writes what a map changes. `None`: the session is gone, and a save does not bring it back. One that went on under
    /// another id, given to it on this node, is an error if the map changes anything: its user would miss that.
    pub async fn save(&self, id: SessionId, save: Save<'_>) -> Result<Option<Receipt>> {
        let Some(current) = self.find(&id).await? else {
            return if self.is_lost(&id, &save) { Err(MergeError::went_on()) } else { Ok(None) };
        };
        let mut request = Request::of(save.carried, save.map, id, current.birth);
        self.recent.lock().overlay(Instant::now(), &mut request);
        if save.asked.is_over(request.ends_ms) {
            return Ok(self.destroy(&id).await?.into_iter().next());
        }
        let new_expiry = self.new_expiry(save.asked, request.ends_ms, &current);
        let plan = Plan::diff(save.given, &request.seen, request.basis);
        let saved = self.sessions.edit(&id, |fields| {
            plan.fill(fields);
            if let Some(expiry) = new_expiry {
                fields.set_expiry(expiry);
            }
            if let Some(now) = &save.principal {
                let who = (now.as_deref(), current.session.principal());
                whose::fill(fields, who, (request.basis, request.principal.as_deref()));
            }
            Ok(())
        });
        let receipt = alive(saved)?;
        if let (Some(receipt), Some(saver)) = (&receipt, request.saver) {
            let wrote = plan.wrote(receipt.version(), self.kept(&id, &current));
            let principal =
                save.principal.as_ref().map_or(request.principal, |now| whose::shown(now.as_deref()));
            let ends_ms = match save.asked {
                Asked::Date { date_ms, .. } => Some(date_ms),
                Asked::Idle(_) => request.ends_ms,
            };
            self.recent.lock().note(Instant::now(), saver, Saved { wrote, principal, ends_ms });
        }
        Ok(receipt)
    }

    /// Whether a save changes a session that has another id now.
    fn is_lost(&self, id: &SessionId, save: &Save<'_>) -> bool {
        let changed = || match &save.carried {
            Carried::Token(token) => !changes(&save.given, &self.last_of(token, save.map).seen).is_empty(),
            Carried::Nothing | Carried::Foreign => !save.given.is_empty(),
        };
        self.cycles.lock().went_on(id) && changed()
    }

    /// Which write a key is that a save found as it wanted it: the one from before the save, if it is there still.
    /// Anything else is the save's own, or written since by another.
    fn kept(&self, id: &SessionId, before: &Versioned) -> impl Fn(&Given<'_>) -> Option<Version> {
        let after = self.sessions.versioned(id).ok();
        move |given| {
            let version = |held: &Versioned| held.fields().find(|f| f.0 == given.key).map(|f| f.2);
            version(before).filter(|v| after.as_ref().and_then(version) == Some(*v))
        }
    }

    /// Extends a session and changes nothing else; ends it, if by nothing. `None`: it is gone.
    pub async fn touch(&self, id: SessionId, idle_ms: u64) -> Result<Option<Receipt>> {
        if self.find(&id).await?.is_none() {
            return Ok(None);
        }
        if Asked::Idle(idle_ms).is_over(None) {
            return Ok(self.destroy(&id).await?.into_iter().next());
        }
        let idle = self.exactly(idle_ms);
        alive(self.sessions.edit(&id, |fields| {
            fields.set_expiry(idle);
            Ok(())
        }))
    }

    fn exactly(&self, idle_ms: u64) -> Expiry {
        Expiry::sliding(std::time::Duration::from_millis(self.clamp(idle_ms)))
    }

    /// The expiry a save asks for, if it asks for another. `given_ms` is the date it was shown.
    fn new_expiry(&self, asked: Asked, given_ms: Option<i64>, current: &Versioned) -> Option<Expiry> {
        let (date_ms, left_ms) = match asked {
            // An unchanged one writes nothing by itself.
            Asked::Idle(ms) => return Some(self.exactly(ms)),
            Asked::Date { date_ms, left_ms } => (date_ms, left_ms),
        };
        if given_ms == Some(date_ms) {
            return None;
        }
        let wall_ms = self.sessions.wall_ms();
        let held = Held {
            left_ms: current.left_ms(wall_ms),
            idle_ms: current.idle_ms(wall_ms),
            dated: current.ends_at_date(),
        };
        expiry::of_date(self.clamp(left_ms), &held, wall_ms)
    }
}

/// What an answer waits for: a second copy of what was written, if anything was.
pub async fn copied(receipts: impl IntoIterator<Item = Receipt>) {
    for receipt in receipts {
        // Written one after the other: where the first has no copy in time, a second wait would gain nothing.
        if !receipt.replicated().await {
            return;
        }
    }
}

/// A write to a session that is gone is no error: there is nothing left to write to.
fn alive(written: std::result::Result<Receipt, Error>) -> Result<Option<Receipt>> {
    match written {
        Ok(receipt) => Ok(Some(receipt)),
        Err(Error::Write(WriteError::Absent)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl fmt::Debug for Merge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge").field("mesh", self.sessions.mesh()).finish_non_exhaustive()
    }
}
