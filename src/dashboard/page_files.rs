//! Serves the page's files.

use axum::extract::{OriginalUri, Path, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::refusal;
use crate::dashboard_page::ASSETS;

fn found(name: &str) -> Option<Response> {
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    Some(([(header::CONTENT_TYPE, asset.media_type)], asset.text).into_response())
}

/// `GET /`.
pub(super) async fn page(request: Request) -> Response {
    index(&request)
}

/// The page. All its paths are relative: called by an address without a last slash, it sends the browser to one that
/// every way of mounting knows (`Router::nest` does not know `/dashboard/`).
pub(super) fn index(request: &Request) -> Response {
    let called =
        request.extensions().get::<OriginalUri>().map_or_else(|| request.uri().path(), |uri| uri.path());
    if called.ends_with('/') {
        return found("index.html").unwrap_or_else(missing);
    }
    let last = called.rsplit('/').next().unwrap_or_default();
    match HeaderValue::from_str(&format!("{last}/index.html")) {
        Ok(to) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, to)]).into_response(),
        Err(_) => missing(),
    }
}

/// `GET /{file}`.
pub(super) async fn file(Path(name): Path<String>) -> Response {
    found(&name).unwrap_or_else(missing)
}

fn missing() -> Response {
    refusal(StatusCode::NOT_FOUND, "no such path; api/v1/openapi.json lists them")
}
