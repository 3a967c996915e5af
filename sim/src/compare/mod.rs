//! Failure detectors side by side: the same worlds, the same network, the same questions.
//!
//! `docs/MEMBERSHIP-COMPARISON.md` tells the method and the figures. In reading order:
//!
//! * [`system`]: what a detector looks like from outside; `ours.rs`, `foca.rs` and `chitchat.rs` fit real ones to it.
//! * [`network`] and [`arena`]: one world, and what is done to it. [`view`]: who holds what about whom.
//! * [`measure`]: one question a file. [`stats`]: the few figures they need.
//! * [`plan`], `runner.rs`: many worlds on several threads. [`report`], [`goals`], [`table`], `show.rs`: what came of
//!   them.
//!
//! This is not the big [`crate::World`]: there are no nodes and sessions here, only the detectors.

pub mod arena;
mod chitchat;
mod foca;
pub mod goals;
pub mod measure;
pub mod network;
mod ours;
pub mod plan;
pub mod report;
mod runner;
mod show;
pub mod stats;
pub mod system;
pub mod table;
mod transfer;
pub mod view;

pub use plan::{Cell, Effort, Plan, Unit};
pub use report::Report;
pub use system::Kind;
