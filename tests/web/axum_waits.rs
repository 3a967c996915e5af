//! The layer looks before it waits: what is over, what nobody has and what died with its node costs no wait, and no refusal.
//! All apps refuse what they have waited for in vain.

use std::time::Duration;

use crate::kit::*;
use axum::http::StatusCode;
use sessionmesh::transport::Drill;
use sessionmesh::web::axum::Behind;
use sessionmesh::{Found, Mesh};

/// Three nodes, and a client of each.
async fn site(cluster: &str, drill: &Drill) -> ([Mesh; 3], [Client; 3]) {
    let with = |b: sessionmesh::Builder| {
        // What does not arrive by itself is not repaired by rounds; nobody may be there to take a second copy.
        b.drill(drill.clone())
            .ack_timeout(Duration::from_millis(50))
            .configure(|c| c.sync_interval_ms = 600_000)
    };
    let meshes = linked_with(cluster, with).await;
    let apps = meshes
        .each_ref()
        .map(|mesh| app(mesh, |layer| layer.when_behind(Behind::Refuse).with_rotation_grace(Duration::ZERO)));
    (meshes, apps)
}

fn cut(drill: &Drill, one: &str, other: &str) {
    drill.cut(one, other);
    drill.cut(other, one);
}

async fn begun_everywhere(meshes: &[Mesh], app: &Client) -> Answer {
    let begun = app.post("/set/user/ada").await;
    everywhere(meshes, id_of(&begun), "there", |found| matches!(found, Found::Session(_))).await;
    begun
}

async fn a_is_dead(to: &[Mesh]) {
    for mesh in to {
        let lost = mesh.members_until(|m| m.iter().any(|m| m.node == "a" && m.state == "dead" && !m.linked));
        within("a is dead", lost).await;
    }
}

#[tokio::test]
async fn a_session_that_is_known_to_be_over_is_not_waited_for() {
    for over in ["/login/ada", "/rotate", "/logout"] {
        let drill = Drill::new(1);
        let (meshes, apps) = site("over", &drill).await;
        let begun = begun_everywhere(&meshes, &apps[0]).await;
        cut(&drill, "a", "b");
        assert_eq!(apps[1].with(&begun).post(over).await.status, StatusCode::OK);
        // The other tab, on a node that has not heard of it, or just so: what it writes there never comes to b.
        let ahead = apps[0].with(&begun).post("/set/cart/tea").await;
        if ahead.status != StatusCode::OK || ahead.set_cookie.is_none() {
            panic!("{over}: a was to hear nothing: {ahead:?}");
        }
        let read = apps[1].with(&ahead).get("/whose").await;
        assert_eq!((read.status, read.body.as_str()), (StatusCode::OK, "nobody"), "{over}");
        let totals = meshes[1].sessions().caught_up_totals();
        assert_eq!((totals.waited, totals.fetched, totals.behind), (0, 0, 0), "{over}: {totals:?}");
    }
}

#[tokio::test]
async fn a_session_that_nobody_has_is_asked_for_once_and_not_waited_for() {
    // Everything was restarted, under the same secret.
    let before = alone("restarted").await;
    let old = app(&before, |layer| layer).post("/set/user/ada").await;
    before.leave().await;
    let (meshes, apps) = site("restarted", &Drill::new(1)).await;
    let read = apps[1].with(&old).get("/get/user").await;
    assert_eq!((read.status, read.body.as_str()), (StatusCode::OK, "none"));
    assert!(read.set_cookie.unwrap().contains("Max-Age=0"), "nobody has it, and nobody is missing");
    let totals = meshes[1].sessions().caught_up_totals();
    assert_eq!((totals.waited, totals.fetched, totals.behind), (0, 0, 0), "{totals:?}");
}

#[tokio::test]
async fn what_died_with_its_node_is_given_up_once_all_have_answered() {
    let drill = Drill::new(1);
    let (meshes, apps) = site("died", &drill).await;
    let begun = begun_everywhere(&meshes, &apps[0]).await;
    for other in ["b", "c"] {
        cut(&drill, "a", other);
    }
    let ahead = apps[0].with(&begun).post("/set/user/grace").await;
    a_is_dead(&meshes[1..]).await;
    let refused = apps[1].with(&ahead).get("/get/user").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "it may come back with it");
    meshes[1].forget("a").await.unwrap();
    for mesh in &meshes[1..] {
        within("a is forgotten", mesh.members_until(|m| m.iter().all(|m| m.node != "a"))).await;
    }
    // c has not been asked, and told nobody that it was.
    let read = apps[2].with(&ahead).get("/get/user").await;
    assert_eq!((read.status, read.body.as_str()), (StatusCode::OK, "ada"), "{}", read.body);
    let behind = meshes[2].sessions().caught_up_totals().behind;
    let again = apps[2].with(&read).get("/get/user").await;
    assert_eq!((again.body.as_str(), &again.set_cookie), ("ada", &None), "its new cookie names it no more");
    assert_eq!(meshes[2].sessions().caught_up_totals().behind, behind);
}

#[tokio::test]
async fn what_died_with_its_node_is_not_given_up_while_another_member_is_missing() {
    let drill = Drill::new(1);
    let (meshes, apps) = site("one-more", &drill).await;
    let begun = begun_everywhere(&meshes, &apps[0]).await;
    for other in ["b", "c"] {
        cut(&drill, "a", other);
    }
    let ahead = apps[0].with(&begun).post("/set/user/grace").await;
    a_is_dead(&meshes[1..]).await;
    cut(&drill, "b", "c");
    let unlinked = meshes[1].members_until(|m| m.iter().any(|m| m.node == "c" && !m.linked));
    within("c is cut off", unlinked).await;
    meshes[1].forget("a").await.unwrap();
    within("a is forgotten", meshes[1].members_until(|m| m.iter().all(|m| m.node != "a"))).await;
    let refused = apps[1].with(&ahead).get("/get/user").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "c may have it: {}", refused.body);
    assert_eq!(refused.set_cookie, None, "and the cookie goes on naming it");
}

#[tokio::test]
async fn what_only_a_missing_member_may_have_keeps_its_cookie_and_can_be_logged_out() {
    let drill = Drill::new(1);
    let (meshes, apps) = site("missing", &drill).await;
    for other in ["b", "c"] {
        cut(&drill, "a", other);
    }
    let begun = apps[0].post("/login/ada").await;
    a_is_dead(&meshes[1..]).await;
    let unsigned = apps[1].cookie(&ticket_alone(&begun));
    for client in [&apps[1].with(&begun), &unsigned] {
        let read = client.get("/whose").await;
        assert_eq!((read.status, read.body.as_str()), (StatusCode::OK, "nobody"));
        assert_eq!(read.set_cookie, None, "it may be good at a");
    }
    // b has never heard of it, and what is left of the cookie vouches for nothing: it is ended on suspicion.
    assert_eq!(unsigned.post("/logout").await.status, StatusCode::OK);
    drill.heal_all();
    everywhere(&meshes, id_of(&begun), "ended", |found| matches!(found, Found::Absent)).await;
}
