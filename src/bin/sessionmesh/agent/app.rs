//! What all handlers share.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sessionmesh::dashboard::DashboardConfig;
use sessionmesh::transport::Drill;
use sessionmesh::{Mesh, Sessions};
use subtle::ConstantTimeEq;

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
    token: Option<String>,
}

/// How handlers get it.
pub type Shared = Arc<App>;

impl App {
    /// The state of an agent that runs `mesh`.
    pub fn new(mesh: Mesh, http: &HttpPlan, drills: Option<Drills>) -> Self {
        let (token, max_body_bytes) = (http.token.clone(), http.max_body_bytes);
        let dashboard = http.dashboard.clone();
        Self { sessions: mesh.sessions(), mesh, max_body_bytes, drills, dashboard, token }
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
