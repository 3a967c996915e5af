//! Everyone this node knows of.

use serde_json::{Value, json};

use super::{URL_FACT, islands, matrix};
use crate::core::membership::State;
use crate::dashboard::answer::life;
use crate::dashboard::limits::MEMBERS;
use crate::mesh::observe::{Gathered, MemberView};

/// The part.
pub(super) fn body(seen: &Gathered) -> Value {
    let islands = islands(seen);
    let island = |m: &MemberView| islands.iter().position(|i| i.nodes.contains(&m.node));
    let members: Vec<Value> = seen.members.iter().take(MEMBERS).map(|m| member(seen, m, island(m))).collect();
    json!({ "left_out": seen.members.len().saturating_sub(MEMBERS), "members": members })
}

fn member(seen: &Gathered, m: &MemberView, island: Option<usize>) -> Value {
    let own = m.origin == seen.origin;
    let living = m.state.is_living();
    json!({
        "node": m.node,
        "origin": life(m.origin.0),
        "this_node": own,
        "addr": m.addr.to_string(),
        "state": m.state.word(),
        "why": m.why,
        "since_at_ms": m.since_mono_ms.map(|at| seen.wall_of(at)),
        "incarnation": m.incarnation,
        "accusers": m.accusers,
        "dead_at_ms": m.dead_mono_ms.filter(|_| m.state == State::Suspect).map(|at| seen.wall_of(at)),
        // Tenths of a millisecond: what is finer only keeps streams busy.
        "rtt_ms": m.rtt_ms.filter(|_| living).map(|ms| (ms * 10.0).round() / 10.0),
        "linked": m.linked,
        "clock_offset_ms": m.linked.then_some(m.wall_offset_ms),
        "backlog_partitions": m.backlog_partitions,
        "behind_writes": matrix::behind(seen, m),
        "island": island,
        "dashboard_url": m.metadata.get(URL_FACT),
        "metadata": m.metadata,
    })
}
