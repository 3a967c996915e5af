//! What all handlers share.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sessionmesh::dashboard::DashboardConfig;
use sessionmesh::transport::Drill;
use sessionmesh::{Mesh, Sessions};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::limits::BODY_BUDGET_BYTES;
use crate::client::Target;
use crate::settings::HttpPlan;

/// The controls of a node started with `--drill`.
pub struct Drills {
    /// Drops, delays and cuts packets.
    pub switch: Drill,
    /// What the `Drill-Token` header must carry.
    pub token: String,
}

/// The state behind the API.
pub struct App {
    /// The node.
    pub mesh: Mesh,
    /// Its sessions.
    pub sessions: Sessions,
    /// Largest request body (bytes).
    pub max_body_bytes: usize,
    /// Drill controls, if the node was started with them.
    pub drills: Option<Drills>,
    /// How the dashboard is mounted, if it is.
    pub dashboard: Option<DashboardConfig>,
    /// Requests must call this machine by a name of its own: no token is asked for, so that a page whose name resolves to
    /// 127.0.0.1 could ask for anything.
    pub by_name_only: bool,
    /// Bytes of request bodies that may still be held.
    pub body_budget: Arc<Semaphore>,
    token: Option<String>,
}

/// How handlers get it.
pub type Shared = Arc<App>;

impl App {
    /// The state of an agent that runs `mesh`.
    pub fn new(mesh: Mesh, http: &HttpPlan, drills: Option<Drills>) -> Self {
        let (token, max_body_bytes) = (http.token.clone(), http.max_body_bytes);
        let dashboard = http.dashboard.clone();
        let by_name_only = token.is_none() && matches!(http.listen, Target::Tcp(_));
        let budget_bytes = BODY_BUDGET_BYTES.max(max_body_bytes.saturating_mul(2));
        let body_budget = Arc::new(Semaphore::new(budget_bytes.min(Semaphore::MAX_PERMITS)));
        let sessions = mesh.sessions();
        Self { sessions, mesh, max_body_bytes, drills, dashboard, by_name_only, body_budget, token }
    }

    /// Whether the request carries the bearer token, if one is asked for.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let given = headers.get(AUTHORIZATION).map(|v| v.as_bytes()).unwrap_or_default();
        // The scheme's name is case-insensitive (RFC 9110).
        let (scheme, given) = given.split_at(given.len().min(b"Bearer ".len()));
        scheme.eq_ignore_ascii_case(b"Bearer ") && same(given, token)
    }

    /// The drill controls, if the request carries their token.
    pub fn drills_for(&self, headers: &HeaderMap) -> Option<&Drills> {
        let drills = self.drills.as_ref()?;
        let given = headers.get("drill-token")?.as_bytes();
        same(given, &drills.token).then_some(drills)
    }

    /// The node's wall time (ms since the epoch).
    pub fn wall_ms(&self) -> u64 {
        self.sessions.wall_ms()
    }
}

/// Compares in a time that depends on the length of the guess only.
fn same(given: &[u8], wanted: &str) -> bool {
    given.ct_eq(wanted.as_bytes()).into()
}
