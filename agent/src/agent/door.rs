//! The door of the API: which requests are looked at at all.
//!
//! A browser on this machine sends what any page tells it to: a form's `POST` without asking, and whatever a page likes once
//! the page's own name resolves to 127.0.0.1. So the API serves no page of another origin, is called by a name of this
//! machine only (where no token is asked for), and wants of every `POST` a header that no form can send.

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, Method, StatusCode};
use sessionmesh::door::{is_foreign, is_json, is_loopback_name};

use super::error::Refusal;

/// Headers of ours that no page can send without asking first.
const OURS: [&str; 3] = ["session-id", "session-ticket", "drill-token"];

/// Why a request is not looked at.
pub fn refused(method: &Method, headers: &HeaderMap, by_name_only: bool) -> Option<Refusal> {
    let text = |name: &'static str| headers.get(name).and_then(|value| value.to_str().ok());
    if is_foreign(text) {
        let detail = "headers Sec-Fetch-Site and Origin: the API is not for pages in a browser";
        return Some(Refusal::new(StatusCode::FORBIDDEN, "foreign_page", detail));
    }
    // What speaks HTTP/1.0 without a Host is no browser.
    let host = headers.get(HOST).map(|host| host.to_str().unwrap_or_default());
    if by_name_only && host.is_some_and(|host| !is_loopback_name(host)) {
        let detail = "header Host: must be localhost, 127.0.0.1 or [::1] where no token is set";
        return Some(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", detail));
    }
    let is_json = text(CONTENT_TYPE.as_str()).is_some_and(is_json);
    let asks_first =
        headers.contains_key(AUTHORIZATION) || OURS.iter().any(|name| headers.contains_key(*name));
    (method == Method::POST && !is_json && !asks_first).then(|| {
        let detail = "header Content-Type: must be application/json, also without a body";
        Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type", detail)
    })
}
