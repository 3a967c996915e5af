//! Sessions that are given a new id: what they keep, and what a logout of one of them ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sessionmesh::transport::Drill;
use sessionmesh::web::tower_sessions::MeshStore;
use sessionmesh::{Found, Mesh};
use tower_sessions::session::Id;
use tower_sessions::{Session, SessionStore};

use super::kit::*;
use super::partition::{cut, two};

fn user(data: &HashMap<String, Value>) -> Option<String> {
    data.get("user").and_then(Value::as_str).map(str::to_owned)
}

/// A store that is told whose sessions are.
fn whose(mesh: &Mesh) -> Arc<MeshStore> {
    Arc::new(MeshStore::new(mesh.sessions()).with_principal(user))
}

/// A request that holds its session.
async fn loaded(store: &Arc<MeshStore>, id: Id) -> Session {
    let request = session(store, id);
    request.load().await.unwrap();
    request
}

/// Gives a request's session a new id, as a log-in of `who`, if anybody logs in.
async fn cycle(request: &Session, who: Option<&str>) -> Id {
    request.cycle_id().await.unwrap();
    if let Some(who) = who {
        request.insert("user", who).await.unwrap();
    }
    request.save().await.unwrap();
    request.id().unwrap()
}

async fn ended(meshes: &[Mesh], id: Id) {
    everywhere(meshes, id, "ended", |found| matches!(found, Found::Absent)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_under_a_new_id_is_the_same_log_in() {
    let (mesh, _) = one("same-login").await;
    let (store, sessions) = (whose(&mesh), mesh.sessions());
    let id = create(&*store, json!({"user": "ada"})).await;
    let other = create(&*store, json!({"user": "ada"})).await;
    let before = sessions.logins("ada");
    let mut id = id;
    for _ in 0..3 {
        id = cycle(&loaded(&store, id).await, None).await;
    }
    let after = sessions.logins("ada");
    let named = |logins: &[sessionmesh::mesh::Login]| {
        let mut named: Vec<_> = logins.iter().map(|l| (l.handle.clone(), l.since_ms)).collect();
        named.sort();
        named
    };
    assert_eq!(named(&after), named(&before));
    assert_eq!(sessions.revoke_all_except("ada", &mesh_id(id)).unwrap().ended(), 1);
    assert_eq!(
        (held(&*store, id).await["user"].clone(), held(&*store, other).await),
        (json!("ada"), Value::Null)
    );
    let moved = cycle(&loaded(&store, id).await, None).await;
    assert_eq!(sessions.of("ada"), [mesh_id(moved)], "spared under the next id too");
}

/// Who has a new id, twice at once, on one node and on two; a logout of either ends both.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_new_ids_at_once_a_logout_ends_both() {
    let (meshes, plain) = three("twice-at-once").await;
    let told = meshes.each_ref().map(whose);
    for (stores, who, at) in [
        (&told, None, 0),
        (&told, None, 1),
        (&told, Some("ada"), 0),
        (&told, Some("ada"), 1),
        (&plain, Some("ada"), 0),
        (&plain, Some("ada"), 1),
        (&plain, None, 0),
    ] {
        let first = if who.is_some() { json!({"cart": 1}) } else { json!({"cart": 1, "user": "ada"}) };
        let id = create(&*stores[0], first).await;
        everywhere(&meshes, id, "there", |found| matches!(found, Found::Session(_))).await;
        let (one, two) = (loaded(&stores[0], id).await, loaded(&stores[at], id).await);
        // Both before either: on two nodes, neither has heard of the other's.
        tokio::try_join!(one.cycle_id(), two.cycle_id()).unwrap();
        for request in [&one, &two] {
            if let Some(who) = who {
                request.insert("user", who).await.unwrap();
            }
        }
        one.save().await.unwrap();
        if two.save().await.is_err() {
            assert!(who.is_none() && at == 1, "the other node's delete may have come first");
            continue;
        }
        let ids = [&one, &two].map(|request| request.id().unwrap());
        for id in ids {
            everywhere(&meshes, id, "there", |found| matches!(found, Found::Session(_))).await;
        }
        session(&stores[2], ids[1]).flush().await.unwrap();
        ended(&meshes, ids[0]).await;
        ended(&meshes, ids[1]).await;
    }
}

/// Lets the time pass after which a delete counts as a logout, without waiting for it: in a paused clock the next timer
/// is due once nothing else is to be done, so that what the deletes so far still had to do has been done then.
async fn deletes_have_settled() {
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(60)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn two_people_who_log_in_from_one_planted_id_do_not_end_each_other() {
    let (mesh, plain) = one("planted").await;
    for store in [whose(&mesh), plain] {
        let planted = create(&*store, json!({"cart": 1})).await;
        let (victim, attacker) = (loaded(&store, planted).await, loaded(&store, planted).await);
        let [ada, mallory] = [cycle(&victim, Some("ada")).await, cycle(&attacker, Some("mallory")).await];
        for id in [planted, mallory] {
            session(&store, id).flush().await.unwrap();
        }
        // Beside them, somebody whose session has a new id, and who logs out with the old one.
        let old = create(&*store, json!({"cart": 2})).await;
        let moved = cycle(&loaded(&store, old).await, None).await;
        session(&store, old).flush().await.unwrap();
        assert_eq!(held(&*store, moved).await, json!({"cart": 2}), "it may be the first half of a new id");
        deletes_have_settled().await;
        assert_eq!(held(&*store, moved).await, Value::Null, "it was a logout");
        assert_eq!(held(&*store, ada).await, json!({"cart": 1, "user": "ada"}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_with_the_old_id_ends_what_has_a_new_one_on_the_other_side() {
    let drill = Drill::new(3);
    let (meshes, plain) = two("split-cycle", &drill).await;
    for [a, b] in [plain, meshes.each_ref().map(whose)] {
        let id = create(&*a, json!({"user": "ada"})).await;
        value_everywhere(&meshes, id, "user", Some("ada")).await;
        cut(&drill, &meshes).await;
        let moved = cycle(&loaded(&a, id).await, None).await;
        b.delete(&id).await.unwrap();
        assert_eq!(held(&*a, moved).await, json!({"user": "ada"}));
        drill.heal_all();
        ended(&meshes, moved).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_beside_a_new_id_comes_along() {
    let (mesh, _) = one("beside").await;
    let store = whose(&mesh);
    for who in [None, Some("eve")] {
        let id = create(&*store, json!({"cart": "apples", "lang": "en", "mine": 1, "user": "ada"})).await;
        let (request, other, late) =
            (loaded(&store, id).await, loaded(&store, id).await, loaded(&store, id).await);
        let idle = loaded(&store, id).await;
        other.insert("cart", "bread").await.unwrap();
        other.insert("mine", 2).await.unwrap();
        other.insert("more", 1).await.unwrap();
        other.remove_value("lang").await.unwrap();
        other.save().await.unwrap();
        request.insert("mine", 3).await.unwrap();
        let moved = cycle(&request, who).await;
        let all = json!({"cart": "bread", "mine": 3, "more": 1, "user": who.unwrap_or("ada")});
        assert_eq!(held(&*store, moved).await, all);
        // The request goes on with what its session holds.
        assert_eq!(request.get_value("cart").await.unwrap(), Some(json!("bread")));
        request.insert("after", 1).await.unwrap();
        request.save().await.unwrap();
        assert_eq!(held(&*store, moved).await["more"], 1);
        late.insert("cart", "lost").await.unwrap();
        let lost = late.save().await;
        // Who logged in over another has logged that one out.
        assert_eq!(lost.is_err(), who.is_none(), "{lost:?}");
        idle.save().await.expect("nothing is lost");
        assert_eq!(held(&*store, id).await, Value::Null);
    }
}

/// Two requests deleted one id, and one of them was a logout: which of them, nobody can say once no other id came in time.
#[tokio::test]
async fn who_was_logged_out_beside_a_slow_request_gets_no_new_id_by_it() {
    let (mesh, plain) = one("slow-request").await;
    for store in [whose(&mesh), plain] {
        let id = create(&*store, json!({"user": "ada"})).await;
        let [slow, slow_login] = [loaded(&store, id).await, loaded(&store, id).await];
        slow.cycle_id().await.unwrap();
        slow_login.cycle_id().await.unwrap();
        session(&store, id).flush().await.unwrap();
        deletes_have_settled().await;
        let refused = slow.save().await.unwrap_err().to_string();
        assert!(refused.starts_with("409: the session was ended while"), "{refused}");
        slow_login.insert("user", "eve").await.unwrap();
        slow_login.save().await.unwrap();
        assert_eq!(held(&*store, slow_login.id().unwrap()).await["user"], "eve", "but a log-in is one");
    }
}

#[tokio::test]
async fn a_logout_of_the_new_id_refuses_the_other_request_under_way_with_the_old_one() {
    let (mesh, plain) = one("other-half").await;
    for (store, who) in [(whose(&mesh), None), (whose(&mesh), Some("eve")), (plain, Some("eve"))] {
        let id = create(&*store, json!({"user": "ada"})).await;
        let [first, second] = [loaded(&store, id).await, loaded(&store, id).await];
        let moved = cycle(&first, who).await;
        second.cycle_id().await.unwrap();
        session(&store, moved).flush().await.unwrap();
        if let Some(who) = who {
            second.insert("user", who).await.unwrap();
        }
        let refused = second.save().await.unwrap_err().to_string();
        assert!(refused.starts_with("409: the session was ended while"), "{refused}");
    }
}

/// What JSON says in another way than its writer did: a request that handed it on unchanged has not written it.
#[tokio::test]
async fn a_value_goes_on_under_a_new_id_as_it_was_written() {
    let (mesh, store) = one("as-written").await;
    let id = create(&*store, json!({"cart": 1})).await;
    let sessions = mesh.sessions();
    let floats = [0.1_f32, 2.0];
    sessions.edit(&mesh_id(id), |fields| fields.set("floats", &floats)).unwrap();
    let bytes = |id: Id| sessions.get(&mesh_id(id)).session().unwrap().bytes("floats").unwrap().to_vec();
    let before = bytes(id);
    let request = loaded(&store, id).await;
    let read: Vec<f64> = request.get("floats").await.unwrap().unwrap();
    assert_eq!(read.len(), 2);
    for who in [None, Some("ada")] {
        let moved = cycle(&request, who).await;
        assert_eq!(bytes(moved), before, "{who:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_does_not_bring_back_who_was_logged_out() {
    let (meshes, _) = three("under-way").await;
    let [a, b, _] = meshes.each_ref().map(whose);
    let sessions = meshes[0].sessions();
    // Revoked before the request deletes the id, and in between.
    let id = create(&*a, json!({"user": "ada"})).await;
    let request = loaded(&a, id).await;
    sessions.revoke_all("ada").unwrap();
    request.cycle_id().await.unwrap();
    let refused = request.save().await.unwrap_err().to_string();
    assert!(refused.starts_with("409: the session was ended while this request was under way"), "{refused}");
    assert!(request.save().await.is_err(), "nor on a second try");
    let id = create(&*a, json!({"user": "eve"})).await;
    let request = loaded(&a, id).await;
    request.cycle_id().await.unwrap();
    sessions.revoke_all("eve").unwrap();
    request.save().await.unwrap();
    ended(&meshes, request.id().unwrap()).await;
    // Logged out on another node; and here, which looks like the first half of a new id until none comes.
    let id = create(&*a, json!({"user": "bob"})).await;
    let requests = [loaded(&a, id).await, loaded(&a, id).await];
    session(&b, id).flush().await.unwrap();
    ended(&meshes, id).await;
    requests[0].cycle_id().await.unwrap();
    assert!(requests[0].save().await.is_err());
    let again = cycle(&requests[1], Some("eve")).await;
    assert_eq!(held(&*a, again).await["user"], "eve", "but a log-in is one");
    let id = create(&*a, json!({"user": "bob"})).await;
    let request = loaded(&a, id).await;
    session(&a, id).flush().await.unwrap();
    let moved = cycle(&request, None).await;
    ended(&meshes, moved).await;
}
