//! What a request costs through the axum layer, in process, with a session that is warm and up to date:
//! `cargo bench --features axum --bench axum_layer [-- --requests N]`.
//!
//! One node, no peers, one thread; the handlers do one `get` and one `set`. `bare` is the same router without the layer
//! and without a session. All are measured in turn, in CPU time, so that what else the machine does meets all alike.
#![allow(missing_docs)]

mod support;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{COOKIE, HOST, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use sessionmesh::web::axum::{Result, Session, SessionLayer};
use sessionmesh::{Expiry, Mesh};
use support::argument;
use tower::Service;

const TURNS: usize = 15;

async fn request(app: &mut Router, path: &str, cookie: &str) -> Option<String> {
    let method = if path == "/set" { "POST" } else { "GET" };
    let request = Request::builder().method(method).uri(path).header(HOST, "shop.example");
    let request = if cookie.is_empty() { request } else { request.header(COOKIE, cookie) };
    let answer = app.call(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    let set = answer.headers().get(SET_COOKIE)?.to_str().ok()?;
    Some(set.split(';').next()?.to_owned())
}

/// CPU time of this thread (ns), so that a busy machine slows nothing down.
fn busy_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// CPU time (ns) of a request.
async fn measure(app: &mut Router, path: &str, cookie: &str, count: u64) -> f64 {
    let started_ns = busy_ns();
    for _ in 0..count {
        request(app, path, cookie).await;
    }
    (busy_ns() - started_ns) as f64 / count as f64
}

async fn run() {
    let count = argument("requests", 20_000);
    let mesh =
        Mesh::builder().cluster("bench").node("a").secret("a secret for benches, at least thirty-two bytes");
    let mesh = mesh
        .configure(|c| (c.fence_after_ms, c.probe_timeout_ms) = (60_000, 60_000))
        .start()
        .await
        .expect("a node");
    mesh.ready().await.expect("ready");
    let routes = Router::new()
        .route(
            "/get",
            get(|s: Session| async move { Result::Ok(s.get::<String>("user")?.unwrap_or_default()) }),
        )
        .route("/set", post(|s: Session| async move { s.set("user", "ada") }));
    let expiry = Expiry::sliding(Duration::from_secs(36_000));
    let mut layered = routes.layer(SessionLayer::new(mesh.sessions()).with_expiry(expiry));
    let mut bare = Router::new().route("/get", get(|| async { "ada" }));
    let cookie = request(&mut layered, "/set", "").await.expect("a cookie");
    let mut figures = [("bare", Vec::new()), ("get", Vec::new()), ("set", Vec::new())];
    for _ in 0..TURNS {
        figures[0].1.push(measure(&mut bare, "/get", "", count).await);
        figures[1].1.push(measure(&mut layered, "/get", &cookie, count).await);
        figures[2].1.push(measure(&mut layered, "/set", &cookie, count).await);
    }
    for (what, mut turns) in figures {
        turns.sort_by(f64::total_cmp);
        let (median, least) = (turns[TURNS / 2], turns[0]);
        println!(
            "axum_layer {what}: median {median:.0} ns ({:.0} requests/s), least {least:.0} ns",
            1e9 / median
        );
    }
}

fn main() {
    // The node beats on a thread of its own; the requests stay on this one.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(run());
}
