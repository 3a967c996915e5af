//! Nodes in one process, over real sockets on loopback, and ways to wait for what they shall hold.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::time::Duration;

use sessionmesh::{Found, Mesh, SessionId};
pub use sessionmesh_testkit::{CEILING, within};

const SECRET: &str = "an example secret of at least thirty-two bytes";
pub async fn start(
    cluster: &str,
    node: &str,
    seeds: &[&Mesh],
    change: impl FnOnce(sessionmesh::Builder) -> sessionmesh::Builder,
) -> Mesh {
    let builder = Mesh::builder()
        .cluster(cluster)
        .node(node)
        .secret(SECRET)
        .seeds(seeds.iter().map(|m| m.addr().to_string()))
        // A busy machine must not look like a lost peer.
        .ack_timeout(Duration::from_secs(10))
        .configure(|c| {
            c.gossip_interval_ms = 100;
            c.ask_timeout_ms = 10_000;
        });
    change(builder).start().await.unwrap_or_else(|e| panic!("{node}: {e}"))
}

/// A lone node that serves: for what needs no peers.
pub async fn alone(cluster: &str) -> Mesh {
    alone_with(cluster, |b| b).await
}

/// As [`alone`], with settings of one's own.
pub async fn alone_with(
    cluster: &str,
    change: impl FnOnce(sessionmesh::Builder) -> sessionmesh::Builder,
) -> Mesh {
    let mesh = start(cluster, "a", &[], change).await;
    within("ready", mesh.ready()).await.unwrap_or_else(|e| panic!("{e}"));
    mesh
}

/// Three linked nodes.
pub async fn linked(cluster: &str) -> [Mesh; 3] {
    linked_with(cluster, |b| b).await
}

/// As [`linked`], with settings of one's own.
pub async fn linked_with(
    cluster: &str,
    change: impl Fn(sessionmesh::Builder) -> sessionmesh::Builder,
) -> [Mesh; 3] {
    let a = start(cluster, "a", &[], &change).await;
    let b = start(cluster, "b", &[&a], &change).await;
    let c = start(cluster, "c", &[&a], &change).await;
    let meshes = [a, b, c];
    for mesh in &meshes {
        within("ready", mesh.ready()).await.unwrap_or_else(|e| panic!("{e}"));
        within("linked", mesh.members_until(|m| m.len() == 3 && m.iter().all(|m| m.linked))).await;
    }
    meshes
}

/// Two linked nodes, with settings of one's own.
pub async fn pair_with(
    cluster: &str,
    change: impl Fn(sessionmesh::Builder) -> sessionmesh::Builder,
) -> [Mesh; 2] {
    let a = start(cluster, "a", &[], &change).await;
    let b = start(cluster, "b", &[&a], &change).await;
    let meshes = [a, b];
    for mesh in &meshes {
        within("ready", mesh.ready()).await.unwrap_or_else(|e| panic!("{e}"));
        within("linked", mesh.members_until(|m| m.len() == 2 && m.iter().all(|m| m.linked))).await;
    }
    meshes
}

/// Waits until `enough` is true of what each node itself holds.
pub async fn everywhere(meshes: &[Mesh], id: SessionId, what: &str, enough: impl Fn(&Found) -> bool) {
    for mesh in meshes {
        let (sessions, mut watch) = (mesh.sessions(), mesh.sessions().watch());
        let there = async {
            while !enough(&sessions.get(&id)) {
                sessions.next_event_of(&mut watch, id).await;
            }
        };
        within(&format!("{what} at {}", mesh.node()), there).await;
    }
}

/// Waits until every node holds this value, `None` for no value.
pub async fn value_everywhere(meshes: &[Mesh], id: SessionId, key: &str, value: Option<&str>) {
    everywhere(meshes, id, &format!("{key} = {value:?}"), |found| match found {
        Found::Session(s) => s.get::<&str>(key).unwrap() == value,
        _ => false,
    })
    .await;
}

/// Counts the write events a node has made, by making one more.
pub fn writes(mesh: &Mesh) -> u64 {
    let expiry = sessionmesh::Expiry::sliding(CEILING);
    mesh.sessions().create(expiry, |_| Ok(())).unwrap().dot().counter
}
