//! Everything in one file: JSON lines that `sessionmesh-sim view` reads as a node's log (docs/TRACE.md), and a last line,
//! which that viewer counts and skips, with all parts as the API tells them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::answer::{life, view, viewed};
use super::board::{Board, Event, Met};
use super::limits::{CONFLICTS, EVENTS};
use super::parts::{NAMES, Past, part};
use super::routes::histories;
use super::values::hash;
use crate::core::causality::Origin;
use crate::core::time::Hlc;

/// `GET /api/v1/snapshot`.
pub(super) async fn snapshot(State(board): State<Arc<Board>>) -> Response {
    board.count_tombstones().await;
    let seen = board.mesh.gather_lag();
    let past = Past::of(&board.memory.lock(), board.config.values);
    let mut last = Map::new();
    for name in NAMES {
        let body = part(name, &seen, &past).unwrap_or_default();
        last.insert(name.to_owned(), viewed(view(&seen), body));
    }
    let (events, conflicts) = histories(&board);
    last.insert("events".into(), events);
    last.insert("conflicts".into(), conflicts);
    let end = line(seen.mono_ms, seen.wall_ms, "snapshot", Value::Object(last));
    let head = json!({ "trace": 1, "node": seen.node });
    let lines: Vec<String> = [head.to_string()]
        .into_iter()
        .chain(past_lines(&board))
        .chain([end.to_string(), String::new()])
        .collect();
    let name = format!("attachment; filename=\"sessionmesh-{}.jsonl\"", file_name(&seen.node));
    let headers =
        [(header::CONTENT_TYPE, "application/x-ndjson".to_owned()), (header::CONTENT_DISPOSITION, name)];
    (headers, lines.join("\n")).into_response()
}

/// A node's name as part of a file's.
fn file_name(node: &str) -> String {
    node.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect()
}

fn line(mono_ms: u64, wall_ms: u64, out: &str, body: Value) -> Value {
    let mut line = json!({ "mono_ms": mono_ms, "wall_ms": wall_ms, "out": out });
    if let (Value::Object(line), Value::Object(body)) = (&mut line, body) {
        line.extend(body);
    }
    line
}

/// Both histories in the order they happened, in the words of a trace.
fn past_lines(board: &Board) -> Vec<String> {
    let key = board.mesh.log_key();
    let memory = board.memory.lock();
    let events =
        memory.events.since(0, EVENTS).into_iter().map(|(_, event)| (event.mono_ms, event_line(&event)));
    let met = memory
        .conflicts
        .since(0, CONFLICTS)
        .into_iter()
        .map(|(_, met)| (met.mono_ms, conflict_line(&met, key)));
    let mut lines: Vec<(u64, Value)> = events.chain(met).collect();
    drop(memory);
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().map(|(_, line)| line.to_string()).collect()
}

fn event_line(event: &Event) -> Value {
    let (at, wall) = (event.mono_ms, event.at_ms);
    match (event.kind, event.peer) {
        ("link_up" | "link_down", Some(peer)) => {
            let mut line = json!({ "mono_ms": at, "wall_ms": wall, "in": event.kind, "peer": life(peer.0) });
            // The version is the end of the text; a trace names it as a number.
            let version = event.text.rsplit(' ').next().and_then(|word| word.parse::<u64>().ok());
            line["version"] = version.unwrap_or_default().into();
            line
        }
        ("link_closed", Some(peer)) => {
            line(at, wall, "close_link", json!({ "peer": life(peer.0), "why": event.text }))
        }
        ("serving", _) => {
            let (state, why) = event.text.split_once(": ").unwrap_or((&event.text, ""));
            line(at, wall, "serving", json!({ "as": state, "why": why }))
        }
        (kind, _) => {
            let who = event.node.as_ref().map(|node| format!("{node}: ")).unwrap_or_default();
            line(at, wall, "warn", json!({ "text": format!("{kind}: {who}{}", event.text) }))
        }
    }
}

fn conflict_line(met: &Met, key: u64) -> Value {
    let side = |(origin, hlc, value): &(Origin, Hlc, Option<Vec<u8>>)| {
        let value = value.as_ref().map(|v| format!("{:016x}", xxh3_64_with_seed(v, key)));
        json!({ "origin": life(origin.0), "hlc": hlc.0, "value": value })
    };
    let c = &met.conflict;
    let body = json!({
        "event": "conflict",
        "session": format!("#{}", hash(c.id, key)),
        "key": c.key,
        "kept": side(&c.kept),
        "lost": side(&c.lost),
    });
    line(met.mono_ms, met.at_ms, "event", body)
}
