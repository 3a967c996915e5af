//! Rotations and log-ins: another ticket for a session, another session for a ticket.
//!
//! What the answer replaces goes on until the answer is about to go out, and for a grace after it: an application that dies
//! before its own answer leaves its browser with a ticket that is good for so long. A browser that never gets the new one
//! has a ticket then that reads as nobody, and with which it can log in again.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use sessionmesh::mesh::{BegunLogin, Opened, Standing, Ticket};
use sessionmesh::{Error, Receipt, WriteError};

use super::answer::{self, Answer};
use super::app::{App, Shared};
use super::body::{self, Ends, at_most};
use super::error::Refusal;
use super::limits::{GRACE_MS, MAX_GRACE_MS};
use super::ticket::{For, named, named_or_none, open, opened};
use super::untold::{New, Untold};

/// The body of `POST /v1/session/rotate`; it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rotate {
    ticket: Option<String>,
    id: Option<String>,
    grace_ms: Option<u64>,
}

/// The body of `POST /v1/session/login`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    ticket: Option<String>,
    id: Option<String>,
    /// Who logs in.
    principal: String,
    /// When the session ends, if there is none to go on from.
    expiry: Ends,
    at_most_ms: Option<u64>,
    /// Fields to set in the new session.
    #[serde(default)]
    set: BTreeMap<String, Value>,
    grace_ms: Option<u64>,
}

fn grace(asked_ms: Option<u64>) -> Result<Duration, Refusal> {
    match asked_ms.unwrap_or(GRACE_MS) {
        ms if ms <= MAX_GRACE_MS => Ok(Duration::from_millis(ms)),
        ms => {
            let detail = format!("grace_ms: {ms}: at most {MAX_GRACE_MS}");
            Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "grace_too_long", detail))
        }
    }
}

/// Whether each of these writes is on a second node.
pub async fn all_replicated(receipts: &[Receipt]) -> bool {
    join_all(receipts.iter().map(Receipt::replicated)).await.into_iter().all(|replicated| replicated)
}

/// What an answer says of a session that the application is to hold from now on.
pub fn told(app: &App, ticket: &Ticket, replicated: bool, deadline_ms: u64) -> Value {
    let mut answer = json!({
        "ticket": ticket.to_text(),
        "id": ticket.id.to_text(),
        "replicated": replicated,
        "deadline_ms": deadline_ms,
    });
    if let Some(login) = app.sessions.get(&ticket.id).session().and_then(|session| session.login()) {
        answer["login"] = login.into();
    }
    answer
}

/// `POST /v1/session/rotate`
pub async fn rotate(State(app): State<Shared>, headers: HeaderMap, body: Body) -> Answer {
    let wanted: Rotate = body::json_or_nothing(&app, &headers, body).await?;
    let ticket = named(&headers, wanted.ticket.as_deref(), wanted.id.as_deref())?;
    let grace = grace(wanted.grace_ms)?;
    open(&app, &ticket, For::Writing).await?;
    let (added, new, superseded) = app.sessions.add_key(&ticket)?;
    let mut copied = true;
    // An id alone is good until there is a key, or for the grace once that is said: it is said at once.
    if !ticket.is_bare() {
        let untold = Untold::new(&app.sessions, New::Key(new));
        copied = added.replicated().await;
        untold.told();
    }
    let ended = app.sessions.end_keys(&new.id, &superseded, grace)?;
    let replicated = all_replicated(&[added, ended.clone()]).await && copied;
    let told = told(&app, &new, replicated, ended.deadline_ms());
    answer::of(&app, &new.id, "rotated", StatusCode::OK, told)
}

/// `POST /v1/session/login`
pub async fn login(State(app): State<Shared>, headers: HeaderMap, body: Body) -> Answer {
    let wanted: Login = body::json(&app, &headers, body).await?;
    let ticket = named_or_none(&headers, wanted.ticket.as_deref(), wanted.id.as_deref())?;
    let grace = grace(wanted.grace_ms)?;
    let mut expiry = wanted.expiry.expiry(app.wall_ms())?;
    if let Some(life) = at_most(wanted.at_most_ms)? {
        expiry = expiry.at_most(life);
    }
    let (from, known) = match &ticket {
        Some(ticket) => from(&app, ticket).await,
        None => (None, true),
    };
    let begun = app.sessions.begin_login(from.as_ref(), &wanted.principal, expiry)?;
    let untold = Untold::new(&app.sessions, New::Login(Box::new(begun.clone())));
    let mut receipts = vec![begun.receipt.clone()];
    if !wanted.set.is_empty() {
        receipts.push(app.sessions.edit(&begun.ticket.id, |fields| {
            wanted.set.iter().try_for_each(|(key, value)| fields.set(key, value))
        })?);
    }
    all_replicated(&receipts).await;
    untold.told();
    receipts.extend(finish(&app, &begun, grace)?);
    let replicated = all_replicated(&receipts).await;
    let deadline_ms = app.sessions.get(&begun.ticket.id).session().map(|session| session.deadline_ms());
    let deadline_ms = deadline_ms.unwrap_or_else(|| begun.receipt.deadline_ms());
    let mut said = told(&app, &begun.ticket, replicated, deadline_ms);
    said["carried"] = (known && begun.copied).into();
    answer::of(&app, &begun.ticket.id, "logged in", StatusCode::OK, said)
}

/// The session that a log-in is made from, and whether all is known of it. A ticket that nobody here knows names nothing:
/// anybody may have made it up, and a logout of the new session would end what it names.
async fn from(app: &App, ticket: &Ticket) -> (Option<Ticket>, bool) {
    match opened(app, ticket).await {
        Opened::Here(Standing::Unknown) | Opened::Gone => (None, true),
        Opened::Unsure(_) => (None, false),
        Opened::Here(_) => {
            let session = app.sessions.get(&ticket.id).session();
            let room = session.is_none_or(|session| session.can_move());
            (room.then_some(*ticket), room)
        }
    }
}

fn finish(app: &App, begun: &BegunLogin, grace: Duration) -> Result<Vec<Receipt>, Refusal> {
    app.sessions.finish_login(begun, grace).map_err(|error| match error {
        Error::Write(WriteError::Absent) => Refusal::new(
            StatusCode::CONFLICT,
            "login_ended",
            "somebody logged out with the old ticket meanwhile, which ended this log-in too: log in again",
        ),
        other => other.into(),
    })
}
