//! The tests that web frameworks publish for their session stores, run on sessionmesh's: on three nodes, every request
//! on another one.

#[path = "../../meshes/mod.rs"]
pub mod meshes;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use tower::ServiceExt;

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
