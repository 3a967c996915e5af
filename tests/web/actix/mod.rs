//! The actix-session store, through its trait. The same through the middleware: `actix/http.rs`.

mod http;
pub mod kit;
mod renew;

use std::time::Duration;

use crate::meshes::{self, alone, everywhere, linked, value_everywhere, within, writes};
use actix_session::storage::{SessionStore, UpdateError, generate_session_key};
use kit::*;
use serde_json::json;
use sessionmesh::Found;
use sessionmesh::web::actix::MeshStore;

/// Two requests load one session, change a key each, and save.
async fn two_requests(first: &MeshStore, second: &MeshStore) -> String {
    let key = create(first, json!({"user": "ada"})).await;
    let (mut one, mut two) = (load(first, &key).await, load(second, &key).await);
    one.insert("cart".into(), text("apples"));
    two.insert("lang".into(), text("en"));
    update(first, &key, one).await;
    update(second, &key, two).await;
    key
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_that_change_different_keys_both_take_effect() {
    let meshes = linked("actix-lost").await;
    let [a, b, _] = stores(&meshes);
    for (first, second) in [(&a, &b), (&a, &a)] {
        let key = two_requests(first, second).await;
        value_everywhere(&meshes, mesh_id(&key), "cart", Some("apples")).await;
        value_everywhere(&meshes, mesh_id(&key), "lang", Some("en")).await;
        assert_eq!(held(&b, &key).await, json!({"user": "ada", "cart": "apples", "lang": "en"}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_races_a_logout_does_not_bring_the_session_back_under_any_key() {
    let meshes = linked("actix-logout").await;
    let [a, b, c] = stores(&meshes);
    let key = create(&a, json!({"user": "ada"})).await;
    let mut slow = load(&a, &key).await;
    b.delete(&session_key(&key)).await.unwrap();
    slow.insert("seen".into(), text("page"));
    assert_eq!(update(&a, &key, slow).await, key, "no new key: that would be a login");
    a.update_ttl(&session_key(&key), &minutes(30)).await.expect("nor is a late touch an error");
    everywhere(&meshes, mesh_id(&key), "logged out", |found| matches!(found, Found::Absent)).await;
    for store in [&a, &b, &c] {
        assert_eq!(held(store, &key).await, json!(null));
        store.delete(&session_key(&key)).await.expect("a second logout is no error");
    }
    assert!(meshes.iter().all(|m| m.sessions().is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn clear_empties_the_session_refilled_or_not_and_a_removal_takes_only_what_was_seen() {
    let mesh = alone("actix-clear").await;
    let store = MeshStore::new(mesh.sessions());
    let key = create(&store, json!({"user": "ada", "cart": "apples"})).await;
    for farewell in ["goodbye", "farewell"] {
        let mut other = load(&store, &key).await;
        other.insert("user".into(), text("ada"));
        update(&store, &key, other).await;
        update(&store, &key, state(json!({farewell: 1}))).await;
        assert_eq!(held(&store, &key).await, json!({farewell: 1}));
    }
    update(&store, &key, state(json!({}))).await;
    assert_eq!(held(&store, &key).await, json!({}), "the same key, and nothing in it");

    update(&store, &key, state(json!({"a": 1, "b": 1}))).await;
    let (mut slow, mut fast) = (load(&store, &key).await, load(&store, &key).await);
    fast.insert("b".into(), text(2));
    fast.insert("new".into(), text(1));
    update(&store, &key, fast).await;
    slow.retain(|k, _| k == HIDDEN);
    update(&store, &key, slow).await;
    assert_eq!(held(&store, &key).await, json!({"b": 2, "new": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_session_takes_everything_along_and_a_foreign_token_says_nothing() {
    let mesh = alone("actix-renew").await;
    let store = MeshStore::new(mesh.sessions());
    let old = create(&store, json!({"a": 1, "b": 1})).await;
    let other = load(&store, &create(&store, json!({"a": 1, "c": 1})).await).await;
    let loaded = load(&store, &old).await;
    store.delete(&session_key(&old)).await.unwrap();
    let new: String = store.save(loaded.clone(), &minutes(30)).await.unwrap().into();
    assert_ne!(new, old);
    assert_eq!(held(&store, &new).await, json!({"a": 1, "b": 1}));
    update(&store, &old, loaded).await;
    assert_eq!(held(&store, &old).await, json!(null), "an update of the old key changes nothing");
    update(&store, &new, other).await;
    assert_eq!(
        held(&store, &new).await,
        json!({"a": 1, "b": 1, "c": 1}),
        "puts what it has, removes nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_update_writes_nothing_and_a_time_to_live_slides() {
    let mesh = alone("actix-ttl").await;
    let store = MeshStore::new(mesh.sessions());
    let key = create(&store, json!({"user": "ada", "n": 1.0, "list": [1, {"b": null, "a": 1}]})).await;
    let id = mesh_id(&key);
    let before = writes(&mesh);
    update(&store, &key, load(&store, &key).await).await;
    store.update_ttl(&session_key(&key), &minutes(30)).await.unwrap();
    assert_eq!(writes(&mesh), before + 1);

    let ends = || mesh.sessions().get(&id).session().unwrap().deadline_ms();
    store.update_ttl(&session_key(&key), &seconds(10)).await.unwrap();
    let (first, fields) = (ends(), mesh.dump()[&id.to_text()].live.clone().unwrap());
    // Time itself is what is awaited: a touch is sent once it moves the deadline by a second.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    store.update_ttl(&session_key(&key), &seconds(10)).await.unwrap();
    let touched = mesh.dump()[&id.to_text()].live.clone().unwrap();
    assert!(ends() >= first + 1_000, "slides");
    assert_eq!((&touched.fields, &touched.ttl), (&fields.fields, &fields.ttl), "by a touch alone");
    let long = actix_web::cookie::time::Duration::days(3_650);
    store.update(session_key(&key), load(&store, &key).await, &long).await.unwrap();
    let left_ms = ends() - first;
    assert!(left_ms < 30 * 24 * 3_600_000, "clamped: {left_ms}");
    store.update_ttl(&session_key(&key), &seconds(-1)).await.unwrap();
    within("ended", async { while store.load(&session_key(&key)).await.unwrap().is_some() {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_those_of_the_plain_api_and_of_tower_sessions() {
    let mesh = alone("actix-plain").await;
    let store = MeshStore::new(mesh.sessions());
    let key = create(&store, json!({"cart": ["apples", "bread"]})).await;
    let mut filled = load(&store, &key).await;
    filled.insert("huge".into(), u128::MAX.to_string());
    update(&store, &key, filled).await;
    mesh.sessions()
        .edit(&mesh_id(&key), |s| {
            s.set("n", &7u8)?;
            s.set_bytes("raw", *b"raw");
            Ok(())
        })
        .unwrap();
    let plain = mesh.sessions().get(&mesh_id(&key)).session().unwrap();
    assert_eq!(plain.get::<Vec<&str>>("cart").unwrap().unwrap(), ["apples", "bread"]);
    let mut seen = load(&store, &key).await;
    assert_eq!(seen["huge"], u128::MAX.to_string(), "to the last digit");
    assert_eq!(seen["n"], "7");
    assert!(!seen.contains_key("raw"), "raw bytes are no JSON");

    let tower = sessionmesh::web::tower_sessions::MeshStore::new(mesh.sessions());
    let id = tower_sessions::session::Id(i128::from_le_bytes(*mesh_id(&key).as_bytes()));
    let record = tower_sessions::SessionStore::load(&tower, &id).await.unwrap().unwrap();
    assert_eq!(record.data["cart"], json!(["apples", "bread"]));
    assert!(!record.data.contains_key("huge"), "nor such a number in a JSON value");

    seen.retain(|k, _| k == HIDDEN);
    update(&store, &key, seen).await;
    let left = mesh.sessions().get(&mesh_id(&key)).session().unwrap();
    assert_eq!(left.fields().map(|f| f.0).collect::<Vec<_>>(), ["raw"], "what was not shown is not removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_is_refused_with_a_reason_and_changes_nothing() {
    let mesh = alone("actix-refused").await;
    let store = MeshStore::new(mesh.sessions());
    let key = create(&store, json!({"\u{0}": 1, "\u{0}meshes": 2, "ключ \"\n": 3})).await;
    assert_eq!(held(&store, &key).await, json!({"\u{0}": 1, "\u{0}meshes": 2, "ключ \"\n": 3}));
    let before = mesh.dump();
    let big = text("x".repeat(1 << 20));
    let cases = [
        (HIDDEN, text("1"), "reserved"),
        ("", text("1"), "key of 0 bytes"),
        ("big", big, "max_record_bytes"),
    ];
    for (bad, value, why) in cases {
        let mut state = load(&store, &key).await;
        state.insert("also".into(), text(1));
        state.insert(bad.into(), value);
        let error = store.save(state.clone(), &minutes(30)).await.map(String::from).expect_err(why);
        assert!(cause(&error).contains(why), "{error:?}");
        let error =
            store.update(session_key(&key), state, &minutes(30)).await.map(String::from).expect_err(why);
        assert_eq!(matches!(error, UpdateError::Serialization(_)), bad == HIDDEN);
        assert!(cause(&error).contains(why), "{error:?}");
    }
    assert_eq!(mesh.dump(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_key_finds_nothing_and_leaves_nothing_behind() {
    let meshes = linked("actix-stranger").await;
    let [a, ..] = stores(&meshes);
    let before = writes(&meshes[0]);
    let theirs: [String; 3] = [generate_session_key().into(), String::new(), "0".repeat(32)];
    for key in theirs {
        assert!(a.load(&session_key(&key)).await.unwrap().is_none());
        assert_eq!(update(&a, &key, state(json!({"x": 1}))).await, key);
        a.update_ttl(&session_key(&key), &minutes(30)).await.unwrap();
        a.delete(&session_key(&key)).await.unwrap();
    }
    assert_eq!(writes(&meshes[0]), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_know_says_so_instead_of_logging_the_user_out() {
    let mesh = alone("actix-unknown").await;
    let key = create(&MeshStore::new(mesh.sessions()), json!({"user": "ada"})).await;
    // A seed that never answers: this node goes on looking for somebody who holds the sessions.
    let joining = meshes::start("actix-joining", "b", &[], |b| b.seeds(["127.0.0.1:9"])).await;
    let unsure = MeshStore::new(joining.sessions());
    let refused = unsure.load(&session_key(&key)).await.expect_err("not `None`");
    assert!(cause(&refused).starts_with("503: this node is joining"), "{refused:?}");
    let refused = unsure.update_ttl(&session_key(&key), &minutes(30)).await.expect_err("not `Ok`");
    assert!(refused.to_string().starts_with("503: this node is joining"), "{refused:?}");
}
