//! Every task has an owner: a node ends with its last handle, survives what its embedder does, and waits for nobody.

use crate::meshes;

use std::future::Future;
use std::net::UdpSocket;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use meshes::{CEILING, start, within};
use sessionmesh::mesh::{CaughtUp, Seen};
use sessionmesh::transport::Drill;
use sessionmesh::{Builder, Error, Expiry, Found, Mesh, SessionId};
use tokio::runtime;

const SECRET: &str = "an example secret of at least thirty-two bytes";

fn half_hour() -> Expiry {
    Expiry::sliding(Duration::from_secs(1_800))
}

fn unknown() -> SessionId {
    SessionId::from_bytes([9; 16])
}

/// Waits for what no event tells.
fn eventually(what: &str, mut ask: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + CEILING;
    while !ask() {
        assert!(std::time::Instant::now() < deadline, "{what}: not within {CEILING:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

// ----- the last handle -------------------------------------------------------------------------------------------

/// Asks for more than the queue of commands holds, and waits for none of it.
fn crowd(mesh: &Mesh) {
    for n in 0..2_000 {
        let (key, mut context) = (format!("k{n}"), Context::from_waker(Waker::noop()));
        // All of them in one go: a task is made to pause otherwise.
        let mut asked = pin!(tokio::task::unconstrained(mesh.publish(&key, "v")));
        assert!(matches!(asked.as_mut().poll(&mut context), Poll::Pending));
    }
}

#[test]
fn the_last_handle_ends_the_node_however_many_commands_wait() {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let addr = runtime.block_on(async {
        let builder = Mesh::builder().cluster("last").node("a").secret(SECRET);
        let mesh = builder.configure(|c| c.own_thread = false).start().await.unwrap();
        mesh.ready().await.unwrap();
        // The node's task does not run in between: it is on this very thread.
        crowd(&mesh);
        mesh.addr()
    });
    runtime.block_on(within("the port is free", async {
        while UdpSocket::bind(addr).is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }));
}

#[test]
fn a_node_on_its_own_thread_ends_with_its_last_handle_and_one_that_was_not_awaited_leaves_nothing() {
    let addr = block_on(async {
        let mesh = Mesh::builder().cluster("ends").node("a").secret(SECRET).start().await.unwrap();
        mesh.addr()
    });
    eventually("the port is free", || UdpSocket::bind(addr).is_ok());
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let builder = Mesh::builder().cluster("ends").node("b").secret(SECRET).bind(&free.to_string());
    {
        let mut starting = pin!(builder.start());
        // Its thread has begun; nobody will ever ask for the result.
        let _ = starting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    let again = || Mesh::builder().cluster("ends").node("c").secret(SECRET).bind(&free.to_string()).start();
    eventually("the port is free again", || block_on(again()).is_ok());
}

// ----- the embedder's threads ------------------------------------------------------------------------------------

/// A handler of the embedder's that blocks every worker of its runtime does not make the node look dead.
#[test]
fn handlers_that_block_all_workers_do_not_stop_the_node() {
    let theirs = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ours = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let quick = |b: Builder| {
        b.configure(|c| {
            (c.probe_interval_ms, c.probe_timeout_ms, c.fence_after_ms) = (100, 400, 800);
        })
    };
    let a = theirs.block_on(start("blocked", "a", &[], quick));
    let b = ours.block_on(start("blocked", "b", &[&a], quick));
    ours.block_on(within("linked", b.members_until(|m| m.len() == 2 && m.iter().all(|m| m.linked))));
    ours.block_on(within("ready", b.ready())).unwrap();
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(parking_lot::Mutex::new(blocked));
    let (tell, busy) = mpsc::channel();
    for _ in 0..2 {
        let (blocked, tell) = (Arc::clone(&blocked), tell.clone());
        theirs.spawn(async move {
            tell.send(()).unwrap();
            let _ = blocked.lock().recv();
        });
    }
    (0..2).for_each(|_| busy.recv_timeout(CEILING).expect("both workers are blocked"));
    let count = |mesh: &Mesh, name: &str| mesh.status().numbers[name];
    let before = count(&b, "probes_total");
    // Three times as long as a death takes.
    eventually("probes", || count(&b, "probes_total") >= before + 45);
    assert_eq!((count(&b, "deaths_total"), count(&b, "suspicions_total")), (0, 0));
    let written = b.sessions().create(half_hour(), |s| s.set("user", "ada")).unwrap();
    ours.block_on(within("a second copy", written.copies_within(2, CEILING))).unwrap();
    drop(release);
}

/// An executor of a few lines: no runtime at all.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        std::thread::park_timeout(CEILING);
    }
}

#[test]
fn every_call_works_without_any_runtime_before_and_after_the_goodbye() {
    block_on(async {
        let a = Mesh::builder().cluster("none").node("a").secret(SECRET).start().await.unwrap();
        let seeds = [a.addr().to_string()];
        let b = Mesh::builder().cluster("none").node("b").secret(SECRET).seeds(seeds).start().await.unwrap();
        a.ready().await.unwrap();
        b.ready().await.unwrap();
        b.members_until(|m| m.len() == 2 && m.iter().all(|m| m.linked)).await;
        let (sessions, mut watch) = (b.sessions(), b.sessions().watch());
        let written = sessions.create(half_hour(), |s| s.set("user", "ada")).unwrap();
        assert!(written.replicated().await);
        assert!(written.copies_within(3, Duration::from_millis(5)).await.is_err(), "there are two");
        assert!(matches!(sessions.fetch(&unknown()).await, Found::Absent));
        let mut seen = Seen::default();
        seen.add(&written);
        assert_eq!(a.sessions().catch_up(&written.id(), &seen, CEILING).await, CaughtUp::Here);
        b.publish("zone", "x").await.unwrap();
        assert!(matches!(b.forget("nobody").await, Err(Error::Forget(_))));
        assert!(watch.next().await.is_some());
        assert!(b.leave().await);

        let _ = written.replicated().await;
        assert!(written.copies_within(3, Duration::from_millis(5)).await.is_err());
        assert!(matches!(sessions.fetch(&unknown()).await, Found::Fenced));
        let _ = sessions.catch_up(&unknown(), &seen, Duration::from_millis(5)).await;
        assert!(matches!(b.publish("zone", "y").await, Err(Error::Stopped(_))));
        assert!(b.forget("a").await.is_err() && b.ready().await.is_err());
        while watch.next().await.is_some() {}
        b.members_until(|_| false).await;
        assert!(!b.leave().await, "twice");
        b.stopped().await;
    });
}

// ----- what is published, and lives ------------------------------------------------------------------------------

/// What a node may not publish must not keep it from beginning a new life, nor what it publishes itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_is_refused_changes_nothing_and_64_are_possible_beside_the_nodes_own() {
    let drill = Drill::new(7);
    let with = |b: Builder| {
        b.drill(drill.clone()).configure(|c| (c.dead_grace_ms, c.link_timeout_ms) = (1_000, 1_000))
    };
    let a = start("facts", "a", &[], with).await;
    let full = |b: Builder| {
        let facts = (0..64).map(|n| (format!("k{n}"), "v".to_owned()));
        with(b).configure(|c| c.metadata = facts.collect())
    };
    let b = start("facts", "b", &[&a], full).await;
    within("ready", b.ready()).await.unwrap();
    let _dashboard = b.dashboard(sessionmesh::dashboard::DashboardConfig::default());
    for (key, value) in [("a b", "v"), ("", "v"), ("k1", &"v".repeat(9_000)), ("one-too-many", "v")] {
        let refused = within("refused", b.publish(key, value)).await;
        assert!(matches!(refused, Err(Error::Publish(_))), "{key:?}: {refused:?}");
    }
    within("published", b.publish("k1", "w")).await.unwrap();
    let published = |m: &sessionmesh::MemberInfo| {
        m.node == "b" && m.linked && m.metadata.get("k1").is_some_and(|v| v == "w") && m.metadata.len() > 64
    };
    within("the node's own beside the 64", a.members_until(|m| m.iter().any(published))).await;
    let (life, numbers) = (b.status().origin, b.status().numbers);
    drill.cut("a", "b");
    let dead = |m: &[sessionmesh::MemberInfo]| m.iter().any(|m| m.node == "b" && m.state == "dead");
    within("dead", a.members_until(dead)).await;
    a.forget("b").await.unwrap();
    drill.heal("a", "b");
    within("it is back, with all its facts", a.members_until(|m| m.iter().any(published))).await;
    let after = b.status();
    assert_ne!(after.origin, life, "under a new life");
    for (name, held) in numbers.iter().filter(|(name, _)| name.ends_with("_total")) {
        assert!(after.numbers[name] >= *held, "{name} fell from {held} to {}", after.numbers[name]);
    }
}
