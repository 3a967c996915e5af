//! Is it alive, is it ready, what does it know.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use sessionmesh::Status;

use super::app::Shared;
use crate::logging;

/// `GET /healthz`: the node behind this process runs. If not, it is to be started again.
pub async fn healthz(State(app): State<Shared>) -> (StatusCode, Json<Value>) {
    match app.mesh.liveness() {
        Ok(()) => (StatusCode::OK, Json(json!({ "alive": true }))),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "alive": false, "reason": why }))),
    }
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
    let mut status = app.mesh.status();
    status.numbers.insert("log_lines_lost_total".into(), logging::lost());
    Json(status)
}
