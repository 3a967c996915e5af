//! [`Session`]: one request's hold on a session.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::config::Settings;
use super::cookie::{self, Content};
use super::error::{Result, SessionError};
use super::headers;
use super::hold::{self, Hold, Outgoing, State, Step, known};
use super::plain_http::{self, Sign};
use crate::SessionId;
use crate::mesh::{self, Expiry, Fields, LoggedOut, Receipt, Standing, Ticket, second_copies};

/// A request's session: an extractor, and cheap to clone. It comes into being with the first write.
///
/// A middleware that takes it out of the request's extensions awaits [`Session::ready`] first.
///
/// ```no_run
/// use sessionmesh::web::axum::{Result, Session};
///
/// async fn login(session: Session) -> Result<()> {
///     session.login("ada")?;                                  // a new session; whoever knew the one before knows nothing of it
///     session.set("theme", "dark")
/// }
///
/// async fn logout(session: Session) -> Result<()> {
///     session.logout()
/// }
/// ```
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    settings: Arc<Settings>,
    secure: bool,
    /// How its browser is thought to have come.
    sign: Option<Sign>,
    came: Vec<Content>,
    opened: OnceCell<()>,
    state: Mutex<State>,
}

/// What a log-in took along of the session that it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// All that its client has written, as far as the client knows; also if there was no session.
    Whole,
    /// What this node has, which may be older than what the client wrote on nodes that cannot be reached; nothing, if the
    /// client came with a key that has ended.
    Behind,
}

impl Session {
    /// What a request with these headers has.
    pub(super) fn of_request(settings: Arc<Settings>, headers: &HeaderMap) -> Self {
        let values = headers::values(headers, &settings.attributes.name);
        let came: Vec<Content> = values.filter_map(|value| cookie::read(value, &settings.signers)).collect();
        let secure = settings.attributes.secure(headers);
        if !came.is_empty() {
            settings.plain_http.cookie_came(secure);
        }
        let sign = if secure { plain_http::sign(headers) } else { None };
        Self(Arc::new(Inner {
            settings,
            secure,
            sign,
            came,
            opened: OnceCell::new(),
            state: Mutex::default(),
        }))
    }

    /// Finds the session that the request's cookie names, once it is as new as its client knows it. The extractor does
    /// it; whoever takes a `Session` out of the request's extensions must, before anything else.
    pub async fn ready(&self) {
        let find = async {
            if !self.0.came.is_empty() {
                let found = hold::find(&self.0.settings, &self.0.came).await;
                *self.0.state.lock() = found;
            }
        };
        self.0.opened.get_or_init(|| find).await;
    }

    /// Refuses a request whose cookie nobody has looked at.
    fn looked(&self) -> Result<()> {
        let looked = self.0.opened.initialized() || self.0.came.is_empty();
        if looked { Ok(()) } else { Err(SessionError::NotReady) }
    }

    /// The session as this node holds it now; `None` if there is none, not yet or no more, or if it is not this client's
    /// any more.
    ///
    /// # Errors
    /// [`SessionError::Unavailable`], [`SessionError::Behind`]; [`SessionError::NotReady`] for a session taken out of the
    /// request's extensions.
    pub fn snapshot(&self) -> Result<Option<mesh::Session>> {
        self.looked()?;
        let state = self.0.state.lock();
        match (&state.hold, state.trouble) {
            (_, Some(trouble)) => Err(trouble.into()),
            (Some(hold), None) if hold.is_good() => {
                let id = hold.content.ticket.id;
                drop(state);
                let session = known(self.0.settings.sessions.get(&id))?;
                Ok(session.filter(|session| !session.is_moved()))
            }
            _ => Ok(None),
        }
    }

    /// The value of a field; `None` if it is not set.
    ///
    /// # Errors
    /// [`SessionError::Field`] if it holds something else; as [`Session::snapshot`].
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
        self.looked()?;
        if self.0.state.lock().hold.is_none() {
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
    /// [`SessionError::Ended`] if the session has ended meanwhile; [`SessionError::Stale`] if a log-in went on as another,
    /// or the request's key has ended; [`SessionError::TooLate`] for the first write of a new session after the answer has
    /// gone out; [`SessionError::Write`] for a broken limit or a value that cannot be encoded.
    pub fn edit(
        &self,
        change: impl FnOnce(&mut Fields) -> std::result::Result<(), mesh::Error>,
    ) -> Result<()> {
        self.looked()?;
        let Settings { sessions, expiry, .. } = &*self.0.settings;
        // Before the lock: the closure may read this very session.
        let mut fields = Fields::default();
        change(&mut fields)?;
        fields.unless_moved = true;
        let fill = |empty: &mut Fields| {
            *empty = fields;
            Ok(())
        };
        let mut state = self.0.state.lock();
        match state.writable()? {
            Some(hold) => {
                let receipt = sessions.edit(&hold.content.ticket.id, fill)?;
                state.wrote(receipt);
            }
            None if state.told => return Err(SessionError::TooLate),
            None => {
                let (receipt, ticket) = sessions.create_keyed(*expiry, fill)?;
                state.steps.push(Step::Created(ticket));
                state.take(Content::new(ticket, sessions.wall_ms()), receipt);
            }
        }
        Ok(())
    }

    /// Changes when this session ends; the hard end chosen when it began stays. As the first write of a request it
    /// begins a session that ends so.
    ///
    /// # Errors
    /// See [`Session::edit`].
    pub fn set_expiry(&self, expiry: Expiry) -> Result<()> {
        self.edit(|fields| {
            fields.set_expiry(expiry);
            Ok(())
        })
    }

    /// Extends a sliding session now: for sockets and streams, whose request has long been answered. Every request
    /// that uses the session does it by itself.
    ///
    /// # Errors
    /// See [`Session::edit`].
    pub fn touch(&self) -> Result<()> {
        self.looked()?;
        let mut state = self.0.state.lock();
        let Some(hold) = state.writable()? else { return Ok(()) };
        let receipt = self.0.settings.sessions.touch(&hold.content.ticket.id)?;
        if receipt.wrote() {
            state.written.push(receipt);
        }
        Ok(())
    }

    /// Gives the session a new key, to be done whenever its user gains rights without logging in: whoever knew the old
    /// one knows nothing once `with_rotation_grace` has passed. The session itself stays what it is: its fields, whose
    /// it is, and when it ends. The old key goes on being good if the answer does not go out.
    ///
    /// # Errors
    /// See [`Session::edit`]; [`SessionError::TooLate`] after the answer has gone out.
    pub fn rotate(&self) -> Result<()> {
        self.looked()?;
        let mut state = self.0.state.lock();
        let Some(hold) = state.writable()? else { return Ok(()) };
        if state.told {
            return Err(SessionError::TooLate);
        }
        // What this request began has a new key.
        if state.is_new(&hold.content.ticket) {
            return Ok(());
        }
        if mutant!(WebRotationCopies)
            && let Some(principal) = self.0.settings.sessions.get(&hold.content.ticket.id).session()
            && let Some(principal) = principal.principal()
        {
            let begun = self.0.settings.sessions.begin_login(
                Some(&hold.content.ticket),
                principal,
                self.0.settings.expiry,
            )?;
            state.steps.push(Step::Created(begun.ticket));
            state.take(Content::new(begun.ticket, 0), begun.receipt);
            return Ok(());
        }
        let (receipt, ticket, superseded) = self.0.settings.sessions.add_key(&hold.content.ticket)?;
        let content = Content { ticket, ..hold.content.clone() };
        state.steps.push(Step::Key(ticket, superseded));
        state.take(content, receipt);
        Ok(())
    }

    /// Logs in: from here on the request has a new session, this principal's, a user as a rule. What the one before had
    /// comes along, and that one is nobody's: two people who log in with one planted cookie share nothing. It ends as the
    /// one before was to end, its longest life counted from now. It is listed by
    /// [`Sessions::of`](mesh::Sessions::of) and ends with [`Sessions::revoke_all`](mesh::Sessions::revoke_all). The session
    /// before goes on as it was if the answer does not go out.
    ///
    /// # Errors
    /// See [`Session::edit`], but it works where a read would be refused; [`SessionError::TooLate`] after the answer has
    /// gone out; [`SessionError::Write`] for a principal that is empty or longer than 255 bytes.
    pub fn login(&self, principal: &str) -> Result<Carried> {
        self.looked()?;
        let Settings { sessions, expiry, .. } = &*self.0.settings;
        let mut state = self.0.state.lock();
        if state.told {
            return Err(SessionError::TooLate);
        }
        if let Some(hold) = &state.hold
            && state.is_new(&hold.content.ticket)
            && !state.steps.iter().any(|step| matches!(step, Step::Login(_)))
        {
            let receipt = sessions.edit(&hold.content.ticket.id, |fields| {
                fields.set_principal(principal);
                Ok(())
            })?;
            state.wrote(receipt);
            return Ok(Carried::Whole);
        }
        let from = self.login_from(&state);
        let begun = sessions.begin_login(from.as_ref(), principal, *expiry)?;
        let content = Content::of_login(begun.ticket, begun.lineage(), sessions.wall_ms());
        let carried = if begun.copied && !state.behind { Carried::Whole } else { Carried::Behind };
        (state.trouble, state.behind) = (None, false);
        let receipt = begun.receipt.clone();
        state.steps.push(Step::Login(Box::new(begun)));
        state.take(content, receipt);
        Ok(carried)
    }

    /// The session that a log-in is made from: not one of which it is not known whether the client has its key, unless
    /// this cluster signed for it.
    fn login_from(&self, state: &State) -> Option<Ticket> {
        let sessions = &self.0.settings.sessions;
        match &state.hold {
            Some(Hold { standing: Standing::Unknown, .. }) => None,
            Some(hold) => {
                let room = sessions.get(&hold.content.ticket.id).session().is_none_or(|held| held.can_move());
                room.then_some(hold.content.ticket)
            }
            None if state.trouble.is_some() => {
                self.0.came.iter().find(|c| c.ours).map(|content| content.ticket)
            }
            None => None,
        }
    }

    /// Whose session it is, if somebody has logged in.
    ///
    /// # Errors
    /// As [`Session::snapshot`].
    pub fn principal(&self) -> Result<Option<String>> {
        Ok(self.snapshot()?.and_then(|session| session.principal().map(str::to_owned)))
    }

    /// Ends the session for good, on every node, with those that it was logged in from and those that it went on as, and
    /// takes the client's cookie away. It works where nothing is known of the session, and whatever this node lacks.
    ///
    /// # Errors
    /// [`SessionError::Write`] if the node has stopped; [`SessionError::Unavailable`] if the cookie is none that this
    /// cluster signed, nobody who could be asked knows the session, and there were too many of these lately: it may go on
    /// on nodes that cannot be reached. The cookie is taken away all the same.
    pub fn logout(&self) -> Result<()> {
        self.looked()?;
        let sessions = &self.0.settings.sessions;
        let mut state = self.0.state.lock();
        state.cookie = Outgoing::Remove;
        let hold = state.hold.take();
        state.steps.clear();
        let sure = state.trouble.take().is_none() && !sessions.somebody_is_missing();
        let mut ended = Vec::new();
        if let Some(hold) = hold.as_ref().filter(|hold| hold.is_good() || !mutant!(WebLogoutNeedsGoodKey)) {
            ended.extend(sessions.logout_told(&hold.content.ticket.id, &hold.content.lineage())?);
        }
        for content in &self.0.came {
            if hold.as_ref().is_some_and(|hold| hold.content.ticket.id == content.ticket.id) {
                continue;
            }
            ended.extend(self.logout_unheld(content, sure)?);
        }
        state.written.extend(ended.into_iter().filter(Receipt::wrote));
        Ok(())
    }

    /// Logs out what a cookie names that is not in hand: unknown here, or not with this key, or the last session's of a
    /// request that has logged in.
    fn logout_unheld(&self, content: &Content, sure: bool) -> Result<Vec<Receipt>> {
        let sessions = &self.0.settings.sessions;
        let id = &content.ticket.id;
        if content.ours {
            return Ok(sessions.logout_told(id, &content.lineage())?);
        }
        // Of another secret: it ends nothing but what its key opens, or what nobody here knows.
        match sessions.logout_opened(&content.ticket, sure)? {
            LoggedOut::Ended(receipts) | LoggedOut::Blind(receipts) => Ok(receipts),
            LoggedOut::Nobody => Ok(Vec::new()),
            LoggedOut::Unsure(why) => Err(SessionError::Unavailable(why)),
        }
    }

    /// Where the session lies; `None` before the first write of a new one. It opens nothing: the cookie has a key besides.
    pub fn id(&self) -> Option<SessionId> {
        self.0.state.lock().hold.as_ref().map(|hold| hold.content.ticket.id)
    }

    /// Before the answer goes out: touches a session that was only read, waits for second copies, finishes what the
    /// answer tells. `None` if the request had nothing to do with a session; else what it sets.
    pub(super) async fn finish(&self) -> Option<Option<HeaderValue>> {
        let settings = &*self.0.settings;
        let (used, written) = {
            let mut state = self.0.state.lock();
            let used = self.0.opened.initialized() || state.hold.is_some();
            self.touch_if_read(&mut state);
            (used, std::mem::take(&mut state.written))
        };
        second_copies(&written).await;
        let mut state = self.0.state.lock();
        hold::keep(settings, &mut state);
        let set_cookie = used.then(|| hold::set_cookie(settings, &mut state, self.0.secure));
        if state.cookie == Outgoing::Set && matches!(set_cookie, Some(Some(_))) {
            settings.plain_http.cookie_set(self.0.sign, &settings.attributes.name);
        }
        set_cookie
    }

    /// Takes back what the client is never told.
    pub(super) fn abandon(&self) {
        hold::take_back(&self.0.settings, &mut self.0.state.lock());
    }

    /// A session that was only read is touched, which seldom costs anything.
    fn touch_if_read(&self, state: &mut State) {
        if state.written.is_empty()
            && let Some(hold) = &state.hold
            && hold.is_good()
            // One that has ended meanwhile needs none.
            && let Ok(receipt) = self.0.settings.sessions.touch(&hold.content.ticket.id)
            && receipt.wrote()
        {
            if self.0.settings.persistent && hold.standing == Standing::Holder {
                state.cookie = Outgoing::Set;
            }
            state.written.push(receipt);
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("exists", &self.id().is_some()).finish_non_exhaustive()
    }
}
