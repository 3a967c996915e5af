//! Is it alive, is it ready, what does it know.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use sessionmesh::Status;

use super::app::Shared;

/// `GET /healthz`: the process answers.
pub async fn healthz() -> Json<Value> {
    Json(json!({ "alive": true }))
}

/// `GET /readyz`: whether to send requests here, and why not.
pub async fn readyz(State(app): State<Shared>) -> (StatusCode, Json<Value>) {
    let (ready, mut reason) = app.mesh.readiness();
    let status = app.mesh.status();
    let refused = status.refused.iter().map(|r| format!("{}: {}", r.addr, r.why)).collect::<Vec<_>>();
    if !ready {
        for (seed, error) in status.unresolved_seeds {
            reason.push_str(&format!("; seed {seed:?} does not resolve: {error}"));
        }
    }
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "ready": ready, "reason": reason, "refused": refused })))
}

/// `GET /v1/status`: everything the node says of itself.
pub async fn status(State(app): State<Shared>) -> Json<Status> {
    Json(app.mesh.status())
}
