//! The dashboard: the mesh, the split and the session, from any node, mounted in any axum service.
//!
//! There is no single truth in a mesh, so every answer says whose view it is. Reader's order: `config` (who may look),
//! `routes` (every path), `parts/` (what is said, pure functions of one gathering), `sessions`, `find` and `inspect` (the
//! session inspector), `feed` (the task that notes what happens), `stream`, `snapshot`, `metrics/`, `guard` and `login`
//! (who is let in), `page_files` and `crate::dashboard_page` (the page). docs/DASHBOARD.md is the manual, docs/openapi.json the contract.
//!
//! ```no_run
//! # async fn run(mesh: sessionmesh::Mesh) -> Result<(), Box<dyn std::error::Error>> {
//! use std::net::SocketAddr;
//! use sessionmesh::dashboard::DashboardConfig;
//!
//! let app = axum::Router::new().nest_service("/dashboard", mesh.dashboard(DashboardConfig::loopback()));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
//! # Ok(()) }
//! ```

mod answer;
mod board;
mod config;
mod feed;
mod find;
mod guard;
mod inspect;
mod limits;
mod login;
mod metrics;
mod page_files;
mod parts;
mod ring;
mod routes;
mod sessions;
mod snapshot;
mod stream;
mod streams;
#[cfg(test)]
mod testkit;
mod values;

use std::sync::Arc;

use axum::Router;

pub use crate::dashboard_page::{ASSETS, Asset, OPENAPI};
pub use config::DashboardConfig;

use crate::mesh::Mesh;
use board::Board;

impl Mesh {
    /// This node's dashboard: page, JSON API, stream and `/metrics`, to mount anywhere (`Router::nest_service`).
    ///
    /// It is a handle of the node: the node does not stop by itself before the router is dropped. Histories begin with
    /// the call; make one and clone it. Must be called within a tokio runtime.
    pub fn dashboard(&self, config: DashboardConfig) -> Router {
        let board = Arc::new(Board::new(self.clone(), config));
        feed::start(&board);
        routes::router(board)
    }
}
