//! A shop on axum with sessionmesh's own session layer: single keys, and clients that read their own writes.
//!
//! Two processes, in two terminals: where browsers connect, this node's UDP port in the mesh, and any other nodes'.
//!
//! ```text
//! cargo run --release --features axum --example axum_layer -- 127.0.0.1:3001 127.0.0.1:7001
//! cargo run --release --features axum --example axum_layer -- 127.0.0.1:3002 127.0.0.1:7002 127.0.0.1:7001
//! ```
//!
//! Log in at one, shop at both, log out at the other; `-b` and `-c` keep the cookie in a jar:
//!
//! ```text
//! curl -b jar -c jar -X POST http://127.0.0.1:3001/login/ada
//! curl -b jar -c jar -X POST http://127.0.0.1:3001/cart/apples
//! curl -b jar -c jar -X POST http://127.0.0.1:3002/cart/bread
//! curl -b jar -c jar         http://127.0.0.1:3001/
//! curl -b jar -c jar -X POST http://127.0.0.1:3002/logout
//! curl -b jar -c jar         http://127.0.0.1:3001/
//! ```
//!
//! Logged in from two jars, `curl -b jar -X POST http://127.0.0.1:3001/logout-everywhere` ends both.
//!
//! Stop either one with Ctrl-C or SIGTERM in between: nobody is logged out. Addresses other than loopback need SESSIONMESH_SECRET, 32
//! bytes or more, the same on every node.

use std::error::Error;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Router, serve};
use sessionmesh::web::axum::{Health, Result, Session, SessionLayer};
use sessionmesh::{Expiry, Mesh};

const USAGE: &str = "usage: axum_layer HTTP_ADDR MESH_ADDR [OTHER_MESH_ADDR ...]";

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn Error>> {
    // Tells of seeds that do not answer and secrets that do not fit. A pipe that nobody reads does not hold up the node.
    let lines = sessionmesh::Lines::stderr();
    tracing_subscriber::fmt().with_writer(move || lines.clone()).init();
    let mut args = std::env::args().skip(1);
    let (http, bind) = (args.next().ok_or(USAGE)?, args.next().ok_or(USAGE)?);
    let mut builder = Mesh::builder().cluster("layer").node(&bind).bind(&bind).seeds(args);
    if std::env::var_os("SESSIONMESH_SECRET").is_some() {
        builder = builder.secret_from_env("SESSIONMESH_SECRET")?;
    }
    let mesh = builder.start().await?;
    // Not before the sessions are here: an unknown session is a user logged out.
    mesh.ready().await?;

    let half_an_hour = Expiry::sliding(Duration::from_secs(1_800)).at_most(Duration::from_secs(86_400));
    let layer = SessionLayer::new(mesh.sessions()).with_expiry(half_an_hour);
    let listener = tokio::net::TcpListener::bind(&http).await?;
    // Hears SIGTERM and Ctrl-C. /readyz says no from then on, and for two seconds requests are served all the same.
    let shutdown = mesh.shutdown(Duration::from_secs(2))?;
    println!("node {}: http://{}", mesh.node(), listener.local_addr()?);
    // What balancers and orchestrators ask, outside of the sessions.
    let health = Health::new(&mesh);
    let app = shop(mesh.clone()).layer(layer);
    let app = app.route_service("/healthz", health.clone()).route_service("/readyz", health);
    serve(listener, app).with_graceful_shutdown(shutdown.drained()).await?;
    // Hands over what no other node has yet, and says goodbye.
    shutdown.leave().await;
    Ok(())
}

fn shop(mesh: Mesh) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/login/{user}", post(login))
        .route("/cart/{item}", post(add))
        .route("/logout", post(logout))
        .route("/logout-everywhere", post(logout_everywhere))
        .with_state(mesh)
}

async fn login(session: Session, Path(user): Path<String>) -> Result<String> {
    // Under a new id: whoever planted the old one in the browser does not get in with it.
    session.login(&user)?;
    Ok(format!("hello {user}\n"))
}

/// Each item is a key of its own: of two requests that put different items into one cart at the same moment, on two
/// nodes, neither undoes the other.
async fn add(session: Session, Path(item): Path<String>) -> Result<String> {
    let key = format!("cart.{item}");
    let count = session.get::<u32>(&key)?.unwrap_or(0) + 1;
    session.set(&key, &count)?;
    Ok(format!("{count} {item}\n"))
}

async fn show(State(mesh): State<Mesh>, session: Session) -> Result<String> {
    let user = session.principal()?;
    let mut page = format!("node {}: {}\n", mesh.node(), user.as_deref().unwrap_or("nobody is logged in"));
    let cart = session.snapshot()?;
    for (key, _) in cart.iter().flat_map(|session| session.fields()) {
        if let Some(item) = key.strip_prefix("cart.") {
            page += &format!("  {} {item}\n", session.get::<u32>(key)?.unwrap_or(0));
        }
    }
    Ok(page)
}

async fn logout(session: Session) -> Result<&'static str> {
    // Final on every node, whatever other requests are still writing.
    session.logout()?;
    Ok("goodbye\n")
}

async fn logout_everywhere(State(mesh): State<Mesh>, session: Session) -> Result<String> {
    let Some(user) = session.principal()? else { return Ok("nobody is logged in\n".into()) };
    // Log-ins that this node has not heard of yet end as this reaches them.
    let revoked = mesh.sessions().revoke_all(&user)?;
    revoked.replicated().await;
    Ok(format!("{} sessions ended here\n", revoked.ended()))
}
