//! Why a session could not do what it was asked, as an answer.

use axum_core::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use crate::WriteError;
use crate::mesh::{Error, FieldError};

/// A result of a session.
pub type Result<T> = std::result::Result<T, SessionError>;

/// A refusal. Nothing was changed. As a response it is the status named, and its text.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The session ended while the request ran: by a logout elsewhere, or its deadline. 401.
    #[error("the session has ended")]
    Ended,
    /// The request's cookie is that of before a log-in, or its key has ended: a write would be lost, and is refused. Its
    /// client holds a newer one. 409.
    #[error("the session goes on under another cookie since a log-in or a rotation; nothing was written")]
    Stale,
    /// The node cannot know: it is joining, was frozen, or has stopped. Another may do better. 503.
    #[error("the session cannot be known here now: {0}")]
    Unavailable(&'static str),
    /// The client's own earlier writes did not arrive in time ([`super::Behind::Refuse`]). 503.
    #[error("this node has not yet seen what you wrote elsewhere")]
    Behind,
    /// One field holds something else than what was asked for; the others are fine. 500.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A broken limit, or a value that cannot be encoded. 500, and 503 if the node has stopped.
    #[error(transparent)]
    Write(Error),
    /// What needs a cookie came after the answer had gone out, from a body that streams or a task. Nothing was done. 500.
    #[error("too late: the answer has gone out, and no cookie can be set any more")]
    TooLate,
    /// The session was taken out of the request's extensions, and [`super::Session::ready`] not awaited. 500.
    #[error(
        "await Session::ready() before using a session from the request's extensions, or take it as an argument"
    )]
    NotReady,
    /// No [`super::SessionLayer`] is around this handler. 500.
    #[error("no session: add a SessionLayer around this route")]
    NoLayer,
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        match error {
            Error::Write(WriteError::Absent) => Self::Ended,
            Error::Write(WriteError::Moved) => Self::Stale,
            Error::Write(WriteError::NotServing(why)) => Self::Unavailable(why),
            other => Self::Write(other),
        }
    }
}

impl SessionError {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Ended => StatusCode::UNAUTHORIZED,
            Self::Stale => StatusCode::CONFLICT,
            Self::Unavailable(_) | Self::Behind | Self::Write(Error::Stopped(_)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Field(_) | Self::Write(_) | Self::NoLayer | Self::NotReady | Self::TooLate => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }
}

impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, format!("{self}\n")).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
