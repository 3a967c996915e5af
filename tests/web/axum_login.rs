//! axum-login 0.18, unmodified, over two nodes: log in at one, go in at the other, log out.

extern crate tower_sessions_014 as tower_sessions;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use crate::tower_sessions_kit::*;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Form, State};
use axum::http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, login_required};
use parking_lot::Mutex;
use serde::Deserialize;
use sessionmesh::{Found, Mesh};
use tokio::sync::Barrier;
use tower::ServiceExt;
use tower_sessions::{Session, SessionManagerLayer, SessionStore};

#[derive(Clone, Debug)]
struct User {
    name: String,
    password: String,
}

impl AuthUser for User {
    type Id = String;

    fn id(&self) -> String {
        self.name.clone()
    }

    fn session_auth_hash(&self) -> &[u8] {
        self.password.as_bytes()
    }
}

/// Who may log in. In a service this is the database that all nodes share.
#[derive(Clone, Default)]
struct Users(Arc<Mutex<HashMap<String, String>>>);

#[derive(Clone, Deserialize)]
struct Credentials {
    name: String,
    password: String,
}

impl AuthnBackend for Users {
    type User = User;
    type Credentials = Credentials;
    type Error = Infallible;

    async fn authenticate(&self, given: Credentials) -> Result<Option<User>, Infallible> {
        Ok(self.get_user(&given.name).await?.filter(|user| user.password == given.password))
    }

    async fn get_user(&self, name: &String) -> Result<Option<User>, Infallible> {
        let password = self.0.lock().get(name).cloned();
        Ok(password.map(|password| User { name: name.clone(), password }))
    }
}

type Auth = AuthSession<Users>;

async fn login(mut auth: Auth, Form(given): Form<Credentials>) -> StatusCode {
    match auth.authenticate(given).await.unwrap() {
        Some(user) => {
            auth.login(&user).await.unwrap();
            StatusCode::OK
        }
        None => StatusCode::UNAUTHORIZED,
    }
}

async fn logout(mut auth: Auth) {
    auth.logout().await.unwrap();
}

async fn account(auth: Auth) -> String {
    auth.user.unwrap().name
}

/// A page that remembers where the user was, and takes until the test has met it twice.
async fn slow(auth: Auth, session: Session, State(meeting): State<Arc<Barrier>>) {
    assert!(auth.user.is_some());
    session.insert("seen", "page").await.unwrap();
    meeting.wait().await;
    meeting.wait().await;
}

fn app(store: impl SessionStore + Clone, users: &Users, meeting: &Arc<Barrier>) -> Router {
    let sessions = SessionManagerLayer::new(store).with_secure(false);
    let auth = AuthManagerLayerBuilder::new(users.clone(), sessions).build();
    Router::new()
        .route("/account", get(account))
        .route("/slow", get(slow))
        .route_layer(login_required!(Users))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .with_state(meeting.clone())
        .layer(auth)
}

/// One request, with a form if there is one; its answer, and the cookie to send next.
async fn call(
    app: &Router,
    method: &str,
    path: &str,
    cookie: &str,
    form: &str,
) -> (StatusCode, String, String) {
    let request = Request::builder().method(method).uri(path).header(COOKIE, cookie);
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let response = app.clone().oneshot(request.body(Body::from(form.to_owned())).unwrap());
    let response = within(path, response).await.unwrap();
    let set = response.headers().get(SET_COOKIE).map(|c| c.to_str().unwrap());
    let cookie = set.map_or(cookie, |c| c.split(';').next().unwrap()).to_owned();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap(), cookie)
}

/// Three nodes, the service on the first two, and one user.
async fn service(cluster: &str) -> ([Mesh; 3], [Router; 2], Users, Arc<Barrier>) {
    let (meshes, [a, b, _]) = three(cluster).await;
    let (users, meeting) = (Users::default(), Arc::new(Barrier::new(2)));
    users.0.lock().insert("ada".into(), "secret".into());
    let apps = [app((*a).clone(), &users, &meeting), app((*b).clone(), &users, &meeting)];
    (meshes, apps, users, meeting)
}

async fn logged_in(app: &Router, cookie: &str) -> String {
    let (status, _, cookie) = call(app, "POST", "/login", cookie, "name=ada&password=secret").await;
    assert_eq!(status, StatusCode::OK);
    cookie
}

async fn account_of(app: &Router, cookie: &str) -> Option<String> {
    let (status, body, _) = call(app, "GET", "/account", cookie, "").await;
    (status == StatusCode::OK).then_some(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_at_one_node_opens_the_other_until_a_logout_at_either() {
    let (meshes, [a, b], _, _) = service("login").await;
    assert_eq!(call(&a, "GET", "/account", "", "").await.0, StatusCode::UNAUTHORIZED);
    let (refused, _, cookie) = call(&a, "POST", "/login", "", "name=ada&password=wrong").await;
    assert_eq!((refused, cookie.as_str()), (StatusCode::UNAUTHORIZED, ""));
    for (here, there) in [(&a, &b), (&b, &a)] {
        let cookie = logged_in(here, "").await;
        assert_eq!(account_of(here, &cookie).await.as_deref(), Some("ada"));
        assert_eq!(account_of(there, &cookie).await.as_deref(), Some("ada"));
        assert_eq!(logged_in(there, &cookie).await, cookie, "logged in already: the id stays");
        call(there, "POST", "/logout", &cookie, "").await;
        let id = cookie.strip_prefix("id=").unwrap().parse().unwrap();
        everywhere(&meshes, id, "logged out", |found| matches!(found, Found::Absent)).await;
        assert_eq!(account_of(here, &cookie).await, None);
        assert_eq!(account_of(there, &cookie).await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_ends_the_sessions_of_the_old_one() {
    let (meshes, [a, b], users, _) = service("password").await;
    let cookie = logged_in(&a, "").await;
    users.0.lock().insert("ada".into(), "another".into());
    assert_eq!(account_of(&b, &cookie).await, None);
    let id = cookie.strip_prefix("id=").unwrap().parse().unwrap();
    everywhere(&meshes, id, "logged out", |found| matches!(found, Found::Absent)).await;
    users.0.lock().insert("ada".into(), "secret".into());
    assert_eq!(account_of(&a, &cookie).await, None, "nor does the old password bring them back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_during_another_request_is_final() {
    let (_meshes, [a, b], _, meeting) = service("login-late").await;
    for (slow, fast) in [(&a, &b), (&a, &a)] {
        let cookie = logged_in(slow, "").await;
        let logout = async {
            meeting.wait().await;
            call(fast, "POST", "/logout", &cookie, "").await;
            meeting.wait().await;
        };
        let (answer, ()) = tokio::join!(call(slow, "GET", "/slow", &cookie, ""), logout);
        assert_eq!(answer.0, StatusCode::OK, "a late save is no error");
        assert_eq!(account_of(slow, &cookie).await, None);
        assert_eq!(account_of(fast, &cookie).await, None);
    }
}
