//! The session endpoints. A write answers only once a second node holds it, or nobody else is there to hold it.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sessionmesh::{AsJson, Error, Receipt, Session, SessionId};

use super::app::{App, Shared};
use super::body::{self, Create, Naming, Patch, at_most, session_id};
use super::error::{Refusal, found};

type Answer = Result<(StatusCode, Json<Value>), Refusal>;

/// `POST /v1/sessions`
pub async fn create(State(app): State<Shared>, headers: HeaderMap, body: Body) -> Answer {
    let wanted: Create = body::json(&app, &headers, body).await?;
    let (expiry, at_most) = (wanted.expiry.expiry(app.wall_ms())?, at_most(wanted.at_most_ms)?);
    let receipt = app.sessions.create(expiry, |session| {
        if let Some(life) = at_most {
            session.set_at_most(life);
        }
        if let Some(principal) = &wanted.principal {
            session.set_principal(principal);
        }
        wanted.fields.iter().try_for_each(|(key, value)| session.set(key, value))
    })?;
    let replicated = receipt.replicated().await;
    let answer = json!({
        "id": receipt.id().to_text(),
        "replicated": replicated,
        "deadline_ms": receipt.deadline_ms(),
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// `GET /v1/session`
pub async fn read(State(app): State<Shared>, headers: HeaderMap) -> Answer {
    let id = session_id(&headers, None)?;
    let session = found(app.sessions.fetch(&id).await)?;
    Ok((StatusCode::OK, Json(spelled_out(&session))))
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
    }
    if !undecodable.is_empty() {
        answer["undecodable"] = undecodable.into();
    }
    answer
}

/// `PATCH /v1/session`
pub async fn patch(State(app): State<Shared>, headers: HeaderMap, body: Body) -> Answer {
    let wanted: Patch = body::json(&app, &headers, body).await?;
    let id = session_id(&headers, wanted.id.as_deref())?;
    if let Some(key) = wanted.remove.iter().find(|key| wanted.set.contains_key(*key)) {
        return Err(Refusal::bad("bad_json", format!("field {key:?} is both in set and in remove")));
    }
    let expiry = wanted.expiry.map(|ends| ends.expiry(app.wall_ms())).transpose()?;
    let at_most = at_most(wanted.at_most_ms)?;
    bring_here(&app, &id).await?;
    let receipt = app.sessions.edit(&id, |session| {
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
    written(&receipt).await
}

/// `POST /v1/session/touch`
pub async fn touch(State(app): State<Shared>, headers: HeaderMap, body: Body) -> Answer {
    let named: Naming = body::json_or_nothing(&app, &headers, body).await?;
    let id = session_id(&headers, named.id.as_deref())?;
    bring_here(&app, &id).await?;
    written(&app.sessions.touch(&id)?).await
}

/// What `DELETE /v1/session` may be asked in its query.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ending {
    blind: bool,
}

/// `DELETE /v1/session`
pub async fn end(
    State(app): State<Shared>,
    query: Result<Query<Ending>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let Query(ending) = query.map_err(|e| Refusal::bad("bad_query", e.body_text()))?;
    let named: Naming = body::json_or_nothing(&app, &headers, body).await?;
    let id = session_id(&headers, named.id.as_deref())?;
    if ending.blind {
        return written(&app.sessions.destroy_blind(&id).await?).await;
    }
    // A session that expired is ended too: on a node whose clock lags it may still be visible.
    let known = app.sessions.fetch(&id).await;
    match app.sessions.destroy(&id) {
        Ok(receipt) => written(&receipt).await,
        Err(error) => {
            found(known)?;
            Err(error.into())
        }
    }
}

/// A session written elsewhere a moment ago may not be here yet: ask before refusing to change it.
async fn bring_here(app: &App, id: &SessionId) -> Result<(), Refusal> {
    found(app.sessions.fetch(id).await).map(drop)
}

async fn written(receipt: &Receipt) -> Answer {
    let replicated = receipt.replicated().await;
    let answer = json!({
        "replicated": replicated,
        "wrote": receipt.wrote(),
        "deadline_ms": receipt.deadline_ms(),
    });
    Ok((StatusCode::OK, Json(answer)))
}
