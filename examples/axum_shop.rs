//! A shop on axum and tower-sessions whose sessions live in the processes that serve it.
//!
//! Two processes, in two terminals:
//!
//! ```text
//! cargo run --release --example axum_shop -- --node a --http 127.0.0.1:3001 --bind 127.0.0.1:7001
//! cargo run --release --example axum_shop -- --node b --http 127.0.0.1:3002 --bind 127.0.0.1:7002 --seed 127.0.0.1:7001
//! ```
//!
//! Log in at one, shop at both, log out at the other; `-b` and `-c` keep the cookie in a jar:
//!
//! ```text
//! curl -b jar -c jar -d user=ada    http://127.0.0.1:3001/login
//! curl -b jar -c jar -d item=apples http://127.0.0.1:3001/cart
//! curl -b jar -c jar -d item=bread  http://127.0.0.1:3002/cart
//! curl -b jar -c jar                http://127.0.0.1:3001/
//! curl -b jar -c jar -X POST        http://127.0.0.1:3002/logout
//! curl -b jar -c jar                http://127.0.0.1:3001/
//! ```
//!
//! Stop either one with Ctrl-C in between: nobody is logged out.

use std::error::Error;
use std::net::SocketAddr;

use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, serve};
use serde::Deserialize;
use sessionmesh::Mesh;
use sessionmesh::web::tower_sessions::MeshStore;
use tower_sessions::cookie::time::Duration;
use tower_sessions::{Expiry, Session, SessionManagerLayer};

const HELP: &str = "\
axum_shop: a shop whose sessions live in the processes that serve it

  --http ADDR   where browsers connect (127.0.0.1:3001)
  --bind ADDR   this node's UDP port in the mesh (127.0.0.1:7001)
  --seed ADDR   another node's --bind; may be given again; none: the first node
  --node NAME   this node's name, unique in the mesh (the host's name and the process id)
  --help        this text

Addresses other than loopback need SESSIONMESH_SECRET, 32 bytes or more, the same on every node.
";

/// What the shop sells. Each item is a session key of its own: of two requests that put different items into one
/// cart at the same moment, on two nodes, neither undoes the other.
const ITEMS: [&str; 3] = ["apples", "bread", "cheese"];

struct Options {
    http: SocketAddr,
    bind: String,
    seeds: Vec<String>,
    node: String,
}

/// `None` if help was asked for.
fn options(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, Box<dyn Error>> {
    let mut options = Options {
        http: SocketAddr::from(([127, 0, 0, 1], 3001)),
        bind: "127.0.0.1:7001".into(),
        seeds: Vec::new(),
        node: String::new(),
    };
    while let Some(flag) = args.next() {
        if flag == "--help" || flag == "-h" {
            return Ok(None);
        }
        let value = args.next().ok_or_else(|| format!("{flag}: needs a value; see --help"))?;
        match flag.as_str() {
            "--http" => options.http = value.parse().map_err(|e| format!("--http {value}: {e}"))?,
            "--bind" => options.bind = value,
            "--seed" => options.seeds.push(value),
            "--node" => options.node = value,
            _ => return Err(format!("{flag}: no such flag; see --help").into()),
        }
    }
    Ok(Some(options))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Some(options) = options(std::env::args().skip(1))? else {
        print!("{HELP}");
        return Ok(());
    };
    // Tells of seeds that do not answer and secrets that do not fit. A pipe that nobody reads does not hold up the node.
    let lines = sessionmesh::Lines::stderr();
    tracing_subscriber::fmt().with_writer(move || lines.clone()).init();
    let mut builder =
        Mesh::builder().cluster("shop").node(&options.node).bind(&options.bind).seeds(options.seeds);
    if std::env::var_os("SESSIONMESH_SECRET").is_some() {
        builder = builder.secret_from_env("SESSIONMESH_SECRET")?;
    }
    let mesh = builder.start().await?;

    // Not before the sessions are here: an unknown session is a user logged out.
    println!("{}: joining the mesh at {}", mesh.node(), mesh.addr());
    mesh.ready().await?;

    let layer = SessionManagerLayer::new(MeshStore::new(mesh.sessions()))
        // This example speaks plain HTTP, over which no client returns a Secure cookie. Leave it on otherwise.
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(Duration::minutes(30)));
    let listener = tokio::net::TcpListener::bind(options.http).await?;
    // Hears SIGTERM and Ctrl-C. /readyz says no from then on, and for two seconds requests are served all the same.
    let shutdown = mesh.shutdown(std::time::Duration::from_secs(2))?;
    println!("{}: http://{}", mesh.node(), listener.local_addr()?);
    serve(listener, shop(mesh.clone()).layer(layer)).with_graceful_shutdown(shutdown.drained()).await?;

    // Hands over what no other node has yet, and says goodbye, so that nobody waits for this node.
    println!("{}: leaving", mesh.node());
    shutdown.leave().await;
    Ok(())
}

fn shop(mesh: Mesh) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/login", post(login))
        .route("/cart", post(add))
        .route("/logout", post(logout))
        .with_state(mesh)
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(session: Session, Form(login): Form<Login>) -> Result<String, Failed> {
    // A new id for a new right: whoever planted the old one in the browser does not get in with it.
    session.cycle_id().await?;
    session.insert("user", &login.user).await?;
    Ok(format!("hello {}\n", login.user))
}

#[derive(Deserialize)]
struct Add {
    item: String,
}

async fn add(session: Session, Form(add): Form<Add>) -> Result<Response, Failed> {
    if !ITEMS.contains(&add.item.as_str()) {
        return Ok((StatusCode::NOT_FOUND, format!("we sell {}\n", ITEMS.join(", "))).into_response());
    }
    let key = format!("cart.{}", add.item);
    let count = session.get::<u32>(&key).await?.unwrap_or(0) + 1;
    session.insert(&key, count).await?;
    Ok(format!("{count} {}\n", add.item).into_response())
}

async fn show(State(mesh): State<Mesh>, session: Session) -> Result<String, Failed> {
    let user = session.get::<String>("user").await?;
    let mut page = format!("node {}: {}\n", mesh.node(), user.as_deref().unwrap_or("nobody is logged in"));
    for item in ITEMS {
        if let Some(count) = session.get::<u32>(&format!("cart.{item}")).await? {
            page += &format!("  {count} {item}\n");
        }
    }
    Ok(page)
}

async fn logout(session: Session) -> Result<&'static str, Failed> {
    // Final on every node, whatever other requests are still saving.
    session.flush().await?;
    Ok("goodbye\n")
}

/// A session that could not be read or written.
struct Failed(tower_sessions::session::Error);

impl From<tower_sessions::session::Error> for Failed {
    fn from(error: tower_sessions::session::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        // Nothing was changed: the client may try again, and a load balancer elsewhere.
        (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", self.0)).into_response()
    }
}
