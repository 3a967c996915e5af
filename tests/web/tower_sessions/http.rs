//! The store beneath the real middleware: requests with cookies, through axum routers on several nodes.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use sessionmesh::Found;
use tokio::sync::Barrier;
use tower::ServiceExt;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer, SessionStore};

use super::kit::*;

/// Lets two requests meet after both have loaded the session.
type Meeting = Arc<Barrier>;

fn app(store: impl SessionStore + Clone, meeting: Meeting) -> Router {
    let layer = SessionManagerLayer::new(store).with_secure(false);
    Router::new()
        .route(
            "/login",
            post(|s: Session| async move {
                s.cycle_id().await.unwrap();
                s.insert("user", "ada").await.unwrap();
            }),
        )
        .route(
            "/add/{key}",
            post(|s: Session, State(meeting): State<Meeting>, Path(key): Path<String>| async move {
                s.get::<String>("user").await.unwrap();
                meeting.wait().await;
                s.insert(&key, "there").await.unwrap();
            }),
        )
        .route(
            "/get/{key}",
            get(|s: Session, Path(key): Path<String>| async move {
                s.get::<String>(&key).await.unwrap().unwrap_or_default()
            }),
        )
        .route(
            "/late/{key}",
            post(|s: Session, State(meeting): State<Meeting>, Path(key): Path<String>| async move {
                s.insert(&key, "there").await.unwrap();
                meeting.wait().await;
                meeting.wait().await;
            }),
        )
        .route("/logout", post(|s: Session| async move { s.flush().await.unwrap() }))
        .with_state(meeting)
        .layer(layer)
}

/// One request; its answer and the cookie to send next.
async fn call(app: &Router, method: &str, path: &str, cookie: &str) -> (String, String) {
    let request =
        Request::builder().method(method).uri(path).header(COOKIE, cookie).body(Body::empty()).unwrap();
    let response = within(path, app.clone().oneshot(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{method} {path}");
    let set = response.headers().get(SET_COOKIE).map(|c| c.to_str().unwrap());
    let cookie = set.map_or(cookie, |c| c.split(';').next().unwrap()).to_owned();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (String::from_utf8(body.to_vec()).unwrap(), cookie)
}

fn pair(first: impl SessionStore + Clone, second: impl SessionStore + Clone) -> (Router, Router, Meeting) {
    let meeting = Arc::new(Barrier::new(2));
    (app(first, meeting.clone()), app(second, meeting.clone()), meeting)
}

/// Logs in at the first, then adds a key at each at the same moment; what the first one then has.
async fn shop(first: &Router, second: &Router) -> [String; 3] {
    let (_, cookie) = call(first, "POST", "/login", "").await;
    tokio::join!(call(first, "POST", "/add/cart", &cookie), call(second, "POST", "/add/lang", &cookie));
    let mut got = [const { String::new() }; 3];
    for (key, got) in ["user", "cart", "lang"].into_iter().zip(&mut got) {
        *got = call(first, "GET", &format!("/get/{key}"), &cookie).await.0;
    }
    got
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_at_once_lose_an_update_on_the_memory_store_and_none_here() {
    let memory = MemoryStore::default();
    let (first, second, _) = pair(memory.clone(), memory);
    let lost = shop(&first, &second).await.iter().filter(|value| value.is_empty()).count();
    assert_eq!(lost, 1, "one of the two keys is gone");

    let (meshes, [a, b, _]) = three("http-lost").await;
    let (first, second, _) = pair((*a).clone(), (*b).clone());
    let (_, cookie) = call(&first, "POST", "/login", "").await;
    tokio::join!(call(&first, "POST", "/add/cart", &cookie), call(&second, "POST", "/add/lang", &cookie));
    let id = cookie.strip_prefix("id=").unwrap().parse().unwrap();
    for key in ["cart", "lang"] {
        value_everywhere(&meshes, id, key, Some("there")).await;
    }
    for app in [&first, &second] {
        assert_eq!(call(app, "GET", "/get/user", &cookie).await.0, "ada");
        assert_eq!(call(app, "GET", "/get/cart", &cookie).await.0, "there");
    }
}

/// A request that is still running when another logs the session out. Returns the cookie.
async fn late(first: &Router, second: &Router, meeting: &Meeting) -> String {
    let (_, cookie) = call(first, "POST", "/login", "").await;
    let slow = call(first, "POST", "/late/seen", &cookie);
    let logout = async {
        meeting.wait().await;
        call(second, "POST", "/logout", &cookie).await;
        meeting.wait().await;
    };
    tokio::join!(slow, logout);
    cookie
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_during_another_request_is_undone_on_the_memory_store_and_final_here() {
    let memory = MemoryStore::default();
    let (first, second, meeting) = pair(memory.clone(), memory);
    let cookie = late(&first, &second, &meeting).await;
    assert_eq!(call(&first, "GET", "/get/user", &cookie).await.0, "ada", "logged out, and back in");

    let (meshes, [a, b, _]) = three("http-logout").await;
    for second in [&b, &a] {
        let (first, second, meeting) = pair((*a).clone(), (**second).clone());
        let cookie = late(&first, &second, &meeting).await;
        let id = cookie.strip_prefix("id=").unwrap().parse().unwrap();
        everywhere(&meshes, id, "logged out", |found| matches!(found, Found::Absent)).await;
        assert_eq!(call(&first, "GET", "/get/user", &cookie).await.0, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_gets_a_new_id_and_the_old_one_is_worth_nothing() {
    let (_meshes, [a, b, _]) = three("http-cycle").await;
    let (first, second, _) = pair((*a).clone(), (*b).clone());
    let (_, visitor) = call(&first, "POST", "/login", "").await;
    let (_, user) = call(&second, "POST", "/login", &visitor).await;
    assert_ne!(visitor, user);
    assert_eq!(call(&first, "GET", "/get/user", &user).await.0, "ada");
    assert_eq!(call(&second, "GET", "/get/user", &visitor).await.0, "");
}
