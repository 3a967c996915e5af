//! The page's files, in the binary: one table, and nothing from anywhere else.

use axum::extract::{OriginalUri, Path, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::refusal;

/// One file of the page.
pub struct Asset {
    /// Its name, without a folder.
    pub name: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! assets {
    ($($name:literal: $media_type:literal,)*) => {
        /// Every file of the page; the first is the page itself.
        pub const ASSETS: &[Asset] = &[
            $(Asset { name: $name, media_type: $media_type, text: include_str!(concat!("page/", $name)) },)*
        ];
    };
}

assets! {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "api.js": "text/javascript; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "clock.js": "text/javascript; charset=utf-8",
    "compare.js": "text/javascript; charset=utf-8",
    "conflicts.js": "text/javascript; charset=utf-8",
    "dom.js": "text/javascript; charset=utf-8",
    "events.js": "text/javascript; charset=utf-8",
    "figures.js": "text/javascript; charset=utf-8",
    "format.js": "text/javascript; charset=utf-8",
    "graph.js": "text/javascript; charset=utf-8",
    "head.js": "text/javascript; charset=utf-8",
    "health.js": "text/javascript; charset=utf-8",
    "history.js": "text/javascript; charset=utf-8",
    "inspector.js": "text/javascript; charset=utf-8",
    "islands.js": "text/javascript; charset=utf-8",
    "lag.js": "text/javascript; charset=utf-8",
    "layout.js": "text/javascript; charset=utf-8",
    "matrix.js": "text/javascript; charset=utf-8",
    "members.js": "text/javascript; charset=utf-8",
    "news.js": "text/javascript; charset=utf-8",
    "rates.js": "text/javascript; charset=utf-8",
    "sessions.js": "text/javascript; charset=utf-8",
    "stamps.js": "text/javascript; charset=utf-8",
    "stream.js": "text/javascript; charset=utf-8",
    "table.js": "text/javascript; charset=utf-8",
    "theme.js": "text/javascript; charset=utf-8",
    "tombstones.js": "text/javascript; charset=utf-8",
    "verdict.js": "text/javascript; charset=utf-8",
}

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
pub(super) async fn file(Path(name): super::routes::FileName) -> Response {
    found(&name).unwrap_or_else(missing)
}

fn missing() -> Response {
    refusal(StatusCode::NOT_FOUND, "no such path; api/v1/openapi.json lists them")
}
