//! [`Session`]: one request's hold on a session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tower_cookies::Cookies;
use tracing::debug;

use super::config::{Behind, Settings};
use super::cookie::{self, Content};
use super::error::{Result, SessionError};
use crate::SessionId;
use crate::mesh::{self, CaughtUp, Expiry, Fields, Found, Receipt, Seen, second_copies};

/// A request's session: an extractor, and cheap to clone. It comes into being with the first write.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    settings: Arc<Settings>,
    secure: bool,
    came_with: Option<Content>,
    opened: OnceCell<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    id: Option<SessionId>,
    seen: Seen,
    written: Vec<Receipt>,
    cookie: Outgoing,
}

/// What becomes of the client's cookie.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Outgoing {
    #[default]
    Keep,
    Set,
    Remove,
}

impl State {
    fn wrote(&mut self, receipt: Receipt) {
        self.seen.add(&receipt);
        if receipt.wrote() {
            self.written.push(receipt);
        }
        self.cookie = Outgoing::Set;
    }
}

impl Session {
    /// What a request with these cookies has.
    pub(super) fn of_request(settings: Arc<Settings>, cookies: &Cookies, secure: bool) -> Self {
        let came_with = cookies.get(settings.name()).and_then(|c| cookie::read(c.value(), settings.keys()));
        Self(Arc::new(Inner {
            settings,
            secure,
            came_with,
            opened: OnceCell::new(),
            state: Mutex::default(),
        }))
    }

    /// Finds the session that the cookie names, once it is as new as its client knows it.
    pub(super) async fn open(&self) -> Result<()> {
        self.0.opened.get_or_try_init(|| self.find()).await.copied()
    }

    async fn find(&self) -> Result<()> {
        let Some(Content { id, seen, forged }) = &self.0.came_with else { return Ok(()) };
        let Settings { sessions, patience, behind, .. } = &*self.0.settings;
        if *forged {
            debug!(
                session = sessions.log_name(id),
                "a cookie of another secret, or a forged one: taken for its id alone"
            );
        }
        if !seen.is_empty()
            && sessions.catch_up(id, seen, *patience).await == CaughtUp::Behind
            && *behind == Behind::Refuse
        {
            return Err(SessionError::Behind);
        }
        let found = known(sessions.fetch(id).await)?;
        let mut state = self.0.state.lock();
        match found {
            Some(_) => (state.id, state.seen) = (Some(*id), seen.clone()),
            // Nobody reached has it. It may live on where this node does not reach, so that the client keeps its
            // cookie, unless the session is known to have ended.
            None if sessions.is_known(id) => state.cookie = Outgoing::Remove,
            None => {}
        }
        Ok(())
    }

    /// The session as this node holds it now; `None` if there is none, not yet or no more.
    ///
    /// # Errors
    /// [`SessionError::Unavailable`].
    pub fn snapshot(&self) -> Result<Option<mesh::Session>> {
        let id = self.0.state.lock().id;
        id.map_or(Ok(None), |id| self.look(&id))
    }

    fn look(&self, id: &SessionId) -> Result<Option<mesh::Session>> {
        known(self.0.settings.sessions.get(id))
    }

    /// The value of a field; `None` if it is not set.
    ///
    /// # Errors
    /// [`SessionError::Field`] if it holds something else; [`SessionError::Unavailable`].
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        match self.snapshot()? {
            Some(session) => Ok(session.get(key)?),
            None => Ok(None),
        }
    }

    /// Sets a field, here and now. Fields that other requests set stay.
    ///
    /// # Errors
    /// See [`Session::edit`].
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<()> {
        self.edit(|fields| fields.set(key, value))
    }

    /// Removes a field.
    ///
    /// # Errors
    /// See [`Session::edit`].
    pub fn remove(&self, key: &str) -> Result<()> {
        if self.id().is_none() {
            return Ok(());
        }
        self.edit(|fields| {
            fields.remove(key);
            Ok(())
        })
    }

    /// Changes several fields, all together or not at all. Without a session, it begins one.
    ///
    /// # Errors
    /// [`SessionError::Ended`] if the session has ended meanwhile; [`SessionError::Rotated`] if the request came with
    /// its old id; [`SessionError::Write`] for a broken limit or a value that cannot be encoded.
    pub fn edit(
        &self,
        change: impl FnOnce(&mut Fields) -> std::result::Result<(), mesh::Error>,
    ) -> Result<()> {
        let Settings { sessions, expiry, .. } = &*self.0.settings;
        // Before the lock: the closure may read this very session.
        let mut fields = Fields::default();
        change(&mut fields)?;
        let fill = |empty: &mut Fields| {
            *empty = fields;
            Ok(())
        };
        let mut state = self.0.state.lock();
        let receipt = match state.id {
            Some(id) => {
                self.writable(&id)?;
                sessions.edit(&id, fill)?
            }
            None => sessions.create(*expiry, fill)?,
        };
        state.id = Some(receipt.id());
        state.wrote(receipt);
        Ok(())
    }

    /// Changes when this session ends; the hard end chosen when it began stays.
    ///
    /// # Errors
    /// See [`Session::edit`].
    pub fn set_expiry(&self, expiry: Expiry) -> Result<()> {
        self.edit(|fields| {
            fields.set_expiry(expiry);
            Ok(())
        })
    }

    /// What may be written to; fails for a session that has ended or was rotated.
    fn writable(&self, id: &SessionId) -> Result<mesh::Session> {
        let session = self.look(id)?.ok_or(SessionError::Ended)?;
        if session.rotated().is_some() { Err(SessionError::Rotated) } else { Ok(session) }
    }

    /// Gives the session a new id, to be done whenever its user gains rights: whoever knew the old one knows nothing
    /// now. Requests under way with the old id can read what the session was, for `with_rotation_grace`, and not write.
    ///
    /// # Errors
    /// See [`Session::edit`].
    pub fn rotate(&self) -> Result<()> {
        if self.id().is_some() { self.renew(None) } else { Ok(()) }
    }

    /// Logs in: the session is this principal's, a user as a rule, under a new id ([`Session::rotate`]). It is listed
    /// by [`Sessions::of`](mesh::Sessions::of) and ends with [`Sessions::revoke_all`](mesh::Sessions::revoke_all).
    ///
    /// # Errors
    /// See [`Session::edit`]; [`SessionError::Write`] for a principal that is empty or longer than 255 bytes.
    pub fn login(&self, principal: &str) -> Result<()> {
        self.renew(Some(principal))
    }

    /// Whose session it is, if somebody has logged in.
    ///
    /// # Errors
    /// [`SessionError::Unavailable`].
    pub fn principal(&self) -> Result<Option<String>> {
        Ok(self.snapshot()?.and_then(|session| session.principal().map(str::to_owned)))
    }

    fn renew(&self, principal: Option<&str>) -> Result<()> {
        let mut state = self.0.state.lock();
        let old = state.id.map(|id| Ok::<_, SessionError>((id, self.writable(&id)?))).transpose()?;
        let Settings { sessions, expiry, grace, .. } = &*self.0.settings;
        let created = sessions.create(*expiry, |fields| {
            if let Some((_, session)) = &old {
                fields.copy(session);
            }
            if let Some(principal) = principal {
                fields.set_principal(principal);
            }
            Ok(())
        })?;
        if let Some((old, _)) = old {
            match self.retire(&old, created.id(), *grace) {
                Ok(receipt) => state.written.push(receipt),
                Err(error) => {
                    // It ended in between, and its successor must not outlive it.
                    sessions.destroy(&created.id())?;
                    return Err(error);
                }
            }
        }
        (state.id, state.seen) = (Some(created.id()), Seen::default());
        state.wrote(created);
        Ok(())
    }

    /// Leaves the old session to be read for a while, or ends it at once.
    fn retire(&self, old: &SessionId, new: SessionId, grace: Duration) -> Result<Receipt> {
        let sessions = &self.0.settings.sessions;
        if grace.is_zero() {
            return Ok(sessions.destroy(old)?);
        }
        let ends_ms = sessions.wall_ms() + u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        Ok(sessions.edit(old, |fields| {
            fields.rotated_to(new);
            fields.set_expiry(Expiry::at_ms(ends_ms));
            Ok(())
        })?)
    }

    /// Ends the session for good, on every node, and takes the client's cookie away. A request that came with an id
    /// since rotated away ends the session under its new one too.
    ///
    /// # Errors
    /// [`SessionError::Write`] if the node has stopped.
    pub fn logout(&self) -> Result<()> {
        let mut state = self.0.state.lock();
        let Some(id) = state.id.take() else { return Ok(()) };
        let successor = self.look(&id)?.and_then(|session| session.rotated());
        for id in std::iter::once(id).chain(successor) {
            match self.0.settings.sessions.destroy(&id) {
                Ok(receipt) => state.written.push(receipt),
                // Ended already, and nothing of it is known here any more.
                Err(mesh::Error::Write(crate::WriteError::Absent)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        (state.seen, state.cookie) = (Seen::default(), Outgoing::Remove);
        Ok(())
    }

    /// The session's id; `None` before the first write of a new one.
    pub fn id(&self) -> Option<SessionId> {
        self.0.state.lock().id
    }

    /// Before the answer goes out: touches a session that was only read, waits for second copies, sets the cookie.
    pub(super) async fn finish(&self, cookies: &Cookies) {
        if !self.0.opened.initialized() {
            return;
        }
        let settings = &*self.0.settings;
        let written = self.touched();
        second_copies(&written).await;
        let mut state = self.0.state.lock();
        match (std::mem::take(&mut state.cookie), state.id) {
            (Outgoing::Set, Some(id)) => {
                let value = cookie::write(id, &state.seen, settings.keys());
                cookies.add(settings.cookie(value, self.0.secure, self.max_age(&id)));
            }
            (Outgoing::Remove, _) => cookies.remove(settings.cookie(String::new(), self.0.secure, None)),
            (Outgoing::Keep | Outgoing::Set, _) => {}
        }
    }

    /// What was written; a session that was only read is touched, which seldom costs anything.
    fn touched(&self) -> Vec<Receipt> {
        let mut state = self.0.state.lock();
        if state.written.is_empty()
            && let Some(id) = state.id
            // One that has ended meanwhile needs none.
            && let Ok(receipt) = self.0.settings.sessions.touch(&id)
            && receipt.wrote()
            && self.0.settings.persistent()
        {
            state.cookie = Outgoing::Set;
        }
        std::mem::take(&mut state.written)
    }

    fn max_age(&self, id: &SessionId) -> Option<Duration> {
        let session = self.0.settings.persistent().then(|| self.look(id).ok().flatten())??;
        let left_ms = session.deadline_ms().saturating_sub(self.0.settings.sessions.wall_ms());
        // Up to the second: the browser shall not forget it first.
        Some(Duration::from_secs(left_ms.div_ceil(1_000)))
    }
}

/// A session that is or is not there, or why that is not known.
fn known(found: Found) -> Result<Option<mesh::Session>> {
    match found {
        Found::Session(session) => Ok(Some(session)),
        Found::Absent => Ok(None),
        Found::NotYetKnown => {
            Err(SessionError::Unavailable("it is not on this node, and nobody who may have it has answered"))
        }
        Found::Fenced => Err(SessionError::Unavailable(
            "this node was frozen or has stopped, and may have missed a logout",
        )),
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("exists", &self.id().is_some()).finish_non_exhaustive()
    }
}
