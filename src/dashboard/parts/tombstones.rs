//! Ended sessions still remembered, expired ones still kept, and what holds their collection back.

use serde_json::{Value, json};

use super::Past;
use crate::core::causality::Origin;
use crate::core::replica::GONE;
use crate::core::wall::Trust;
use crate::dashboard::answer::{ago, life};
use crate::dashboard::limits::HOLDING_BACK;
use crate::mesh::observe::Gathered;

/// A member incorporated up to this long ago (ms) holds nothing back: rounds are seconds apart.
const FRESH_MS: u64 = 30_000;

/// The part.
pub(super) fn body(seen: &Gathered, past: &Past) -> Value {
    let counts = seen.counts;
    let doubted = seen.observed.as_ref().is_some_and(|o| o.clock.trust == Trust::Doubted);
    let kept = counts.expired_retained + counts.stubs;
    let slow = if kept > 0 { slow(seen) } else { Vec::new() };
    let (waits_for, advice) = match () {
        () if doubted => (
            "clock",
            "this node's wall clock jumped; until peers or a minute confirm it, what only one of the two times calls over \
             stays. Fix its clock",
        ),
        () if !slow.is_empty() => (
            "members",
            "nothing while they may come back: fields go expire_wait_ms after their session's last possible deadline. A \
             member that is gone for good: `sessionmesh forget NODE` on any node, and what waits for it goes at once",
        ),
        () if counts.tombstones > 0 => {
            ("time", "nothing: a tombstone goes when the session it ended could not have lived any longer")
        }
        () => ("nothing", "nothing"),
    };
    let due = past.due.within.iter().map(|(ms, n)| json!({ "within_ms": ms, "tombstones": n }));
    json!({
        "tombstones": counts.tombstones,
        "expired_retained": kept,
        "margin_ms": 2 * seen.max_drift_ms,
        "due": due.collect::<Vec<Value>>(),
        "looked_at_ms": past.due.at_ms,
        "waits_for": waits_for,
        "holding_back": slow.into_iter().map(|(origin, at)| holder(seen, origin, at)).collect::<Vec<Value>>(),
        "advice": advice,
    })
}

/// Members whose writes are here only up to a while ago, slowest first.
fn slow(seen: &Gathered) -> Vec<(Origin, u64)> {
    let fresh = seen.observed.iter().flat_map(|o| o.fresh.iter());
    let waiting = fresh.filter(|(origin, at)| **origin != seen.origin && **at & GONE == 0);
    let mut slow: Vec<(Origin, u64)> =
        waiting.filter(|(_, at)| *at + FRESH_MS < seen.wall_ms).map(|(origin, at)| (*origin, *at)).collect();
    slow.sort_by_key(|(_, at)| *at);
    slow.truncate(HOLDING_BACK);
    slow
}

fn holder(seen: &Gathered, origin: Origin, at_ms: u64) -> Value {
    let member = seen.members.iter().find(|m| m.origin == origin);
    let (name, state) =
        member.map_or(("a life no longer listed", "unknown"), |m| (m.node.as_str(), m.state.word()));
    let heard = match at_ms {
        0 => "nothing of it was ever taken in whole".to_owned(),
        at => format!("taken in whole up to {} ago", ago(seen.wall_ms.saturating_sub(at))),
    };
    json!({
        "node": member.map(|m| &m.node),
        "origin": life(origin.0),
        "state": state,
        "incorporated_at_ms": (at_ms > 0).then_some(at_ms),
        "why": format!("{name} is {state}, {heard}: what it touched since may extend these sessions"),
    })
}
