//! The tests that web frameworks publish for their session stores, run on sessionmesh's: on three nodes, every request
//! on another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use sessionmesh::Mesh;
use tower::ServiceExt;

const SECRET: &str = "an example secret of at least thirty-two bytes";
/// Nothing awaited here takes this long on the slowest machine.
const CEILING: Duration = Duration::from_secs(60);

async fn start(cluster: &str, node: &str, seeds: &[&Mesh]) -> Mesh {
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
    builder.start().await.unwrap_or_else(|e| panic!("{node}: {e}"))
}

/// Three linked nodes, on loopback.
///
/// # Panics
/// If they do not find each other within a minute.
pub async fn three(cluster: &str) -> [Mesh; 3] {
    let a = start(cluster, "a", &[]).await;
    let b = start(cluster, "b", &[&a]).await;
    let c = start(cluster, "c", &[&a]).await;
    let meshes = [a, b, c];
    for mesh in &meshes {
        let linked = async {
            mesh.ready().await.unwrap_or_else(|e| panic!("{}: {e}", mesh.node()));
            mesh.members_until(|m| m.len() == 3 && m.iter().all(|m| m.linked)).await;
        };
        assert!(tokio::time::timeout(CEILING, linked).await.is_ok(), "{} is not linked", mesh.node());
    }
    meshes
}

/// One service in front of `nodes`, which passes each request to the next of them.
pub fn spread(nodes: Vec<Router>) -> Router {
    let (nodes, turn) = (Arc::new(nodes), Arc::new(AtomicUsize::new(0)));
    Router::new().fallback_service(tower::service_fn(move |request: Request| {
        let node = turn.fetch_add(1, Ordering::Relaxed) % nodes.len();
        let nodes = Arc::clone(&nodes);
        // The nodes stay until the answer is there, even if the service is gone with its last request.
        async move { nodes[node].clone().oneshot(request).await }
    }))
}
