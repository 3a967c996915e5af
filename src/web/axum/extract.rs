//! A handler's [`Session`] argument.

use axum_core::extract::FromRequestParts;
use http::request::Parts;

use super::error::SessionError;
use super::session::Session;

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionError> {
        let session = parts.extensions.get::<Self>().cloned().ok_or(SessionError::NoLayer)?;
        session.ready().await;
        Ok(session)
    }
}
