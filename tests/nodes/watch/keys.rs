//! Which keys a change is told to have changed: what the record says, not what the edit said; here and on other nodes alike.

use sessionmesh::mesh::Fields;
use sessionmesh::{Error, Expiry, SessionEvent};

use super::{HOUR, next};
use crate::meshes::{linked, within};

/// An edit, and the keys it changes in a session of `user = "ada"`, `cart = 1`; none, if nobody is told anything.
type Case = (&'static str, fn(&mut Fields) -> Result<(), Error>, Option<&'static [&'static str]>);

const CASES: &[Case] = &[
    ("a value set again", |f| f.set("user", "ada"), None),
    ("another value", |f| f.set("user", "grace"), Some(&["user"])),
    ("a new key", |f| f.set("note", "x"), Some(&["note"])),
    (
        "a map saved whole",
        |f| {
            f.skip_unchanged();
            f.set("user", "grace")?;
            f.set("note", "x")?;
            f.set("cart", &2)
        },
        Some(&["cart"]),
    ),
    (
        "a removal of what is not there",
        |f| {
            f.remove("never");
            Ok(())
        },
        None,
    ),
    (
        "one removal of two that does something",
        |f| {
            f.remove("never");
            f.remove("note");
            Ok(())
        },
        Some(&["note"]),
    ),
    (
        "a key said twice",
        |f| {
            f.set("cart", &3)?;
            f.set("cart", &2)
        },
        None,
    ),
    (
        "a log-in",
        |f| {
            f.set_principal("ada");
            Ok(())
        },
        Some(&[]),
    ),
    (
        "another idle time",
        |f| {
            f.set_expiry(Expiry::sliding(2 * HOUR));
            Ok(())
        },
        Some(&[]),
    ),
    (
        "a bound",
        |f| {
            f.set_at_most(HOUR);
            Ok(())
        },
        Some(&[]),
    ),
    (
        "a clear that sets one of two again",
        |f| {
            f.clear();
            f.set("user", "grace")
        },
        Some(&["cart"]),
    ),
    (
        "a clear of everything",
        |f| {
            f.clear();
            f.set("last", &1)
        },
        Some(&["last", "user"]),
    ),
];

#[tokio::test]
async fn the_keys_told_are_those_that_changed_whatever_the_edit_named() {
    let [a, b, _c] = linked("keys").await;
    let sessions = a.sessions();
    let mut watches = [sessions.watch(), b.sessions().watch()];
    let id = sessions
        .create(Expiry::sliding(HOUR), |f| {
            f.set("user", "ada")?;
            f.set("cart", &1)
        })
        .unwrap()
        .id();
    for watch in &mut watches {
        assert_eq!(next(watch).await, SessionEvent::Created(id));
    }
    for (what, change, keys) in CASES {
        let receipt = sessions.edit(&id, change).unwrap();
        // One by one: a merge may bring several edits at once, and is told as one.
        within(what, receipt.copies(3)).await.unwrap();
        let Some(keys) = keys else { continue };
        for (watch, who) in watches.iter_mut().zip(["the writer's", "another node's"]) {
            let told = next(watch).await;
            let SessionEvent::Changed(_, mut told) = told else { panic!("{what}, {who}: {told:?}") };
            told.sort();
            assert_eq!(told, *keys, "{what}, {who} watcher");
        }
    }
    sessions.destroy(&id).unwrap();
    for watch in &mut watches {
        assert_eq!(next(watch).await, SessionEvent::Destroyed(id), "nothing was told beside");
    }
}

#[tokio::test]
async fn a_revocation_is_told_as_the_end_of_each_session_once_and_of_none_of_its_own() {
    let [a, b, _c] = linked("revoked").await;
    let login = |f: &mut Fields| {
        f.set_principal("ada");
        Ok(())
    };
    let ids = [&a, &b].map(|mesh| mesh.sessions().create(Expiry::sliding(HOUR), login).unwrap());
    for receipt in &ids {
        within("everywhere", receipt.copies(3)).await.unwrap();
    }
    let mut watches = [&a, &b].map(|mesh| mesh.sessions().watch());
    within("revoked", a.sessions().revoke_all("ada").unwrap().copies(3)).await.unwrap();
    let last = a.sessions().create(Expiry::sliding(HOUR), |_| Ok(())).unwrap().id();
    for watch in &mut watches {
        let mut ended = vec![next(watch).await, next(watch).await];
        let mut wanted = ids.each_ref().map(|receipt| SessionEvent::Destroyed(receipt.id())).to_vec();
        let key = |event: &SessionEvent| event.id().map(|id| id.to_text());
        ended.sort_by_key(key);
        wanted.sort_by_key(key);
        assert_eq!(ended, wanted);
        assert_eq!(next(watch).await, SessionEvent::Created(last));
    }
}

#[tokio::test]
async fn watching_ends_with_the_node_though_handles_live() {
    let mesh = crate::meshes::alone("over").await;
    let sessions = mesh.sessions();
    let (mut watch, mut other) = (sessions.watch(), sessions.watch());
    let id = sessions.create(Expiry::sliding(HOUR), |_| Ok(())).unwrap().id();
    let waiting = tokio::spawn(async move { other.next().await.is_some() && other.next().await.is_none() });
    within("left", mesh.leave()).await;
    assert_eq!(next(&mut watch).await, SessionEvent::Created(id), "what happened before is told");
    assert_eq!(within("the end", watch.next()).await, None);
    assert!(within("who waits is told, too", waiting).await.unwrap());
    let mut late = sessions.watch();
    assert_eq!(within("a watch of a node that is over", late.next()).await, None);
    assert_eq!(within("an event of one session", sessions.next_event_of(&mut late, id)).await, None);
    within("members_until", mesh.members_until(|_| false)).await;
}
