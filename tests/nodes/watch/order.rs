//! The order of what is told, while many threads and two nodes edit and end one session.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use sessionmesh::{Expiry, Found, Mesh, SessionEvent, SessionId, Watch};

use super::{HOUR, next};
use crate::meshes::{alone, everywhere, linked, value_everywhere, within};

const THREADS: u64 = 4;
/// What watchers may lag behind is 4,096 events: fewer than that are made before they are read.
const EDITS: u64 = 150;

/// Threads that each edit the session again and again: they take every field away and set a new one of a name that nobody
/// uses twice. So each change says which one came before it. Ends when the session does.
fn churn(meshes: &[&Mesh], id: SessionId, names: &AtomicU64, ended_after: Option<u64>) {
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for n in 0..THREADS {
            let sessions = meshes[n as usize % meshes.len()].sessions();
            let done = &done;
            scope.spawn(move || {
                for _ in 0..EDITS {
                    let name = format!("k{}", names.fetch_add(1, Ordering::Relaxed));
                    let edited = sessions.edit(&id, |f| {
                        f.clear_fields();
                        f.set(&name, &1)
                    });
                    if edited.is_err() {
                        return;
                    }
                    if Some(done.fetch_add(1, Ordering::Relaxed)) == ended_after {
                        sessions.destroy(&id).expect("ended");
                    }
                }
            });
        }
    });
}

fn create(mesh: &Mesh) -> SessionId {
    mesh.sessions().create(Expiry::sliding(HOUR), |f| f.set("k", &1)).expect("created").id()
}

/// The keys of a change.
fn keys(event: SessionEvent, id: SessionId) -> BTreeSet<String> {
    let SessionEvent::Changed(of, keys) = event else { panic!("{event:?}") };
    assert_eq!(of, id);
    let told: BTreeSet<String> = keys.iter().cloned().collect();
    assert_eq!(told.len(), keys.len(), "each key once");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_many_threads_are_told_in_the_order_in_which_the_record_took_them() {
    let mesh = alone("order").await;
    let names = AtomicU64::new(0);
    let mut watch = mesh.sessions().watch();
    let id = create(&mesh);
    assert_eq!(next(&mut watch).await, SessionEvent::Created(id));
    churn(&[&mesh], id, &names, None);
    let mut last = "k".to_owned();
    for at in 0..THREADS * EDITS {
        let mut told = keys(next(&mut watch).await, id);
        assert!(told.remove(&last) && told.len() == 1, "change {at}: {told:?}, and not {last}");
        last = told.pop_first().expect("one");
    }
    let held = mesh.sessions().get(&id).session().expect("it lives");
    assert_eq!(held.fields().map(|f| f.0.to_owned()).collect::<Vec<_>>(), [last]);
}

/// Reads what is told of `id` up to `last`, and holds it to the order in which things can happen: it appears, changes, and
/// ends, once; a key is told when it is set and when it is gone. Returns the keys that are there at the end.
async fn read(watch: &mut Watch, id: SessionId, last: SessionId) -> (BTreeSet<String>, bool) {
    let (mut there, mut ended) = (BTreeSet::from(["k".to_owned()]), false);
    assert_eq!(next(watch).await, SessionEvent::Created(id));
    loop {
        match next(watch).await {
            SessionEvent::Created(of) if of == last => return (there, ended),
            SessionEvent::Conflict(_) => {}
            event => {
                assert!(!ended, "told after the end: {event:?}");
                if event == SessionEvent::Destroyed(id) {
                    ended = true;
                    continue;
                }
                for key in keys(event, id) {
                    if !there.remove(&key) {
                        there.insert(key);
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_of_a_session_after_its_end() {
    let mesh = alone("ended").await;
    let names = AtomicU64::new(0);
    for round in 0..60 {
        let mut watch = mesh.sessions().watch();
        let id = create(&mesh);
        churn(&[&mesh], id, &names, Some(round));
        let last = create(&mesh);
        assert!(read(&mut watch, id, last).await.1, "its end is told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_nodes_tell_of_one_session_adds_up_to_what_each_holds() {
    let meshes = linked("two").await;
    let names = AtomicU64::new(0);
    for ended_after in [None, None, Some(3), Some(40), Some(200)] {
        let mut watches = [0, 1].map(|at: usize| meshes[at].sessions().watch());
        let id = create(&meshes[0]);
        value_there(&meshes, id).await;
        churn(&[&meshes[0], &meshes[1]], id, &names, ended_after);
        settled(&meshes, id, ended_after.is_some()).await;
        let last = create(&meshes[2]);
        value_there(&meshes, last).await;
        for (watch, mesh) in watches.iter_mut().zip(&meshes) {
            let (there, ended) = within("all is told", read(watch, id, last)).await;
            let held = mesh.sessions().get(&id).session();
            assert_eq!(ended, held.is_none());
            if let Some(held) = held {
                let held: BTreeSet<String> = held.fields().map(|f| f.0.to_owned()).collect();
                assert_eq!(there, held, "at {}", mesh.node());
            }
        }
    }
}

async fn value_there(meshes: &[Mesh], id: SessionId) {
    everywhere(meshes, id, "it is there", |found| matches!(found, Found::Session(_))).await;
}

/// Waits until all nodes hold all that was written to a session.
async fn settled(meshes: &[Mesh; 3], id: SessionId, is_ended: bool) {
    if is_ended {
        return everywhere(meshes, id, "its end", |found| matches!(found, Found::Absent)).await;
    }
    // A write after all others of its node arrives with them or after them.
    for mesh in meshes {
        mesh.sessions().edit(&id, |f| f.set("settled", mesh.node())).expect("it lives");
        value_everywhere(meshes, id, "settled", Some(mesh.node())).await;
    }
}
