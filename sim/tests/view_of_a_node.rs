//! What a running node hands out as its log is drawn like a simulated run.

use std::net::SocketAddr;

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, header};
use sessionmesh::dashboard::DashboardConfig;
use sessionmesh::{Expiry, Mesh};
use sessionmesh_sim::view::render;
use tower::ServiceExt;

#[tokio::test]
async fn the_snapshot_of_a_node_is_drawn() {
    let mesh = Mesh::builder().cluster("drawn").node("kettle").start().await.expect("a lone node");
    mesh.ready().await.expect("ready");
    let expiry = Expiry::sliding(std::time::Duration::from_secs(600));
    mesh.sessions().create(expiry, |s| s.set("tea", "green")).expect("a session");
    let request =
        Request::builder().uri("/api/v1/snapshot").header(header::HOST, "127.0.0.1").body(Body::empty());
    let router = mesh.dashboard(DashboardConfig::loopback());
    let mut request = request.expect("a request");
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 50_000))));
    let answer = router.oneshot(request).await.expect("an answer");
    let log = to_bytes(answer.into_body(), usize::MAX).await.expect("the log");
    let text = str::from_utf8(&log).expect("text");
    assert!(text.lines().count() > 1, "{text}");
    let page = render(&log[..]).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert!(page.contains("kettle"), "{text}");
}
