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
    let mesh = Mesh::builder().cluster("example").node("a").start().await?;
    mesh.ready().await?;

    // Loopback only: what is private needs no password, and what is not needs `DashboardConfig::with_token`.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3001").await?;
    println!("dashboard: http://{}/", listener.local_addr()?);
    let dashboard = mesh.dashboard(DashboardConfig::loopback());
    let dashboard = dashboard.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, dashboard).await });

    println!("service:   http://127.0.0.1:3000/");
    HttpServer::new(|| App::new().route("/", web::get().to(async || "your service")))
        .bind("127.0.0.1:3000")?
        .run()
        .await?;
    mesh.leave().await;
    Ok(())
}
