//! Who is let in, and what every answer carries.
//!
//! Without a token only this machine is let in, by a loopback name: a page that lets its own name resolve to 127.0.0.1
//! would otherwise read everything through its visitor's browser. With a token the name does not matter.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::answer::refusal;
use super::board::Board;
use super::config::Access;
use super::limits::WRONG_TOKENS_PER_SECOND;
use super::login;
use crate::door::{is_foreign, is_loopback_name};

/// The cookie of a browser that has logged in.
pub(super) const COOKIE: &str = "sessionmesh_dashboard";

/// What every answer carries. Scripts and styles come from here and nowhere else, and nothing is kept or framed.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Around every route.
pub(super) async fn guard(State(board): State<Arc<Board>>, request: Request, next: Next) -> Response {
    let mut response = match refused(&board, &request) {
        None => next.run(request).await,
        Some(refused) => refused,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refused(board: &Board, request: &Request) -> Option<Response> {
    let headers = request.headers();
    if is_foreign_page(headers) {
        return Some(refusal(StatusCode::FORBIDDEN, "not for pages of other sites"));
    }
    match &board.config.access {
        Access::Host => None,
        Access::Loopback => not_local(request),
        Access::Token(token) => no_token(board, token, request),
    }
}

/// Whether a page of another origin asks behind its visitor's back. That it is opened from there is fine; but a form sent
/// from there (which says its `Origin`) is not.
fn is_foreign_page(headers: &HeaderMap) -> bool {
    let text = |name: &'static str| headers.get(name).and_then(|v| v.to_str().ok());
    let opened = text("sec-fetch-mode") == Some("navigate") && text("origin").is_none();
    is_foreign(text) && !opened
}

fn not_local(request: &Request) -> Option<Response> {
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() else {
        let why = "this dashboard is for this machine only and cannot see who asks: serve it with \
                   into_make_service_with_connect_info::<SocketAddr>(), or set a token";
        return Some(refusal(StatusCode::FORBIDDEN, why));
    };
    if !peer.ip().to_canonical().is_loopback() {
        return Some(refusal(
            StatusCode::FORBIDDEN,
            "this dashboard is for its own machine only; set a token",
        ));
    }
    let host = request.headers().get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or_default();
    (!is_loopback_name(host)).then(|| {
        refusal(StatusCode::MISDIRECTED_REQUEST, "call this dashboard by 127.0.0.1, [::1] or localhost")
    })
}

fn no_token(board: &Board, token: &str, request: &Request) -> Option<Response> {
    let headers = request.headers();
    let path = request.uri().path();
    if path == "/login" || has_cookie(board, headers) {
        return None;
    }
    let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    match given {
        // First: whoever sends wrong ones shall not keep out who has the right one.
        Some(given) if bearer(given).is_some_and(|given| same(given, token)) => None,
        Some(_) if board.is_barred() => {
            Some(refusal(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens; try again in a second"))
        }
        given => {
            if given.is_some() {
                board.count_wrong();
            }
            let is_page = matches!(path, "/" | "/index.html")
                && matches!(*request.method(), Method::GET | Method::HEAD);
            Some(if is_page && given.is_none() { login::form(None) } else { asks_for_token() })
        }
    }
}

fn asks_for_token() -> Response {
    let why = "a token is needed: Authorization: Bearer, or log in at the page";
    let mut response = refusal(StatusCode::UNAUTHORIZED, why);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response.into_response()
}

/// What follows the scheme's name, which is case-insensitive (RFC 9110).
fn bearer(given: &[u8]) -> Option<&[u8]> {
    let (scheme, given) = given.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(given)
}

fn has_cookie(board: &Board, headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.any(|(name, value)| {
        name == COOKIE && !board.cookie.is_empty() && same(value.as_bytes(), &board.cookie)
    })
}

/// Compares in a time that depends on the length of the guess only.
pub(super) fn same(given: &[u8], wanted: &str) -> bool {
    given.ct_eq(wanted.as_bytes()).into()
}

impl Board {
    /// Whether there were so many wrong tokens in this second that no more are looked at.
    pub(super) fn is_barred(&self) -> bool {
        let wrong = self.wrong.lock();
        wrong.0 == self.second() && wrong.1 >= WRONG_TOKENS_PER_SECOND
    }

    /// Counts a wrong token.
    pub(super) fn count_wrong(&self) {
        let second = self.second();
        let mut wrong = self.wrong.lock();
        if wrong.0 != second {
            *wrong = (second, 0);
        }
        wrong.1 += 1;
    }

    fn second(&self) -> u64 {
        self.mesh.mono_ms() / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_is_what_follows_the_scheme() {
        assert_eq!(bearer(b"bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"Basic abc"), None);
        assert_eq!(bearer(b"Bear"), None);
    }
}
