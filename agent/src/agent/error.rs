//! Refusals as JSON: `error` is a word for programs, `detail` a sentence for people naming the culprit.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sessionmesh::{Error, Found, Session, WriteError};

/// A refused request. Nothing was changed.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    error: &'static str,
    detail: String,
}

impl Refusal {
    /// A refusal with a word of its own.
    pub fn new(status: StatusCode, error: &'static str, detail: impl Into<String>) -> Self {
        Self { status, error, detail: detail.into() }
    }

    /// A request that makes no sense.
    pub fn bad(error: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, detail)
    }

    /// No such session.
    pub fn absent() -> Self {
        let detail = "no such session: never created, expired, or ended";
        Self::new(StatusCode::NOT_FOUND, "absent", detail)
    }

    /// A write with a ticket that another has taken the place of.
    pub fn stale() -> Self {
        let detail =
            "the session goes on under another ticket since a log-in or a rotation; nothing was written";
        Self::new(StatusCode::CONFLICT, "stale", detail)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.error, "detail": self.detail }))).into_response()
    }
}

/// The session that was found, or why there is none.
///
/// # Errors
/// 404 if there is no such session, 503 if this node cannot know.
pub fn found(found: Found) -> Result<Session, Refusal> {
    let unknown = |error, detail| Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error, detail));
    match found {
        Found::Session(session) => Ok(session),
        Found::Absent => Err(Refusal::absent()),
        Found::NotYetKnown => unknown(
            "not_yet_known",
            "it is not on this node, and no peer could be asked or answered in time: ask another node, or again",
        ),
        Found::Fenced => unknown(
            "fenced",
            "this node was frozen and may have missed a logout: ask another node, or again once it caught up",
        ),
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        let (status, word) = match &error {
            Error::Write(refused) => refused_write(refused),
            Error::Encode { .. } | Error::Edit(_) | Error::Publish(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "bad_value")
            }
            Error::Forget(_) => (StatusCode::CONFLICT, "not_forgotten"),
            Error::Stopped(_) => (StatusCode::SERVICE_UNAVAILABLE, "stopped"),
            Error::Config(_) | Error::Start(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        Self::new(status, word, detail)
    }
}

fn refused_write(refused: &WriteError) -> (StatusCode, &'static str) {
    match refused {
        WriteError::Absent => (StatusCode::NOT_FOUND, "absent"),
        WriteError::IdTaken => (StatusCode::CONFLICT, "id_taken"),
        WriteError::Moved => (StatusCode::CONFLICT, "stale"),
        WriteError::TooManyKeys { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "too_many_keys"),
        WriteError::KeyLength { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "key_length"),
        WriteError::ReservedKey => (StatusCode::UNPROCESSABLE_ENTITY, "reserved_key"),
        WriteError::Principal { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "principal_length"),
        WriteError::TooManyFields { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "too_many_fields"),
        WriteError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "record_too_large"),
        WriteError::Expired { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "expired_deadline"),
        WriteError::MemoryFull { .. } => (StatusCode::INSUFFICIENT_STORAGE, "memory_full"),
        WriteError::NotServing(_) => (StatusCode::SERVICE_UNAVAILABLE, "fenced"),
    }
}
