//! Who differs from this node, by what rounds of anti-entropy found.

use serde_json::{Value, json};

use super::others;
use crate::dashboard::limits::MEMBERS;
use crate::mesh::observe::{Gathered, MemberView};

/// The part.
pub(super) fn body(seen: &Gathered) -> Value {
    let stats = seen.numbers.node;
    json!({
        "partitions": seen.partitions,
        "peers": others(seen).take(MEMBERS).map(|m| peer(seen, m)).collect::<Vec<Value>>(),
        "rounds_equal_total": stats.rounds_equal,
        "rounds_pulled_total": stats.rounds_pulled,
        "rounds_failed_total": stats.rounds_failed,
        "audit_diffs_total": stats.audit_diffs,
        "violations_total": seen.counts.violations,
    })
}

fn peer(seen: &Gathered, m: &MemberView) -> Value {
    let compared = seen.observed.as_ref().and_then(|o| o.compared.get(&m.origin));
    json!({
        "node": m.node,
        "linked": m.linked,
        "compared_at_ms": compared.map(|c| c.at_ms),
        "equal": compared.map(|c| c.differing == 0),
        "differing_partitions": compared.map(|c| c.differing),
        "equal_at_ms": compared.map(|c| c.equal_at_ms).filter(|at| *at > 0),
        "unacknowledged_writes": seen.unacked.get(&m.origin),
    })
}
