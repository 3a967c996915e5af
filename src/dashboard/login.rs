//! The page's way in where a token is asked for: a form that exchanges it for a cookie.
//!
//! A form and not `?token=`: addresses end up in histories, logs and `Referer`. The cookie is not the token, is for
//! this path only, out of reach of scripts, and is not sent when another site links here.

use std::sync::Arc;

use axum::Form;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;

use super::answer::refusal;
use super::board::Board;
use super::config::Access;
use super::guard::{COOKIE, same};
use super::limits::LOGIN_S;

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Given {
    token: String,
}

/// The form, with what was wrong before.
pub(super) fn form(wrong: Option<&str>) -> Response {
    let said = wrong.map(|text| format!("<p role=\"alert\">{text}</p>")).unwrap_or_default();
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>sessionmesh: log in</title>\
         <h1>sessionmesh</h1><p>This dashboard asks for its token.</p>{said}\
         <form method=\"post\" action=\"login\"><label>Token <input type=\"password\" name=\"token\" \
         autocomplete=\"current-password\" required autofocus></label> <button>Log in</button></form></html>"
    );
    (StatusCode::UNAUTHORIZED, Html(page)).into_response()
}

/// `GET /login`.
pub(super) async fn show() -> Response {
    form(None)
}

/// `POST /login`.
pub(super) async fn login(
    State(board): State<Arc<Board>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Response {
    let Access::Token(token) = &board.config.access else {
        return refusal(StatusCode::NOT_FOUND, "nobody is asked to log in here");
    };
    if !same(given.token.trim().as_bytes(), token) {
        if board.is_barred() {
            return refusal(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens; try again in a second");
        }
        board.count_wrong();
        return form(Some("That is not the token."));
    }
    let mount = uri.path().trim_end_matches("login");
    let secure = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let cookie = format!(
        "{COOKIE}={}; Path={mount}; Max-Age={LOGIN_S}; HttpOnly; SameSite=Strict{}",
        board.cookie,
        if secure { "; Secure" } else { "" }
    );
    let Ok(cookie) = HeaderValue::from_str(&cookie) else {
        return refusal(StatusCode::BAD_REQUEST, "this path cannot be named in a cookie");
    };
    // Relative: the browser knows where we are mounted. 303: the next request is a GET.
    let home = HeaderValue::from_static("index.html");
    (StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie), (header::LOCATION, home)]).into_response()
}
