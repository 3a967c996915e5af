//! The deterministic simulator: the shipped core in virtual time over a seeded, hostile network.
//!
//! What it is for, how it works and what it leaves out is told in `docs/SIMULATOR.md`; this is the reader's map, and
//! how to use it as a library.
//!
//! # In your own tests
//!
//! A [`World`] is a mesh in one thread. Nothing happens but by its methods: clients write and read at a node, links
//! are cut, clocks jump, and [`World::run`] or [`World::settle`] lets virtual time pass. Everything random comes from
//! the seed, so a test that fails fails again. The point of such a test is to write down what two sides of a
//! partition may do to *your* sessions, and what you expect of the merge:
//!
//! ```
//! use sessionmesh_sim::World;
//!
//! let mut world = World::new(7, 3);                    // seed 7, three nodes that know each other
//! world.settle();                                      // until all are ready and hold the same
//! let id = world.create(0, &[("user", "ada")]);
//! world.settle();
//!
//! world.cut(&[0], &[1, 2]);
//! world.edit(0, id, &[("cart.apples", Some("1"))])?;
//! world.edit(2, id, &[("cart.pears", Some("2"))])?;
//! world.run(10_000);                                   // ten virtual seconds
//! assert_eq!(world.field(2, id, "cart.apples"), None); // the other side cannot know
//!
//! world.heal();
//! world.settle();
//! assert_eq!(world.field(2, id, "cart.apples").as_deref(), Some("1"));
//! assert_eq!(world.field(0, id, "cart.pears").as_deref(), Some("2"));
//! # Ok::<(), sessionmesh::core::replica::WriteError>(())
//! ```
//!
//! `world.net.faults` makes the network worse ([`Faults`]), [`World::crash`], [`World::freeze`] and their like do
//! things to processes, [`World::with_board`] adds discovery by gossip. `examples/merge_expectations.rs` is a longer
//! test. To have all invariants watch as well, tell the story as a [`scenario::Scenario`], read from a file or built
//! in code, and give it to [`run::run`]; [`swarm::Campaign`] does so for many random ones.
//!
//! # The modules, in reading order
//!
//! * Chance and time: [`draw`] (keyed randomness: leaving one event out never shifts the draws of another),
//!   [`Queue`] (virtual time), [`Clock`].
//! * The mesh: [`Net`] (what becomes of a frame), [`world`] (nodes, links, machines, clients), [`board`] (discovery, as
//!   a model and as it ships). [`Life`] is one partition driven by hand, below all of this.
//! * A story: [`scenario`] (the file), [`run`] (its two phases, and what came of them).
//! * What must hold: [`oracle`] (what must be there, computed without the product's code), [`invariant`] (one rule
//!   a file).
//! * Many stories: [`swarm`] (random ones), [`shrink`] (a failing one made small), [`mutants`] (would all this notice a
//!   bug?).
//! * Other failure detectors: [`compare`] (each in the same worlds, by figures).
//! * Looking at one: [`trace`] (a run as JSON lines), [`view`] (those as a page).
//!
//! The command `sessionmesh-sim` is `main.rs` and `cli/`, one file a command.

pub mod board;
mod clock;
pub mod compare;
pub mod draw;
pub mod invariant;
mod life;
pub mod mutants;
mod net;
pub mod oracle;
mod queue;
pub mod run;
pub mod scenario;
pub mod serve;
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
