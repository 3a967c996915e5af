//! What a session store owes its users, as checks that any store can be put through.
//!
//! No framework publishes such a suite: their tests ask whether cookies come and go, not what happens when two requests
//! meet. Each [`Property`] here is one sentence that a user relies on; [`check`] tries it, on one node or on several
//! with the requests spread over them, and says what was seen instead.
//!
//! The suite knows no framework. [`Subject`] is what it asks of one node's store; [`tower_sessions`], [`tower_sessions_014`]
//! and [`actix`] put it on top of those frameworks' own traits, for any store that has them:
//!
//! ```
//! # #[cfg(feature = "tower-sessions")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sessionmesh::conformance::{Fleet, Property, check, tower_sessions::Tower};
//! use sessionmesh::{Mesh, web::tower_sessions::MeshStore};
//!
//! let mesh = Mesh::builder().start().await?;
//! mesh.ready().await?;
//! // All nodes of one service; here a single one.
//! let fleet = Fleet::new([Tower::new(MeshStore::new(mesh.sessions()))]);
//! check(&fleet, Property::LateSaveAfterDelete).await?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tower-sessions"))]
//! # fn main() {}
//! ```
//!
//! [`run`] tries everything. What a store may keep open: which of two concurrent writes to one key wins, and whether a key
//! added just before somebody else's clear survives it.

#[cfg(feature = "actix")]
pub mod actix;
mod cycling;
mod ending;
mod fleet;
mod merging;
mod property;
mod subject;
#[cfg(feature = "_tower")]
mod tower;
mod values;

pub use fleet::Fleet;
pub use property::{Property, Violation};
pub use subject::{Data, Failed, Request, Subject};
#[cfg(feature = "tower-sessions-014")]
pub use tower::v014 as tower_sessions_014;
#[cfg(feature = "tower-sessions")]
pub use tower::v015 as tower_sessions;

/// Tries one property.
///
/// # Errors
/// [`Violation`], which says what was seen instead.
pub async fn check<S: Subject>(fleet: &Fleet<S>, property: Property) -> Result<(), Violation> {
    let held = match property {
        Property::CreateCollision => values::create_collision(fleet).await,
        Property::BigValue => values::big_value(fleet).await,
        Property::OddKeys => values::odd_keys(fleet).await,
        Property::ValuesSurvive => values::values_survive(fleet).await,
        Property::DisjointKeys => merging::disjoint_keys(fleet).await,
        Property::SameKey => merging::same_key(fleet).await,
        Property::ClearAgainstAdd => merging::clear_against_add(fleet).await,
        Property::TakeBack => merging::take_back(fleet).await,
        Property::ClockSkew => merging::clock_skew(fleet).await,
        Property::LateSaveAfterDelete => ending::late_save_after_delete(fleet).await,
        Property::DeleteTwice => ending::delete_twice(fleet).await,
        Property::CycleKeepsData => ending::cycle_keeps_data(fleet).await,
        Property::LateSaveAfterCycle => ending::late_save_after_cycle(fleet).await,
        Property::CycleKeepsOthersWrites => cycling::keeps_others_writes(fleet).await,
        Property::DeleteAfterCycle => cycling::delete_after_cycle(fleet).await,
        Property::DeleteAfterTwoCycles => cycling::delete_after_two_cycles(fleet).await,
        Property::CycleAfterDelete => cycling::cycle_after_delete(fleet).await,
        Property::LoadAfterExpiry => ending::load_after_expiry(fleet).await,
        Property::ExpiryExtension => ending::expiry_extension(fleet).await,
        Property::SweepKeepsLive => ending::sweep_keeps_live(fleet).await,
    };
    held.map_err(|seen| Violation { property, seen })
}

/// Tries every property and gives those that do not hold, in the order of [`Property::ALL`]. Takes about seven seconds, most
/// of them spent waiting for sessions to expire.
pub async fn run<S: Subject>(fleet: &Fleet<S>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for property in Property::ALL.into_iter().filter(|p| !p.waits()) {
        violations.extend(check(fleet, property).await.err());
    }
    // These wait at the same time; but a sweep would hide that a store shows what has expired.
    let waiting =
        tokio::join!(check(fleet, Property::LoadAfterExpiry), check(fleet, Property::ExpiryExtension));
    let swept = check(fleet, Property::SweepKeepsLive).await;
    violations.extend([waiting.0, waiting.1, swept].into_iter().filter_map(Result::err));
    violations
}
