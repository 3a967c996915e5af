//! A node whose task has ended, or is driven no more: writes are refused, and nothing waits for ever.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use sessionmesh::{Error, Expiry, Mesh, Stopped, WriteError};
use tokio::runtime::{Builder, Runtime};

const SECRET: &str = "an example secret of at least thirty-two bytes";
/// Nothing here takes longer on the slowest machine; what does, hangs.
const CEILING: Duration = Duration::from_secs(60);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn expiry() -> Expiry {
    Expiry::sliding(Duration::from_secs(1_800))
}

async fn start(seeds: &[&str]) -> Mesh {
    let builder =
        Mesh::builder().cluster("ended").node("a").secret(SECRET).configure(|c| c.own_thread = false);
    builder.seeds(seeds.iter().map(|s| (*s).to_owned())).start().await.unwrap()
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(CEILING, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {CEILING:?}"),
    }
}

/// Everything that waits on the node, from a runtime that is alive: each must end.
async fn everything_ends(mesh: &Mesh, id: &sessionmesh::SessionId) {
    let sessions = mesh.sessions();
    let _ = within("ready", mesh.ready()).await;
    within("members_until", mesh.members_until(|_| false)).await;
    let _ = within("fetch", sessions.fetch(id)).await;
    let _ = within("publish", mesh.publish("zone", "x")).await;
    assert!(!within("leave", mesh.leave()).await, "nothing was handed over");
    assert!(mesh.liveness().is_err() && !mesh.readiness().0, "{:?} {:?}", mesh.liveness(), mesh.readiness());
}

fn refused(mesh: &Mesh, id: &sessionmesh::SessionId) {
    let sessions = mesh.sessions();
    let writes = [
        sessions.create(expiry(), |_| Ok(())).err(),
        sessions.edit(id, |s| s.set("k", &1)).err(),
        sessions.touch(id).err(),
        sessions.destroy(id).err(),
        sessions.revoke_all("ada").err(),
    ];
    for (n, error) in writes.into_iter().enumerate() {
        let named =
            matches!(&error, Some(Error::Stopped(Stopped::Died) | Error::Write(WriteError::NotServing(_))));
        assert!(named, "write {n} of a node that passes nothing on: {error:?}");
    }
}

#[test]
fn a_runtime_that_was_dropped_has_stopped_its_node() {
    let theirs = runtime();
    let (mesh, id, mut watch) = theirs.block_on(async {
        let mesh = start(&[]).await;
        mesh.ready().await.unwrap();
        let id = mesh.sessions().create(expiry(), |_| Ok(())).unwrap().id();
        let watch = mesh.sessions().watch();
        (mesh, id, watch)
    });
    drop(theirs);
    refused(&mesh, &id);
    runtime().block_on(async {
        let why = tokio::time::timeout(CEILING, mesh.stopped()).await.expect("stopped says so");
        assert_eq!(why, Stopped::Died);
        assert!(matches!(mesh.ready().await, Err(Error::Stopped(Stopped::Died))));
        assert_eq!(tokio::time::timeout(CEILING, watch.next()).await.expect("watching ends"), None);
        everything_ends(&mesh, &id).await;
    });
}

#[test]
fn a_runtime_that_is_driven_no_more_takes_no_write() {
    let theirs = runtime();
    let (mesh, id) = theirs.block_on(async {
        let mesh = start(&[]).await;
        mesh.ready().await.unwrap();
        let id = mesh.sessions().create(expiry(), |_| Ok(())).unwrap().id();
        (mesh, id)
    });
    // Longer than `fence_after_ms`.
    std::thread::sleep(Duration::from_millis(3_500));
    refused(&mesh, &id);
    runtime().block_on(everything_ends(&mesh, &id));
    // It goes on where it stood: the asked-for goodbye.
    theirs.block_on(async {
        assert_eq!(tokio::time::timeout(CEILING, mesh.stopped()).await.expect("driven again"), Stopped::Left);
    });
}

/// Panics in the first who wakes it: the node's task, when it has news.
struct Bomb(AtomicBool);

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        assert!(self.0.swap(true, Ordering::SeqCst), "a panic on the node's task, on purpose");
    }
}

#[test]
fn a_task_that_panicked_is_told() {
    runtime().block_on(async {
        let mesh = start(&[]).await;
        {
            let mut ready = pin!(mesh.ready());
            let waker = Waker::from(Arc::new(Bomb(false.into())));
            // The node's task has not run yet: it will say that it is ready, and wake us.
            assert!(matches!(ready.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let why = tokio::time::timeout(CEILING, mesh.stopped()).await.expect("stopped says so");
        assert_eq!(why, Stopped::Died);
        let id = sessionmesh::SessionId::from_bytes([7; 16]);
        refused(&mesh, &id);
        everything_ends(&mesh, &id).await;
    });
}

// ----- peers that are silent, or dead ----------------------------------------------------------------------------

/// A peer whose process stands still is linked and silent. Nobody has said that the session does not exist.
#[test]
fn silence_of_all_is_no_absence() {
    let (ours, theirs) = (runtime(), runtime());
    let a = ours.block_on(start(&[]));
    let b = theirs.block_on(async {
        let seeds = [a.addr().to_string()];
        let builder = Mesh::builder().cluster("ended").node("b").secret(SECRET).seeds(seeds);
        builder.configure(|c| (c.gossip_interval_ms, c.own_thread) = (100, false)).start().await.unwrap()
    });
    let both_linked = |m: &[sessionmesh::MemberInfo]| m.len() == 2 && m.iter().all(|m| m.linked);
    let theirs = std::thread::scope(|scope| {
        let driven = scope.spawn(|| {
            theirs.block_on(async {
                b.ready().await.unwrap();
                b.members_until(both_linked).await;
                a.members_until(both_linked).await;
            });
        });
        ours.block_on(async {
            while !driven.is_finished() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        &theirs
    });
    let unknown = sessionmesh::SessionId::from_bytes([9; 16]);
    let found = ours.block_on(a.sessions().fetch(&unknown));
    assert!(matches!(found, sessionmesh::Found::NotYetKnown), "{found:?}");
    // Not dropped before: its end would be told.
    let _ = theirs;
}
