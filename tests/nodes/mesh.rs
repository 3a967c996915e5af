//! The embedding API: several meshes in one process, over real sockets on loopback.

use std::time::Duration;

use sessionmesh::mesh::{CaughtUp, Seen};
use sessionmesh::{Error, Expiry, Found, Mesh, SessionEvent, WriteError};

const SECRET: &str = "an example secret of at least thirty-two bytes";
const CEILING: Duration = Duration::from_secs(60);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(CEILING, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {CEILING:?}"),
    }
}

async fn start(cluster: &str, node: &str, seeds: &[&Mesh]) -> Mesh {
    let builder = Mesh::builder()
        .cluster(cluster)
        .node(node)
        .secret(SECRET)
        .seeds(seeds.iter().map(|m| m.addr().to_string()))
        .configure(|c| c.gossip_interval_ms = 100);
    builder.start().await.unwrap_or_else(|e| panic!("{node}: {e}"))
}

async fn three(cluster: &str) -> [Mesh; 3] {
    let a = start(cluster, "a", &[]).await;
    let b = start(cluster, "b", &[&a]).await;
    let c = start(cluster, "c", &[&a]).await;
    let meshes = [a, b, c];
    for mesh in &meshes {
        within("ready", mesh.ready()).await.unwrap_or_else(|e| panic!("{e}"));
        within("linked", mesh.members_until(|m| m.len() == 3 && m.iter().all(|m| m.linked))).await;
    }
    meshes
}

fn half_hour() -> Expiry {
    Expiry::sliding(Duration::from_secs(1_800))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_on_two_nodes_when_its_receipt_says_so() {
    let [a, b, c] = three("receipt").await;
    let receipt = a.sessions().create(half_hour(), |s| s.set("user", "ada")).unwrap();
    within("three copies", receipt.copies_within(3, CEILING)).await.unwrap();
    for mesh in [&b, &c] {
        let session = mesh.sessions().get(&receipt.id()).session().expect("adopted means there");
        assert_eq!(session.get::<&str>("user").unwrap(), Some("ada"));
        assert!(session.get::<u64>("user").is_err(), "a field of another type is an error of that field");
    }
    let edit = b.sessions().edit(&receipt.id(), |s| s.set("cart", &vec![1, 2, 3])).unwrap();
    within("two copies", edit.copies_within(2, CEILING)).await.unwrap();
    assert_eq!(a.unreplicated_total(), 0);
}

/// A touch that writes nothing stands on the write of a node that is dead: the others hold it all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_node_wrote_is_replicated_where_the_others_hold_it() {
    let [a, b, c] = three("dead-writer").await;
    let receipt = a.sessions().create(half_hour(), |s| s.set("user", "ada")).unwrap();
    within("three copies", receipt.copies_within(3, CEILING)).await.unwrap();
    let id = receipt.id();
    drop((receipt, a));
    within("a is gone", b.members_until(|m| m.iter().all(|m| m.node != "a" || !m.linked))).await;
    let touch = b.sessions().touch(&id).unwrap();
    assert!(!touch.wrote(), "too early to write anything");
    within("a round shows it", touch.copies_within(2, CEILING)).await.unwrap();
    assert!(b.sessions().touch(&id).unwrap().replicated().await);
    assert_eq!(b.unreplicated_total(), 0);
    drop(c);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_is_seen_by_watchers_everywhere_and_is_final() {
    let [a, b, _c] = three("logout").await;
    let id = a.sessions().create(half_hour(), |s| s.set("user", "ada")).unwrap().id();
    let mut watch = b.sessions().watch();
    let sessions = b.sessions();
    within("created at b", async {
        while sessions.get(&id).session().is_none() {
            sessions.next_event_of(&mut watch, id).await;
        }
    })
    .await;
    a.sessions().destroy(&id).unwrap();
    within("destroyed at b", async {
        while sessions.next_event_of(&mut watch, id).await != Some(SessionEvent::Destroyed(id)) {}
    })
    .await;
    assert!(matches!(sessions.get(&id), Found::Absent));
    let late = sessions.edit(&id, |s| s.set("user", "ada"));
    assert!(matches!(late, Err(Error::Write(WriteError::Absent))), "a late save changes nothing");
    let taken = sessions.create_with_id(id, half_hour(), |_| Ok(()));
    assert!(matches!(taken, Err(Error::Write(WriteError::IdTaken))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_hands_over_and_is_gone_from_the_list() {
    let [a, b, c] = three("leave").await;
    let id = c.sessions().create(half_hour(), |s| s.set("user", "ada")).unwrap().id();
    assert!(within("leave", c.leave()).await, "everything handed over");
    for mesh in [&a, &b] {
        within("left", mesh.members_until(|m| m.iter().all(|m| m.node != "c" || m.state != "alive"))).await;
        let found = within("fetch", mesh.sessions().fetch(&id)).await;
        assert!(found.session().is_some(), "what it held lives on");
    }
    assert!(matches!(c.sessions().get(&id), Found::Fenced), "a node that left answers nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_the_same_name_is_a_new_life_that_gets_everything_back() {
    let [a, b, c] = three("restart").await;
    let mut ids = Vec::new();
    for n in 0..500u32 {
        ids.push(a.sessions().create(half_hour(), |s| s.set("n", &n)).unwrap());
    }
    within("copies", ids.last().unwrap().copies_within(3, CEILING)).await.unwrap();
    drop(c);
    let again = start("restart", "c", &[&a, &b]).await;
    within("ready again", again.ready()).await.unwrap();
    for (n, receipt) in ids.iter().enumerate() {
        let session = again.sessions().get(&receipt.id()).session();
        let session = session.unwrap_or_else(|| panic!("session {n} is missing at a ready node"));
        assert_eq!(session.get::<u32>("n").unwrap(), Some(n as u32));
    }
    assert_eq!(again.dump(), a.dump(), "ids, fields, values and stamps");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_only_loopback_is_possible() {
    let refused = Mesh::builder().bind("0.0.0.0:0").start().await.map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("no secret is set"), "{refused}");
    let local = Mesh::builder().start().await.unwrap();
    within("ready", local.ready()).await.unwrap();
    assert!(local.sessions().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_write_that_never_comes_waits_no_longer_than_the_node_runs() {
    let [a, _b, _c] = three("waiting").await;
    let sessions = a.sessions();
    let id = sessions.create(half_hour(), |_| Ok(())).unwrap().id();
    // Writes of a life that nobody knows.
    let seen = Seen::from_bytes(&[1, 2, 3, 4, 0xac, 2, 0xc8, 1]).unwrap();
    let mut waiting = std::pin::pin!(sessions.catch_up(&id, &seen, Duration::from_secs(3_600)));
    tokio::select! {
        biased;
        early = &mut waiting => panic!("it waits: {early:?}"),
        () = tokio::task::yield_now() => {}
    }
    let both = async { tokio::join!(waiting, a.leave()) };
    assert_eq!(within("told", both).await.0, CaughtUp::Behind);
}
