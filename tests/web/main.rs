//! What web frameworks see: the axum layer, the stores of tower-sessions and actix-session, and random programs of browsers
//! and requests against small models of what they may see.

#[path = "../meshes/mod.rs"]
mod meshes;

mod actix;
mod axum_layer;
mod axum_login;
mod axum_tickets;
mod axum_waits;
mod conformance;
mod kit;
mod principals_web;
mod store_programs;
#[path = "tower_sessions/mod.rs"]
mod tower;
mod values;
#[cfg(sessionmesh_mutants)]
mod web_mutants;
mod web_programs;

use tower::kit as tower_sessions_kit;
