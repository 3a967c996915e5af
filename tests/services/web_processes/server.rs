//! A web service as the tests run it, three times over: a node, its sessions behind several front doors, and switches.
//!
//! It is this test binary itself, started with `NODE` set: see [`serve`].

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{COOKIE, HeaderMap};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sessionmesh::transport::{Drill, Rule};
use sessionmesh::web::axum as layer;
use sessionmesh::web::tower_sessions::MeshStore;
use sessionmesh::{Expiry, Mesh, SessionId};
use std::time::Duration;
use tokio::sync::Semaphore;
use tower_sessions::{Session, SessionManagerLayer, SessionStore};

const SECRET: &str = "a secret for process tests of at least thirty-two bytes";
const NODES: [&str; 3] = ["a", "b", "c"];

/// The service of one node, until its stdin closes.
pub fn serve(node: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let drill = Drill::new(1);
        let mesh = Mesh::builder()
            .cluster(&std::env::var("CLUSTER").unwrap())
            .node(node)
            .secret(SECRET)
            .seeds(std::env::var("SEED").ok())
            .drill(drill.clone())
            .configure(|c| c.gossip_interval_ms = 100)
            .start()
            .await
            .unwrap();
        mesh.ready().await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("http {} mesh {}", listener.local_addr().unwrap(), mesh.addr());
        let app = Router::new()
            .nest("/tower", shop(MeshStore::new(mesh.sessions())))
            .merge(counters(&mesh))
            .merge(switches(mesh.clone(), drill, node.to_owned()));
        tokio::spawn(async move { axum::serve(listener, app).await });
        // The test closes the pipe, or ends.
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
        mesh.leave().await;
    });
}

/// Where slow requests wait between loading a session and writing to it, as real ones do for a database.
#[derive(Clone)]
struct Pause {
    loaded: Arc<Semaphore>,
    gate: Arc<Semaphore>,
}

/// A shop; `GET /loaded` answers once a slow request has loaded its session, `POST /open` lets one go on.
pub fn shop(store: impl SessionStore + Clone) -> Router {
    let pause = Pause { loaded: Arc::new(Semaphore::new(0)), gate: Arc::new(Semaphore::new(0)) };
    Router::new()
        .route("/login", post(|s: Session| async move { s.insert("user", "ada").await.unwrap() }))
        .route("/logout", post(|s: Session| async move { s.flush().await.unwrap() }))
        .route("/slow/{key}", post(slow))
        .route("/held", get(held))
        .layer(SessionManagerLayer::new(store).with_secure(false))
        .route(
            "/loaded",
            get(|State(p): State<Pause>| async move { p.loaded.acquire().await.unwrap().forget() }),
        )
        .route("/open", post(|State(p): State<Pause>| async move { p.gate.add_permits(1) }))
        .with_state(pause)
}

async fn slow(session: Session, State(pause): State<Pause>, Path(key): Path<String>) {
    session.get::<String>("user").await.unwrap();
    pause.loaded.add_permits(1);
    pause.gate.acquire().await.unwrap().forget();
    session.insert(&key, "there").await.unwrap();
}

async fn held(session: Session) -> Json<Value> {
    let mut held = HashMap::new();
    for key in ["user", "apples", "bread"] {
        held.insert(key, session.get::<String>(key).await.unwrap());
    }
    Json(json!(held))
}

/// One counter a client, raised by each request, behind three doors. Each answers what it found.
fn counters(mesh: &Mesh) -> Router {
    // A machine that stands still for longer than the default 50 ms shall not look like a broken promise.
    let patient = layer::SessionLayer::new(mesh.sessions()).with_patience(Duration::from_secs(20));
    let own = Router::new().route("/layer", post(own_layer)).layer(patient);
    let tower = Router::new()
        .route("/adapter", post(adapter))
        .layer(SessionManagerLayer::new(MeshStore::new(mesh.sessions())).with_secure(false));
    let plain = Router::new().route("/plain", post(plain)).with_state(mesh.clone());
    own.merge(tower).merge(plain)
}

async fn own_layer(session: layer::Session) -> layer::Result<String> {
    let found = session.get::<u32>("n")?.unwrap_or(0);
    session.set("n", &(found + 1))?;
    Ok(found.to_string())
}

async fn adapter(session: Session) -> String {
    let found = session.get::<u32>("n").await.unwrap().unwrap_or(0);
    session.insert("n", found + 1).await.unwrap();
    found.to_string()
}

/// The bare API: a local write and an answer, with nothing that waits.
async fn plain(State(mesh): State<Mesh>, headers: HeaderMap) -> (HeaderMap, String) {
    let sessions = mesh.sessions();
    let cookie = headers.get(COOKIE).and_then(|c| c.to_str().ok()?.strip_prefix("id="));
    let (id, found) = match cookie.and_then(SessionId::parse) {
        None => {
            (sessions.create(Expiry::sliding(Duration::from_secs(600)), |f| f.set("n", &1)).unwrap().id(), 0)
        }
        Some(id) => {
            let found =
                sessions.fetch(&id).await.session().and_then(|s| s.get::<u32>("n").unwrap()).unwrap_or(0);
            // The session may not even be here yet.
            let _ = sessions.edit(&id, |f| f.set("n", &(found + 1)));
            (id, found)
        }
    };
    let set = [("set-cookie".parse().unwrap(), format!("id={}", id.to_text()).parse().unwrap())];
    (set.into_iter().collect(), found.to_string())
}

fn switches(mesh: Mesh, drill: Drill, node: String) -> Router {
    let linked = |State(mesh): State<Mesh>| async move {
        mesh.members_until(|m| m.len() == NODES.len() && m.iter().all(|m| m.linked)).await;
    };
    let delay = move |Query(query): Query<HashMap<String, u64>>| async move {
        let delay_ms = query.get("ms").copied().unwrap_or(0);
        let others = NODES.into_iter().filter(|other| *other != node);
        others.for_each(|to| drill.set(&node, to, Rule { delay_ms, ..Rule::default() }));
        StatusCode::OK
    };
    let caught_up = |State(mesh): State<Mesh>| async move {
        let totals = mesh.sessions().caught_up_totals();
        Json(json!([totals.here, totals.waited, totals.fetched, totals.behind]))
    };
    Router::new()
        .route("/linked", get(linked))
        .route("/delay", post(delay))
        .route("/caught-up", get(caught_up))
        .with_state(mesh)
}
