//! Islands: members that agree on who is there, as far as one node can see.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::{ALIVE_FACT, of_state, others, unanswered_seeds};
use crate::core::causality::Origin;
use crate::core::membership::State;
use crate::dashboard::answer::{ago, count};
use crate::mesh::observe::{Gathered, MemberView};

/// One island.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct Island {
    pub nodes: Vec<String>,
    pub state: &'static str,
    alive_set: Option<String>,
    silent_since_at_ms: Option<u64>,
    evidence: String,
}

/// The hash under which a node publishes whom it sees alive, itself included.
pub(in crate::dashboard) fn alive_set(seen: &Gathered) -> String {
    let others = others(seen).filter(|m| m.state.is_living()).map(|m| m.origin);
    let mut alive: Vec<Origin> = others.chain([seen.origin]).collect();
    alive.sort_unstable();
    let bytes: Vec<u8> = alive.iter().flat_map(|origin| origin.to_bytes()).collect();
    format!("{:08x}", xxh3_64(&bytes) as u32)
}

/// All islands, this node's own first. Members that left are in none.
pub(in crate::dashboard) fn islands(seen: &Gathered) -> Vec<Island> {
    let own_set = alive_set(seen);
    let mut here = vec![seen.node.clone()];
    let mut apart: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for member in others(seen).filter(|m| m.state.is_living()) {
        match member.metadata.get(ALIVE_FACT) {
            Some(set) if *set != own_set => apart.entry(set).or_default().push(member.node.clone()),
            _ => here.push(member.node.clone()),
        }
    }
    here.sort_unstable();
    let evidence = match here.len() {
        1 => "nobody is known to see the same members as this node".into(),
        n => format!("these see the same {} as this node", count(n, "member", "members")),
    };
    let mut islands = vec![Island {
        evidence,
        nodes: here,
        state: "here",
        alive_set: Some(own_set),
        silent_since_at_ms: None,
    }];
    islands.extend(apart.into_iter().map(|(set, nodes)| Island {
        evidence: "they answer, and see other members alive than this node does".into(),
        nodes,
        state: "apart",
        alive_set: Some(set.to_owned()),
        silent_since_at_ms: None,
    }));
    islands.extend(silent(seen, &of_state(seen, State::Dead)));
    if let Some(island) = islands.first_mut()
        && let unanswered @ 1.. = unanswered_seeds(seen).len()
    {
        let seeds = count(unanswered, "seed does", "seeds do");
        island.evidence =
            format!("nobody else is known here, and {seeds} not answer: who is there is not known");
    }
    islands
}

fn silent(seen: &Gathered, dead: &[&MemberView]) -> Option<Island> {
    let since = dead.iter().filter_map(|m| m.since_mono_ms).min();
    let how_long =
        since.map(|at| format!(" for {}", ago(seen.mono_ms.saturating_sub(at)))).unwrap_or_default();
    (!dead.is_empty()).then(|| Island {
        nodes: dead.iter().map(|m| m.node.clone()).collect(),
        state: "silent",
        alive_set: None,
        silent_since_at_ms: since.map(|at| seen.wall_of(at)),
        evidence: match dead.len() {
            1 => format!("silent{how_long}; crashed or cut off is not known here"),
            _ => format!("silent{how_long}; whether they see each other is not known here"),
        },
    })
}

/// The part.
pub(super) fn body(seen: &Gathered) -> Value {
    let islands = islands(seen);
    let one = |i: &Island| {
        json!({
            "nodes": i.nodes,
            "this_side": i.state == "here",
            "state": i.state,
            "alive_set": i.alive_set,
            "silent_since_at_ms": i.silent_since_at_ms,
            "evidence": i.evidence,
        })
    };
    json!({ "split": islands.len() > 1, "islands": islands.iter().map(one).collect::<Vec<Value>>() })
}
