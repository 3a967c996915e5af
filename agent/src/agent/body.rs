//! Reading requests: bounded bodies and strict JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use sessionmesh::Expiry;
use sessionmesh::door::is_json;
use tokio::sync::OwnedSemaphorePermit;

use super::app::App;
use super::error::Refusal;
use super::limits::{BODY_PATIENCE, DISCARDED_BYTES, FREE_BODY_BYTES};

/// When a session ends.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// This long after the last touch (ms).
    SlidingMs(u64),
    /// At this wall time (ms since the epoch).
    AtMs(u64),
}

impl Ends {
    /// As the mesh wants it.
    ///
    /// # Errors
    /// An idle time of nothing, or a date that is not in the future.
    pub fn expiry(self, now_ms: u64) -> Result<Expiry, Refusal> {
        match self {
            Self::SlidingMs(0) => Err(expired("expiry.sliding_ms: 0: must be at least 1".to_owned())),
            Self::SlidingMs(ms) => Ok(Expiry::sliding(Duration::from_millis(ms))),
            Self::AtMs(at) if at <= now_ms => {
                Err(expired(format!("expiry.at_ms: {at} is not in the future ({now_ms})")))
            }
            Self::AtMs(at) => Ok(Expiry::at_ms(at)),
        }
    }
}

/// What `at_most_ms` says.
///
/// # Errors
/// A life of nothing.
pub fn at_most(ms: Option<u64>) -> Result<Option<Duration>, Refusal> {
    match ms {
        Some(0) => Err(expired("at_most_ms: 0: must be at least 1".to_owned())),
        ms => Ok(ms.map(Duration::from_millis)),
    }
}

fn expired(detail: String) -> Refusal {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "expired_deadline", detail)
}

/// The body of `POST /v1/sessions`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// When it ends.
    pub expiry: Ends,
    /// Its longest life, however often it is touched (ms): its hard end.
    pub at_most_ms: Option<u64>,
    /// Its first fields.
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
    /// Whose session it is.
    pub principal: Option<String>,
}

/// The body of `PATCH /v1/session`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Patch {
    /// The session's ticket, if not in the header.
    pub ticket: Option<String>,
    /// The id of a session without keys, if not in the header.
    pub id: Option<String>,
    /// Fields to set.
    pub set: BTreeMap<String, Value>,
    /// Fields to remove.
    pub remove: Vec<String>,
    /// Remove every field not set here; whose session it is stays.
    pub clear: bool,
    /// Write nothing for values that would not change.
    pub skip_unchanged: bool,
    /// When it ends from now on.
    pub expiry: Option<Ends>,
    /// Its longest life from now on (ms), within its hard end.
    pub at_most_ms: Option<u64>,
    /// Log in, or out with null; left out, whose session it is stays.
    #[serde(deserialize_with = "given")]
    pub principal: Option<Option<String>>,
}

/// Tells null from nothing.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The body of requests that only name a session; it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Naming {
    /// The session's ticket, if not in the header.
    pub ticket: Option<String>,
    /// The id of a session without keys, if not in the header.
    pub id: Option<String>,
}

/// Reads a JSON body.
///
/// # Errors
/// 4xx naming what is wrong: the type, the size, the time it took, or the place in the JSON.
pub async fn json<T: DeserializeOwned>(app: &App, headers: &HeaderMap, body: Body) -> Result<T, Refusal> {
    let read = read(app, body).await?;
    parse(headers, &read.bytes)
}

/// Reads a JSON body that may be left out.
///
/// # Errors
/// As [`json`].
pub async fn json_or_nothing<T: DeserializeOwned + Default>(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Refusal> {
    let read = read(app, body).await?;
    if read.bytes.is_empty() { Ok(T::default()) } else { parse(headers, &read.bytes) }
}

fn parse<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !is_json(kind) {
        let detail = format!("header Content-Type: {kind:?}: must be application/json");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type", detail));
    }
    serde_json::from_slice(bytes).map_err(|e| Refusal::bad("bad_json", e.to_string()))
}

/// A body, and its share of what all of them may take.
struct Read {
    bytes: Vec<u8>,
    _share: Option<OwnedSemaphorePermit>,
}

async fn read(app: &App, body: Body) -> Result<Read, Refusal> {
    match tokio::time::timeout(BODY_PATIENCE, collect(app, body)).await {
        Ok(read) => read,
        Err(_) => {
            let detail = format!("the body did not arrive within {BODY_PATIENCE:?}");
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail))
        }
    }
}

async fn collect(app: &App, mut body: Body) -> Result<Read, Refusal> {
    let limit_bytes = app.max_body_bytes;
    let (mut bytes, mut total, mut share) = (Vec::new(), 0usize, None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Refusal::bad("bad_body", e.to_string()))?;
        let Some(data) = frame.data_ref() else { continue };
        total = total.saturating_add(data.len());
        if total <= limit_bytes {
            take_share(app, &mut share, data.len().min(total.saturating_sub(FREE_BODY_BYTES)))?;
            bytes.extend_from_slice(data);
        } else if total > limit_bytes.saturating_add(DISCARDED_BYTES) {
            break;
        }
    }
    if total > limit_bytes {
        let detail = format!("body of more than {limit_bytes} bytes (http.max_body_bytes)");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail));
    }
    Ok(Read { bytes, _share: share })
}

/// Takes so many bytes more of what all bodies may hold.
fn take_share(app: &App, share: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), Refusal> {
    let wanted = u32::try_from(bytes).unwrap_or(u32::MAX);
    if wanted == 0 {
        return Ok(());
    }
    let Ok(more) = Arc::clone(&app.body_budget).try_acquire_many_owned(wanted) else {
        let detail = "bodies of other requests take all the room there is for them: try again";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail));
    };
    match share {
        Some(share) => share.merge(more),
        None => *share = Some(more),
    }
    Ok(())
}
