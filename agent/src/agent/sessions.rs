//! The session endpoints. A write answers only once a second node holds it, or nobody else is there to hold it.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use sessionmesh::{AsJson, Error, Receipt, Session};

use super::answer::{self, Answer};
use super::app::{App, Shared};
use super::body::{self, Create, Naming, Patch, at_most};
use super::error::{Refusal, found};
use super::keys::told;
use super::ticket::{For, named, open};
use super::untold::{New, Untold};

/// `POST /v1/sessions`
pub async fn create(State(app): State<Shared>, headers: HeaderMap, body: Body) -> Answer {
    let wanted: Create = body::json(&app, &headers, body).await?;
    let (expiry, at_most) = (wanted.expiry.expiry(app.wall_ms())?, at_most(wanted.at_most_ms)?);
    let (receipt, ticket) = app.sessions.create_keyed(expiry, |session| {
        if let Some(life) = at_most {
            session.set_at_most(life);
        }
        if let Some(principal) = &wanted.principal {
            session.set_principal(principal);
        }
        wanted.fields.iter().try_for_each(|(key, value)| session.set(key, value))
    })?;
    let untold = Untold::new(&app.sessions, New::Session(ticket));
    let replicated = receipt.replicated().await;
    untold.told();
    let told = told(&app, &ticket, replicated, receipt.deadline_ms());
    answer::of(&app, &ticket.id, "created", StatusCode::CREATED, told)
}

/// `GET /v1/session`
pub async fn read(State(app): State<Shared>, headers: HeaderMap) -> Answer {
    let ticket = named(&headers, None, None)?;
    open(&app, &ticket, For::Reading).await?;
    let session = found(app.sessions.get(&ticket.id))?;
    answer::of(&app, &ticket.id, "read", StatusCode::OK, spelled_out(&session))
}

/// A field another program wrote in a form JSON does not have is named, and hides no other field.
fn spelled_out(session: &Session) -> Value {
    let (mut fields, mut undecodable) = (Map::new(), Map::new());
    for (key, _) in session.fields() {
        match session.get::<AsJson>(key) {
            Ok(value) => fields.insert(key.to_owned(), value.map(|json| json.0).unwrap_or_default()),
            Err(error) => undecodable.insert(key.to_owned(), error.cause.into()),
        };
    }
    let mut answer = json!({
        "fields": fields,
        "deadline_ms": session.deadline_ms(),
        "created_ms": session.created_ms(),
    });
    if let Some(principal) = session.principal() {
        answer["principal"] = principal.into();
        answer["login"] = session.login().into();
    }
    if !undecodable.is_empty() {
        answer["undecodable"] = undecodable.into();
    }
    answer
}

/// `PATCH /v1/session`
pub async fn patch(State(app): State<Shared>, headers: HeaderMap, body: Body) -> Answer {
    let wanted: Patch = body::json(&app, &headers, body).await?;
    let ticket = named(&headers, wanted.ticket.as_deref(), wanted.id.as_deref())?;
    if let Some(key) = wanted.remove.iter().find(|key| wanted.set.contains_key(*key)) {
        return Err(Refusal::bad("bad_json", format!("field {key:?} is both in set and in remove")));
    }
    let expiry = wanted.expiry.map(|ends| ends.expiry(app.wall_ms())).transpose()?;
    let at_most = at_most(wanted.at_most_ms)?;
    open(&app, &ticket, For::Writing).await?;
    let receipt = app.sessions.edit(&ticket.id, |session| {
        session.unless_moved();
        wanted.set.iter().try_for_each(|(key, value)| session.set(key, value))?;
        wanted.remove.iter().for_each(|key| session.remove(key));
        if wanted.clear {
            session.clear_fields();
        }
        if wanted.skip_unchanged {
            session.skip_unchanged();
        }
        if let Some(expiry) = expiry {
            session.set_expiry(expiry);
        }
        if let Some(life) = at_most {
            session.set_at_most(life);
        }
        match &wanted.principal {
            Some(Some(principal)) => session.set_principal(principal),
            Some(None) => session.clear_principal(),
            None => {}
        }
        Ok::<(), Error>(())
    })?;
    written(&app, &receipt, "changed").await
}

/// `POST /v1/session/touch`
pub async fn touch(State(app): State<Shared>, headers: HeaderMap, body: Body) -> Answer {
    let named_in: Naming = body::json_or_nothing(&app, &headers, body).await?;
    let ticket = named(&headers, named_in.ticket.as_deref(), named_in.id.as_deref())?;
    open(&app, &ticket, For::Writing).await?;
    written(&app, &app.sessions.touch(&ticket.id)?, "touched").await
}

async fn written(app: &App, receipt: &Receipt, done: &'static str) -> Answer {
    let replicated = receipt.replicated().await;
    let answer = json!({
        "replicated": replicated,
        "wrote": receipt.wrote(),
        "deadline_ms": receipt.deadline_ms(),
    });
    answer::of(app, &receipt.id(), done, StatusCode::OK, answer)
}
