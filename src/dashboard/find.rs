//! A session's hash for who has its id, its ticket, its cookie or its user: what an operator is given by a user, or
//! copies out of a browser. It comes in a body, is hashed here, and is in no answer and no log.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{refusal, view, viewed};
use super::board::Board;
use super::limits::SESSIONS_PAGE;
use super::sessions::row;
use super::values::hash;
use crate::core::session::SessionId;
use crate::door::is_json;

/// What the body says: one of both.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    id: Option<String>,
    principal: Option<String>,
}

/// `POST /api/v1/sessions/find`.
pub(super) async fn find(State(board): State<Arc<Board>>, headers: HeaderMap, body: Bytes) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !is_json(kind) {
        return refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type: must be application/json");
    }
    // A parser's own words would quote what was sent.
    match serde_json::from_slice(&body) {
        Ok(Wanted { id: Some(id), principal: None }) => match named(&id) {
            Some(id) => found(&board, Some(id), &[id]),
            None => refusal(
                StatusCode::BAD_REQUEST,
                "id: must be a session's id, its ticket, or the cookie of sessionmesh's layer or of tower-sessions",
            ),
        },
        Ok(Wanted { id: None, principal: Some(principal) }) => {
            found(&board, None, &board.mesh.sessions().of(&principal))
        }
        _ => {
            refusal(StatusCode::BAD_REQUEST, "the body must be JSON: {\"id\": text} or {\"principal\": text}")
        }
    }
}

fn found(board: &Board, asked: Option<SessionId>, ids: &[SessionId]) -> Response {
    let seen = board.mesh.gather();
    let key = board.mesh.log_key();
    let one = |id: &SessionId| {
        board.mesh.with_partition(id.partition(seen.partitions), |p| {
            Some(row(hash(*id, key), &p.get(*id)?, seen.wall_ms))
        })
    };
    let sessions: Vec<Value> = ids.iter().take(SESSIONS_PAGE).filter_map(one).collect();
    let body = json!({
        "hash": asked.map(|id| hash(id, key)),
        "sessions": sessions,
        "left_out": ids.len().saturating_sub(SESSIONS_PAGE),
    });
    Json(viewed(view(&seen), body)).into_response()
}

/// The session that this names: an id or a ticket in hexadecimal digits; what a cookie of tower-sessions or of our layer
/// for axum holds, with its name and attributes or without. Only the id in it is looked at.
fn named(text: &str) -> Option<SessionId> {
    let text = text.split(';').next().unwrap_or_default();
    let text = text.rsplit('=').next().unwrap_or_default().trim().trim_matches('"');
    let hex = text.get(..32).filter(|_| matches!(text.len(), 32 | 64));
    if let Some(id) = hex.and_then(SessionId::parse) {
        return Some(id);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    if let Ok(id) = <[u8; 16]>::try_from(bytes.as_slice()) {
        return Some(SessionId::from_bytes(id));
    }
    // The layer's: a format, then the id (`web::axum`'s cookie).
    let (format, rest) = bytes.split_first()?;
    let (id, _) = rest.split_first_chunk::<16>()?;
    matches!(format, 1 | 2).then(|| SessionId::from_bytes(*id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_user_or_a_browser_has_names_its_session() {
        let id = SessionId::from_bytes([0xab; 16]);
        let hex = id.to_text();
        let layers = |format: u8| URL_SAFE_NO_PAD.encode([&[format][..], &[0xab; 16], &[7; 60]].concat());
        let tower = URL_SAFE_NO_PAD.encode([0xab; 16]);
        let all = [
            hex.clone(),
            hex.to_uppercase(),
            format!(" {hex}\n"),
            format!("{hex}{}", "0f".repeat(16)),
            layers(1),
            layers(2),
            format!("session={}; Path=/; HttpOnly", layers(2)),
            tower.clone(),
            format!("id={tower}"),
        ];
        for text in all {
            assert_eq!(named(&text), Some(id), "{text}");
        }
    }

    #[test]
    fn what_names_no_session_is_refused() {
        let strange = URL_SAFE_NO_PAD.encode([&[9][..], &[0xab; 60]].concat());
        for text in
            ["", "ada", "1c9a77e0", "not hex, 32 bytes in length......", &strange, "é".repeat(32).as_str()]
        {
            assert_eq!(named(text), None, "{text}");
        }
    }
}
