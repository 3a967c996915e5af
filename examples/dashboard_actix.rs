//! The dashboard beside an actix service: a router of its own on a port of its own, in the same process.
//!
//! ```text
//! cargo run --release --example dashboard_actix
//! ```

use std::net::SocketAddr;

use actix_web::{App, HttpServer, web};
use sessionmesh::Mesh;
use sessionmesh::dashboard::DashboardConfig;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Tells of seeds that do not answer and secrets that do not fit. A pipe that nobody reads does not hold up the node.
    let lines = sessionmesh::Lines::stderr();
    tracing_subscriber::fmt().with_writer(move || lines.clone()).init();
    let mesh = Mesh::builder().cluster("example").node("a").start().await?;
    mesh.ready().await?;

    // Loopback only: what is private needs no password, and what is not needs `DashboardConfig::with_token`.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3001").await?;
    println!("dashboard: http://{}/", listener.local_addr()?);
    let dashboard = mesh.dashboard(DashboardConfig::loopback());
    let dashboard = dashboard.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, dashboard).await });

    println!("service:   http://127.0.0.1:3000/");
    // SIGTERM and Ctrl-C: readiness says no for two seconds, then the server stops.
    let shutdown = mesh.shutdown(std::time::Duration::from_secs(2))?;
    let service = HttpServer::new(|| App::new().route("/", web::get().to(async || "your service")));
    let server = service.disable_signals().bind("127.0.0.1:3000")?.run();
    let (handle, drained) = (server.handle(), shutdown.drained());
    actix_web::rt::spawn(async move {
        drained.await;
        handle.stop(true).await;
    });
    server.await?;
    shutdown.leave().await;
    Ok(())
}
