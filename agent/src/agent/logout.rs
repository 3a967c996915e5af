//! Logging out: the session of a ticket, with those that it was logged in from and those that it went on as.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;
use sessionmesh::Receipt;
use sessionmesh::mesh::{LoggedOut, Ticket};

use super::answer::{self, Answer};
use super::app::{App, Shared};
use super::body::{self, Naming};
use super::error::Refusal;
use super::keys::all_replicated;
use super::ticket::{here, named, unsure};

/// What `DELETE /v1/session` may be asked in its query.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ending {
    /// The application vouches for the ticket: it ends what this node does not know, too.
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
    let named_in: Naming = body::json_or_nothing(&app, &headers, body).await?;
    let ticket = named(&headers, named_in.ticket.as_deref(), named_in.id.as_deref())?;
    let (receipts, blind) = match app.sessions.logout_ticket(&ticket).await? {
        LoggedOut::Ended(receipts) => (receipts, false),
        LoggedOut::Blind(receipts) => (receipts, true),
        // Of a session that is here the key is known to be wrong.
        LoggedOut::Nobody if !ending.blind || here(&app, &ticket) => return Err(Refusal::absent()),
        LoggedOut::Unsure(why) if !ending.blind => return Err(unsure(&app, &ticket, why)),
        LoggedOut::Nobody | LoggedOut::Unsure(_) => (app.sessions.logout(&ticket.id)?, true),
    };
    ended(&app, &ticket, &receipts, blind).await
}

async fn ended(app: &App, ticket: &Ticket, receipts: &[Receipt], blind: bool) -> Answer {
    let replicated = all_replicated(receipts).await;
    let own = receipts.iter().find(|receipt| receipt.id() == ticket.id);
    let answer = json!({
        "replicated": replicated,
        "wrote": receipts.iter().any(Receipt::wrote),
        "blind": blind,
        "deadline_ms": own.map(Receipt::deadline_ms),
    });
    answer::of(app, &ticket.id, "ended", StatusCode::OK, answer)
}
