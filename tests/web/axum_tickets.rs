//! What a browser holds may change, the session does not: keys, log-ins and logouts of the axum layer, in the orders in
//! which tabs, slow answers and nodes that do not hear each other bring them.

use std::time::Duration;

use crate::kit::*;
use axum::http::StatusCode;
use sessionmesh::core::session::LoginId;
use sessionmesh::transport::Drill;
use sessionmesh::{Expiry, Found, Mesh};

const AN_HOUR: Duration = Duration::from_secs(3_600);

/// Three nodes, of which the drill can cut one off; with a short wait for second copies that cannot come.
async fn meshes_to_cut(cluster: &str) -> ([Mesh; 3], Drill) {
    let drill = Drill::new(1);
    let with = |b: sessionmesh::Builder| b.drill(drill.clone()).ack_timeout(Duration::from_millis(50));
    (linked_with(cluster, with).await, drill)
}

fn cut_off(drill: &Drill, node: &str) {
    for other in ["a", "b", "c"].into_iter().filter(|other| *other != node) {
        drill.cut(node, other);
        drill.cut(other, node);
    }
}

async fn gone_everywhere(meshes: &[Mesh], answer: &Answer) {
    everywhere(meshes, id_of(answer), "gone", |found| matches!(found, Found::Absent)).await;
}

async fn there_everywhere(meshes: &[Mesh], answer: &Answer) {
    everywhere(meshes, id_of(answer), "there", |found| matches!(found, Found::Session(_))).await;
}

fn removes_cookie(answer: &Answer) -> bool {
    answer.set_cookie.as_deref().is_some_and(|cookie| cookie.contains("Max-Age=0"))
}

#[tokio::test]
async fn a_rotation_changes_the_key_and_nothing_else() {
    let mesh = alone("rotation").await;
    let app =
        app(&mesh, |layer| layer.with_expiry(Expiry::sliding(AN_HOUR * 24 * 7).at_most(AN_HOUR * 24 * 20)));
    let old = app.post("/login/ada").await;
    let was = mesh.sessions().get(&id_of(&old)).session().unwrap();
    let logins = mesh.sessions().logins("ada");
    let new = app.with(&old).post("/rotate").await;
    assert_ne!(old.cookie(), new.cookie());
    let is = mesh.sessions().get(&id_of(&new)).session().unwrap();
    assert_eq!((is.created_ms(), is.hard_deadline_ms()), (was.created_ms(), was.hard_deadline_ms()));
    assert!(is.deadline_ms().abs_diff(was.deadline_ms()) < 60_000, "a week, as before");
    assert_eq!(mesh.sessions().logins("ada")[0].handle, logins[0].handle, "the same log-in");
    assert_eq!(mesh.sessions().of("ada"), [id_of(&old)]);

    // Requests under way with the old key read and write the same session; their answers set no cookie.
    let late = app.with(&old).post("/set/cart/apples").await;
    assert_eq!(
        (late.status, &late.set_cookie),
        (StatusCode::OK, &None),
        "a slow answer puts no old key back"
    );
    assert_eq!(app.with(&new).get("/get/cart").await.body, "apples", "nothing is lost beside a rotation");
}

#[tokio::test]
async fn a_key_that_ended_opens_nothing_and_takes_no_cookie_away() {
    let mesh = alone("no-grace").await;
    let app = app(&mesh, |layer| layer.with_rotation_grace(Duration::ZERO));
    let old = app.post("/login/ada").await;
    let new = app.with(&old).post("/rotate").await;
    let stale = app.with(&old);
    let read = stale.get("/whose").await;
    assert_eq!((read.body.as_str(), &read.set_cookie), ("nobody", &None));
    let write = stale.post("/set/cart/apples").await;
    assert_eq!((write.status, &write.set_cookie), (StatusCode::CONFLICT, &None), "{}", write.body);
    assert_eq!(app.with(&new).get("/whose").await.body, "ada");
    // Who held the session once may end it.
    assert!(removes_cookie(&stale.post("/logout").await));
    assert_eq!(app.with(&new).get("/whose").await.body, "nobody");
}

#[tokio::test]
async fn two_rotations_at_once_leave_two_keys_of_one_session() {
    let (meshes, drill) = meshes_to_cut("two-keys").await;
    let apps = meshes.each_ref().map(|mesh| app(mesh, |layer| layer.with_rotation_grace(Duration::ZERO)));
    let begun = apps[0].post("/login/ada").await;
    there_everywhere(&meshes, &begun).await;
    cut_off(&drill, "a");
    let here = apps[0].with(&begun).post("/rotate").await;
    let there = apps[1].with(&begun).post("/rotate").await;
    drill.heal_all();
    // Written after the rotations, on either side: once it is everywhere, so are they.
    for (app, answer, key) in [(&apps[0], &here, "one"), (&apps[1], &there, "two")] {
        assert_eq!(app.with(answer).post(&format!("/set/{key}/set")).await.status, StatusCode::OK);
        value_everywhere(&meshes, id_of(&begun), key, Some("set")).await;
    }
    for (app, answer) in [(&apps[2], &here), (&apps[2], &there), (&apps[0], &there), (&apps[1], &here)] {
        // A node that knows the session and not the key asks for it.
        assert_eq!(app.with(answer).get("/whose").await.body, "ada");
    }
    for app in &apps {
        assert_eq!(app.with(&begun).get("/whose").await.body, "nobody", "ended by both");
    }
    let next = apps[2].with(&here).post("/rotate").await;
    assert_eq!(apps[2].with(&there).get("/whose").await.body, "nobody", "the next rotation ends all it saw");
    assert_eq!(apps[2].with(&next).get("/whose").await.body, "ada");
}

#[tokio::test]
async fn a_log_in_begins_a_session_and_the_one_before_is_nobodys() {
    let mesh = alone("login").await;
    let app = app(&mesh, |layer| layer);
    let old = app.post("/set/cart/apples").await;
    let new = app.with(&old).post("/login/ada").await;
    assert_eq!((new.status, new.body.as_str()), (StatusCode::OK, "Whole"));
    assert_ne!(id_of(&old), id_of(&new));
    let (before, after) = (app.with(&old), app.with(&new));
    assert_eq!(after.get("/get/user").await.body, "ada");
    assert_eq!(after.get("/get/cart").await.body, "apples", "it keeps what it had");
    let read = before.get("/get/cart").await;
    assert_eq!((read.body.as_str(), &read.set_cookie), ("none", &None));
    let write = before.post("/set/cart/bread").await;
    assert_eq!((write.status, &write.set_cookie), (StatusCode::CONFLICT, &None), "never lost in silence");
    assert_eq!(mesh.sessions().of("ada"), [id_of(&new)], "one browser, one session");
    let again = after.post("/login/ada").await;
    assert_eq!(mesh.sessions().of("ada"), [id_of(&again)], "also after logging in again");
    assert_eq!(app.with(&again).post("/logout").await.status, StatusCode::OK);
    for answer in [&old, &new, &again] {
        assert_eq!(app.with(answer).get("/get/cart").await.body, "none", "all it came from ended with it");
        assert!(matches!(mesh.sessions().get(&id_of(answer)), Found::Absent));
    }
}

#[tokio::test]
async fn what_is_acknowledged_beside_a_log_in_is_carried_along() {
    let mesh = alone("carried").await;
    let app = app(&mesh, |layer| layer);
    let begun = app.post("/set/cart/apples").await;
    let begun = app.with(&begun).post("/set/coupon/ten").await;
    let held = app.with(&begun);
    let beside = async {
        held.loaded().await;
        assert_eq!(held.post("/set/cart/bread").await.status, StatusCode::OK);
        assert_eq!(held.post("/set/user/nobody").await.status, StatusCode::OK);
        held.open();
    };
    let (ada, ()) = tokio::join!(held.post("/slow-login/ada"), beside);
    let after = app.with(&ada);
    assert_eq!(after.get("/get/cart").await.body, "bread");
    assert_eq!(after.get("/get/coupon").await.body, "ten");
    assert_eq!(after.get("/get/user").await.body, "ada", "what the log-in itself wrote stands");
}

#[tokio::test]
async fn an_end_that_is_chosen_before_or_beside_a_log_in_goes_along() {
    let mesh = alone("ends-carried").await;
    let app = app(&mesh, |layer| layer.with_expiry(Expiry::sliding(AN_HOUR)));
    let begun = app.post("/set/cart/apples").await;
    let sessions = mesh.sessions();
    sessions
        .edit(&id_of(&begun), |fields| {
            fields.set_at_most(AN_HOUR * 24 * 20);
            Ok(())
        })
        .unwrap();
    let last_ms = sessions.get(&id_of(&begun)).session().unwrap().hard_deadline_ms();
    let held = app.with(&begun);
    let beside = async {
        held.loaded().await;
        assert_eq!(held.post("/remember").await.status, StatusCode::OK);
        held.open();
    };
    let (ada, ()) = tokio::join!(held.post("/slow-login/ada"), beside);
    let is = sessions.get(&id_of(&ada)).session().unwrap();
    let hours: u64 = app.with(&ada).get("/left").await.body.parse().unwrap();
    assert!(hours >= 335, "{hours}: fourteen days, as was acknowledged");
    assert_eq!(is.hard_deadline_ms(), last_ms, "no longer than was said before the log-in");
}

#[tokio::test]
async fn an_end_that_the_log_in_itself_chose_stands() {
    let mesh = alone("own-end").await;
    let sessions = mesh.sessions();
    let (_, ticket) = sessions.create_keyed(Expiry::sliding(AN_HOUR), |_| Ok(())).unwrap();
    let begun = sessions.begin_login(Some(&ticket), "ada", Expiry::sliding(AN_HOUR)).unwrap();
    let choose = |id, hours| {
        let expiry = Expiry::sliding(AN_HOUR * hours);
        sessions.edit(id, |fields| {
            fields.set_expiry(expiry);
            Ok(())
        })
    };
    choose(&begun.ticket.id, 24 * 7).unwrap();
    choose(&ticket.id, 24 * 14).unwrap();
    sessions.finish_login(&begun, Duration::ZERO).unwrap();
    let is = sessions.get(&begun.ticket.id).session().unwrap();
    assert!(is.deadline_ms().abs_diff(is.created_ms() + 7 * 24 * 3_600_000) < 60_000, "a week, as it chose");
}

#[tokio::test]
async fn the_half_of_a_double_click_that_comes_after_the_grace_ends_with_the_other() {
    let mesh = alone("late-click").await;
    let app = app(&mesh, |layer| layer.with_rotation_grace(Duration::ZERO));
    let begun = app.post("/set/cart/apples").await;
    let one = app.with(&begun).post("/login/ada").await;
    let two = app.with(&begun).post("/login/ada").await;
    assert_eq!(
        (two.status, two.body.as_str()),
        (StatusCode::OK, "Behind"),
        "its key has ended: nothing goes along"
    );
    assert_eq!(app.with(&two).get("/get/cart").await.body, "none");
    app.with(&two).post("/logout").await;
    for answer in [&one, &two, &begun] {
        assert_eq!(app.with(answer).get("/whose").await.body, "nobody");
    }
}

#[tokio::test]
async fn a_logout_ends_a_log_in_made_from_it_elsewhere_that_it_has_not_heard_of() {
    let (meshes, drill) = meshes_to_cut("unheard").await;
    let apps = meshes.each_ref().map(|mesh| app(mesh, |layer| layer));
    let ada = apps[0].post("/login/ada").await;
    there_everywhere(&meshes, &ada).await;
    cut_off(&drill, "b");
    let again = apps[1].with(&ada).post("/login/ada").await;
    assert_eq!(apps[0].with(&ada).post("/logout").await.status, StatusCode::OK);
    assert_eq!(apps[1].with(&again).get("/whose").await.body, "ada", "it has not heard of the logout");
    drill.heal_all();
    for answer in [&ada, &again] {
        gone_everywhere(&meshes, answer).await;
    }
}

#[tokio::test]
async fn a_logout_ends_what_a_double_click_made_wherever_it_was_made() {
    for at_one_node in [true, false] {
        let (meshes, drill) = meshes_to_cut("double-click").await;
        let apps = meshes.each_ref().map(|mesh| app(mesh, |layer| layer));
        let begun = apps[0].post("/set/cart/apples").await;
        there_everywhere(&meshes, &begun).await;
        if !at_one_node {
            cut_off(&drill, "b");
        }
        let other = &apps[usize::from(!at_one_node)];
        let (left, right) = (apps[0].with(&begun), other.with(&begun));
        let (one, two) = tokio::join!(left.post("/login/ada"), right.post("/login/ada"));
        assert_eq!((one.status, two.status), (StatusCode::OK, StatusCode::OK));
        // Somebody else, from the same planted cookie.
        let eve = apps[0].with(&begun).post("/login/eve").await;
        assert_eq!(apps[0].with(&one).post("/logout").await.status, StatusCode::OK);
        drill.heal_all();
        gone_everywhere(&meshes, &one).await;
        gone_everywhere(&meshes, &two).await;
        there_everywhere(&meshes, &eve).await;
        for app in &apps {
            assert_eq!(app.with(&two).get("/whose").await.body, "nobody", "one node: {at_one_node}");
            assert_eq!(app.with(&eve).get("/whose").await.body, "eve", "she shared nothing with ada");
        }
    }
}

#[tokio::test]
async fn a_logout_with_an_older_cookie_follows_to_the_end() {
    let mesh = alone("follows").await;
    let app = app(&mesh, |layer| layer);
    let anonymous = app.post("/set/cart/apples").await;
    let ada = app.with(&anonymous).post("/login/ada").await;
    let rotated = app.with(&ada).post("/rotate").await;
    let again = app.with(&rotated).post("/login/ada").await;
    app.with(&anonymous).post("/logout").await;
    for answer in [&ada, &rotated, &again] {
        assert_eq!(app.with(answer).get("/whose").await.body, "nobody");
    }
}

#[tokio::test]
async fn a_logout_at_a_node_that_knows_nothing_ends_the_session_everywhere() {
    let (meshes, drill) = meshes_to_cut("blind-logout").await;
    let apps = meshes.each_ref().map(|mesh| app(mesh, |layer| layer));
    let begun = apps[0].post("/set/cart/apples").await;
    there_everywhere(&meshes, &begun).await;
    cut_off(&drill, "c");
    let ada = apps[0].with(&begun).post("/login/ada").await;
    let twin = apps[1].with(&begun).post("/login/ada").await;
    let out = apps[2].with(&ada).post("/logout").await;
    assert_eq!(out.status, StatusCode::OK, "{}", out.body);
    assert!(removes_cookie(&out));
    drill.heal_all();
    for answer in [&ada, &twin, &begun] {
        gone_everywhere(&meshes, answer).await;
    }
}

/// A secret was changed, so that nobody vouches for the cookie: it ends what its key opens, and where that is not known,
/// the client is told that its session may go on.
#[tokio::test]
async fn an_unsigned_logout_says_so_where_it_may_have_ended_nothing() {
    let (meshes, drill) = meshes_to_cut("unsigned-logout").await;
    let apps = meshes.each_ref().map(|mesh| app(mesh, |layer| layer));
    let begun = apps[0].post("/login/ada").await;
    there_everywhere(&meshes, &begun).await;
    cut_off(&drill, "b");
    let rotated = apps[0].with(&begun).post("/rotate").await;
    let logout = apps[1].cookie(&ticket_alone(&rotated)).post("/logout").await;
    assert_eq!(logout.status, StatusCode::SERVICE_UNAVAILABLE, "b has not heard of this key");
    assert!(removes_cookie(&logout), "whoever sits at the browser next");
    assert_eq!(apps[1].with(&begun).get("/whose").await.body, "ada", "a guess ends nothing");
    assert_eq!(apps[0].with(&rotated).get("/whose").await.body, "ada");
    drill.heal_all();
    apps[0].with(&rotated).post("/set/cart/tea").await;
    value_everywhere(&meshes, id_of(&begun), "cart", Some("tea")).await;
    let again = apps[1].cookie(&ticket_alone(&rotated)).post("/logout").await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.body);
    gone_everywhere(&meshes, &begun).await;
}

#[tokio::test]
async fn a_logout_at_a_node_that_has_stopped_is_none_and_says_so() {
    let mesh = alone("stopped-logout").await;
    let app = app(&mesh, |layer| layer);
    let begun = app.post("/login/ada").await;
    let elsewhere = unsigned_cookie([7; 16]);
    mesh.leave().await;
    let signed = begun.cookie().to_owned();
    for cookie in [signed, ticket_alone(&begun), format!("session={elsewhere}")] {
        let logout = app.cookie(&cookie).post("/logout").await;
        assert_eq!(logout.status, StatusCode::SERVICE_UNAVAILABLE, "{}", logout.body);
        assert!(removes_cookie(&logout));
    }
}

#[tokio::test]
async fn a_log_in_says_what_it_could_not_take_along_and_is_never_refused() {
    let (meshes, drill) = meshes_to_cut("login-behind").await;
    let apps = meshes
        .each_ref()
        .map(|mesh| app(mesh, |layer| layer.when_behind(sessionmesh::web::axum::Behind::Refuse)));
    let begun = apps[0].post("/set/cart/apples").await;
    there_everywhere(&meshes, &begun).await;
    cut_off(&drill, "a");
    let ahead = apps[0].with(&begun).post("/set/cart/bread").await;
    let read = apps[1].with(&ahead).get("/get/cart").await;
    assert_eq!(read.status, StatusCode::SERVICE_UNAVAILABLE, "{}", read.body);
    let ada = apps[1].with(&ahead).post("/login/ada").await;
    assert_eq!((ada.status, ada.body.as_str()), (StatusCode::OK, "Behind"));
    assert_eq!(apps[1].with(&ada).get("/get/cart").await.body, "apples", "what was here");
    let out = apps[2].with(&ahead).post("/logout").await;
    assert_eq!(out.status, StatusCode::OK, "{}", out.body);
}

#[tokio::test]
async fn signing_out_the_others_spares_the_log_in_whatever_keys_it_is_given() {
    for revoked_first in [true, false] {
        let meshes = linked("others").await;
        let apps = meshes.each_ref().map(|mesh| app(mesh, |layer| layer));
        let mine = apps[0].post("/login/ada").await;
        let other = apps[1].post("/login/ada").await;
        there_everywhere(&meshes, &mine).await;
        there_everywhere(&meshes, &other).await;
        let rotate = || async { apps[1].with(&mine).post("/rotate").await };
        let early = if revoked_first { None } else { Some(rotate().await) };
        meshes[0].sessions().revoke_all_except("ada", &id_of(&mine)).unwrap();
        let rotated = match early {
            Some(rotated) => rotated,
            None => rotate().await,
        };
        gone_everywhere(&meshes, &other).await;
        for app in &apps {
            assert_eq!(app.with(&rotated).get("/whose").await.body, "ada", "revoked first: {revoked_first}");
        }
    }
}

#[tokio::test]
async fn one_login_is_ended_by_what_a_list_shows_of_it() {
    let meshes = linked("handles").await;
    let apps = meshes.each_ref().map(|mesh| app(mesh, |layer| layer));
    let phone = apps[0].post("/login/ada").await;
    let laptop = apps[1].post("/login/ada").await;
    for answer in [&phone, &laptop] {
        there_everywhere(&meshes, answer).await;
    }
    let logins = meshes.each_ref().map(|mesh| mesh.sessions().logins("ada"));
    assert_eq!(logins[0], logins[1]);
    let shown = logins[2].iter().find(|login| login.session == id_of(&phone)).unwrap();
    let forged = format!("session={}", unsigned_cookie(*shown.session.as_bytes()));
    assert_eq!(apps[0].cookie(&forged).get("/whose").await.body, "nobody", "what is shown opens nothing");
    meshes[2].sessions().end_login("ada", &shown.handle).unwrap();
    gone_everywhere(&meshes, &phone).await;
    assert_eq!(apps[2].with(&laptop).get("/whose").await.body, "ada");
    assert!(meshes[2].sessions().end_login("ada", &shown.handle).is_err(), "it is none any more");
}

#[tokio::test]
async fn what_is_ended_by_its_handle_is_logged_out() {
    let mesh = alone("ended-handles").await;
    let app = app(&mesh, |layer| layer);
    let cart = app.post("/set/cart/tea").await;
    let left = app.with(&cart).post("/login/ada").await;
    let right = app.with(&cart).post("/login/ada").await;
    let elsewhere = app.post("/login/ada").await;
    let logins = mesh.sessions().logins("ada");
    let handle = |answer: &Answer| {
        let login = logins.iter().find(|login| login.session == id_of(answer)).unwrap();
        login.handle.clone()
    };
    assert_eq!(logins.len(), 3, "both halves of a double click, and one more");
    assert!(logins.iter().all(|l| l.handle.len() == 32 && !l.handle.contains(&l.session.to_text())));
    // Whoever has seen a cookie knows its id: what a list shows is made of something else.
    let of_id = LoginId { id: id_of(&right), since_ms: 0 }.handle();
    let refused =
        [("bob", handle(&right)), ("ada", id_of(&right).to_text()), ("ada", of_id), ("ada", String::new())];
    for (whose, name) in refused {
        assert!(mesh.sessions().end_login(whose, &name).is_err(), "{whose} {name}: is none of theirs");
    }
    assert_eq!(mesh.sessions().logins("ada"), logins, "and ends nothing");
    let receipts = mesh.sessions().end_login("ada", &handle(&right)).unwrap();
    assert!(receipts.iter().any(|receipt| receipt.id() == id_of(&cart)), "what it came from ends too");
    for answer in [&cart, &left, &right] {
        assert!(matches!(mesh.sessions().get(&id_of(answer)), Found::Absent));
        assert_eq!(app.with(answer).get("/whose").await.body, "nobody");
    }
    assert_eq!(app.with(&elsewhere).get("/whose").await.body, "ada");
}

#[tokio::test]
async fn what_no_answer_told_is_taken_back() {
    let mesh = alone("untold").await;
    let app = app(&mesh, |layer| layer.with_rotation_grace(Duration::ZERO));
    let beginning = app.clone();
    let panicked = tokio::spawn(async move { beginning.post("/begin-and-panic").await }).await;
    assert!(panicked.unwrap_err().is_panic());
    assert_eq!(mesh.sessions().len(), 0, "nobody holds the session that was never told");
    let begun = app.post("/set/cart/apples").await;
    let held = app.with(&begun);
    let panicking = held.clone();
    let panicked = tokio::spawn(async move { panicking.post("/panic/ada").await }).await;
    assert!(panicked.unwrap_err().is_panic());
    let hanging = held.clone();
    let hung = tokio::spawn(async move { hanging.post("/hang/ada").await });
    held.loaded().await;
    hung.abort();
    assert!(hung.await.unwrap_err().is_cancelled());
    assert_eq!(held.get("/get/cart").await.body, "apples", "the client's cookie is as good as before");
    assert_eq!(held.post("/set/cart/bread").await.status, StatusCode::OK);
    assert_eq!(mesh.sessions().of("ada"), [], "nobody holds the log-ins that were never told");
    assert_eq!(mesh.sessions().len(), 1);

    let late = held.post("/late/ada").await;
    assert_eq!(late.body, "done 500 500", "a write, a rotation, a log-in");
    let nothing = app.post("/late/ada").await;
    assert_eq!(nothing.body, "500 done 500", "a first write would be an orphan; there is nothing to rotate");
    assert_eq!(mesh.sessions().len(), 1);
}

#[tokio::test]
async fn a_session_that_nobody_has_looked_for_says_so() {
    let mesh = alone("extension").await;
    let app = app(&mesh, |layer| layer);
    let begun = app.post("/set/user/ada").await;
    let early = app.with(&begun).get("/extension").await;
    assert_eq!(early.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(early.body.contains("Session::ready()"), "{}", early.body);
    assert_eq!(app.get("/extension").await.body, "none", "without a cookie there is nothing to look for");

    let all = app.with(&begun).post("/unready").await;
    assert!(
        all.body.contains("Session::ready()") && !all.body.contains(';'),
        "one answer to all: {}",
        all.body
    );
    assert_eq!(all.set_cookie, None);
    let after = mesh.sessions().get(&id_of(&begun)).session().unwrap();
    assert_eq!(
        (after.get::<&str>("user").unwrap(), after.principal()),
        (Some("ada"), None),
        "nothing was done"
    );
    assert!(after.deadline_ms() > mesh.sessions().wall_ms() + 60_000);
}

#[tokio::test]
async fn of_several_cookies_the_one_that_names_a_living_session_counts() {
    let mesh = alone("several").await;
    let app = app(&mesh, |layer| layer);
    let ended = app.post("/set/user/eve").await;
    app.with(&ended).post("/logout").await;
    let before = app.post("/set/cart/tea").await;
    let now = app.with(&before).post("/login/ada").await;
    let jar = |order: [&Answer; 3]| order.map(|answer| answer.cookie().to_owned()).join("; ");
    for order in [[&ended, &before, &now], [&now, &ended, &before], [&before, &now, &ended]] {
        let read = app.cookie(&jar(order)).get("/whose").await;
        assert_eq!((read.body.as_str(), &read.set_cookie), ("ada", &None));
    }
    let odd = format!("{}; session=%ff", now.cookie());
    assert_eq!(app.cookie(&odd).get("/whose").await.body, "ada");
}

#[tokio::test]
async fn a_cookie_of_the_version_before_stays_good_if_its_first_answer_never_goes_out() {
    let mesh = alone("upgrade-untold").await;
    let receipt = mesh.sessions().create(Expiry::sliding(CEILING), |f| f.set("user", "ada")).unwrap();
    let held =
        app(&mesh, |layer| layer).cookie(&format!("session={}", unsigned_cookie(*receipt.id().as_bytes())));
    let panicking = held.clone();
    let panicked = tokio::spawn(async move { panicking.post("/panic/ada").await }).await;
    assert!(panicked.unwrap_err().is_panic());
    assert_eq!(held.get("/get/user").await.body, "ada");
}

#[tokio::test]
async fn a_cookie_of_the_version_before_is_taken_once_and_upgraded() {
    let mesh = alone("upgrade").await;
    let app = app(&mesh, |layer| layer);
    let id = mesh.sessions().create(Expiry::sliding(AN_HOUR), |s| s.set("user", "ada")).unwrap().id();
    let bare = format!("session={}", unsigned_cookie(*id.as_bytes()));
    let upgraded = app.cookie(&bare).get("/get/user").await;
    assert_eq!(upgraded.body, "ada");
    assert_eq!(id_of(&upgraded), id);
    let beside = app.cookie(&bare).get("/get/user").await;
    assert_eq!(
        (beside.body.as_str(), &beside.set_cookie),
        ("ada", &None),
        "requests under way with the old one"
    );
    assert_eq!(app.with(&upgraded).get("/get/user").await.body, "ada");
    let keyed = app.post("/set/user/grace").await;
    let guessed = format!("session={}", unsigned_cookie(*id_of(&keyed).as_bytes()));
    assert_eq!(
        app.cookie(&guessed).get("/get/user").await.body,
        "none",
        "an id opens no session that has a key"
    );
}

#[tokio::test]
async fn a_cookie_of_the_version_before_is_good_until_a_new_one_was_told() {
    let mesh = alone("upgrade-untold").await;
    let app = app(&mesh, |layer| layer.with_rotation_grace(Duration::ZERO));
    let id = mesh.sessions().create(Expiry::sliding(AN_HOUR), |s| s.set("user", "ada")).unwrap().id();
    let held = app.cookie(&format!("session={}", unsigned_cookie(*id.as_bytes())));
    let panicking = held.clone();
    let panicked = tokio::spawn(async move { panicking.post("/panic/eve").await }).await;
    assert!(panicked.unwrap_err().is_panic());
    // A page's requests come all at once, and are answered in any order.
    let beside = async {
        held.loaded().await;
        let beside = held.get("/get/user").await;
        held.open();
        beside
    };
    let (slow, beside) = tokio::join!(held.post("/slow/cart/tea"), beside);
    assert_eq!((slow.status, beside.body.as_str()), (StatusCode::OK, "ada"), "{}", slow.body);
    for answer in [&beside, &slow] {
        assert_eq!(id_of(answer), id);
        assert_eq!(app.with(answer).get("/get/cart").await.body, "tea", "whichever the browser keeps");
    }
    let late = held.get("/get/user").await;
    assert_eq!((late.body.as_str(), &late.set_cookie), ("none", &None), "it ended with the first answer");
    assert_eq!(mesh.sessions().of("eve"), []);
}
