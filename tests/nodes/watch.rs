//! Watching sessions from any node, and what a watcher that falls behind is told; values of every kind.

mod keys;
use crate::meshes;
mod order;

use std::time::Duration;

use meshes::{alone, linked, within};
use serde_json::{Value, json};
use sessionmesh::{Expiry, SessionEvent, Watch};

const HOUR: Duration = Duration::from_secs(3_600);

async fn next(watch: &mut Watch) -> SessionEvent {
    within("an event", watch.next()).await.expect("the node runs")
}

#[tokio::test]
async fn a_watcher_on_another_node_hears_what_happens_and_which_keys_changed() {
    let [a, b, _c] = linked("watched").await;
    let mut watch = b.sessions().watch();
    let sessions = a.sessions();
    let mut own = sessions.watch();
    let id = sessions.create(Expiry::sliding(HOUR), |f| f.set("user", "ada")).unwrap().id();
    assert_eq!(next(&mut watch).await, SessionEvent::Created(id));
    let edit = sessions.edit(&id, |f| {
        f.set("cart", &["tea"])?;
        f.remove("user");
        Ok(())
    });
    edit.unwrap();
    assert_eq!(next(&mut own).await, SessionEvent::Created(id), "the writing node's watchers hear it too");
    for watch in [&mut watch, &mut own] {
        let SessionEvent::Changed(changed, mut keys) = next(watch).await else { panic!("a change") };
        keys.sort();
        assert_eq!((changed, keys), (id, vec!["cart".to_owned(), "user".to_owned()]));
    }
    sessions.destroy(&id).unwrap();
    assert_eq!(next(&mut watch).await, SessionEvent::Destroyed(id));

    let brief = sessions.create(Expiry::after(Duration::from_secs(3)), |_| Ok(())).unwrap().id();
    assert_eq!(next(&mut watch).await, SessionEvent::Created(brief));
    assert_eq!(next(&mut watch).await, SessionEvent::Expired(brief), "nobody does anything for it");
}

#[tokio::test]
async fn writers_do_not_wait_for_a_watcher_that_sleeps_and_it_is_told_to_resync() {
    let mesh = alone("resync").await;
    let sessions = mesh.sessions();
    let mut watch = sessions.watch();
    let id = sessions.create(Expiry::sliding(HOUR), |_| Ok(())).unwrap().id();
    for n in 0..10_000 {
        // Nobody reads the events meanwhile: this thread would hang here if a writer waited.
        sessions.edit(&id, |f| f.set("n", &n)).unwrap();
    }
    let SessionEvent::Resync(missed) = next(&mut watch).await else { panic!("told to resync") };
    let mut heard = 0;
    let last = sessions.destroy(&id).unwrap().id();
    loop {
        match next(&mut watch).await {
            SessionEvent::Changed(..) => heard += 1,
            SessionEvent::Resync(more) => heard += more,
            SessionEvent::Destroyed(gone) => break assert_eq!(gone, last),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(missed + heard, 10_001, "every event is either heard or counted");
}

#[tokio::test]
async fn values_are_typed_or_json_or_bytes_and_a_bad_one_spoils_no_other() {
    let mesh = alone("values").await;
    let sessions = mesh.sessions();
    let filled = sessions.create(Expiry::sliding(HOUR), |f| {
        f.set("typed", &(1u8, "one"))?;
        f.set("json", &json!({ "items": ["tea", null, 2.5], "paid": false }))?;
        f.set_bytes("bytes", [0xc1, 0, 0xff]);
        Ok(())
    });
    let session = sessions.get(&filled.unwrap().id()).session().unwrap();
    assert_eq!(session.get::<(u8, &str)>("typed"), Ok(Some((1, "one"))));
    assert_eq!(session.get::<Value>("typed"), Ok(Some(json!([1, "one"]))), "typed values read as JSON");
    assert_eq!(session.get::<Value>("json").unwrap().unwrap()["items"][2], json!(2.5));
    assert_eq!(session.bytes("bytes"), Some(&[0xc1, 0, 0xff][..]));
    let error = session.get::<String>("bytes").unwrap_err();
    assert_eq!(error.key, "bytes");
    assert!(session.get::<u64>("typed").is_err(), "another type than it was written as");
    assert_eq!(session.get::<(u8, String)>("typed"), Ok(Some((1, "one".into()))), "the rest is as it was");
}
