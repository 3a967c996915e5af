//! Three nodes in one process, and ways to wait for what they shall hold.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sessionmesh::web::tower_sessions::MeshStore;
use sessionmesh::{Found, Mesh, SessionId};
use tower_sessions::cookie::time::OffsetDateTime;
use tower_sessions::session::{Id, Record};
use tower_sessions::{Session, SessionStore};

const SECRET: &str = "an example secret of at least thirty-two bytes";
/// Nothing awaited here takes this long on the slowest machine.
pub const CEILING: Duration = Duration::from_secs(60);

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(CEILING, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {CEILING:?}"),
    }
}

pub async fn start(
    cluster: &str,
    node: &str,
    seeds: &[&Mesh],
    change: impl FnOnce(sessionmesh::Builder) -> sessionmesh::Builder,
) -> Mesh {
    let builder = Mesh::builder()
        .cluster(cluster)
        .node(node)
        .secret(SECRET)
        .seeds(seeds.iter().map(|m| m.addr().to_string()))
        // A busy machine must not look like a lost peer.
        .ack_timeout(Duration::from_secs(10))
        .configure(|c| {
            c.gossip_interval_ms = 100;
            c.ask_timeout_ms = 10_000;
        });
    change(builder).start().await.unwrap_or_else(|e| panic!("{node}: {e}"))
}

/// A lone node: for what needs no peers.
pub async fn one(cluster: &str) -> (Mesh, Arc<MeshStore>) {
    let mesh = start(cluster, "a", &[], |b| b).await;
    within("ready", mesh.ready()).await.unwrap();
    let store = Arc::new(MeshStore::new(mesh.sessions()));
    (mesh, store)
}

/// Three linked nodes and a store on each.
pub async fn three(cluster: &str) -> ([Mesh; 3], [Arc<MeshStore>; 3]) {
    let a = start(cluster, "a", &[], |b| b).await;
    let b = start(cluster, "b", &[&a], |b| b).await;
    let c = start(cluster, "c", &[&a], |b| b).await;
    let meshes = [a, b, c];
    for mesh in &meshes {
        within("ready", mesh.ready()).await.unwrap();
        within("linked", mesh.members_until(|m| m.len() == 3 && m.iter().all(|m| m.linked))).await;
    }
    let stores = meshes.each_ref().map(|m| Arc::new(MeshStore::new(m.sessions())));
    (meshes, stores)
}

/// The mesh's name for a tower-sessions id.
pub fn mesh_id(id: Id) -> SessionId {
    SessionId::from_bytes(id.0.to_le_bytes())
}

/// A record of these keys that lives for half an hour.
pub fn record(data: Value) -> Record {
    let Value::Object(data) = data else { panic!("an object") };
    let expiry_date = in_seconds(1_800);
    Record { id: Id::default(), data: data.into_iter().collect(), expiry_date }
}

pub fn in_seconds(n: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc() + tower_sessions::cookie::time::Duration::seconds(n)
}

/// Creates a session of these keys.
pub async fn create(store: &impl SessionStore, data: Value) -> Id {
    let mut record = record(data);
    store.create(&mut record).await.unwrap();
    record.id
}

pub async fn load(store: &impl SessionStore, id: Id) -> Record {
    store.load(&id).await.unwrap().expect("the session is there")
}

/// A request's session, as the middleware makes it.
pub fn session(store: &Arc<impl SessionStore>, id: Id) -> Session {
    Session::new(Some(id), Arc::clone(store), None)
}

/// What an application can see of a record.
pub fn visible(record: &Record) -> BTreeMap<String, Value> {
    record.data.iter().filter(|(k, _)| *k != "\u{0}mesh").map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// What a store holds, as an application would see it.
pub async fn held(store: &impl SessionStore, id: Id) -> Value {
    match store.load(&id).await.unwrap() {
        Some(record) => Value::Object(visible(&record).into_iter().collect()),
        None => Value::Null,
    }
}

/// Waits until `enough` is true of what each node itself holds.
pub async fn everywhere(meshes: &[Mesh], id: Id, what: &str, enough: impl Fn(&Found) -> bool) {
    let id = mesh_id(id);
    for mesh in meshes {
        let (sessions, mut watch) = (mesh.sessions(), mesh.sessions().watch());
        let there = async {
            while !enough(&sessions.get(&id)) {
                sessions.next_event_of(&mut watch, id).await;
            }
        };
        within(&format!("{what} at {}", mesh.node()), there).await;
    }
}

/// Waits until every node holds this value, `None` for no value.
pub async fn value_everywhere(meshes: &[Mesh], id: Id, key: &str, value: Option<&str>) {
    everywhere(meshes, id, &format!("{key} = {value:?}"), |found| match found {
        Found::Session(s) => s.get::<&str>(key).unwrap() == value,
        _ => false,
    })
    .await;
}

/// Counts the write events a node has made, by making one more.
pub fn writes(mesh: &Mesh) -> u64 {
    let expiry = sessionmesh::Expiry::sliding(CEILING);
    mesh.sessions().create(expiry, |_| Ok(())).unwrap().dot().counter
}
