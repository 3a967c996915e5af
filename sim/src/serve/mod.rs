//! `view --serve`: a simulated run replayed into the dashboard's own page. The page's files and the API's shapes are the
//! product's; what answers is a trace, stepping in time.

mod replay;
mod shapes;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::sse::{Event as Sse, Sse as Stream};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::stream::unfold;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sessionmesh::dashboard_page::{ASSETS, OPENAPI};

pub use replay::{Head, Player};
pub use shapes::PARTS;
use shapes::Seen;

/// As the product's own: scripts and styles from here only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// A run that is being played.
struct Stage {
    player: Mutex<Player>,
    begun: Instant,
    speed: f64,
}

/// Everything under `/NODE/` for every node of the run. Time begins now and runs `speed` times as fast as real time,
/// up to the trace's end.
pub fn router(player: Player, speed: f64) -> Router {
    let stage = Arc::new(Stage { player: Mutex::new(player), begun: Instant::now(), speed });
    Router::new()
        .route("/", get(first))
        .route("/{node}/", get(|| async { asset("index.html") }))
        .route("/{node}/{file}", get(|Path((_, file)): Path<(String, String)>| async move { asset(&file) }))
        .route("/{node}/api/v1/stream", get(stream))
        .route("/{node}/api/v1/sessions/{hash}", get(|| async { refusal("a trace holds no sessions") }))
        .route("/{node}/api/v1/{name}", get(part))
        .fallback(|| async { refusal("no such path") })
        .layer(from_fn(guard))
        .with_state(stage)
}

/// Serves until the process ends.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(
    player: Player,
    addr: SocketAddr,
    speed: f64,
    said: impl FnOnce(&str),
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(addr).await?;
    said(&format!("http://{}/", listener.local_addr()?));
    axum::serve(listener, router(player, speed)).await
}

/// Called by a loopback name only: a page that lets its name resolve to this machine shall read nothing.
async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let mut response = match name {
        "localhost" | "127.0.0.1" | "[::1]" => next.run(request).await,
        _ => (StatusCode::MISDIRECTED_REQUEST, "call it by localhost").into_response(),
    };
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn refusal(why: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "error": why }))).into_response()
}

fn asset(name: &str) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => ([(header::CONTENT_TYPE, asset.media_type)], asset.text).into_response(),
        None => refusal("no such file"),
    }
}

async fn first(State(stage): State<Arc<Stage>>) -> Response {
    match stage.player.lock().head().nodes.first() {
        Some(node) => Redirect::temporary(&format!("/{node}/")).into_response(),
        None => refusal("the run has no nodes"),
    }
}

impl Stage {
    /// Runs `f` on a node's view of the present moment.
    fn seen<T>(&self, node: &str, f: impl FnOnce(&Seen<'_>) -> T) -> Option<T> {
        let mut player = self.player.lock();
        player.seek((self.begun.elapsed().as_secs_f64() * 1e3 * self.speed) as u64);
        see(&player, node, f)
    }
}

fn see<T>(player: &Player, node: &str, f: impl FnOnce(&Seen<'_>) -> T) -> Option<T> {
    let at = player.head().nodes.iter().position(|name| name == node)?;
    Some(f(&Seen { head: player.head(), world: player.world(), at }))
}

/// An answer of the API, of what is no stream: for one node at the moment its player is at. `None` for no such path.
pub fn answer(player: &Player, node: &str, name: &str) -> Option<Value> {
    see(player, node, |seen| match name {
        "events" => {
            let mut events = seen.events(0);
            events.reverse();
            let total = player.world().events_total;
            Some(
                seen.viewed(
                    json!({ "capacity": 1_000, "total": total, "events": events, "next_before": null }),
                ),
            )
        }
        "conflicts" => {
            Some(seen.viewed(
                json!({ "capacity": 0, "total": 0, "missed": 0, "conflicts": [], "next_before": null }),
            ))
        }
        "sessions" => {
            Some(seen.viewed(json!({ "prefix": "", "sessions": [], "looked_at": 0, "next_after": null })))
        }
        name => seen.part(name),
    })
    .flatten()
}

async fn part(State(stage): State<Arc<Stage>>, Path((node, name)): Path<(String, String)>) -> Response {
    if name == "openapi.json" {
        return ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response();
    }
    // Steps to the present; nothing is read of it yet.
    let _ = stage.seen(&node, |_| ());
    let answer = answer(&stage.player.lock(), &node, &name);
    answer.map_or_else(
        || refusal("no such path; a trace has no metrics and no snapshot"),
        |v| Json(v).into_response(),
    )
}

/// One second's message: every part whole, since a replay has no other load.
fn message(seen: &Seen<'_>, last_event: &mut u64) -> Value {
    let parts: serde_json::Map<String, Value> =
        PARTS.iter().filter_map(|name| Some(((*name).to_owned(), seen.part(name)?))).collect();
    let mut events = seen.events(*last_event);
    *last_event = seen.world.events_total;
    events.drain(..events.len().saturating_sub(100));
    json!({ "view": seen.view(), "parts": parts, "events": events, "conflicts": [] })
}

async fn stream(State(stage): State<Arc<Stage>>, Path(node): Path<String>) -> Response {
    let messages = unfold((stage, node, None), |(stage, node, last)| async move {
        if last.is_some() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let mut seen_event = last.unwrap_or(0);
        let message = stage.seen(&node, |seen| message(seen, &mut seen_event))?;
        let kind = if last.is_some() { "delta" } else { "full" };
        let sse = Sse::default().event(kind).data(message.to_string());
        Some((Ok::<Sse, Infallible>(sse), (stage, node, Some(seen_event))))
    });
    // As the dashboard does: or a proxy collects the stream before it passes it on.
    ([("x-accel-buffering", "no")], Stream::new(messages)).into_response()
}
