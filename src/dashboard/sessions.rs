//! Sessions held here: a list by prefix of their hash.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{refusal, view, viewed};
use super::board::Board;
use super::limits::{LOOKED_AT, SESSIONS_PAGE};
use super::values::hash;
use crate::core::session::{Packed, SessionId, is_reserved};

/// What may be asked.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    prefix: String,
    limit: Option<usize>,
    after: Option<String>,
}

/// `GET /api/v1/sessions`.
pub(super) async fn list(State(board): State<Arc<Board>>, Query(asked): Query<Asked>) -> Response {
    let prefix = asked.prefix.trim_start_matches('#').to_lowercase();
    if prefix.len() > 8 || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
        return refusal(StatusCode::BAD_REQUEST, "prefix: up to 8 hex digits of a session's short hash");
    }
    let after = match asked.after.as_deref().map(place) {
        Some(None) => return refusal(StatusCode::BAD_REQUEST, "after: the next_after of a page before"),
        Some(Some(place)) => place,
        None => (0, 0),
    };
    let limit = asked.limit.unwrap_or(50).clamp(1, SESSIONS_PAGE);
    let seen = board.mesh.gather();
    let page = page(&board, seen.partitions, seen.wall_ms, &prefix, limit, after).await;
    Json(viewed(view(&seen), page)).into_response()
}

/// A place in the order of a list: partition and record.
fn place(text: &str) -> Option<(u16, usize)> {
    let (partition, record) = text.split_once('-')?;
    Some((partition.parse().ok()?, record.parse().ok()?))
}

async fn page(
    board: &Board,
    partitions: u16,
    wall_ms: u64,
    prefix: &str,
    limit: usize,
    (first, mut skip): (u16, usize),
) -> Value {
    let key = board.mesh.log_key();
    let (mut rows, mut looked_at, mut next) = (Vec::new(), 0, None);
    'partitions: for ix in first..partitions {
        let stopped = board.mesh.with_partition(ix, |p| {
            for (at, record) in p.records().enumerate().skip(skip) {
                if rows.len() == limit || looked_at == LOOKED_AT {
                    return Some(at);
                }
                looked_at += 1;
                if record.is_revocation() {
                    // Nobody's session.
                    continue;
                }
                let name = hash(record.id(), key);
                if name.starts_with(prefix) {
                    rows.push(row(name, &record, wall_ms));
                }
            }
            None
        });
        if let Some(at) = stopped {
            next = Some(format!("{ix}-{at}"));
            break 'partitions;
        }
        skip = 0;
        // Other tasks of this thread shall not wait for a whole walk.
        tokio::task::yield_now().await;
    }
    json!({ "prefix": prefix, "sessions": rows, "looked_at": looked_at, "next_after": next })
}

/// One session as lists tell it.
pub(super) fn row(name: String, record: &Packed<'_>, wall_ms: u64) -> Value {
    let dead = record.is_dead();
    let state = match () {
        () if dead => "ended",
        () if record.deadline_ms() <= wall_ms => "expired",
        () => "live",
    };
    let live = |at: u64| (!dead).then_some(at);
    json!({
        "hash": name,
        "state": state,
        "fields": if dead { 0 } else { record.fields().filter(|f| f.value.is_some() && !is_reserved(f.key)).count() },
        "bytes": record.bytes_len(),
        "created_at_ms": live(if dead { 0 } else { record.created_ms() }),
        "touched_at_ms": live(if dead { 0 } else { record.touch_ms() }),
        "expires_at_ms": live(if dead { 0 } else { record.deadline_ms() }),
        "hard_at_ms": record.hard_ms(),
    })
}

/// The sessions held here under a hash, first one first; a second one is as good as never.
pub(super) async fn find(board: &Board, partitions: u16, name: &str) -> Vec<SessionId> {
    let key = board.mesh.log_key();
    let mut found = Vec::new();
    for ix in 0..partitions {
        board.mesh.with_partition(ix, |p| {
            let sessions = p.records().filter(|r| !r.is_revocation()).map(|r| r.id());
            found.extend(sessions.filter(|id| hash(*id, key) == name));
        });
        tokio::task::yield_now().await;
    }
    found
}
