//! tower-sessions 0.15's own route tests, from the published crate, on [`MeshStore`].

include!(concat!(env!("OUT_DIR"), "/tower_sessions_015.rs"));

use axum::Router;
use sessionmesh::web::tower_sessions::MeshStore;
use sessionmesh_suites::{meshes, spread};
use tower_sessions::SessionManagerLayer;

/// The service that the tests describe, on three nodes.
async fn app(max_age: Option<Duration>, domain: Option<String>) -> Router {
    let nodes = meshes::linked("tower-sessions").await.map(|mesh| {
        let layer = SessionManagerLayer::new(MeshStore::new(mesh.sessions())).with_secure(true);
        common::build_app(layer, max_age, domain.clone())
    });
    spread(nodes.into())
}

route_tests!(app);
