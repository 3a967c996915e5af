//! What the page may ask of the parent: the state of the mesh, and to kill, restart, cut and heal. On loopback,
//! behind a token that only the page has, and for pages of the shops only.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::fleet::Fleet;
use super::node::TOKEN_HEADER;
use super::survey::Survey;

/// What pages may send along: [`TOKEN_HEADER`], and the kind of their body.
const ALLOWED_HEADERS: &str = "x-demo-token, content-type";

/// What the handlers need.
#[derive(Clone)]
struct Control {
    fleet: Arc<Fleet>,
    survey: watch::Receiver<Survey>,
}

/// Binds the server: its address goes to the nodes before they start.
pub async fn bind() -> Result<(TcpListener, SocketAddr), String> {
    let listener = TcpListener::bind(super::ports::loopback(0)).await;
    let listener = listener.map_err(|e| format!("the control server: {e}"))?;
    let addr = listener.local_addr().map_err(|e| format!("the control server: {e}"))?;
    Ok((listener, addr))
}

/// Serves for ever.
pub async fn serve(listener: TcpListener, fleet: Arc<Fleet>, survey: watch::Receiver<Survey>) {
    let control = Control { fleet, survey };
    let router = Router::new()
        .route("/state", get(state))
        .route("/kill/{node}", post(kill))
        .route("/restart/{node}", post(restart))
        .route("/cut/{node}", post(cut))
        .route("/heal", post(heal))
        .layer(from_fn_with_state(control.clone(), guarded))
        .with_state(control);
    if let Err(error) = axum::serve(listener, router).await {
        eprintln!("the control server ended: {error}");
    }
}

/// Answers preflights, refuses other origins and wrong tokens, and lets the shops' pages read the answer.
async fn guarded(State(control): State<Control>, request: Request, next: Next) -> Response {
    let Some(origin) = origin(&control.fleet, request.headers()) else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else if has_token(&control.fleet, request.headers()) {
        next.run(request).await
    } else {
        StatusCode::FORBIDDEN.into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// The origin, if it is a shop's. The control server has no page of its own.
fn origin(fleet: &Fleet, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let of_shop = |port: u16| {
        let names = ["127.0.0.1", "localhost"];
        names.into_iter().any(|name| origin.as_bytes() == format!("http://{name}:{port}").as_bytes())
    };
    fleet.places.iter().any(|place| of_shop(place.shop.port())).then(|| origin.clone())
}

fn has_token(fleet: &Fleet, headers: &HeaderMap) -> bool {
    let given = headers.get(TOKEN_HEADER).map(HeaderValue::as_bytes).unwrap_or_default();
    given.ct_eq(fleet.tokens.page.as_bytes()).into()
}

async fn state(State(control): State<Control>) -> Response {
    let survey = control.survey.borrow().clone();
    Json(survey).into_response()
}

async fn kill(State(control): State<Control>, Path(node): Path<String>) -> Response {
    let Some(at) = find(&control, &node) else { return StatusCode::NOT_FOUND.into_response() };
    control.fleet.kill(at).await;
    Json(json!({})).into_response()
}

async fn restart(State(control): State<Control>, Path(node): Path<String>) -> Response {
    let Some(at) = find(&control, &node) else { return StatusCode::NOT_FOUND.into_response() };
    told(control.fleet.restart(at).await)
}

async fn cut(State(control): State<Control>, Path(node): Path<String>) -> Response {
    let Some(at) = find(&control, &node) else { return StatusCode::NOT_FOUND.into_response() };
    told(control.fleet.isolate(Some(at)).await)
}

async fn heal(State(control): State<Control>) -> Response {
    told(control.fleet.isolate(None).await)
}

fn find(control: &Control, node: &str) -> Option<usize> {
    control.fleet.places.iter().position(|place| place.name == node)
}

fn told(result: Result<(), String>) -> Response {
    match result {
        Ok(()) => Json(json!({})).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, Json(json!({ "error": error }))).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_may_send_the_token() {
        assert!(ALLOWED_HEADERS.split(", ").any(|name| name == TOKEN_HEADER));
    }
}
