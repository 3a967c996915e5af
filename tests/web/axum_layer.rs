//! `SessionLayer` and its `Session`: requests with cookies, through axum routers on one node and on three.

use std::sync::Arc;
use std::time::Duration;

use crate::kit::{self, *};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, VARY};
use parking_lot::Mutex;
use sessionmesh::mesh::{CaughtUp, Seen};
use sessionmesh::transport::Drill;
use sessionmesh::web::axum::{Behind, SameSite, Secure, SessionLayer};
use sessionmesh::{Expiry, Found, SessionEvent};

#[tokio::test]
async fn a_session_begins_with_its_first_write_and_its_cookie_is_guarded() {
    let mesh = alone("first-write").await;
    let app = app(&mesh, |layer| layer);
    let looked = app.get("/get/user").await;
    assert_eq!(
        (looked.body.as_str(), looked.set_cookie.as_deref()),
        ("none", None),
        "looking begins nothing"
    );
    assert!(mesh.sessions().is_empty());

    let set = app.post("/set/user/ada").await;
    let cookie = set.set_cookie.clone().expect("a cookie");
    for attribute in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
        assert!(cookie.split("; ").any(|a| a == attribute), "{attribute}: {cookie}");
    }
    assert!(!cookie.contains("Max-Age") && !cookie.contains("Domain"), "{cookie}");
    assert_eq!(app.with(&set).get("/get/user").await.body, "ada");

    let at_home = app.host("localhost:3000").post("/set/user/ada").await;
    assert!(!at_home.set_cookie.unwrap().contains("Secure"), "plain HTTP works on this very machine");
}

/// What is logged, kept.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_secure_cookie_that_plain_http_loses_is_told_with_its_remedy() {
    let mesh = alone("plain-http").await;
    let kept = Kept::default();
    let writer = kept.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _here = tracing::subscriber::set_default(subscriber);
    let told = || {
        let all = String::from_utf8(kept.0.lock().clone()).unwrap();
        all.lines().filter(|line| line.contains("as Secure and none came back")).count()
    };
    let app = app(&mesh, |layer| layer);
    let many = async |app: &Client| {
        for _ in 0..20 {
            app.post("/set/user/ada").await;
        }
    };
    many(&app.host("localhost:3000")).await;
    assert_eq!(told(), 0, "this machine has cookies that are not Secure");
    many(&app.host("shop.lan:3000")).await;
    assert_eq!(told(), 1, "once, not at each");
    let all = String::from_utf8(kept.0.lock().clone()).unwrap();
    assert!(all.contains("X-Forwarded-Proto: https") && all.contains("with_secure(Secure::Never)"), "{all}");
    // Where they come back, browsers come by HTTPS, whatever the proxy says.
    let at_home = kit::app(&mesh, |layer| layer);
    let set = at_home.post("/set/user/ada").await;
    at_home.with(&set).get("/get/user").await;
    many(&at_home).await;
    assert_eq!(told(), 1);
}

#[tokio::test]
async fn a_cookie_goes_as_it_came_by_the_name_and_to_the_place_that_were_asked_for() {
    let mesh = alone("attributes").await;
    let app = app(&mesh, |layer| {
        let there = layer.with_name("sid").with_path("/shop").with_domain("shop.example");
        there.with_same_site(SameSite::Strict).with_secure(Secure::Never)
    });
    let set = app.post("/set/user/ada").await;
    let out = app.with(&set).post("/logout").await;
    for answer in [&set, &out] {
        let cookie = answer.set_cookie.clone().unwrap();
        let mut told: Vec<&str> = cookie.split("; ").skip(1).filter(|a| *a != "Max-Age=0").collect();
        told.sort_unstable();
        assert_eq!(told, ["Domain=shop.example", "HttpOnly", "Path=/shop", "SameSite=Strict"], "{cookie}");
        assert!(cookie.starts_with("sid="), "{cookie}");
    }
    let always = kit::app(&mesh, |layer| layer.with_secure(Secure::Always)).host("localhost");
    assert!(always.post("/set/user/ada").await.set_cookie.unwrap().contains("Secure"));
}

#[tokio::test]
async fn a_made_up_id_is_never_taken() {
    let mesh = alone("fixation").await;
    let app = app(&mesh, |layer| layer);
    let set = app.post("/set/user/ada").await;
    // The id of a session that was never there, in a cookie as the layer writes them, without its signature.
    let planted = format!("session={}", unsigned_cookie([7; 16]));
    let victim = app.cookie(&planted).post("/set/user/grace").await;
    assert!(victim.set_cookie.is_some());
    assert_ne!(victim.cookie(), planted);
    assert_eq!(app.cookie(&planted).get("/get/user").await.body, "none", "whoever planted it sees nothing");
    assert_eq!(app.with(&set).get("/get/user").await.body, "ada");
    for garbage in ["session=", "session=%%%", "session=AAAA", &format!("session={}", "A".repeat(5_000))] {
        assert_eq!(app.cookie(garbage).get("/get/user").await.body, "none", "{garbage:.40}");
    }
}

#[tokio::test]
async fn fields_that_two_requests_set_at_once_both_stay() {
    let meshes = linked("both-stay").await;
    let apps = meshes.each_ref().map(|mesh| app(mesh, |layer| layer));
    let begun = apps[2].post("/set/user/ada").await;
    let (a, b) = (apps[0].with(&begun), apps[1].with(&begun));
    let (apples, bread) = tokio::join!(a.post("/set/apples/3"), b.post("/set/bread/1"));
    assert_eq!((apples.status, bread.status), (StatusCode::OK, StatusCode::OK));
    let id = id_of(&begun);
    value_everywhere(&meshes, id, "apples", Some("3")).await;
    value_everywhere(&meshes, id, "bread", Some("1")).await;
    value_everywhere(&meshes, id, "user", Some("ada")).await;
}

#[tokio::test]
async fn a_write_after_the_logout_is_refused_and_brings_nothing_back() {
    let meshes = linked("late-write").await;
    let apps = meshes.each_ref().map(|mesh| app(mesh, |layer| layer));
    let begun = apps[0].post("/set/user/ada").await;
    let slow = apps[1].with(&begun);
    let out = async {
        apps[1].loaded().await;
        let out = apps[0].with(&begun).post("/logout").await;
        assert!(out.set_cookie.unwrap().contains("Max-Age=0"), "the cookie goes");
        everywhere(&meshes, id_of(&begun), "gone", |found| matches!(found, Found::Absent)).await;
        apps[1].open();
    };
    let (late, ()) = tokio::join!(slow.post("/slow/apples/3"), out);
    assert_eq!(late.status, StatusCode::UNAUTHORIZED, "{}", late.body);
    let back = apps[2].with(&begun).get("/get/user").await;
    assert_eq!(back.body, "none");
    assert!(back.set_cookie.unwrap().contains("Max-Age=0"), "known to have ended: the cookie goes here too");
}

#[tokio::test]
async fn a_users_logins_are_listed_and_revoked_with_their_sessions_on_every_node() {
    let meshes = linked("whose").await;
    let apps = meshes.each_ref().map(|mesh| app(mesh, |layer| layer));
    let visitor = apps[0].get("/whose").await;
    assert_eq!((visitor.body.as_str(), visitor.set_cookie), ("nobody", None));
    let phone = apps[0].post("/login/ada").await;
    let laptop = apps[1].with(&apps[1].post("/set/cart/tea").await).post("/login/ada").await;
    let rotated = apps[0].with(&phone).post("/rotate").await;
    assert_eq!(id_of(&phone), id_of(&rotated), "it stays the session it is");
    assert_ne!(phone.cookie(), rotated.cookie());
    assert_eq!(apps[0].with(&rotated).get("/whose").await.body, "ada", "a rotation keeps whose it is");
    for answer in [&rotated, &laptop] {
        everywhere(&meshes, id_of(answer), "there", |found| matches!(found, Found::Session(_))).await;
    }
    let listed = meshes[2].sessions().of("ada");
    assert!(listed.contains(&id_of(&rotated)) && listed.contains(&id_of(&laptop)), "two devices");

    meshes[2].sessions().revoke_all("ada").unwrap();
    for (app, answer) in [(&apps[0], &rotated), (&apps[1], &laptop), (&apps[0], &phone)] {
        everywhere(&meshes, id_of(answer), "gone", |found| matches!(found, Found::Absent)).await;
        assert_eq!(app.with(answer).get("/whose").await.body, "nobody");
    }
    assert_eq!(
        apps[2].with(&apps[2].post("/login/ada").await).get("/whose").await.body,
        "ada",
        "a new login stands"
    );
}

/// Three nodes; `a` and `b` do not hear each other, and rounds, which would repair that through `c`, do not come.
async fn a_and_b_apart(cluster: &str) -> ([sessionmesh::Mesh; 3], Drill) {
    let drill = Drill::new(1);
    let with = |b: sessionmesh::Builder| {
        b.drill(drill.clone()).configure(|c| {
            c.sync_interval_ms = 600_000;
            // What a life wrote that is not linked is not waited for, however slow this machine is.
            c.link_timeout_ms = 600_000;
        })
    };
    let meshes = linked_with(cluster, with).await;
    drill.cut("a", "b");
    drill.cut("b", "a");
    (meshes, drill)
}

#[tokio::test]
async fn what_does_not_arrive_is_asked_for() {
    let (meshes, _drill) = a_and_b_apart("asked").await;
    let apps = meshes.each_ref().map(|mesh| app(mesh, |layer| layer.with_patience(CEILING)));
    let begun = apps[0].post("/set/user/ada").await;
    everywhere(&meshes[2..], id_of(&begun), "there", |found| matches!(found, Found::Session(_))).await;
    assert_eq!(apps[1].with(&begun).get("/get/user").await.body, "ada");
    let totals = meshes[1].sessions().caught_up_totals();
    assert_eq!((totals.fetched, totals.behind), (1, 0), "{totals:?}");
}

#[tokio::test]
async fn what_nobody_can_bring_is_served_as_it_is_or_refused_as_configured() {
    let drill = Drill::new(1);
    // Nobody is there to take a second copy.
    let with = |b: sessionmesh::Builder| b.drill(drill.clone()).ack_timeout(Duration::from_millis(50));
    let meshes = linked_with("behind", with).await;
    let serving = meshes.each_ref().map(|mesh| app(mesh, |layer| layer));
    let refusing = app(&meshes[1], |layer| layer.when_behind(Behind::Refuse));
    let begun = serving[0].post("/set/user/ada").await;
    everywhere(&meshes, id_of(&begun), "there", |found| matches!(found, Found::Session(_))).await;
    for other in ["b", "c"] {
        drill.cut("a", other);
        drill.cut(other, "a");
    }
    let ahead = serving[0].with(&begun).post("/set/user/grace").await;
    assert_eq!(serving[1].with(&begun).get("/get/user").await.body, "ada", "has not written since: no wait");
    assert_eq!(meshes[1].sessions().caught_up_totals().behind, 0);
    assert_eq!(serving[1].with(&ahead).get("/get/user").await.body, "ada", "served what is here");
    let refused = refusing.with(&ahead).get("/get/user").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.body);
    assert_eq!(meshes[1].sessions().caught_up_totals().behind, 2);
    drill.heal_all();
    value_everywhere(&meshes, id_of(&begun), "user", Some("grace")).await;
    assert_eq!(refusing.with(&ahead).get("/get/user").await.body, "grace");
}

#[tokio::test]
async fn writes_that_are_not_signed_by_this_cluster_are_not_waited_for() {
    let mine = alone("cluster-one").await;
    let other = alone("cluster-two").await;
    let (mine, other) = (app(&mine, |layer| layer), app(&other, |layer| layer.when_behind(Behind::Refuse)));
    let begun = mine.post("/set/user/ada").await;
    let there = other.with(&begun).get("/get/user").await;
    assert_eq!((there.status, there.body.as_str()), (StatusCode::OK, "none"));
}

#[tokio::test]
async fn a_field_of_another_type_is_an_error_of_that_field_alone() {
    let mesh = alone("fields").await;
    let app = app(&mesh, |layer| layer);
    let begun = app.post("/set/user/ada").await;
    let wrong = app.with(&begun).get("/number/user").await;
    assert_eq!(wrong.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        wrong.body.contains("\"user\"") && !wrong.body.contains("ada"),
        "names the field: {}",
        wrong.body
    );
    assert_eq!(app.with(&begun).get("/get/user").await.body, "ada");
}

#[tokio::test]
async fn an_edit_may_read_the_session_it_edits() {
    let mesh = alone("bump").await;
    let app = app(&mesh, |layer| layer);
    let begun = app.post("/bump").await;
    assert_eq!(app.with(&begun).post("/bump").await.body, "2");
    assert_eq!(app.with(&begun).get("/number/n").await.body, "2");
}

#[tokio::test]
async fn requests_that_only_read_write_next_to_nothing() {
    let mesh = alone("touches").await;
    let app = app(&mesh, |layer| layer);
    let begun = app.post("/set/user/ada").await;
    let before = writes(&mesh);
    for _ in 0..1_000 {
        assert_eq!(app.with(&begun).get("/get/user").await.set_cookie, None);
    }
    let written = writes(&mesh) - before - 1;
    assert!(written <= 2, "1,000 touches made {written} deltas");
}

#[tokio::test]
async fn a_session_that_outlives_the_browser_says_so_and_says_it_again_when_it_is_extended() {
    let mesh = alone_with("persistent", |b| b.configure(|c| c.touch_share = 1_000)).await;
    let expiry = Expiry::sliding(Duration::from_secs(60));
    let app = app(&mesh, |layer| layer.with_expiry(expiry).with_persistence(true));
    let max_age = |answer: &Answer| -> u64 {
        let (_, age) = answer.set_cookie.as_ref().expect("a cookie").split_once("Max-Age=").expect("an age");
        age.split(';').next().unwrap().parse().unwrap()
    };
    let begun = app.post("/set/user/ada").await;
    assert!((1..=60).contains(&max_age(&begun)), "{begun:?}");
    let mut watch = mesh.sessions().watch();
    // The first request that moves the deadline by a share of it.
    let extended = within("a touch", async {
        loop {
            let read = app.with(&begun).get("/get/user").await;
            assert_eq!(read.body, "ada");
            if read.set_cookie.is_some() {
                return read;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!((1..=60).contains(&max_age(&extended)), "{extended:?}");
    let event = within("told", watch.next()).await;
    assert_eq!(event, Some(SessionEvent::Changed(id_of(&begun), Vec::new())), "and watchers are told");
}

#[tokio::test]
async fn a_node_alone_does_not_wait_for_what_nobody_can_bring() {
    let mesh = alone("alone").await;
    let elsewhere = Seen::from_bytes(&[1, 2, 3, 4, 9, 2]).unwrap();
    let id = mesh.sessions().create(Expiry::sliding(CEILING), |_| Ok(())).unwrap().id();
    let for_ever = Duration::from_secs(86_400);
    let outcome = within("an answer", mesh.sessions().catch_up(&id, &elsewhere, for_ever)).await;
    assert_eq!(outcome, CaughtUp::Behind);
    mesh.sessions().destroy(&id).unwrap();
    let outcome = within("an answer", mesh.sessions().catch_up(&id, &elsewhere, for_ever)).await;
    assert_eq!(outcome, CaughtUp::Here, "nothing follows its end");
}

#[tokio::test]
async fn a_handler_outside_the_layer_is_told_what_is_missing() {
    let answer = bare().get("/get/user").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.body.contains("SessionLayer"), "{}", answer.body);
}

#[test]
fn a_layer_prints_no_secret() {
    let printed = tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(async { format!("{:?}", SessionLayer::new(alone("print").await.sessions())) });
    assert!(printed.contains("session") && !printed.contains("key"), "{printed}");
}

/// A page that looks whether there is a session is another page for whoever has one: a shared cache must know.
#[tokio::test]
async fn an_answer_that_a_session_could_have_changed_says_so_also_without_one() {
    let mesh = alone("caches").await;
    let app = app(&mesh, |layer| layer);
    let begun = app.post("/set/user/ada").await;
    let gone = app.post("/set/user/eve").await;
    app.with(&gone).post("/logout").await;
    let told = async |client: &Client, path: &str| {
        let response = client.response("GET", path).await;
        let all = |name| {
            let values = response.headers().get_all(name).iter();
            values.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(", ")
        };
        (all(VARY), all(CACHE_CONTROL))
    };
    let (private, public) = (("Cookie".into(), "private, no-cache".into()), (String::new(), String::new()));
    for client in [&app, &app.with(&begun), &app.with(&gone), &app.cookie("session=garbage; theme=dark")] {
        assert_eq!(told(client, "/get/user").await, private);
        assert_eq!(told(client, "/about").await, public, "no session was asked for");
    }
}
