//! actix-session 0.11's own acceptance tests, from the published crate, on [`MeshStore`]: on three nodes, every call of
//! the store at another one.

include!(concat!(env!("OUT_DIR"), "/actix_session_011.rs"));

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_web::cookie::time::Duration;
use sessionmesh::web::actix::MeshStore;
use sessionmesh_suites::meshes;

/// Three stores that take turns.
#[derive(Clone)]
struct Spread(Arc<[MeshStore; 3]>, Arc<AtomicUsize>);

impl Spread {
    fn next(&self) -> &MeshStore {
        &self.0[self.1.fetch_add(1, Ordering::Relaxed) % self.0.len()]
    }
}

impl SessionStore for Spread {
    async fn load(&self, key: &SessionKey) -> Result<Option<HashMap<String, String>>, LoadError> {
        self.next().load(key).await
    }

    async fn save(&self, state: HashMap<String, String>, ttl: &Duration) -> Result<SessionKey, SaveError> {
        self.next().save(state, ttl).await
    }

    async fn update(
        &self,
        key: SessionKey,
        state: HashMap<String, String>,
        ttl: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        self.next().update(key, state, ttl).await
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> Result<(), anyhow::Error> {
        self.next().update_ttl(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        self.next().delete(key).await
    }
}

#[actix_web::test]
async fn acceptance_test_suite() {
    let meshes = meshes::linked("actix-session").await;
    let stores = meshes.each_ref().map(|mesh| MeshStore::new(mesh.sessions()));
    let spread = Spread(Arc::new(stores), Arc::default());
    test_helpers::acceptance_test_suite(move || spread.clone(), true).await;
}
