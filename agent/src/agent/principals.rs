//! The endpoints of a principal's log-ins. Its name comes in the path, percent-encoded; it appears in no log. A log-in is
//! named by a handle, which stays what it is through rotations and opens nothing.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use sessionmesh::mesh::Ticket;
use sessionmesh::{Receipt, SessionId};

use super::app::{App, Shared};
use super::body;
use super::error::Refusal;
use super::keys::all_replicated;
use super::ticket::{For, open};

type Answer = Result<(StatusCode, Json<Value>), Refusal>;
type Named<T> = Result<Path<T>, PathRejection>;

fn path<T>(named: Named<T>) -> Result<T, Refusal> {
    named.map(|Path(name)| name).map_err(|e| Refusal::bad("bad_principal", e.body_text()))
}

/// A node that is not ready holds too little to say what there is: 503, as `/readyz` says.
fn ready(app: &App) -> Result<(), Refusal> {
    match app.sessions.mesh().readiness() {
        (true, _) => Ok(()),
        (false, why) => {
            let detail = format!("this node is not ready ({why}): ask another node, or again");
            Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail))
        }
    }
}

/// `GET /v1/principals/{principal}/sessions`
pub async fn list(State(app): State<Shared>, named: Named<String>) -> Answer {
    let principal = path(named)?;
    ready(&app)?;
    let shown = app.sessions.logins(&principal).into_iter().map(
        |login| json!({ "login": login.handle, "since_ms": login.since_ms, "deadline_ms": login.ends_ms }),
    );
    Ok((StatusCode::OK, Json(json!({ "sessions": shown.collect::<Vec<_>>() }))))
}

/// `DELETE /v1/principals/{principal}/sessions/{login}`
pub async fn end(State(app): State<Shared>, named: Named<(String, String)>) -> Answer {
    let (principal, login) = path(named)?;
    let receipts = match session_of(&app, &principal, &login)? {
        Some(_) => app.sessions.end_login(&principal, &login)?,
        None => return Err(no_login(&app)),
    };
    let replicated = all_replicated(&receipts).await;
    let wrote = receipts.iter().any(Receipt::wrote);
    Ok((StatusCode::OK, Json(json!({ "replicated": replicated, "wrote": wrote }))))
}

/// The session that is this log-in of the principal's, if this node holds it.
fn session_of(app: &App, principal: &str, login: &str) -> Result<Option<SessionId>, Refusal> {
    // All handles are digits of a hash: something else is a mistake, and a ticket must not come in a path.
    if SessionId::parse(login).is_none() {
        return Err(Refusal::bad("bad_login", "a log-in is named by the 32 hexadecimal digits of its list"));
    }
    ready(app)?;
    let mut logins = app.sessions.logins(principal).into_iter();
    Ok(logins.find(|held| held.handle == login).map(|held| held.session))
}

fn no_login(app: &App) -> Refusal {
    if app.sessions.somebody_is_missing() {
        let detail = "no such log-in on this node, and members are out of reach: it may be there";
        return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not_yet_known", detail);
    }
    Refusal::new(StatusCode::NOT_FOUND, "absent", "no such log-in of this principal")
}

/// The body of `POST /v1/principals/{principal}/revoke`; it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Revoke {
    /// The one log-in that goes on: its handle, or the ticket of its session.
    except: Option<String>,
}

/// `POST /v1/principals/{principal}/revoke`
pub async fn revoke(
    State(app): State<Shared>,
    named: Named<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let principal = path(named)?;
    let wanted: Revoke = body::json_or_nothing(&app, &headers, body).await?;
    let revocation = match wanted.except {
        None => app.sessions.revoke_all(&principal)?,
        Some(except) => {
            let keep = kept(&app, &principal, &except).await?;
            app.sessions.revoke_all_except(&principal, &keep)?
        }
    };
    let replicated = revocation.replicated().await;
    Ok((StatusCode::OK, Json(json!({ "ended": revocation.ended(), "replicated": replicated }))))
}

/// The session that goes on. Named by its ticket it is fetched: logged in elsewhere a moment ago, it may not be here yet.
async fn kept(app: &App, principal: &str, except: &str) -> Result<SessionId, Refusal> {
    if let Some(ticket) = Ticket::parse(except) {
        open(app, &ticket, For::Writing).await?;
        return Ok(ticket.id);
    }
    if SessionId::parse(except).is_none() {
        let detail =
            "body field except: must be a log-in of the list (32 hexadecimal digits), or a ticket (64)";
        return Err(Refusal::bad("bad_login", detail));
    }
    session_of(app, principal, except)?.ok_or_else(|| no_login(app))
}
