//! Every path. One table of parts, so that the API, the stream and the snapshot cannot differ.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{refusal, view, viewed};
use super::board::Board;
use super::inspect::is_set;
use super::limits::{FORM_BYTES, PAGE};
use super::parts::{NAMES, Past, part};
use super::values::{Showing, event};
use super::{find, guard, inspect, login, metrics, page_files, sessions, snapshot, stream};
use crate::dashboard_page::OPENAPI;

/// The whole dashboard.
pub(super) fn router(board: Arc<Board>) -> Router {
    let mut routes = Router::new()
        .route("/login", get(login::show).post(login::login).layer(DefaultBodyLimit::max(FORM_BYTES)))
        .route("/metrics", get(metrics::scrape))
        .route("/api/v1/openapi.json", get(openapi))
        .route("/api/v1/conflicts", get(conflicts))
        .route("/api/v1/events", get(events))
        .route("/api/v1/sessions", get(sessions::list))
        .route("/api/v1/sessions/find", post(find::find).layer(DefaultBodyLimit::max(FORM_BYTES)))
        .route("/api/v1/sessions/{hash}", get(inspect::show))
        .route("/api/v1/stream", get(stream::stream))
        .route("/api/v1/snapshot", get(snapshot::snapshot));
    for name in NAMES {
        routes = routes.route(&format!("/api/v1/{name}"), get(move |State(board)| answer(board, name)));
    }
    routes
        .route("/", get(page_files::page))
        .route("/{file}", get(page_files::file))
        .fallback(elsewhere)
        .method_not_allowed_fallback(|| async {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "the dashboard only reads; see docs/DASHBOARD.md")
        })
        .layer(from_fn_with_state(Arc::clone(&board), guard::guard))
        .with_state(board)
}

/// Where a router is nested, `/` itself may arrive here.
async fn elsewhere(request: Request) -> Response {
    match request.uri().path() {
        "" | "/" => page_files::index(&request),
        _ => refusal(StatusCode::NOT_FOUND, "no such path; api/v1/openapi.json lists them"),
    }
}

async fn answer(board: Arc<Board>, name: &'static str) -> Response {
    if name == "tombstones" {
        board.count_tombstones().await;
    }
    let seen = board.mesh.gather_lag();
    let past = Past::of(&board.memory.lock(), board.config.values);
    match part(name, &seen, &past) {
        Some(body) => Json(viewed(view(&seen), body)).into_response(),
        None => refusal(StatusCode::NOT_FOUND, "no such part"),
    }
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// What a page of a history is asked with.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    limit: Option<usize>,
    before: Option<u64>,
    kind: Option<String>,
    values: Option<String>,
}

async fn conflicts(State(board): State<Arc<Board>>, Query(asked): Query<Asked>) -> Response {
    let values = is_set(asked.values.as_ref());
    if values && !board.config.values {
        return refusal(StatusCode::FORBIDDEN, "values are not permitted here (dashboard_values)");
    }
    Json(conflicts_page(&board, &asked, values)).into_response()
}

fn conflicts_page(board: &Board, asked: &Asked, values: bool) -> Value {
    let seen = board.mesh.gather();
    let memory = board.memory.lock();
    let limit = asked.limit.unwrap_or(100).clamp(1, PAGE);
    let (page, next) = memory.conflicts.page(limit, asked.before, |_| true);
    let (capacity, total, missed) = (memory.conflicts.capacity(), memory.conflicts.total(), memory.missed);
    drop(memory);
    let showing = Showing { seen: &seen, log_key: board.mesh.log_key(), values };
    let body = json!({
        "capacity": capacity,
        "total": total,
        "missed": missed,
        "conflicts": page.iter().map(|met| showing.conflict(met)).collect::<Vec<Value>>(),
        "next_before": next,
    });
    viewed(view(&seen), body)
}

async fn events(State(board): State<Arc<Board>>, Query(asked): Query<Asked>) -> Response {
    Json(events_page(&board, &asked)).into_response()
}

fn events_page(board: &Board, asked: &Asked) -> Value {
    let seen = board.mesh.gather();
    let memory = board.memory.lock();
    let limit = asked.limit.unwrap_or(100).clamp(1, PAGE);
    let wanted = |event: &super::board::Event| asked.kind.as_ref().is_none_or(|kind| *kind == event.kind);
    let (page, next) = memory.events.page(limit, asked.before, wanted);
    let body = json!({
        "capacity": memory.events.capacity(),
        "total": memory.events.total(),
        "events": page.iter().map(event).collect::<Vec<Value>>(),
        "next_before": next,
    });
    viewed(view(&seen), body)
}

/// Both histories whole, for a snapshot: without values.
pub(super) fn histories(board: &Board) -> (Value, Value) {
    let all = Asked { limit: Some(PAGE), ..Asked::default() };
    (events_page(board, &all), conflicts_page(board, &all, false))
}
