//! Answers about one session: what they say, and the short hash by which logs and dashboards name it.

use axum::Json;
use axum::http::StatusCode;
use serde_json::Value;
use sessionmesh::SessionId;
use tracing::debug;

use super::app::App;
use super::error::Refusal;

/// What answers carry the hash in: an application can log it beside its own lines, which an id or a ticket may not be in.
const HEADER: &str = "Session-Hash";

/// An answer about a session.
pub type Answer = Result<(StatusCode, [(&'static str, String); 1], Json<Value>), Refusal>;

/// Says this of a session, and in the log that it was `done`.
pub fn of(app: &App, id: &SessionId, done: &'static str, status: StatusCode, body: Value) -> Answer {
    let name = app.sessions.log_name(id);
    debug!(session = name, "{done}");
    Ok((status, [(HEADER, name.trim_start_matches('#').to_owned())], Json(body)))
}
