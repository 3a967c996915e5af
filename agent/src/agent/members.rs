//! Operators' decisions about members.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use sessionmesh::{Error, ForgetError};

use super::app::Shared;
use super::error::Refusal;

/// `POST /v1/members/{node}/forget`
pub async fn forget(
    State(app): State<Shared>,
    named: Result<Path<String>, PathRejection>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let Path(node) = named.map_err(|e| Refusal::bad("bad_node", e.body_text()))?;
    match app.mesh.forget(&node).await {
        Ok(lives) => Ok((StatusCode::OK, Json(json!({ "node": node, "lives": lives })))),
        Err(Error::Forget(why)) => Err(refusal(&why)),
        Err(other) => Err(other.into()),
    }
}

fn refusal(why: &ForgetError) -> Refusal {
    let (status, word) = match why {
        ForgetError::Alive { .. } => (StatusCode::CONFLICT, "member_alive"),
        ForgetError::Left { .. } => (StatusCode::CONFLICT, "member_left"),
        ForgetError::Itself => (StatusCode::CONFLICT, "member_itself"),
        ForgetError::Unknown { .. } => (StatusCode::NOT_FOUND, "no_such_member"),
        ForgetError::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "stopped"),
    };
    Refusal::new(status, word, why.to_string())
}
