//! The store while members are out of reach, or the node itself is not fit to answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sessionmesh::core::session::SessionKey;
use sessionmesh::mesh::{LoggedOut, Ticket};
use sessionmesh::transport::Drill;
use sessionmesh::web::tower_sessions::MeshStore;
use sessionmesh::{Found, Mesh, SessionId};
use tower_sessions::SessionStore;
use tower_sessions::session::Id;

use super::kit::*;

/// Two nodes whose link a drill can cut.
pub async fn two(cluster: &str, drill: &Drill) -> ([Mesh; 2], [Arc<MeshStore>; 2]) {
    let change = |b: sessionmesh::Builder| {
        b.drill(drill.clone()).ack_timeout(Duration::from_millis(50)).configure(|c| c.link_timeout_ms = 500)
    };
    let a = start(cluster, "a", &[], change).await;
    let b = start(cluster, "b", &[&a], change).await;
    let meshes = [a, b];
    for mesh in &meshes {
        drill.name_addr(mesh.node(), mesh.addr());
        within("ready", mesh.ready()).await.unwrap();
        within("linked", mesh.members_until(|m| m.len() == 2 && m.iter().all(|m| m.linked))).await;
    }
    let stores = meshes.each_ref().map(|m| Arc::new(MeshStore::new(m.sessions())));
    (meshes, stores)
}

pub async fn cut(drill: &Drill, meshes: &[Mesh; 2]) {
    drill.cut("a", "b");
    drill.cut("b", "a");
    for mesh in meshes {
        within("cut", mesh.members_until(|m| m.iter().any(|m| m.node != mesh.node() && !m.linked))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_added_on_the_other_side_survives_a_clear_and_a_later_write_survives_a_removal() {
    let drill = Drill::new(1);
    let (meshes, [a, b]) = two("split-clear", &drill).await;
    let id = create(&*a, json!({"user": "ada", "cart": "apples"})).await;
    value_everywhere(&meshes, id, "cart", Some("apples")).await;
    cut(&drill, &meshes).await;
    let clearing = session(&a, id);
    clearing.clear().await;
    clearing.save().await.unwrap();
    // Without a link between them, "later" is what two clocks say, to the millisecond.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let adding = session(&b, id);
    adding.insert("lang", "en").await.unwrap();
    adding.insert("cart", "bread").await.unwrap();
    adding.save().await.unwrap();
    drill.heal_all();
    value_everywhere(&meshes, id, "lang", Some("en")).await;
    value_everywhere(&meshes, id, "user", None).await;
    value_everywhere(&meshes, id, "cart", Some("bread")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_sticks_on_a_node_that_was_cut_off_before_it_heard_of_the_session() {
    let drill = Drill::new(2);
    let (meshes, [a, b]) = two("split-logout", &drill).await;
    cut(&drill, &meshes).await;
    let id = create(&*a, json!({"user": "ada"})).await;
    b.delete(&id).await.unwrap();
    drill.heal_all();
    everywhere(&meshes, id, "logged out", |found| matches!(found, Found::Absent)).await;
    assert_eq!(held(&*a, id).await, json!(null));
    assert!(a.save(&record(json!({}))).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_id_leaves_nothing_behind_while_everybody_answers() {
    let (meshes, [a, b, _]) = three("stranger").await;
    let before = writes(&meshes[0]);
    for _ in 0..20 {
        a.delete(&Id::default()).await.unwrap();
        assert!(a.load(&Id::default()).await.unwrap().is_none());
        a.save(&record(json!({"x": 1}))).await.unwrap();
    }
    assert_eq!(writes(&meshes[0]), before + 1);
    // A logout of a session that this node has yet to hear of finds it at a peer.
    let id = create(&*b, json!({"user": "ada"})).await;
    a.delete(&id).await.unwrap();
    everywhere(&meshes, id, "logged out", |found| matches!(found, Found::Absent)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_know_says_so_instead_of_logging_the_user_out() {
    let (mesh, store) = one("unknown").await;
    let id = create(&*store, json!({"user": "ada"})).await;
    // A seed that never answers: this node goes on looking for somebody who holds the sessions.
    let joining = start("unknown-joining", "b", &[], |b| b.seeds(["127.0.0.1:9"])).await;
    let unsure = MeshStore::new(joining.sessions());
    let refusals = [unsure.load(&id).await.map(|_| ()), unsure.save(&record(json!({"x": 1}))).await];
    for refusal in refusals {
        let error = refusal.unwrap_err().to_string();
        assert!(error.starts_with("503: this node is joining"), "{error}");
    }
    within("left", mesh.leave()).await;
    let error = store.load(&id).await.unwrap_err().to_string();
    assert!(error.starts_with("503: this node was frozen or has stopped"), "{error}");
    // A write taken now would never reach anybody: no logout that is none, no login that is lost.
    assert!(store.delete(&id).await.unwrap_err().to_string().contains("left the mesh"));
    assert!(store.create(&mut record(json!({}))).await.unwrap_err().to_string().contains("left the mesh"));
}

/// Each leaves a tombstone, and the ids come from strangers: two stores, or a store and a layer, are no two rations.
#[tokio::test(flavor = "multi_thread")]
async fn deletes_on_suspicion_are_rationed_by_the_node_whichever_way_they_come() {
    let drill = Drill::new(5);
    let (meshes, [a, _]) = two("one-ration", &drill).await;
    let beside = Arc::new(MeshStore::new(meshes[0].sessions()));
    cut(&drill, &meshes).await;
    let before = writes(&meshes[0]);
    for n in 0..40 {
        a.delete(&Id(n)).await.unwrap();
        beside.delete(&Id(100 + n)).await.unwrap();
    }
    let tombstones = writes(&meshes[0]) - before - 1;
    assert!((64..80).contains(&tombstones), "{tombstones} of 80");
    // One more may be due by now.
    let mut refused = 0;
    for n in 1..=5 {
        let ticket = Ticket { id: SessionId::from_bytes([n; 16]), key: SessionKey::from_bytes([n; 16]) };
        let logged_out = meshes[0].sessions().logout_ticket(&ticket).await.unwrap();
        refused += u32::from(matches!(logged_out, LoggedOut::Unsure(_)));
    }
    assert!(refused >= 3, "{refused} of 5");
}
