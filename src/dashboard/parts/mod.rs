//! What can be said of a mesh, each part a pure function of what was gathered: no clock, no lock, no node. So that the
//! simulator's traces and invented meshes of any size can be shown by the same code.

mod clocks;
mod divergence;
mod health;
mod islands;
mod links;
mod loss;
mod matrix;
mod members;
mod mesh;
mod tombstones;
mod traffic;

use serde_json::Value;

use super::board::{Due, Memory};
use super::limits::READINGS;
use crate::core::membership::State;
use crate::mesh::observe::{Gathered, MemberView};

pub(super) use clocks::off_majority_ms;
pub(super) use islands::{alive_set, islands, known_islands};
pub(super) use links::{told_unlinked, unlinked};
pub(super) use loss::probed;
pub(super) use mesh::verdict;
pub(super) use traffic::reading;

/// The fact under which a node publishes where its dashboard is.
pub(super) const URL_FACT: &str = "dashboard";
/// The fact under which a node publishes the hash of the members it sees alive.
pub(super) const ALIVE_FACT: &str = "dashboard.alive";
/// The fact under which a node publishes living members that it has had no link with for long.
pub(super) const UNLINKED_FACT: &str = "dashboard.unlinked";

/// All parts, by the name of their path.
pub(super) const NAMES: [&str; 8] =
    ["mesh", "members", "matrix", "partitions", "divergence", "traffic", "tombstones", "health"];

/// The histories a part may look at.
pub(super) struct Past {
    pub readings: Vec<super::board::Reading>,
    pub due: Due,
    pub unreplicated: (u64, u64),
    /// Probes of the last minutes, and how many of them had no direct answer in time.
    pub probed: Option<(u64, u64)>,
    pub values: bool,
}

impl Past {
    /// What is remembered now.
    pub(super) fn of(memory: &Memory, values: bool) -> Self {
        let readings = memory.readings.iter().rev().take(READINGS).rev().cloned().collect();
        let (first, last) = (memory.probed.front(), memory.probed.back());
        let probed = first.zip(last).map(|(a, b)| (b.0.saturating_sub(a.0), b.1.saturating_sub(a.1)));
        Self { readings, due: memory.due.clone(), unreplicated: memory.unreplicated, probed, values }
    }
}

/// A part without its view; `None` for no part's name.
pub(super) fn part(name: &str, seen: &Gathered, past: &Past) -> Option<Value> {
    Some(match name {
        "mesh" => mesh::body(seen, past),
        "members" => members::body(seen),
        "matrix" => matrix::body(seen),
        "partitions" => islands::body(seen),
        "divergence" => divergence::body(seen),
        "traffic" => traffic::body(seen, past),
        "tombstones" => tombstones::body(seen, past),
        "health" => health::body(seen, past),
        _ => return None,
    })
}

/// Everybody but this node.
pub(super) fn others(seen: &Gathered) -> impl Iterator<Item = &MemberView> {
    seen.members.iter().filter(|m| m.origin != seen.origin)
}

/// Members of one state, this node not counted.
pub(super) fn of_state(seen: &Gathered, state: State) -> Vec<&MemberView> {
    others(seen).filter(|m| m.state == state).collect()
}

/// Seeds that lead to somebody else, while nobody else is known: they do not answer.
pub(super) fn unanswered_seeds(seen: &Gathered) -> Vec<String> {
    let own =
        |addr: &std::net::SocketAddr| seen.members.iter().any(|m| m.origin == seen.origin && m.addr == *addr);
    let nobody = others(seen).all(|m| m.state == State::Left);
    let seeds = seen.numbers.discovery.seeds.iter().filter(|s| !s.resolved.iter().any(own));
    if nobody { seeds.map(|s| s.seed.clone()).collect() } else { Vec::new() }
}

/// Names, in a sentence.
pub(super) fn names(members: &[&MemberView]) -> String {
    const MOST: usize = 12;
    let mut names: Vec<&str> = members.iter().map(|m| m.node.as_str()).take(MOST).collect();
    let more = format!("and {} more", members.len().saturating_sub(MOST));
    if members.len() > MOST {
        names.push(&more);
    }
    names.join(", ")
}
