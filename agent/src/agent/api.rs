//! The routes, and what holds for all of them: who may ask, and that nobody caches an answer.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};

use tokio::sync::watch;
use tower::ServiceExt;

use super::app::Shared;
use super::error::Refusal;
use super::{door, drills, health, keys, logout, members, principals, sessions};

/// Where the dashboard is.
pub const DASHBOARD_PATH: &str = "/dashboard";
/// The path that answers without a token: probes of orchestrators carry none.
const OPEN_PATH: &str = "/healthz";

/// All endpoints of an agent. The dashboard asks for the same token itself, as a browser can give it.
pub fn router(app: Shared, closing: watch::Receiver<bool>) -> Router {
    let routes = endpoints(Arc::clone(&app));
    let Some(config) = app.dashboard.clone() else { return routes };
    let dashboard = app.mesh.dashboard(config.closed_by(closing));
    // Where scrapers look.
    let metrics = dashboard.clone();
    routes
        .route("/metrics", get(move |request: Request| metrics.oneshot(request)))
        .nest_service(DASHBOARD_PATH, dashboard)
}

fn endpoints(app: Shared) -> Router {
    let mut routes = Router::new()
        .route(OPEN_PATH, get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/v1/status", get(health::status))
        .route("/v1/members/{node}/forget", post(members::forget))
        .route("/v1/sessions", post(sessions::create))
        .route("/v1/session", get(sessions::read).patch(sessions::patch).delete(logout::end))
        .route("/v1/session/touch", post(sessions::touch))
        .route("/v1/session/rotate", post(keys::rotate))
        .route("/v1/session/login", post(keys::login))
        .route("/v1/principals/{principal}/sessions", get(principals::list))
        .route("/v1/principals/{principal}/sessions/{login}", delete(principals::end))
        .route("/v1/principals/{principal}/revoke", post(principals::revoke));
    if app.drills.is_some() {
        routes = routes
            .route("/drill/rules", get(drills::rules).post(drills::change))
            .route("/drill/clock", post(drills::clock))
            .route("/drill/dump", get(drills::dump))
            .route("/drill/fill", post(drills::fill));
    }
    routes
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "no_such_endpoint", "see docs/AGENT.md") })
        .method_not_allowed_fallback(|| async {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "see docs/AGENT.md")
        })
        .layer(from_fn_with_state(app.clone(), guard))
        .with_state(app)
}

async fn guard(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let is_open = request.uri().path() == OPEN_PATH;
    let refused = door::refused(request.method(), request.headers(), app.by_name_only);
    let mut response = if let Some(refused) = refused.filter(|_| !is_open) {
        refused.into_response()
    } else if is_open || app.admits(request.headers()) {
        next.run(request).await
    } else {
        let detail = "header Authorization: must be Bearer and the agent's token";
        let mut refused = Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).into_response();
        refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        refused
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
