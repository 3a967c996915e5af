//! The axum layer: `set_expiry` as a request's first write, which begins the session, and in a later request.

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use axum::{Router, routing::get};
use sessionmesh::Sessions;
use sessionmesh::web::axum::{Session, SessionLayer};
use tower::ServiceExt;

use super::held_to_the_table;
use super::kit::{Ask, base, cases, ends};
use crate::meshes;

/// One request that asks, with the cookie of an earlier one or none; what it was shown, and its cookie.
async fn request(sessions: &Sessions, ask: Option<Ask>, cookie: Option<&str>) -> (String, Option<String>) {
    let now_ms = sessions.wall_ms();
    let asked = move |session: Session| async move {
        let written = session.edit(|fields| {
            if let Some(ask) = ask {
                ask.of(fields, now_ms);
            } else {
                fields.set("k", &1)?;
            }
            Ok(())
        });
        match (written, session.snapshot()) {
            (Err(error), _) if error.to_string().contains("not in the future") => "refused".into(),
            (Err(error), _) => error.to_string(),
            (Ok(()), Ok(Some(held))) => ends(&held, now_ms),
            (Ok(()), _) => "nothing".into(),
        }
    };
    let layer = SessionLayer::new(sessions.clone()).with_expiry(base());
    let app = Router::new().route("/", get(asked)).layer(layer);
    let mut request = Request::get("/").header(header::HOST, "shop.example");
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    let answer = app.oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    let set = answer.headers().get(header::SET_COOKIE).and_then(|v| v.to_str().ok());
    let set = set.and_then(|text| text.split(';').next()).map(str::to_owned);
    let body = to_bytes(answer.into_body(), 10_000).await.expect("a body");
    (String::from_utf8_lossy(&body).into_owned(), set)
}

#[tokio::test]
async fn the_layer_means_what_the_table_says() {
    let mesh = meshes::alone("ends-layer").await;
    let sessions = mesh.sessions();
    let mut seen = Vec::new();
    for case in cases() {
        let new = if case.first.is_some() {
            "-".to_owned()
        } else {
            request(&sessions, Some(case.then), None).await.0
        };
        let (_, mut cookie) = request(&sessions, None, None).await;
        assert!(cookie.is_some(), "a session began");
        if let Some(first) = case.first {
            let (_, again) = request(&sessions, Some(first), cookie.as_deref()).await;
            cookie = again.or(cookie);
        }
        seen.push([new, request(&sessions, Some(case.then), cookie.as_deref()).await.0]);
    }
    let mut seen = seen.into_iter();
    held_to_the_table("layer", [0, 1], |_| seen.next().expect("one a case"));
}
