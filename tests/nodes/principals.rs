//! Whose sessions: list and revoke, on real meshes in one process.

use crate::meshes;

use std::collections::BTreeSet;
use std::time::Duration;

use meshes::{CEILING, alone, everywhere, linked, start, within};
use sessionmesh::transport::Drill;
use sessionmesh::{Error, Expiry, Found, Mesh, SessionEvent, SessionId, WriteError};

fn half_hour() -> Expiry {
    Expiry::sliding(Duration::from_secs(1_800))
}

async fn create(mesh: &Mesh, principal: &str, copies: usize) -> SessionId {
    let receipt = mesh.sessions().create(half_hour(), |s| {
        s.set_principal(principal);
        s.set("user", principal)
    });
    let receipt = receipt.unwrap();
    within("copies", receipt.copies_within(copies, CEILING)).await.unwrap();
    receipt.id()
}

fn of(mesh: &Mesh, principal: &str) -> BTreeSet<SessionId> {
    mesh.sessions().of(principal).into_iter().collect()
}

async fn gone(meshes: &[Mesh], id: SessionId) {
    everywhere(meshes, id, "gone", |found| matches!(found, Found::Absent)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_sessions_are_listed_and_end_on_every_node_at_once() {
    let meshes = linked("devices").await;
    let [a, b, c] = &meshes;
    let mut ids = BTreeSet::new();
    for mesh in &meshes {
        ids.insert(create(mesh, "ada", 3).await);
    }
    let other = create(b, "bob", 3).await;
    for mesh in &meshes {
        assert_eq!(of(mesh, "ada"), ids);
        assert_eq!(mesh.sessions().of("bob"), [other]);
        assert_eq!(mesh.sessions().len(), 4);
    }
    let mut watch = c.sessions().watch();
    let revocation = a.sessions().revoke_all("ada").unwrap();
    assert_eq!(revocation.ended(), 3);
    within("copies", revocation.copies_within(3, CEILING)).await.unwrap();
    assert_eq!(revocation.have(), 3);
    let mut ended = BTreeSet::new();
    while ended.len() < 3 {
        match within("events", watch.next()).await {
            Some(SessionEvent::Destroyed(id)) => assert!(ended.insert(id), "told once"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ended, ids);
    for mesh in &meshes {
        assert_eq!(mesh.sessions().of("ada"), []);
        assert_eq!(mesh.sessions().of("bob"), [other]);
        assert_eq!(mesh.sessions().len(), 1, "the revocation is no session");
    }
    // Logged in again, on a node that knows of it.
    let again = create(b, "ada", 3).await;
    assert_eq!(a.sessions().of("ada"), [again]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_device_at_hand_stays_logged_in() {
    let meshes = linked("others").await;
    let [a, b, c] = &meshes;
    let here = create(a, "ada", 3).await;
    let there = create(b, "ada", 3).await;
    assert_eq!(c.sessions().revoke_all_except("ada", &here).unwrap().ended(), 1);
    gone(&meshes, there).await;
    let after = create(c, "ada", 3).await;
    for mesh in &meshes {
        assert_eq!(of(mesh, "ada"), BTreeSet::from([here, after]));
    }
    let absent = |kept: Result<_, Error>| matches!(kept, Err(Error::Write(WriteError::Absent)));
    assert!(absent(a.sessions().revoke_all_except("bob", &here)), "not a session of bob's");
    assert!(absent(a.sessions().revoke_all_except("ada", &there)), "it has ended");
    assert_eq!(b.sessions().revoke_all("ada").unwrap().ended(), 2);
    gone(&meshes, here).await;
    gone(&meshes, after).await;
}

/// Two nodes that cannot hear each other: one revokes, the other logs in, and then they meet.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_on_the_other_side_of_a_partition_is_revoked_when_they_meet() {
    let drill = Drill::new(11);
    let with = |b: sessionmesh::Builder| b.drill(drill.clone()).configure(|c| c.link_timeout_ms = 1_500);
    let a = start("split", "a", &[], with).await;
    let b = start("split", "b", &[&a], with).await;
    for mesh in [&a, &b] {
        within("ready", mesh.ready()).await.unwrap();
        within("linked", mesh.members_until(|m| m.len() == 2 && m.iter().all(|m| m.linked))).await;
    }
    let before = create(&a, "ada", 2).await;
    drill.cut("a", "b");
    let apart = |m: &[sessionmesh::MemberInfo]| m.iter().filter(|m| m.linked).count() < 2;
    within("apart", a.members_until(apart)).await;
    within("apart", b.members_until(apart)).await;
    let early = create(&b, "ada", 1).await;
    assert_eq!(a.sessions().revoke_all("ada").unwrap().ended(), 1);
    let late = create(&b, "ada", 1).await;
    let seen = create(&a, "ada", 1).await;
    assert_eq!(of(&b, "ada"), BTreeSet::from([before, early, late]), "not yet heard of");
    drill.heal("a", "b");
    let meshes = [a, b];
    for id in [before, early, late] {
        gone(&meshes, id).await;
    }
    everywhere(&meshes, seen, "there", |found| matches!(found, Found::Session(_))).await;
    for mesh in &meshes {
        assert_eq!(mesh.sessions().of("ada"), [seen], "at {}", mesh.node());
    }
}

#[tokio::test]
async fn the_principal_is_no_field() {
    let mesh = alone("reserved").await;
    let sessions = mesh.sessions();
    let id = create(&mesh, "ada", 1).await;
    let session = sessions.get(&id).session().unwrap();
    assert_eq!(session.principal(), Some("ada"));
    assert_eq!(session.fields().map(|f| f.0).collect::<Vec<_>>(), ["user"]);
    assert_eq!(session.bytes("\0\0p"), None);
    let mut watch = sessions.watch();
    let logged_in = |who: &str| {
        sessions.edit(&id, |s| {
            s.set_principal(who);
            Ok(())
        })
    };
    assert!(logged_in("bob").unwrap().wrote());
    assert_eq!(watch.next().await, Some(SessionEvent::Changed(id, vec![])));
    assert!(logged_in("bob").unwrap().wrote(), "each log-in says anew what it has seen");
    for key in ["\0\0p", "\0\0r", "\0\0"] {
        for refused in [
            sessions.edit(&id, |s| s.set(key, "mine")),
            sessions.edit(&id, |s| {
                s.remove(key);
                Ok(())
            }),
            sessions.create(half_hour(), |s| s.set(key, "mine")),
        ] {
            assert!(matches!(refused, Err(Error::Write(WriteError::ReservedKey))), "{refused:?}");
        }
    }
    for (who, bytes) in [(String::new(), 0), ("x".repeat(256), 256)] {
        let refused = |error: Error| matches!(error, Error::Write(WriteError::Principal { bytes: b, .. }) if b == bytes);
        assert!(refused(logged_in(&who).unwrap_err()));
        assert!(refused(sessions.revoke_all(&who).unwrap_err()));
    }
    sessions
        .edit(&id, |s| {
            s.clear_principal();
            Ok(())
        })
        .unwrap();
    assert_eq!((sessions.of("bob"), sessions.revoke_all("bob").unwrap().ended()), (vec![], 0));
    let session = sessions.get(&id).session().expect("nobody's session ends with nobody's revocation");
    assert_eq!((session.principal(), session.get::<&str>("user").unwrap()), (None, Some("ada")));
    mesh.leave().await;
    assert!(matches!(sessions.revoke_all("ada"), Err(Error::Stopped(_))));
    assert_eq!(sessions.of("ada"), [], "a node that has left lists nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_is_named_by_itself_not_by_the_session_that_it_is_of() {
    let mesh = alone("handles").await;
    let sessions = mesh.sessions();
    let id = create(&mesh, "ada", 1).await;
    let handle = || {
        let [login] = sessions.logins("ada").try_into().expect("one log-in");
        assert_eq!(login.session, id);
        login.handle
    };
    let first = handle();
    sessions.edit(&id, |s| s.set("cart", "tea")).unwrap();
    assert_eq!(handle(), first, "for as long as it lasts");
    sessions
        .edit(&id, |s| {
            s.set_principal("ada");
            Ok(())
        })
        .unwrap();
    let second = handle();
    assert_ne!(second, first, "she has logged in again, in the same session");
    let of_before = sessions.end_login("ada", &first);
    assert!(matches!(of_before, Err(Error::Write(WriteError::Absent))), "{of_before:?}");
    sessions.end_login("ada", &second).unwrap();
    assert_eq!(sessions.logins("ada"), []);
}
