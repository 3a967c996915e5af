//! What a request does with an actix-session store.

use std::collections::HashMap;
use std::error::Error;

use actix_session::storage::{SessionKey, SessionStore};
use actix_web::cookie::time::Duration;
use serde::Serialize;
use serde_json::Value;
use sessionmesh::web::actix::MeshStore;
use sessionmesh::{Mesh, SessionId};

pub const HIDDEN: &str = "\u{0}mesh";

pub type State = HashMap<String, String>;

/// A store on each node.
pub fn stores(meshes: &[Mesh; 3]) -> [MeshStore; 3] {
    meshes.each_ref().map(|mesh| MeshStore::new(mesh.sessions()))
}

pub fn minutes(n: i64) -> Duration {
    Duration::minutes(n)
}

pub fn seconds(n: i64) -> Duration {
    Duration::seconds(n)
}

/// A value as actix-session keeps it.
pub fn text(value: impl Serialize) -> String {
    serde_json::to_string(&value).unwrap()
}

/// A state of these keys, as an application fills it.
pub fn state(data: Value) -> State {
    let Value::Object(data) = data else { panic!("an object") };
    data.into_iter().map(|(key, value)| (key, value.to_string())).collect()
}

pub fn session_key(key: &str) -> SessionKey {
    key.to_owned().try_into().unwrap()
}

/// The mesh's name for a key of this store.
pub fn mesh_id(key: &str) -> SessionId {
    SessionId::parse(key).expect("a key of this store")
}

/// Creates a session of these keys.
pub async fn create(store: &MeshStore, data: Value) -> String {
    store.save(state(data), &minutes(30)).await.unwrap().into()
}

pub async fn load(store: &MeshStore, key: &str) -> State {
    store.load(&session_key(key)).await.unwrap().expect("the session is there")
}

/// Saves a state, and gives the key that goes into the cookie.
pub async fn update(store: &MeshStore, key: &str, state: State) -> String {
    store.update(session_key(key), state, &minutes(30)).await.unwrap().into()
}

/// What a store holds, as an application would see it.
pub async fn held(store: &MeshStore, key: &str) -> Value {
    let Some(state) = store.load(&session_key(key)).await.unwrap() else { return Value::Null };
    let visible = state.into_iter().filter(|(key, _)| key != HIDDEN);
    Value::Object(visible.map(|(key, text)| (key, serde_json::from_str(&text).unwrap())).collect())
}

/// The words of the error beneath actix-session's.
pub fn cause(error: &impl Error) -> String {
    error.source().expect("a cause").to_string()
}
