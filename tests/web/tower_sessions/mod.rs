//! The tower-sessions store, through its trait. The same through the middleware: `tower_sessions/http.rs`.

mod cycle;
mod http;
pub mod kit;
mod partition;

use std::sync::Arc;
use std::time::Duration;

use kit::*;
use serde_json::{Value, json};
use sessionmesh::Found;
use sessionmesh::web::tower_sessions::MeshStore;
use tower_sessions::session::{Id, Record};
use tower_sessions::{CachingSessionStore, ExpiredDeletion, MemoryStore, SessionStore};

const HIDDEN: &str = "\u{0}mesh";

/// Two requests load one session, change a key each, and save.
async fn two_requests(first: &impl SessionStore, second: &impl SessionStore) -> Id {
    let id = create(first, json!({"user": "ada"})).await;
    let (mut one, mut two) = (load(first, id).await, load(second, id).await);
    one.data.insert("cart".into(), json!("apples"));
    two.data.insert("lang".into(), json!("en"));
    first.save(&one).await.unwrap();
    second.save(&two).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_that_change_different_keys_both_take_effect() {
    let memory = MemoryStore::default();
    let id = two_requests(&memory, &memory).await;
    assert_eq!(
        held(&memory, id).await,
        json!({"user": "ada", "lang": "en"}),
        "the loss, on a store that saves maps"
    );

    let (meshes, [a, b, _]) = three("lost-update").await;
    let id = two_requests(&*a, &*b).await;
    value_everywhere(&meshes, id, "cart", Some("apples")).await;
    value_everywhere(&meshes, id, "lang", Some("en")).await;
    assert_eq!(held(&*a, id).await, json!({"user": "ada", "cart": "apples", "lang": "en"}));
    let id = two_requests(&*a, &*a).await;
    assert_eq!(
        held(&*a, id).await,
        json!({"user": "ada", "cart": "apples", "lang": "en"}),
        "on one node too"
    );
}

/// A request loads a session, another logs it out, the first one saves.
async fn save_after_logout(store: &impl SessionStore, logout: &impl SessionStore) -> Id {
    let id = create(store, json!({"user": "ada"})).await;
    let mut slow = load(store, id).await;
    logout.delete(&id).await.unwrap();
    slow.data.insert("seen".into(), json!("page"));
    store.save(&slow).await.expect("a late save is no error");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_races_a_logout_does_not_bring_the_session_back() {
    let memory = MemoryStore::default();
    let id = save_after_logout(&memory, &memory).await;
    assert_eq!(held(&memory, id).await, json!({"user": "ada", "seen": "page"}), "logged out, and back in");

    let (meshes, [a, b, c]) = three("logout").await;
    let id = save_after_logout(&*a, &*b).await;
    everywhere(&meshes, id, "logged out", |found| matches!(found, Found::Absent)).await;
    for store in [&a, &b, &c] {
        assert!(store.load(&id).await.unwrap().is_none());
        store.delete(&id).await.expect("a second logout is no error");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_saves_twice_can_take_back_what_it_saved() {
    let (_mesh, store) = one("twice").await;
    for id in [None, Some(create(&*store, json!({"user": "ada"})).await)] {
        let request = tower_sessions::Session::new(id, store.clone(), None);
        request.insert("k", 1).await.unwrap();
        request.insert("kept", 1).await.unwrap();
        request.save().await.unwrap();
        request.remove::<u32>("k").await.unwrap();
        request.save().await.unwrap();
        let id = request.id().unwrap();
        assert_eq!(held(&*store, id).await["k"], Value::Null, "insert, save, remove, save");
        request.remove::<u32>("kept").await.unwrap();
        request.save().await.unwrap();
        request.insert("kept", 1).await.unwrap();
        request.save().await.unwrap();
        assert_eq!(held(&*store, id).await["kept"], 1, "remove, save, insert the same, save");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_save_leaves_alone_what_others_wrote_in_between() {
    let (_mesh, store) = one("between").await;
    let id = create(&*store, json!({})).await;
    let (request, other) = (session(&store, id), session(&store, id));
    request.insert("k", "mine").await.unwrap();
    request.save().await.unwrap();
    other.insert("k", "theirs").await.unwrap();
    other.insert("more", 1).await.unwrap();
    other.save().await.unwrap();
    request.insert("x", 1).await.unwrap();
    request.save().await.unwrap();
    assert_eq!(
        held(&*store, id).await,
        json!({"k": "theirs", "more": 1, "x": 1}),
        "an unchanged key is not set"
    );
    request.remove::<String>("k").await.unwrap();
    request.save().await.unwrap();
    assert_eq!(held(&*store, id).await["k"], "theirs", "nor may a request remove a write it has not seen");
    // A copy of a record is another request, although it carries the same token.
    let mut first = load(&*store, id).await;
    let second = first.clone();
    first.data.insert("y".into(), json!(1));
    store.save(&first).await.unwrap();
    store.save(&second).await.unwrap();
    assert_eq!(held(&*store, id).await["y"], 1, "what only the first one wrote stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn clear_empties_the_session_refilled_or_not() {
    let (_mesh, store) = one("clear").await;
    let id = create(&*store, json!({"user": "ada", "cart": "apples"})).await;
    let request = session(&store, id);
    request.get::<String>("user").await.unwrap();
    request.clear().await;
    request.save().await.unwrap();
    assert_eq!(held(&*store, id).await, json!({}), "the same id, and nothing in it");

    request.insert("x", 1).await.unwrap();
    request.save().await.unwrap();
    request.remove::<u32>("x").await.unwrap();
    request.insert("y", 1).await.unwrap();
    request.save().await.unwrap();
    assert_eq!(
        held(&*store, id).await,
        json!({"y": 1}),
        "saved in between, a cleared session is like any other"
    );

    let refilled = session(&store, id);
    refilled.clear().await;
    refilled.insert("z", 1).await.unwrap();
    refilled.save().await.unwrap();
    assert_eq!(
        held(&*store, id).await,
        json!({"z": 1}),
        "`clear` then a farewell message must not stay logged in"
    );

    // The first save after a clear empties; the next ones know what this request wrote, and spare others' keys.
    let other = session(&store, id);
    other.insert("theirs", 1).await.unwrap();
    other.save().await.unwrap();
    refilled.insert("w", 1).await.unwrap();
    refilled.save().await.unwrap();
    assert_eq!(held(&*store, id).await, json!({"theirs": 1, "w": 1, "z": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clear_is_whole_even_where_an_earlier_request_cleared_before() {
    let (_mesh, store) = one("clear-twice").await;
    let id = create(&*store, json!({"user": "ada"})).await;
    // Records of two requests, one after the other at the same place in memory.
    let mut place;
    for farewell in ["goodbye", "farewell"] {
        let other = session(&store, id);
        other.insert("user", "ada").await.unwrap();
        other.save().await.unwrap();
        place = load(&*store, id).await;
        place.data.clear();
        place.data.insert(farewell.into(), json!(1));
        store.save(&place).await.unwrap();
        assert_eq!(held(&*store, id).await, json!({farewell: 1}), "logged out");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_takes_only_what_its_request_saw() {
    let (_mesh, store) = one("removal").await;
    let id = create(&*store, json!({"a": 1, "b": 1})).await;
    let (mut slow, mut fast) = (load(&*store, id).await, load(&*store, id).await);
    fast.data.insert("b".into(), json!(2));
    fast.data.insert("new".into(), json!(1));
    store.save(&fast).await.unwrap();
    slow.data.retain(|key, _| key == HIDDEN);
    store.save(&slow).await.unwrap();
    assert_eq!(held(&*store, id).await, json!({"b": 2, "new": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn cycling_the_id_takes_everything_along_and_ends_the_old_id() {
    let (_mesh, store) = one("cycle").await;
    for data in [json!({}), json!({"user": "ada", "cart": ["apples"]})] {
        let old = create(&*store, data.clone()).await;
        let [request, late, idle] = [(); 3].map(|()| session(&store, old));
        idle.load().await.unwrap();
        late.insert("late", 1).await.unwrap();
        request.cycle_id().await.unwrap();
        request.save().await.unwrap();
        let new = request.id().unwrap();
        assert_ne!(new, old);
        assert_eq!(held(&*store, new).await, data);
        let lost = late.save().await.unwrap_err().to_string();
        assert!(lost.starts_with("409: the session was given another id"), "{lost}");
        idle.save().await.expect("nothing is lost");
        assert_eq!(held(&*store, old).await, Value::Null);
        request.insert("after", 1).await.unwrap();
        request.save().await.unwrap();
        assert_eq!(held(&*store, new).await["after"], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_session_birth_or_layout_says_nothing() {
    let (_mesh, store) = one("foreign").await;
    let data = json!({"a": 1, "b": 1});
    let id = create(&*store, data.clone()).await;
    let own = load(&*store, id).await;
    let other = load(&*store, create(&*store, data).await).await;
    let mut reborn = own.clone();
    reborn.data.get_mut(HIDDEN).unwrap()["birth"] = json!("1.1");
    let mut newer = own.clone();
    newer.data.insert(HIDDEN.into(), json!({"sessionmesh": 2, "anything": []}));
    for (n, mut foreign) in [Record { id, ..other }, reborn, newer].into_iter().enumerate() {
        foreign.data.remove("b");
        foreign.data.insert("a".into(), json!(n + 2));
        store.save(&foreign).await.unwrap();
        assert_eq!(held(&*store, id).await, json!({"a": n + 2, "b": 1}), "puts what it has, removes nothing");
    }
    let mut empty = load(&*store, create(&*store, json!({})).await).await;
    empty.id = id;
    store.save(&empty).await.unwrap();
    assert_eq!(held(&*store, id).await, json!({"a": 4, "b": 1}), "nor is an empty one a cleared one");
    let mut copy = own.clone();
    copy.data.insert("a".into(), json!(9));
    store.create(&mut copy).await.unwrap();
    assert_ne!(copy.id, id, "an id in use is not given again");
    assert_eq!(held(&*store, copy.id).await, json!({"a": 9, "b": 1}), "a create takes all keys");
    assert_eq!(held(&*store, id).await["a"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_save_writes_nothing() {
    let (meshes, [a, b, _]) = three("unchanged").await;
    let id = create(&*a, json!({"user": "ada", "n": 1.0, "list": [1, {"x": null}]})).await;
    let before = (writes(&meshes[0]), writes(&meshes[1]));
    let stored = meshes[0].dump()[&mesh_id(id).to_text()].clone();
    for store in [&a, &b] {
        let mut loaded = load(&**store, id).await;
        store.save(&loaded).await.unwrap();
        loaded.data.insert("user".into(), json!("ada"));
        loaded.expiry_date = in_seconds(1_800);
        store.save(&loaded).await.unwrap();
    }
    // Each write of a node takes the next number: none was taken in between.
    assert_eq!((writes(&meshes[0]), writes(&meshes[1])), (before.0 + 1, before.1 + 1));
    assert_eq!(meshes[0].dump()[&mesh_id(id).to_text()], stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_slides_with_saves_and_follows_what_is_asked() {
    let (mesh, store) = one("expiry").await;
    let request = tower_sessions::Session::new(None, store.clone(), None);
    let idle =
        |s| Some(tower_sessions::Expiry::OnInactivity(tower_sessions::cookie::time::Duration::seconds(s)));
    request.set_expiry(idle(10));
    request.insert("k", 1).await.unwrap();
    request.save().await.unwrap();
    let id = mesh_id(request.id().unwrap());
    let ends = || mesh.sessions().get(&id).session().unwrap().deadline_ms();
    let (first, fields) = (ends(), mesh.dump()[&id.to_text()].live.clone().unwrap());
    // Time itself is what is awaited: a touch is sent once it moves the deadline by a second.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    request.save().await.unwrap();
    let touched = mesh.dump()[&id.to_text()].live.clone().unwrap();
    assert!(ends() >= first + 1_000, "slides");
    assert_eq!((&touched.fields, &touched.ttl), (&fields.fields, &fields.ttl), "by a touch alone");
    request.set_expiry(idle(100));
    request.save().await.unwrap();
    assert!(ends() >= first + 80_000, "a changed idle time is written");

    let max_ms = 30 * 24 * 3_600_000;
    let mut long = record(json!({"k": 1}));
    long.expiry_date = in_seconds(10 * 365 * 24 * 3_600);
    store.create(&mut long).await.unwrap();
    let left = load(&*store, long.id).await.expiry_date - in_seconds(0);
    assert!(
        left.whole_milliseconds() <= max_ms && left.whole_milliseconds() > max_ms - 60_000,
        "clamped: {left}"
    );

    let mut past = record(json!({"k": 1}));
    past.expiry_date = in_seconds(-1);
    store.create(&mut past).await.unwrap();
    assert!(store.load(&past.id).await.unwrap().is_none());
    let mut ended = load(&*store, long.id).await;
    ended.expiry_date = in_seconds(-1);
    store.save(&ended).await.unwrap();
    within("ended", async { while store.load(&long.id).await.unwrap().is_some() {} }).await;
    store.delete_expired().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_just_created_is_found_on_every_node() {
    let (_meshes, [a, b, c]) = three("fresh").await;
    for n in 0..30 {
        let id = create(&*a, json!({"n": n})).await;
        assert_eq!(held(&*b, id).await, json!({"n": n}));
        assert_eq!(held(&*c, id).await, json!({"n": n}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_values_that_cannot_be_stored_are_refused_with_a_reason_and_change_nothing() {
    let (mesh, store) = one("refused").await;
    let id = create(&*store, json!({"\u{0}": 1, "\u{0}meshes": 2, "ключ \"\n": 3})).await;
    assert_eq!(held(&*store, id).await, json!({"\u{0}": 1, "\u{0}meshes": 2, "ключ \"\n": 3}));
    let before = mesh.dump();
    let big = "x".repeat(1 << 20);
    let cases = [(HIDDEN, "1", "reserved"), ("", "1", "key of 0 bytes"), ("big", &big, "max_record_bytes")];
    let long_key = "k".repeat(256);
    for (key, value, why) in cases.into_iter().chain([(long_key.as_str(), "1", "key of 256 bytes")]) {
        let mut saved = load(&*store, id).await;
        saved.data.insert("also".into(), json!(1));
        saved.data.insert(key.to_owned(), json!(value));
        let error = store.save(&saved).await.expect_err(why).to_string();
        assert!(error.contains(why), "{error}");
        let error = store.create(&mut saved).await.expect_err(why).to_string();
        assert!(error.contains(why), "{error}");
    }
    assert_eq!(mesh.dump(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_the_plain_api_and_of_the_store_are_the_same() {
    let (mesh, store) = one("plain").await;
    let id = create(&*store, json!({"user": "ada", "cart": ["apples", "bread"]})).await;
    let plain = mesh.sessions().get(&mesh_id(id)).session().unwrap();
    assert_eq!(plain.get::<Vec<&str>>("cart").unwrap().unwrap(), ["apples", "bread"]);
    mesh.sessions()
        .edit(&mesh_id(id), |s| {
            s.set("n", &7u8)?;
            s.set_bytes("raw", *b"raw");
            Ok(())
        })
        .unwrap();
    let mut seen = load(&*store, id).await;
    assert_eq!(seen.data["n"], 7);
    assert!(!seen.data.contains_key("raw"), "raw bytes are no JSON");
    seen.data.retain(|key, _| key == HIDDEN);
    store.save(&seen).await.unwrap();
    let left = mesh.sessions().get(&mesh_id(id)).session().unwrap();
    assert_eq!(left.fields().map(|f| f.0).collect::<Vec<_>>(), ["raw"], "what was not shown is not removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn beneath_and_above_another_store_nothing_breaks() {
    let (mesh, store) = one("caching").await;
    let cached = Arc::new(CachingSessionStore::new(MemoryStore::default(), MeshStore::clone(&store)));
    let durable = Arc::new(CachingSessionStore::new(MeshStore::clone(&store), MemoryStore::default()));
    async fn life(top: Arc<impl SessionStore>) -> Id {
        let request = tower_sessions::Session::new(None, top.clone(), None);
        request.insert("user", "ada").await.unwrap();
        request.save().await.unwrap();
        // Two requests at once: above a cache they share one token.
        let (one, two) = (session(&top, request.id().unwrap()), session(&top, request.id().unwrap()));
        two.get::<u32>("user").await.unwrap_err();
        one.insert("cart", "apples").await.unwrap();
        one.save().await.unwrap();
        two.insert("lang", "en").await.unwrap();
        two.save().await.unwrap();
        let cycled = session(&top, request.id().unwrap());
        cycled.cycle_id().await.unwrap();
        cycled.save().await.unwrap();
        assert_eq!(held(&*top, request.id().unwrap()).await, Value::Null);
        cycled.id().unwrap()
    }
    let id = life(cached.clone()).await;
    assert_eq!(held(&*store, id).await["lang"], "en");
    session(&cached, id).flush().await.unwrap();
    assert_eq!(held(&*cached, id).await, Value::Null);

    let id = life(durable.clone()).await;
    let all = json!({"user": "ada", "cart": "apples", "lang": "en"});
    assert_eq!(held(&*durable, id).await, all, "as the cache before a durable store it merges");
    mesh.sessions().destroy(&mesh_id(id)).unwrap();
    held(&*durable, id).await;
    assert_eq!(held(&*store, id).await, Value::Null, "a row loaded from below does not undo a logout");
}
