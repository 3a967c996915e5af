//! The shape of every answer: whose view it is, then what was asked for.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::mesh::observe::Gathered;

/// A refusal in a sentence.
pub(super) fn refusal(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

/// Whose view it is, and when.
pub(super) fn view(seen: &Gathered) -> Value {
    json!({
        "node": seen.node,
        "cluster": seen.cluster,
        "origin": life(seen.origin.0),
        "at_ms": seen.wall_ms,
    })
}

/// A life as operators see it.
pub(super) fn life(origin: u128) -> String {
    format!("{origin:032x}")
}

/// An object with its view before it.
pub(super) fn viewed(view: Value, body: Value) -> Value {
    let mut whole = Map::from_iter([("view".to_owned(), view)]);
    if let Value::Object(body) = body {
        whole.extend(body);
    }
    Value::Object(whole)
}

/// Time as people say it.
pub(super) fn ago(ms: u64) -> String {
    match ms / 1_000 {
        0 => format!("{ms} ms"),
        s @ 1..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    }
}

/// One thing, or several of it.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
