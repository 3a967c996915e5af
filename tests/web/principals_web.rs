//! Principals read out of what frameworks keep: log-ins by a save, and requests that cross them.

// Its own tests use the rest.
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sessionmesh::web::tower_sessions::MeshStore;
use sessionmesh::{Mesh, web};

use crate::actix::kit as actix;
use crate::tower_sessions_kit as kit;

fn user(data: &HashMap<String, Value>) -> Option<String> {
    data.get("user").and_then(Value::as_str).map(str::to_owned)
}

async fn one(cluster: &str) -> (Mesh, Arc<MeshStore>) {
    let (mesh, _) = kit::one(cluster).await;
    let store = MeshStore::new(mesh.sessions()).with_principal(user);
    (mesh, Arc::new(store))
}

#[tokio::test]
async fn a_save_that_changes_the_user_logs_in_and_out() {
    let (mesh, store) = one("tower").await;
    let sessions = mesh.sessions();
    let of = |who: &str| sessions.of(who).len();
    let id = kit::create(&*store, json!({"cart": 1})).await;
    let session = kit::session(&store, id);
    session.insert("user", "ada").await.unwrap();
    session.save().await.unwrap();
    assert_eq!(sessions.of("ada"), [kit::mesh_id(id)]);
    let writes = kit::writes(&mesh);
    let session = kit::session(&store, id);
    session.insert("cart", 1).await.unwrap();
    session.save().await.unwrap();
    assert_eq!(kit::writes(&mesh), writes + 1, "an unchanged save is no log-in");
    let session = kit::session(&store, id);
    session.insert("user", "bob").await.unwrap();
    session.save().await.unwrap();
    assert_eq!((of("ada"), of("bob")), (0, 1));
    // The whole of it under another id, as after a change of privilege.
    let session = kit::session(&store, id);
    session.cycle_id().await.unwrap();
    session.save().await.unwrap();
    let cycled = session.id().unwrap();
    assert_eq!(sessions.of("bob"), [kit::mesh_id(cycled)]);
    let session = kit::session(&store, cycled);
    session.remove::<Value>("user").await.unwrap();
    session.save().await.unwrap();
    assert_eq!(of("bob"), 0);
    // A cleared map keeps what it is given after.
    let session = kit::session(&store, cycled);
    session.insert("user", "eve").await.unwrap();
    session.save().await.unwrap();
    for user in [Some("eve"), None] {
        let session = kit::session(&store, cycled);
        session.clear().await;
        if let Some(user) = user {
            session.insert("user", user).await.unwrap();
        }
        session.save().await.unwrap();
        assert_eq!(of("eve"), usize::from(user.is_some()));
    }
}

/// The map of a request that loaded before the log-in has no user: its save must not log out.
#[tokio::test]
async fn a_slow_anonymous_request_does_not_log_out_who_logged_in_meanwhile() {
    let (mesh, store) = one("slow").await;
    let id = kit::create(&*store, json!({"cart": 1})).await;
    let slow = kit::session(&store, id);
    slow.insert("cart", 2).await.unwrap();
    let login = kit::session(&store, id);
    login.insert("user", "ada").await.unwrap();
    login.save().await.unwrap();
    slow.save().await.unwrap();
    assert_eq!(mesh.sessions().of("ada"), [kit::mesh_id(id)]);
    assert_eq!(kit::held(&*store, id).await, json!({"cart": 2, "user": "ada"}));
    // And the other way round: one that loaded before the log-out does not log in.
    let slow = kit::session(&store, id);
    slow.insert("cart", 3).await.unwrap();
    let logout = kit::session(&store, id);
    logout.remove::<Value>("user").await.unwrap();
    logout.save().await.unwrap();
    slow.save().await.unwrap();
    assert_eq!(mesh.sessions().of("ada"), []);
}

/// A save under way when all sessions were revoked brings none back.
#[tokio::test]
async fn a_save_after_the_revocation_brings_nothing_back() {
    let (mesh, store) = one("late").await;
    let id = kit::create(&*store, json!({"user": "ada"})).await;
    let slow = kit::session(&store, id);
    slow.insert("cart", 2).await.unwrap();
    assert_eq!(mesh.sessions().revoke_all("ada").unwrap().ended(), 1);
    slow.save().await.unwrap();
    assert_eq!(kit::held(&*store, id).await, Value::Null);
    assert_eq!(mesh.sessions().of("ada"), []);
}

#[tokio::test]
async fn a_session_of_before_the_store_was_told_is_bound_by_its_next_save() {
    let (mesh, old) = kit::one("upgrade").await;
    let id = kit::create(&*old, json!({"user": "ada"})).await;
    assert_eq!(mesh.sessions().of("ada"), []);
    let store = Arc::new(MeshStore::new(mesh.sessions()).with_principal(user));
    let session = kit::session(&store, id);
    session.insert("cart", 1).await.unwrap();
    session.save().await.unwrap();
    assert_eq!(mesh.sessions().of("ada"), [kit::mesh_id(id)]);
}

#[tokio::test]
async fn actix_sessions_have_principals_too() {
    let (mesh, _) = kit::one("actix").await;
    let store = web::actix::MeshStore::new(mesh.sessions())
        .with_principal(|state| state.get("user").and_then(|text| serde_json::from_str(text).ok()));
    let key = actix::create(&store, json!({"user": "ada"})).await;
    assert_eq!(mesh.sessions().of("ada"), [actix::mesh_id(&key)]);
    let mut state = actix::load(&store, &key).await;
    state.insert("user".into(), actix::text("bob"));
    actix::update(&store, &key, state).await;
    assert_eq!((mesh.sessions().of("ada"), mesh.sessions().of("bob").len()), (vec![], 1));
    let mut state = actix::load(&store, &key).await;
    state.remove("user");
    actix::update(&store, &key, state).await;
    assert_eq!(mesh.sessions().of("bob"), []);
}
