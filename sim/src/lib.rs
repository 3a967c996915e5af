//! The deterministic harness: N shipped nodes in virtual time over a seeded, hostile network.
//!
//! Everything random is drawn from a hash of (seed, purpose, index), so that leaving one event out never shifts
//! the draws of another. [`World`] owns nodes, links and the event queue; tests drive it like a small language:
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
mod life;
mod net;
mod spell;
pub mod view;
mod world;

pub use life::{Life, change, id};
pub use net::{Faults, Net};
pub use spell::{origin, spell};
pub use world::{EPOCH_MS, SimNode, Tamper, World};
