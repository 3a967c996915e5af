//! A member that will not return: missing however long, forgotten by an operator only, and welcome should it come back.

use crate::meshes;

use std::time::Duration;

use meshes::{CEILING, everywhere, start, within};
use sessionmesh::transport::Drill;
use sessionmesh::{Builder, Error, Expiry, ForgetError, Found, MemberInfo, Mesh};

/// The board forgets within this (ms), so that a test sees what stays.
const GRACE_MS: u64 = 1_000;

async fn three(cluster: &str, drill: &Drill) -> [Mesh; 3] {
    let with = |b: Builder| {
        b.drill(drill.clone()).configure(|c| {
            c.dead_grace_ms = GRACE_MS;
            c.link_timeout_ms = 1_000;
        })
    };
    let a = start(cluster, "a", &[], with).await;
    let b = start(cluster, "b", &[&a], with).await;
    let c = start(cluster, "c", &[&a, &b], with).await;
    let meshes = [a, b, c];
    for mesh in &meshes {
        within("ready", mesh.ready()).await.unwrap();
        within("linked", mesh.members_until(|m| m.len() == 3 && m.iter().all(|m| m.linked))).await;
    }
    meshes
}

fn state<'a>(members: &'a [MemberInfo], node: &str) -> Option<&'a str> {
    members.iter().find(|m| m.node == node).map(|m| m.state.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_without_a_goodbye_is_missing_until_it_is_forgotten() {
    let drill = Drill::new(3);
    let [a, b, c] = three("missing", &drill).await;
    let refused = |answer: Result<Vec<String>, Error>| match answer {
        Err(Error::Forget(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused(a.forget("c").await), ForgetError::Alive { .. }));
    assert!(matches!(refused(a.forget("a").await), ForgetError::Itself));
    assert!(matches!(refused(a.forget("nobody").await), ForgetError::Unknown { .. }));
    drop(c);
    for mesh in [&a, &b] {
        within("dead", mesh.members_until(|m| state(m, "c") == Some("dead"))).await;
    }
    // The board has forgotten it long since; no word improves by that.
    tokio::time::sleep(Duration::from_millis(4 * GRACE_MS)).await;
    for mesh in [&a, &b] {
        let members = mesh.members();
        assert_eq!(state(&members, "c"), Some("dead"), "{members:?}");
    }
    // One who joins later hears of it by name.
    let with = |b: Builder| b.drill(drill.clone()).configure(|c| c.dead_grace_ms = GRACE_MS);
    let d = start("missing", "d", &[&a], with).await;
    within("ready", d.ready()).await.unwrap();
    within("named", d.members_until(|m| state(m, "c") == Some("dead"))).await;
    assert_eq!(a.forget("c").await.unwrap().len(), 1);
    for mesh in [&a, &b, &d] {
        within("forgotten", mesh.members_until(|m| state(m, "c").is_none())).await;
        let told = || (mesh.status().numbers["members_forgotten_total"] == 1).then_some(());
        within("counted", async {
            while told().is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await
            }
        })
        .await;
    }
    let e = start("missing", "e", &[&b], with).await;
    within("ready", e.ready()).await.unwrap();
    within("linked", e.members_until(|m| m.iter().filter(|m| m.linked).count() == 4)).await;
    assert_eq!(state(&e.members(), "c"), None, "{:?}", e.members());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_member_that_returns_goes_on_under_a_new_life_with_what_it_has() {
    let drill = Drill::new(4);
    let meshes = three("return", &drill).await;
    let [a, b, c] = &meshes;
    let before = c.status().origin;
    drill.cut("a", "c");
    drill.cut("b", "c");
    within("dead", a.members_until(|m| state(m, "c") == Some("dead"))).await;
    within("dead", b.members_until(|m| state(m, "c") == Some("dead"))).await;
    let expiry = Expiry::sliding(Duration::from_secs(1_800));
    let there = c.sessions().create(expiry, |s| s.set("user", "ada")).unwrap().id();
    let here = a.sessions().create(expiry, |s| s.set("user", "bob")).unwrap().id();
    a.forget("c").await.unwrap();
    within("forgotten", b.members_until(|m| state(m, "c").is_none())).await;
    drill.heal("a", "c");
    drill.heal("b", "c");
    for mesh in &meshes {
        within("linked", mesh.members_until(|m| m.len() == 3 && m.iter().all(|m| m.linked))).await;
    }
    for id in [there, here] {
        everywhere(&meshes, id, "there", |found| matches!(found, Found::Session(_))).await;
    }
    assert_ne!(c.status().origin, before, "a new life");
    let edit = b.sessions().edit(&there, |s| s.set("cart", &1)).unwrap();
    within("copies", edit.copies_within(3, CEILING)).await.unwrap();
}
