//! A small application behind the layer, and a client that keeps its cookie.

// Each test uses its own part of this.
#![allow(dead_code, unused_imports)]

use crate::meshes;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Path, State};
use axum::http::header::{COOKIE, HOST, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
pub use meshes::{
    CEILING, alone, alone_with, everywhere, linked, linked_with, pair_with, value_everywhere, within, writes,
};
use sessionmesh::core::session::SessionKey;
use sessionmesh::web::axum::{Result, Session, SessionLayer};
use sessionmesh::{Builder, Expiry, Mesh, SessionId, Sessions};
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// Where slow requests wait between reading and writing.
#[derive(Clone)]
pub struct Pause {
    /// A permit for each that has read.
    pub loaded: Arc<Semaphore>,
    /// A permit lets one write.
    pub gate: Arc<Semaphore>,
}

/// A client of the application.
#[derive(Clone)]
pub struct Client {
    app: Router,
    /// For slow requests.
    pub pause: Pause,
    cookie: String,
    host: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: String,
    pub set_cookie: Option<String>,
}

impl Answer {
    /// The cookie as the client sends it back.
    pub fn cookie(&self) -> &str {
        self.set_cookie.as_deref().expect("a cookie was set").split(';').next().unwrap()
    }
}

fn routes(pause: &Pause) -> Router {
    let read = |s: Session, Path(key): Path<String>| async move {
        Result::Ok(s.get::<String>(&key)?.unwrap_or_else(|| "none".into()))
    };
    let number = |s: Session, Path(key): Path<String>| async move {
        Result::Ok(s.get::<u32>(&key)?.unwrap_or_default().to_string())
    };
    let set = |s: Session, Path((key, value)): Path<(String, String)>| async move { s.set(&key, &value) };
    let login = |s: Session, Path(user): Path<String>| async move {
        let carried = s.login(&user)?;
        note_user(&s, &user)?;
        Result::Ok(format!("{carried:?}"))
    };
    let whose = |s: Session| async move { Result::Ok(s.principal()?.unwrap_or_else(|| "nobody".into())) };
    let bump = |s: Session| async move {
        let mut n = 0;
        s.edit(|fields| {
            n = s.get::<u32>("n").ok().flatten().unwrap_or(0) + 1;
            fields.set("n", &n)
        })?;
        Result::Ok(n.to_string())
    };
    Router::new()
        .route("/bump", post(bump))
        .route("/get/{key}", get(read))
        .route("/number/{key}", get(number))
        .route("/set/{key}/{value}", post(set))
        .route("/login/{user}", post(login))
        .route("/whose", get(whose))
        .route("/extension", get(from_extension))
        .route("/remember/{user}", post(remember))
        .route("/unready", post(unready))
        .route("/panic/{user}", post(panics))
        .route("/begin-and-panic", post(begins_and_panics))
        .route("/about", get(|| async { "a page that is the same for all" }))
        .route("/hang/{user}", post(hangs))
        .route("/slow-login/{user}", post(slow_login))
        .route("/late/{user}", post(after_the_answer))
        .route("/touch", post(|s: Session| async move { s.touch() }))
        .route("/rotate", post(|s: Session| async move { s.rotate() }))
        .route("/logout", post(|s: Session| async move { s.logout() }))
        .route("/slow/{key}/{value}", post(slow))
        .route("/fill", post(fill))
        .route("/remember", post(for_a_fortnight))
        .route("/left", get(hours_left))
        .route("/revoke", post(revoke))
        .route("/revoke-others", post(revoke_others))
        .with_state(pause.clone())
}

/// Logs in for a week.
async fn remember(s: Session, Path(user): Path<String>) -> Result<()> {
    s.set_expiry(Expiry::sliding(std::time::Duration::from_secs(7 * 24 * 3_600)))?;
    s.login(&user).map(drop)
}

/// A session taken out of the request by somebody who does not wait for it.
async fn from_extension(Extension(s): Extension<Session>) -> Result<String> {
    Ok(s.get::<String>("user")?.unwrap_or_else(|| "none".into()))
}

/// All that can be asked of a session, by somebody who does not wait for it: how many of it answered, and with what.
async fn unready(Extension(s): Extension<Session>) -> String {
    let answers = [
        s.snapshot().map(drop),
        s.principal().map(drop),
        s.set("user", "eve"),
        s.remove("user"),
        s.set_expiry(Expiry::sliding(std::time::Duration::from_secs(1))),
        s.touch(),
        s.rotate(),
        s.login("eve").map(drop),
        s.logout(),
    ];
    let told = answers.map(|answer| answer.map_or_else(|error| error.to_string(), |()| "done".into()));
    let distinct: std::collections::BTreeSet<String> = told.into_iter().collect();
    distinct.into_iter().collect::<Vec<_>>().join("; ")
}

async fn panics(s: Session, Path(user): Path<String>) -> Result<()> {
    s.rotate()?;
    s.login(&user)?;
    panic!("as handlers do");
}

async fn begins_and_panics(s: Session) -> Result<()> {
    s.set("cart", "tea")?;
    panic!("as handlers do");
}

/// A client that hangs up: the handler is dropped.
async fn hangs(s: Session, State(pause): State<Pause>, Path(user): Path<String>) -> Result<()> {
    s.rotate()?;
    s.login(&user)?;
    pause.loaded.add_permits(1);
    std::future::pending().await
}

/// A body that streams, and writes when the answer has gone out.
async fn after_the_answer(s: Session, Path(user): Path<String>) -> Response {
    let body = async move {
        let told = [s.set("cart", "bread"), s.rotate(), s.login(&user).map(drop)].map(|r| match r {
            Ok(()) => "done".to_owned(),
            Err(error) => error.status().as_u16().to_string(),
        });
        std::result::Result::<_, std::convert::Infallible>::Ok(told.join(" "))
    };
    Body::from_stream(futures_util::stream::once(body)).into_response()
}

fn note_user(s: &Session, user: &str) -> Result<()> {
    match s.set("user", user) {
        // A full session can be logged in.
        Err(error) if error.to_string().contains("max_record_bytes") => Ok(()),
        other => other,
    }
}

/// Logs in, and takes its time to answer.
async fn slow_login(s: Session, State(pause): State<Pause>, Path(user): Path<String>) -> Result<()> {
    s.login(&user)?;
    note_user(&s, &user)?;
    pause.loaded.add_permits(1);
    pause.gate.acquire().await.unwrap().forget();
    Ok(())
}

async fn slow(
    s: Session,
    State(pause): State<Pause>,
    Path((key, value)): Path<(String, String)>,
) -> Result<()> {
    s.get::<String>("user")?;
    pause.loaded.add_permits(1);
    pause.gate.acquire().await.unwrap().forget();
    s.set(&key, &value)
}

/// Fills the session to its last byte.
async fn fill(s: Session) -> Result<()> {
    s.remove("fill")?;
    let mut written = s.set("fill", "");
    for bit in (0..20).rev() {
        let more = s.get::<String>("fill")?.unwrap_or_default() + &"x".repeat(1 << bit);
        written = s.set("fill", &more).or(written);
    }
    written
}

async fn for_a_fortnight(s: Session) -> Result<()> {
    s.set_expiry(Expiry::sliding(Duration::from_secs(14 * 24 * 3_600)))
}

async fn hours_left(s: Session) -> Result<String> {
    let now_ms = u64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let left_ms = s.snapshot()?.map_or(0, |held| held.deadline_ms().saturating_sub(now_ms));
    Ok((left_ms / 3_600_000).to_string())
}

/// Ends all sessions of whose session this is.
async fn revoke(s: Session, Extension(sessions): Extension<Sessions>) -> Result<String> {
    let Some(user) = s.principal()? else { return Ok("nobody".into()) };
    sessions.revoke_all(&user)?;
    Ok(user)
}

/// As [`revoke`], but for this one.
async fn revoke_others(s: Session, Extension(sessions): Extension<Sessions>) -> Result<String> {
    let Some((user, id)) = s.principal()?.zip(s.id()) else { return Ok("nobody".into()) };
    sessions.revoke_all_except(&user, &id)?;
    Ok(user)
}

fn client(app: impl FnOnce(Router) -> Router) -> Client {
    let pause = Pause { loaded: Arc::new(Semaphore::new(0)), gate: Arc::new(Semaphore::new(0)) };
    Client { app: app(routes(&pause)), pause, cookie: String::new(), host: "shop.example".into() }
}

/// The application on this node, and a client of it without a cookie.
pub fn app(mesh: &Mesh, configure: impl FnOnce(SessionLayer) -> SessionLayer) -> Client {
    let sessions = mesh.sessions();
    client(|routes| routes.layer(configure(SessionLayer::new(sessions.clone()))).layer(Extension(sessions)))
}

/// The application without the layer.
pub fn bare() -> Client {
    client(|routes| routes)
}

impl Client {
    /// The application itself, to be served; its slow requests wait for this client.
    pub fn router(&self) -> Router {
        self.app.clone()
    }

    /// With the cookie of an earlier answer, wherever that came from.
    pub fn with(&self, answer: &Answer) -> Self {
        self.cookie(answer.cookie())
    }

    pub fn cookie(&self, cookie: &str) -> Self {
        Self { cookie: cookie.to_owned(), ..self.clone() }
    }

    pub fn host(&self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path).await
    }

    pub async fn post(&self, path: &str) -> Answer {
        self.send("POST", path).await
    }

    /// Sends a request, for its whole answer.
    pub async fn response(&self, method: &str, path: &str) -> Response {
        let request =
            Request::builder().method(method).uri(path).header(COOKIE, &self.cookie).header(HOST, &self.host);
        let response = self.app.clone().oneshot(request.body(Body::empty()).unwrap());
        within(path, response).await.unwrap()
    }

    pub async fn send(&self, method: &str, path: &str) -> Answer {
        let response = self.response(method, path).await;
        let set_cookie = response.headers().get(SET_COOKIE).map(|c| c.to_str().unwrap().to_owned());
        let status = response.status();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        Answer { status, body: String::from_utf8(body.to_vec()).unwrap(), set_cookie }
    }

    /// Waits until a slow request has read.
    pub async fn loaded(&self) {
        within("a slow request", self.pause.loaded.acquire()).await.unwrap().forget();
    }

    /// Lets a slow request write.
    pub fn open(&self) {
        self.pause.gate.add_permits(1);
    }
}

/// The session a cookie names.
pub fn id_of(answer: &Answer) -> SessionId {
    id_of_cookie(answer.cookie())
}

/// The session that a cookie names, as a client sends it.
pub fn id_of_cookie(cookie: &str) -> SessionId {
    SessionId::from_bytes(sixteen(cookie, 1))
}

/// The key in a cookie, as a client sends it.
pub fn key_of_cookie(cookie: &str) -> SessionKey {
    SessionKey::from_bytes(sixteen(cookie, 17))
}

fn sixteen(cookie: &str, at: usize) -> [u8; 16] {
    let (_, value) = cookie.split_once('=').unwrap();
    URL_SAFE_NO_PAD.decode(value).unwrap()[at..at + 16].try_into().unwrap()
}

/// A cookie's value that names a session and nothing else.
pub fn unsigned_cookie(id: [u8; 16]) -> String {
    URL_SAFE_NO_PAD.encode([&[1][..], &id].concat())
}

/// A cookie without its signature, as after a change of secrets: what is left is the ticket.
pub fn ticket_alone(answer: &Answer) -> String {
    let (name, value) = answer.cookie().split_once('=').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(value).unwrap();
    format!("{name}={}", URL_SAFE_NO_PAD.encode(&bytes[..33]))
}
