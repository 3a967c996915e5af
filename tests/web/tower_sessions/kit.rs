//! Nodes with a tower-sessions store on each, and what a request does with one.

// Each test binary uses its own part of this.
#![allow(dead_code, unused_imports)]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use sessionmesh::web::tower_sessions::MeshStore;
use sessionmesh::{Found, Mesh, SessionId};
use tower_sessions::cookie::time::OffsetDateTime;
use tower_sessions::session::{Id, Record};
use tower_sessions::{Session, SessionStore};

use crate::meshes;
pub use crate::meshes::{start, within, writes};

/// A lone node: for what needs no peers.
pub async fn one(cluster: &str) -> (Mesh, Arc<MeshStore>) {
    let mesh = meshes::alone(cluster).await;
    let store = Arc::new(MeshStore::new(mesh.sessions()));
    (mesh, store)
}

/// Three linked nodes and a store on each.
pub async fn three(cluster: &str) -> ([Mesh; 3], [Arc<MeshStore>; 3]) {
    let meshes = meshes::linked(cluster).await;
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
    meshes::everywhere(meshes, mesh_id(id), what, enough).await;
}

/// Waits until every node holds this value, `None` for no value.
pub async fn value_everywhere(meshes: &[Mesh], id: Id, key: &str, value: Option<&str>) {
    meshes::value_everywhere(meshes, mesh_id(id), key, value).await;
}
