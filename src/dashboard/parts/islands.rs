//! Islands: members that agree on who is there, as far as one node can see.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::{ALIVE_FACT, of_state, others, unanswered_seeds};
use crate::core::causality::Origin;
use crate::core::membership::State;
use crate::dashboard::answer::{ago, count};
use crate::dashboard::limits::SETTLING_GOSSIPS;
use crate::mesh::observe::{Gathered, MemberView};

/// Members that answer, and of whom it is not known yet with whom they are.
const UNKNOWN: &str = "unknown";

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

/// How long ago somebody was last found to live or not to (ms): what others say of it is older than that, or not here
/// yet.
fn quiet_ms(seen: &Gathered) -> Option<u64> {
    let last = others(seen).filter(|m| m.state != State::Left).filter_map(|m| m.since_mono_ms).max();
    last.map(|at| seen.mono_ms.saturating_sub(at))
}

/// Whether what others have published of whom they see is older than what happened. Each notices by itself, and gossip
/// carries it a member at a time.
fn is_settling(seen: &Gathered) -> bool {
    quiet_ms(seen).is_some_and(|quiet_ms| quiet_ms < SETTLING_GOSSIPS * seen.gossip_interval_ms)
}

/// Groups that are known to be such: members of whom that is not known yet are in none.
pub(in crate::dashboard) fn known_islands(seen: &Gathered) -> usize {
    islands(seen).iter().filter(|i| i.state != UNKNOWN).count()
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
    let mut unknown = Vec::new();
    if is_settling(seen) {
        unknown.extend(std::mem::take(&mut apart).into_values().flatten());
        unknown.sort_unstable();
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
    islands.extend((!unknown.is_empty()).then(|| Island {
        evidence: "they answer; what they see since the last change is not known here yet".into(),
        nodes: unknown,
        state: UNKNOWN,
        alive_set: None,
        silent_since_at_ms: None,
    }));
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
    json!({ "split": known_islands(seen) > 1, "islands": islands.iter().map(one).collect::<Vec<Value>>() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::testkit::synthetic;

    /// Five members as n0 sees them, of which n3 and n4 fell silent so long ago (ms); n1 and n2 published these sets.
    fn cut(ago_ms: u64, sets: [Option<&str>; 2]) -> Gathered {
        let mut seen = synthetic(5);
        for member in &mut seen.members[3..] {
            (member.state, member.linked) = (State::Dead, false);
            member.since_mono_ms = Some(seen.mono_ms - ago_ms);
        }
        let own = alive_set(&seen);
        for (member, set) in seen.members[1..3].iter_mut().zip(sets) {
            member.metadata.insert(ALIVE_FACT.into(), set.unwrap_or(&own).into());
        }
        seen
    }

    fn shape(seen: &Gathered) -> Vec<(&'static str, usize)> {
        islands(seen).iter().map(|i| (i.state, i.nodes.len())).collect()
    }

    #[test]
    fn what_gossip_has_not_carried_yet_is_not_called_another_side() {
        // Both sets are of before the cut, of which n1 has noticed one half.
        let before = cut(1_000, [Some("00000001"), Some("00000002")]);
        assert_eq!(shape(&before), [("here", 1), ("unknown", 2), ("silent", 2)]);
        assert_eq!(known_islands(&before), 2);
        assert_eq!(body(&before)["split"], true);
        let half = cut(1_000, [None, Some("00000002")]);
        assert_eq!(shape(&half), [("here", 2), ("unknown", 1), ("silent", 2)], "agreement is known at once");
        assert_eq!(shape(&cut(1_000, [None, None])), [("here", 3), ("silent", 2)]);
        let settled = cut(60_000, [Some("00000001"), Some("00000002")]);
        assert_eq!(shape(&settled), [("here", 1), ("apart", 1), ("apart", 1), ("silent", 2)]);
    }

    #[test]
    fn nobody_is_apart_right_after_a_heal_and_slow_gossip_takes_its_time() {
        let mut healed = synthetic(5);
        healed.members[4].since_mono_ms = Some(healed.mono_ms - 500);
        healed.members[1].metadata.insert(ALIVE_FACT.into(), "00000001".into());
        assert_eq!(shape(&healed), [("here", 4), ("unknown", 1)]);
        assert_eq!(body(&healed)["split"], false);
        let mut slow = cut(60_000, [Some("00000001"), None]);
        slow.gossip_interval_ms = 20_000;
        assert_eq!(shape(&slow), [("here", 2), ("unknown", 1), ("silent", 2)]);
    }

    /// Twenty islands were told of 64 nodes at a cut into two.
    #[test]
    fn a_large_mesh_has_one_group_of_which_it_is_not_known() {
        let mut seen = synthetic(64);
        for (at, member) in seen.members.iter_mut().enumerate().skip(1).take(20) {
            member.metadata.insert(ALIVE_FACT.into(), format!("{at:08x}"));
        }
        seen.members[63].since_mono_ms = Some(seen.mono_ms - 3_000);
        assert_eq!(islands(&seen).iter().filter(|i| i.state == UNKNOWN).count(), 1);
        assert_eq!(known_islands(&seen), 2, "this side, and the silent ones");
    }
}
