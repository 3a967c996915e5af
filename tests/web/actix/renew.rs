//! Sessions that are renewed: what they keep, and what a logout of one of them ends. The middleware deletes the old key
//! and saves the state under a new one.

use actix_session::storage::SessionStore;
use serde_json::{Value, json};
use sessionmesh::web::actix::MeshStore;
use sessionmesh::{Found, Mesh};

use super::*;
use crate::meshes::{alone, everywhere, linked};

fn whose(mesh: &Mesh) -> MeshStore {
    MeshStore::new(mesh.sessions()).with_principal(|state| state.get("user").cloned())
}

/// What `renew` comes to, as a log-in of `who`, if anybody logs in.
async fn renew(store: &MeshStore, old: &str, mut state: State, who: Option<&str>) -> Result<String, String> {
    store.delete(&session_key(old)).await.unwrap();
    state.extend(who.map(|who| ("user".to_owned(), text(who))));
    store.save(state, &minutes(30)).await.map(String::from).map_err(|e| cause(&e))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_session_is_the_same_log_in_with_what_others_wrote() {
    let mesh = alone("actix-renew-login").await;
    let (store, sessions) = (whose(&mesh), mesh.sessions());
    let old = create(&store, json!({"user": "ada", "cart": 1})).await;
    let before = sessions.logins("\"ada\"");
    let (state, mut other, mut late) =
        (load(&store, &old).await, load(&store, &old).await, load(&store, &old).await);
    other.insert("cart".into(), text(2));
    update(&store, &old, other).await;
    let new = renew(&store, &old, state, None).await.unwrap();
    assert_eq!(held(&store, &new).await, json!({"user": "ada", "cart": 2}));
    let after = sessions.logins("\"ada\"");
    assert_eq!(
        (after.len(), &after[0].handle, after[0].since_ms),
        (1, &before[0].handle, before[0].since_ms)
    );
    late.insert("cart".into(), text(3));
    let lost = store.update(session_key(&old), late, &minutes(30)).await.unwrap_err();
    assert!(cause(&lost).starts_with("409: the session was given another id"), "{lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_renewals_at_once_a_purge_ends_both_and_none_of_somebody_else() {
    let meshes = linked("actix-renew-twice").await;
    let [a, b, c] = meshes.each_ref().map(whose);
    for who in [None, Some("ada")] {
        let first = if who.is_some() { json!({"cart": 1}) } else { json!({"user": "ada"}) };
        let old = create(&a, first).await;
        let states = [load(&a, &old).await, load(&a, &old).await, load(&b, &old).await];
        let [one, two, three] = states;
        let one = renew(&a, &old, one, who).await.unwrap();
        let two = renew(&a, &old, two, who).await.unwrap();
        let eve = renew(&b, &old, three, Some("eve")).await.unwrap();
        for key in [&one, &two, &eve] {
            everywhere(&meshes, mesh_id(key), "there", |found| matches!(found, Found::Session(_))).await;
        }
        c.delete(&session_key(&two)).await.unwrap();
        for key in [&one, &two] {
            everywhere(&meshes, mesh_id(key), "ended", |found| matches!(found, Found::Absent)).await;
        }
        assert_eq!(held(&b, &eve).await["user"], "eve");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_does_not_bring_back_who_was_logged_out_elsewhere() {
    let meshes = linked("actix-renew-ended").await;
    let [a, b, _] = meshes.each_ref().map(whose);
    let old = create(&a, json!({"user": "ada"})).await;
    let state = load(&a, &old).await;
    b.delete(&session_key(&old)).await.unwrap();
    everywhere(&meshes, mesh_id(&old), "ended", |found| matches!(found, Found::Absent)).await;
    let refused = renew(&a, &old, state, None).await.unwrap_err();
    assert!(refused.starts_with("409: the session was ended while this request was under way"), "{refused}");
    assert_eq!(held(&a, &old).await, Value::Null);
}

/// The delete of a renewal ends the log-ins of its user, since it may be a logout, but not the one that it is made for.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_gets_a_new_id_though_another_tab_has_logged_in_under_the_old_one() {
    let mesh = alone("actix-renew-tabs").await;
    let store = whose(&mesh);
    let old = create(&store, json!({"cart": 1})).await;
    let (mut other, state) = (load(&store, &old).await, load(&store, &old).await);
    other.insert("user".into(), text("ada"));
    update(&store, &old, other).await;
    let new = renew(&store, &old, state, Some("ada")).await.unwrap();
    assert_eq!(held(&store, &new).await, json!({"user": "ada", "cart": 1}));
}
