//! The shop: log in, fill a cart, log out. Every write is answered only when a second node has it.

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sessionmesh::dashboard::DashboardConfig;
use sessionmesh::{Error, Expiry, Receipt, Session, SessionId, WriteError};

use super::{App, Node, cookie, drill, guard, held, page};

/// Where a node's dashboard is.
pub const DASHBOARD_PATH: &str = "/dashboard";
/// Largest request (bytes): names and values are short.
const MAX_BODY_BYTES: usize = 8 * 1024;
/// Longest name or key (characters): fits the page, and with its prefix a session key.
const MAX_NAME_CHARS: usize = 48;
/// Longest value (characters): the page shows it.
const MAX_VALUE_CHARS: usize = 1_000;
/// A login ends after this long without a request (s).
const IDLE_S: u64 = 1_800;
/// And after this long in any case (s).
const LIFE_S: u64 = 12 * 3_600;

/// Why a request was not served.
pub enum Refusal {
    /// This node does not know yet; another may.
    NotServing(String),
    /// There is no session: never logged in, logged out, or expired.
    LoggedOut,
    /// The request is wrong.
    Bad(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::NotServing(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
            Self::LoggedOut => (StatusCode::UNAUTHORIZED, "not logged in".into()),
            Self::Bad(why) => (StatusCode::BAD_REQUEST, why),
        };
        (status, Json(json!({ "error": error }))).into_response()
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Write(WriteError::Absent) => Self::LoggedOut,
            Error::Write(WriteError::NotServing(why)) => Self::NotServing(why.into()),
            Error::Stopped(why) => Self::NotServing(why.to_string()),
            other => Self::Bad(other.to_string()),
        }
    }
}

/// An answer or a refusal.
pub type Answer<T = Json<Value>> = Result<T, Refusal>;

/// The node's dashboard. `guard` lets in this machine only; the values are those that whoever tries the demo typed.
fn dashboard(app: &App) -> Router {
    let config = DashboardConfig::authenticated_by_host().with_values();
    app.mesh.dashboard(config.published_as(&format!("http://{}{DASHBOARD_PATH}/", app.shop)))
}

/// All routes of a node.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/app.js", get(page::script))
        .route("/mesh.js", get(page::picture))
        .route("/style.css", get(page::style))
        .route("/api/me", get(me))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/cart", post(cart))
        .route("/set", post(set))
        .route("/hold", post(held::hold))
        .route("/save-held", post(held::save))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .nest("/drill", drill::router(app.clone()))
        .nest_service(DASHBOARD_PATH, dashboard(&app))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(guard::local_only))
        .with_state(app)
}

/// Waits for the second copy, then tells who served and whether there is one.
pub async fn written(node: &Node, receipt: &Receipt, facts: Value) -> Value {
    let replicated = receipt.replicated().await;
    let mut answer = Map::from_iter([
        ("node".to_owned(), json!(node.mesh.node())),
        ("replicated".to_owned(), json!(replicated)),
    ]);
    if let Value::Object(facts) = facts {
        answer.extend(facts);
    }
    Value::Object(answer)
}

/// The session a write needs.
pub async fn needed(node: &Node, headers: &HeaderMap) -> Answer<(SessionId, Session)> {
    cookie::session(node, headers).await?.ok_or(Refusal::LoggedOut)
}

/// Checks what a person typed.
pub fn short(what: &str, text: &str, most_chars: usize) -> Answer<()> {
    match text.chars().count() {
        0 => Err(Refusal::Bad(format!("{what} is empty"))),
        n if n > most_chars => Err(Refusal::Bad(format!("{what} has {n} characters: at most {most_chars}"))),
        _ => Ok(()),
    }
}

async fn me(State(app): State<App>, headers: HeaderMap) -> Answer {
    let node = app.mesh.node();
    let Some((id, session)) = cookie::session(&app, &headers).await? else {
        return Ok(Json(json!({ "node": node, "user": null, "items": {}, "attributes": {} })));
    };
    // Sliding expiry; a node that may not write yet still answers the read.
    let _ = app.mesh.sessions().touch(&id);
    let fields = session.fields().map(|(key, _)| {
        let value: Option<Value> = session.get(key).ok().flatten();
        (key.to_owned(), value.unwrap_or_else(|| json!("(not decodable)")))
    });
    let attributes: Map<String, Value> = fields.collect();
    let items: Map<String, Value> = attributes
        .iter()
        .filter_map(|(key, count)| Some((key.strip_prefix("item:")?.to_owned(), count.clone())))
        .collect();
    let user = attributes.get("user");
    Ok(Json(json!({ "node": node, "user": user, "items": items, "attributes": attributes })))
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(State(app): State<App>, headers: HeaderMap, Json(body): Json<Login>) -> Answer<Response> {
    short("user", &body.user, MAX_NAME_CHARS)?;
    let expiry = Expiry::sliding(std::time::Duration::from_secs(IDLE_S))
        .at_most(std::time::Duration::from_secs(LIFE_S));
    let receipt = app.mesh.sessions().create(expiry, |s| s.set("user", &body.user))?;
    // A login never goes on under an id from before it: whoever planted that would be logged in as well.
    if let Some(old) = cookie::sid(&headers) {
        // Absent is as good as ended.
        let _ = app.mesh.sessions().destroy(&old);
    }
    let answer = written(&app, &receipt, json!({ "user": body.user })).await;
    Ok(with_cookie(answer, cookie::set(receipt.id())))
}

async fn logout(State(app): State<App>, headers: HeaderMap) -> Answer<Response> {
    let answer = match cookie::session(&app, &headers).await? {
        Some((id, _)) => {
            let receipt = app.mesh.sessions().destroy(&id)?;
            written(&app, &receipt, json!({ "user": null })).await
        }
        None => json!({ "node": app.mesh.node(), "user": null }),
    };
    Ok(with_cookie(answer, cookie::expire()))
}

fn with_cookie(answer: Value, cookie: Option<HeaderValue>) -> Response {
    let mut response = Json(answer).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

#[derive(Deserialize)]
struct Item {
    item: String,
}

/// One field per item, so that adds of different items on different nodes merge. Two concurrent adds of the
/// *same* item keep one of the two counts: a register is not a counter, and the page says so.
async fn cart(State(app): State<App>, headers: HeaderMap, Json(body): Json<Item>) -> Answer {
    short("item", &body.item, MAX_NAME_CHARS)?;
    let (id, session) = needed(&app, &headers).await?;
    let key = format!("item:{}", body.item);
    let count = session.get::<u64>(&key).ok().flatten().unwrap_or(0).saturating_add(1);
    let receipt = app.mesh.sessions().edit(&id, |s| s.set(&key, &count))?;
    Ok(Json(written(&app, &receipt, json!({ "item": body.item, "count": count })).await))
}

/// A raw attribute, as a request names it.
#[derive(Deserialize)]
pub struct Attribute {
    pub key: String,
    pub value: String,
}

impl Attribute {
    /// Checks its lengths.
    pub fn check(&self) -> Answer<()> {
        short("key", &self.key, MAX_NAME_CHARS)?;
        short("value", &self.value, MAX_VALUE_CHARS)
    }
}

async fn set(State(app): State<App>, headers: HeaderMap, Json(body): Json<Attribute>) -> Answer {
    body.check()?;
    let (id, _) = needed(&app, &headers).await?;
    let receipt = app.mesh.sessions().edit(&id, |s| s.set(&body.key, &body.value))?;
    Ok(Json(written(&app, &receipt, json!({ "key": body.key })).await))
}

async fn readyz(State(app): State<App>) -> Answer {
    match app.mesh.readiness() {
        (true, why) => Ok(Json(json!({ "ready": true, "reason": why }))),
        (false, why) => Err(Refusal::NotServing(why)),
    }
}

async fn status(State(app): State<App>) -> Json<sessionmesh::Status> {
    Json(app.mesh.status())
}
