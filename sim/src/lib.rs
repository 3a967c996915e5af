//! The deterministic simulator: the shipped core in virtual time over a seeded, hostile network.
//!
//! Everything random is drawn from a hash of (seed, purpose, who, index), so that leaving one event out never
//! shifts the draws of another. [`World`] owns nodes, links and the event queue; tests drive it like a small
//! language:
//!
//! ```
//! use sessionmesh_sim::World;
//! let mut world = World::new(7, 3);
//! world.settle();
//! let id = world.create(0, &[("user", "ada")]);
//! world.settle();
//! assert_eq!(world.field(2, id, "user").as_deref(), Some("ada"));
//! ```

pub mod board;
mod clock;
pub mod draw;
pub mod invariant;
mod life;
pub mod mutants;
mod net;
pub mod oracle;
mod queue;
pub mod run;
pub mod scenario;
pub mod shrink;
mod spell;
pub mod swarm;
pub mod trace;
pub mod view;
pub mod world;

pub use clock::{Clock, EPOCH_MS};
pub use life::{Life, change, id};
pub use net::{Carried, Damage, Fate, Faults, Net};
pub use queue::Queue;
pub use spell::{origin, spell};
pub use world::{SimNode, Tamper, World};
