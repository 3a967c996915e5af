//! The dashboard mounted in an axum service of your own, and on two nodes of one process.
//!
//! ```text
//! cargo run --release --example dashboard
//! ```
//!
//! prints two addresses. Open both: each shows what its own node sees. Ctrl-C ends it.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use sessionmesh::dashboard::DashboardConfig;
use sessionmesh::{Expiry, Mesh};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Tells of seeds that do not answer and secrets that do not fit. A pipe that nobody reads does not hold up the node.
    let lines = sessionmesh::Lines::stderr();
    tracing_subscriber::fmt().with_writer(move || lines.clone()).init();
    let a = node("a", &[]).await?;
    let b = node("b", &[a.addr()]).await?;
    for mesh in [&a, &b] {
        mesh.ready().await?;
        println!("node {}: {}", mesh.node(), serve(mesh).await?);
    }
    let mut at: u64 = 0;
    let expiry = Expiry::sliding(Duration::from_secs(600));
    let id = a.sessions().create(expiry, |s| s.set("visits", &at))?.id();
    // Ctrl-C or SIGTERM; nobody has to notice first.
    let shutdown = a.shutdown(Duration::ZERO)?;
    // Something to see: each node counts a field of its own.
    loop {
        tokio::select! {
            () = shutdown.drained() => break,
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
        at += 1;
        a.sessions().edit(&id, |s| s.set("visits", &at))?;
        b.sessions().edit(&id, |s| s.set("last_seen", &at))?;
    }
    b.leave().await;
    shutdown.leave().await;
    Ok(())
}

async fn node(name: &str, seeds: &[SocketAddr]) -> Result<Mesh, sessionmesh::Error> {
    Mesh::builder().cluster("example").node(name).seeds(seeds.iter().map(ToString::to_string)).start().await
}

async fn serve(mesh: &Mesh) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/dashboard/", listener.local_addr()?);
    // For this machine only; see DashboardConfig for a token, or your own service's log-in. `nest_service` knows the
    // path with and without its last slash.
    let config = DashboardConfig::loopback().with_values().published_as(&url);
    let app = Router::new()
        .route("/", get(|| async { "your service; its mesh is at /dashboard/" }))
        .nest_service("/dashboard", mesh.dashboard(config));
    // The dashboard sees who asks.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
