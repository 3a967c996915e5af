//! One session, field by field, and side by side with what every peer has of it.
//!
//! Peers are asked over the mesh itself, with the question of a read-through, whose answer carries every version of the
//! record; it is shown and not taken in. So it needs no new message, no second port, no token of theirs, and works where
//! their dashboards cannot be reached.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{ago, refusal, view, viewed};
use super::board::{Board, Met};
use super::limits::{CONFLICTS, INSPECT_PATIENCE, MEMBERS};
use super::parts::others;
use super::sessions::find;
use super::values::{Showing, differing};
use crate::core::causality::Origin;
use crate::core::replica::Dumped;
use crate::core::session::SessionId;
use crate::mesh::observe::{Gathered, MemberView};

/// What may be asked.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    values: Option<String>,
    peers: Option<String>,
}

/// Whether a flag of a query is set.
pub(super) fn is_set(flag: Option<&String>) -> bool {
    flag.is_some_and(|text| text == "1")
}

/// `GET /api/v1/sessions/{hash}`.
pub(super) async fn show(
    State(board): State<Arc<Board>>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let name = name.trim_start_matches('#').to_lowercase();
    let values = is_set(asked.values.as_ref());
    if values && !board.config.values {
        return refusal(StatusCode::FORBIDDEN, "values are not permitted here (dashboard_values)");
    }
    let partitions = board.mesh.gather().partitions;
    let found = find(&board, partitions, &name).await;
    let copy = found.first().and_then(|id| Some((*id, copy_of(&board, partitions, *id)?)));
    let Some((id, copy)) = copy else {
        return refusal(StatusCode::NOT_FOUND, &format!("no session with hash {name:.16} is held here"));
    };
    let peers = match is_set(asked.peers.as_ref()) {
        true => match board.inspections.try_acquire() {
            Ok(_turn) => Some(board.mesh.inspect(id, INSPECT_PATIENCE).await),
            Err(_) => return refusal(StatusCode::TOO_MANY_REQUESTS, "peers are being asked; try again"),
        },
        false => None,
    };
    let seen = board.mesh.gather_lag();
    let beaten = beaten(&board, id);
    let showing = Showing { seen: &seen, log_key: board.mesh.log_key(), values };
    let body = json!({
        "hash": name,
        "matches": found.len(),
        "values": if values { "shown" } else { "hidden" },
        "session": showing.session(&copy, &beaten),
        "peers": peers.map(|answers| side_by_side(&showing, &copy, &answers)),
    });
    Json(viewed(view(&seen), body)).into_response()
}

fn copy_of(board: &Board, partitions: u16, id: SessionId) -> Option<Dumped> {
    board.mesh.with_partition(id.partition(partitions), |p| p.get(id).map(|r| Dumped::of(&r, p.origins())))
}

fn beaten(board: &Board, id: SessionId) -> Vec<(u64, Met)> {
    board.memory.lock().conflicts.page(CONFLICTS, None, |met| met.conflict.id == id).0
}

fn side_by_side(
    showing: &Showing<'_>,
    ours: &Dumped,
    answers: &BTreeMap<Origin, Option<Box<Dumped>>>,
) -> Vec<Value> {
    let one = |m: &MemberView| {
        let answer = answers.get(&m.origin);
        let theirs = answer.and_then(|copy| copy.as_deref());
        let parts = theirs.map(|copy| differing(ours, copy)).unwrap_or_default();
        let (word, why) = match (answer, theirs) {
            (Some(_), Some(theirs)) if parts.is_empty() && theirs.hard_ms == ours.hard_ms => {
                ("same", "it has exactly what is here".to_owned())
            }
            (Some(_), Some(theirs)) => ("differs", why_different(showing.seen, m, ours, theirs)),
            (Some(_), None) => ("absent", why_absent(showing.seen, m, ours)),
            (None, _) if m.linked => ("silent", format!("it did not answer within {INSPECT_PATIENCE:?}")),
            (None, _) => ("unreachable", why_unreachable(showing.seen, m)),
        };
        json!({
            "node": m.node,
            "answer": word,
            "why": why,
            "differing": parts,
            "session": theirs.map(|copy| showing.session(copy, &[])),
        })
    };
    others(showing.seen).take(MEMBERS).map(one).collect()
}

/// Every version in a copy: stamp, life, counter.
fn versions(copy: &Dumped) -> impl Iterator<Item = &(u64, String, u64)> {
    let live = copy.live.iter().flat_map(|live| {
        let fields = live.fields.values().map(|(_, stamp)| stamp);
        [&live.birth.1, &live.touch.1, &live.ttl.2].into_iter().chain(fields)
    });
    live.chain(copy.destroyed.iter())
}

fn why_different(seen: &Gathered, peer: &MemberView, ours: &Dumped, theirs: &Dumped) -> String {
    match (&ours.live, &theirs.live) {
        (None, Some(_)) => {
            return format!("it was ended here and {} has not heard of it: {}", peer.node, lag(seen, peer));
        }
        (Some(_), None) => return "it was ended there, and this node has not heard of it yet".into(),
        _ => {}
    }
    let newest = |copy: &Dumped| versions(copy).max().cloned();
    match (newest(ours), newest(theirs)) {
        (Some(a), Some(b)) if a.0 > b.0 => {
            format!("{} has not reached {} yet: {}", write(seen, &a), peer.node, lag(seen, peer))
        }
        (Some(_), Some(b)) => format!("{} has not reached this node yet", write(seen, &b)),
        _ => "both hold writes that the other lacks".into(),
    }
}

/// A write in words.
fn write(seen: &Gathered, (_, origin, counter): &(u64, String, u64)) -> String {
    let life = u128::from_str_radix(origin, 16).unwrap_or_default();
    let short = origin.get(..8).unwrap_or(origin);
    let name = seen.name_of(Origin(life)).map_or_else(|| format!("life {short}"), str::to_owned);
    format!("write {counter} of {name}")
}

fn lag(seen: &Gathered, peer: &MemberView) -> String {
    let unacked = seen.unacked.get(&peer.origin).copied().unwrap_or(0);
    let compared = seen.observed.as_ref().and_then(|o| o.compared.get(&peer.origin));
    let equal =
        compared.filter(|c| c.equal_at_ms > 0).map(|c| ago(seen.wall_ms.saturating_sub(c.equal_at_ms)));
    match (unacked, equal) {
        (0, Some(equal)) => format!("the two were equal {equal} ago"),
        (0, None) => "the two have not been found equal yet".into(),
        (n, _) => format!("it has not acknowledged {n} of this node's writes"),
    }
}

fn why_absent(seen: &Gathered, peer: &MemberView, ours: &Dumped) -> String {
    let born = ours.live.as_ref().map(|live| live.birth.0);
    let compared = seen.observed.as_ref().and_then(|o| o.compared.get(&peer.origin));
    let equal_at_ms = compared.map_or(0, |c| c.equal_at_ms);
    match born {
        Some(born) if equal_at_ms > born => format!(
            "it had everything {} ago, this session included: it has let go of it since, as an expired one",
            ago(seen.wall_ms.saturating_sub(equal_at_ms))
        ),
        Some(born) => format!(
            "it was created {} ago and has not reached {} yet: {}",
            ago(seen.wall_ms.saturating_sub(born)),
            peer.node,
            lag(seen, peer)
        ),
        None => format!("{} has neither the session nor its end: {}", peer.node, lag(seen, peer)),
    }
}

fn why_unreachable(seen: &Gathered, peer: &MemberView) -> String {
    let since = peer.since_mono_ms.map(|at| format!(" for {}", ago(seen.mono_ms.saturating_sub(at))));
    format!(
        "{}{}: {}; what is written here does not reach it before it is back",
        peer.state.word(),
        since.unwrap_or_default(),
        peer.why
    )
}
