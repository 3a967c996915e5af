//! The endpoints of a principal's sessions. Its name comes in the path, percent-encoded; it appears in no log.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use sessionmesh::SessionId;

use super::app::{App, Shared};
use super::body;
use super::error::Refusal;

type Answer = Result<(StatusCode, Json<Value>), Refusal>;
type Named = Result<Path<String>, PathRejection>;

fn principal(named: Named) -> Result<String, Refusal> {
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
pub async fn list(State(app): State<Shared>, named: Named) -> Answer {
    let principal = principal(named)?;
    ready(&app)?;
    let ids = app.sessions.of(&principal);
    // One that ended in between is none of them.
    let shown = ids.iter().filter_map(|id| {
        let session = app.sessions.get(id).session()?;
        Some(json!({
            "id": id.to_text(),
            "created_ms": session.created_ms(),
            "deadline_ms": session.deadline_ms(),
        }))
    });
    Ok((StatusCode::OK, Json(json!({ "sessions": shown.collect::<Vec<_>>() }))))
}

/// The body of `POST /v1/principals/{principal}/revoke`; it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Revoke {
    /// The one session that goes on.
    except: Option<String>,
}

/// `POST /v1/principals/{principal}/revoke`
pub async fn revoke(State(app): State<Shared>, named: Named, headers: HeaderMap, body: Body) -> Answer {
    let principal = principal(named)?;
    let wanted: Revoke = body::json_or_nothing(&app, &headers, body).await?;
    let revocation = match wanted.except {
        None => app.sessions.revoke_all(&principal)?,
        Some(text) => {
            let bad = || Refusal::bad("bad_session_id", "body field except: must be 32 hexadecimal digits");
            let keep = SessionId::parse(&text).ok_or_else(bad)?;
            // Logged in elsewhere a moment ago, it may not be here yet.
            super::error::found(app.sessions.fetch(&keep).await)?;
            app.sessions.revoke_all_except(&principal, &keep)?
        }
    };
    let replicated = revocation.replicated().await;
    Ok((StatusCode::OK, Json(json!({ "ended": revocation.ended(), "replicated": replicated }))))
}
