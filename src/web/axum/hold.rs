//! What one request has of a session, from its cookie to its answer: how it is found, and what is kept or taken back.
//!
//! Nothing of what the client holds is given up before the answer carries what takes its place: a new key, a new
//! session. Those are [`Step`]s, finished as the answer goes out, and taken back if it never does.

use std::time::Duration;

use http::HeaderValue;
use tracing::debug;

use super::config::{Behind, Settings};
use super::cookie::{self, Content};
use super::error::{Result, SessionError};
use crate::core::session::SessionKey;
use crate::mesh::{self, BegunLogin, CaughtUp, Look, Opened, Receipt, Standing, Superseded, Ticket};

/// A cookie's list of writes is taken for old after this long (minutes): what a node that nobody knows has written since
/// then is not waited for.
const SPANS_AGE_MINUTES: u64 = 10;

/// What a request has.
#[derive(Default)]
pub(super) struct State {
    /// The session it has in hand, as its cookie would name it.
    pub hold: Option<Hold>,
    /// Why nothing can be read, or written, if that is so.
    pub trouble: Option<Trouble>,
    /// Whether what is here may be older than what its client has written.
    pub behind: bool,
    pub written: Vec<Receipt>,
    pub cookie: Outgoing,
    pub steps: Vec<Step>,
    /// The answer has gone out: no cookie can be set any more.
    pub told: bool,
}

/// A session in hand.
pub(super) struct Hold {
    pub content: Content,
    pub standing: Standing,
}

impl Hold {
    /// Whether the session is its client's.
    pub fn is_good(&self) -> bool {
        matches!(self.standing, Standing::Holder | Standing::Late)
    }
}

/// Why a session cannot be used. Log-in and logout can do without.
#[derive(Clone, Copy)]
pub(super) enum Trouble {
    Behind,
    Unsure(&'static str),
}

/// What becomes of the client's cookie.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Outgoing {
    #[default]
    Keep,
    Set,
    Remove,
}

/// Something that is whole once the client has been told.
pub(super) enum Step {
    /// A session was begun.
    Created(Ticket),
    /// A key was added, which takes the place of others.
    Key(Ticket, Superseded),
    /// A log-in began a session.
    Login(Box<BegunLogin>),
}

impl From<Trouble> for SessionError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Behind => Self::Behind,
            Trouble::Unsure(why) => Self::Unavailable(why),
        }
    }
}

impl State {
    /// The session in hand, to be written to. Refuses one that is not the client's any more, or of which too little is
    /// known.
    pub fn writable(&self) -> Result<Option<&Hold>> {
        match (&self.hold, self.trouble) {
            (_, Some(trouble)) => Err(trouble.into()),
            (Some(hold), None) if !hold.is_good() => Err(SessionError::Stale),
            (hold, None) => Ok(hold.as_ref()),
        }
    }

    /// Notes a write to the session in hand.
    pub fn wrote(&mut self, receipt: Receipt) {
        if let Some(hold) = &mut self.hold {
            hold.content.seen.add(&receipt);
            // A late request's client has another key by now.
            if hold.standing == Standing::Holder || mutant!(WebLateAnswerSetsCookie) {
                self.cookie = Outgoing::Set;
            }
        }
        if receipt.wrote() {
            self.written.push(receipt);
        }
    }

    /// Takes another session, or another key, in hand.
    pub fn take(&mut self, content: Content, receipt: Receipt) {
        self.hold = Some(Hold { content, standing: Standing::Holder });
        self.wrote(receipt);
        self.cookie = Outgoing::Set;
    }

    /// The session in hand, if this request began it: nobody else can have it.
    pub fn is_new(&self, ticket: &Ticket) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Created(new) => new == ticket,
            Step::Login(begun) => begun.ticket == *ticket,
            Step::Key(..) => false,
        })
    }
}

/// Finds the session that one of these cookies names, once it is as new as its client knows it.
pub(super) async fn find(settings: &Settings, came: &[Content]) -> State {
    let mut found = State::default();
    for content in came {
        let state = find_one(settings, content).await;
        // A cookie of another path may name a session that was: what lives counts, then what is known of.
        let rank = |state: &State| match (&state.hold, state.trouble) {
            (Some(hold), _) if hold.is_good() => 3,
            (Some(_), _) => 2,
            (None, Some(_)) => 1,
            (None, None) => 0,
        };
        let removed = found.cookie == Outgoing::Remove || state.cookie == Outgoing::Remove;
        if rank(&state) > rank(&found) {
            found = state;
        } else if rank(&found) == 0 && removed {
            found.cookie = Outgoing::Remove;
        }
        if rank(&found) == 3 {
            break;
        }
    }
    found
}

async fn find_one(settings: &Settings, content: &Content) -> State {
    let sessions = &settings.sessions;
    let ticket = content.ticket;
    if !content.ours {
        debug!(
            session = sessions.log_name(&ticket.id),
            "a cookie that this cluster's secret did not sign: taken for its ticket alone"
        );
    }
    let mut sought = Sought { settings, content: content.clone(), state: State::default() };
    let opened = sought.look().await;
    let Sought { content, mut state, .. } = sought;
    match opened {
        Opened::Here(Standing::Unknown) => state.cookie = Outgoing::Keep,
        Opened::Here(standing) => {
            if standing != Standing::Holder {
                state.cookie = if mutant!(WebLateTakesCookie) { Outgoing::Remove } else { Outgoing::Keep };
            }
            state.hold = Some(Hold { content, standing });
            upgrade(settings, &mut state);
        }
        Opened::Gone => {
            let nobody_has_it = !sessions.is_known(&ticket.id) && !sessions.somebody_is_missing();
            let over = sessions.is_ended(&ticket.id) || nobody_has_it;
            state =
                State { cookie: if over { Outgoing::Remove } else { Outgoing::Keep }, ..State::default() };
        }
        Opened::Unsure(why) => (state.trouble, state.cookie) = (Some(Trouble::Unsure(why)), Outgoing::Keep),
    }
    state
}

/// A session that is looked for.
struct Sought<'a> {
    settings: &'a Settings,
    content: Content,
    state: State,
}

impl Sought<'_> {
    /// Looks first, and waits only for what may exist and may be behind.
    async fn look(&mut self) -> Opened {
        let (sessions, ticket) = (&self.settings.sessions, self.content.ticket);
        match sessions.look(&ticket) {
            Look::Final(opened) => return opened,
            Look::Here(standing) if standing != Standing::Unknown && self.has_seen() => {
                return Opened::Here(standing);
            }
            // Nobody sends it unasked: whoever answers brings what is to be waited for, if anybody has it.
            Look::Unknown if !sessions.is_coming(&ticket.id, &self.content.seen) => {
                match sessions.open(&ticket).await {
                    Opened::Here(standing) if self.has_seen() => return Opened::Here(standing),
                    Opened::Here(_) => {}
                    other => return other,
                }
            }
            Look::Here(_) | Look::Expired | Look::Unknown => {}
        }
        self.catch_up().await;
        sessions.open(&ticket).await
    }

    fn has_seen(&self) -> bool {
        let seen = &self.content.seen;
        seen.is_empty() || self.settings.sessions.has_seen(&self.content.ticket.id, seen)
    }

    /// Waits for what the client has written.
    async fn catch_up(&mut self) {
        if self.content.seen.is_empty() {
            return;
        }
        let (sessions, id) = (&self.settings.sessions, self.content.ticket.id);
        let age_minutes = (sessions.wall_ms() / 60_000).saturating_sub(self.content.minutes.into());
        self.settle(age_minutes >= SPANS_AGE_MINUTES);
        let (caught_up, in_vain) =
            sessions.catch_up_asking(&id, &self.content.seen, self.settings.patience).await;
        let mut behind = caught_up == CaughtUp::Behind;
        // Everybody there is was asked: what lives wrote that nobody knows is gone with them.
        if behind && in_vain && !sessions.somebody_is_missing() {
            behind = !(self.settle(true) && sessions.has_seen(&id, &self.content.seen));
        }
        if behind && in_vain {
            sessions.note_asked_in_vain(&id);
        }
        self.state.behind = behind;
        if behind && self.settings.behind == Behind::Refuse {
            self.state.trouble = Some(Trouble::Behind);
        }
    }

    /// Drops what is not worth waiting for; returns whether there was any.
    fn settle(&mut self, old: bool) -> bool {
        let settled = self.settings.sessions.settled(&self.content.seen, old);
        let changed = settled != self.content.seen;
        if changed {
            (self.content.seen, self.state.cookie) = (settled, Outgoing::Set);
        }
        changed
    }
}

/// A session of a version before, whose client has an id alone, is given a key.
fn upgrade(settings: &Settings, state: &mut State) {
    let Some(Hold { content, standing: Standing::Holder }) = &state.hold else { return };
    if content.ticket.key != SessionKey::NONE {
        return;
    }
    // Where that is refused, the id goes on being good.
    if let Ok((receipt, ticket, superseded)) = settings.sessions.add_key(&content.ticket) {
        state.steps.push(Step::Key(ticket, superseded));
        let content = Content { ticket, ..content.clone() };
        state.take(content, receipt);
    }
}

/// Finishes what the answer is about to tell; returns what else was written.
pub(super) fn keep(settings: &Settings, state: &mut State) {
    let sessions = &settings.sessions;
    for step in std::mem::take(&mut state.steps) {
        let done = match &step {
            Step::Created(_) => continue,
            Step::Key(ticket, superseded) => {
                sessions.end_keys(&ticket.id, superseded, settings.grace).map(drop)
            }
            Step::Login(begun) => sessions.finish_login(begun, settings.grace).map(|receipts| {
                let new = |receipt: &&Receipt| receipt.id() == begun.ticket.id;
                if let Some(hold) =
                    state.hold.as_mut().filter(|hold| hold.content.ticket.id == begun.ticket.id)
                {
                    receipts.iter().filter(new).for_each(|receipt| hold.content.seen.add(receipt));
                }
            }),
        };
        if let Err(error) = done {
            // It ended while the request ran: then there is nothing to hold.
            debug!(%error, "a new key or log-in was not finished");
        }
    }
    // A key that has been superseded while the request ran is not put back into the browser.
    if state.cookie == Outgoing::Set
        && !state.hold.as_ref().is_some_and(|hold| holds(sessions, &hold.content))
        && !mutant!(WebLateAnswerSetsCookie)
    {
        state.cookie = Outgoing::Keep;
    }
    state.told = true;
}

fn holds(sessions: &mesh::Sessions, content: &Content) -> bool {
    let session = sessions.get(&content.ticket.id).session();
    session.is_some_and(|session| sessions.standing(&session, &content.ticket.key) == Standing::Holder)
}

/// Takes back what the client will never be told.
pub(super) fn take_back(settings: &Settings, state: &mut State) {
    let sessions = &settings.sessions;
    for step in std::mem::take(&mut state.steps).into_iter().rev() {
        // What has ended meanwhile needs no taking back, and a node that has stopped cannot.
        let _ = match step {
            Step::Created(ticket) => sessions.destroy(&ticket.id),
            Step::Key(ticket, _) => sessions.take_back_key(&ticket),
            Step::Login(begun) => sessions.abandon_login(&begun),
        };
    }
    state.told = true;
}

/// The header that tells the client, if it is to be told anything.
pub(super) fn set_cookie(settings: &Settings, state: &mut State, secure: bool) -> Option<HeaderValue> {
    match (state.cookie, &mut state.hold) {
        (Outgoing::Set, Some(Hold { content, .. })) => {
            content.written_at(settings.sessions.wall_ms());
            let value = cookie::write(content, &settings.signers);
            settings.attributes.set_cookie(Some(value), secure, max_age(settings, content))
        }
        (Outgoing::Remove, _) => settings.attributes.set_cookie(None, secure, None),
        (Outgoing::Keep | Outgoing::Set, _) => None,
    }
}

fn max_age(settings: &Settings, content: &Content) -> Option<Duration> {
    let session = settings.persistent.then(|| settings.sessions.get(&content.ticket.id).session())??;
    let left_ms = session.deadline_ms().saturating_sub(settings.sessions.wall_ms());
    // Up to the second: the browser shall not forget it first.
    Some(Duration::from_secs(left_ms.div_ceil(1_000)))
}

/// A session that is or is not there, or why that is not known.
pub(super) fn known(found: mesh::Found) -> Result<Option<mesh::Session>> {
    found.why_unsure().map_or(Ok(()), |why| Err(SessionError::Unavailable(why)))?;
    Ok(found.session())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::Mesh;
    use crate::web::axum::SessionLayer;

    #[tokio::test]
    async fn whatever_no_answer_told_is_taken_back() {
        let secret = "an example secret of at least thirty-two bytes";
        let mesh = Mesh::builder().cluster("take-back").node("a").secret(secret).start().await.unwrap();
        mesh.ready().await.unwrap();
        let settings = SessionLayer::new(mesh.sessions()).0;
        let sessions = &settings.sessions;
        let begin = || sessions.create_keyed(settings.expiry, |f| f.set("cart", "tea")).unwrap().1;
        let (held, new) = (begin(), begin());
        let (_, key, superseded) = sessions.add_key(&held).unwrap();
        let login = sessions.begin_login(Some(&held), "ada", settings.expiry).unwrap();
        let logged_in = login.ticket;
        let worth = |ticket: &Ticket| {
            let session = sessions.get(&ticket.id).session()?;
            Some(sessions.standing(&session, &ticket.key))
        };
        for ticket in [&held, &new, &key, &logged_in] {
            assert_eq!(worth(ticket), Some(Standing::Holder), "before any answer");
        }
        let steps = vec![Step::Created(new), Step::Key(key, superseded), Step::Login(Box::new(login))];
        let mut state = State { steps, ..State::default() };
        take_back(&settings, &mut state);
        assert_eq!(worth(&held), Some(Standing::Holder), "what the client has");
        assert_eq!(worth(&key), Some(Standing::Unknown), "a key that it was never told");
        assert_eq!((worth(&new), worth(&logged_in)), (None, None), "sessions that it was never told");
        assert!(state.told && state.steps.is_empty());
    }
}
