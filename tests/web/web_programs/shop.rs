//! The application of the random browsers beside an agent: its cookie is the ticket, and all it knows it asks the agent.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::front::{App, Coming};
use crate::kit::Answer;
use sessionmesh_testkit::{self as common, Agent};

const HALF_AN_HOUR_MS: u64 = 1_800_000;
const FORTNIGHT_MS: u64 = 14 * 24 * 3_600_000;

/// The application at one agent.
pub struct Shop {
    pub agent: Agent,
    /// How long a ticket that is replaced goes on being good.
    pub grace_ms: u64,
    /// Whether it knows a cookie of its own from any other, so that a logout with it ends also what the agent does not know.
    vouches: bool,
    loaded: Arc<Semaphore>,
    gate: Arc<Semaphore>,
}

impl Shop {
    pub fn new(agent: Agent, grace_ms: u64) -> Self {
        let semaphore = || Arc::new(Semaphore::new(0));
        Self { agent, grace_ms, vouches: false, loaded: semaphore(), gate: semaphore() }
    }

    /// The same, whose cookies are signed.
    pub fn vouching(self) -> Self {
        Self { vouches: true, ..self }
    }

    fn ask(&self, method: &str, path: &str, cookie: &str, body: Option<&Value>) -> common::Answer {
        let ticket = cookie.strip_prefix("sid=").unwrap_or_default();
        let headers: Vec<_> = [("session-ticket", ticket)].into_iter().filter(|h| !h.1.is_empty()).collect();
        self.agent.request(method, path, &headers, body)
    }

    fn session(&self, cookie: &str) -> Option<Value> {
        let answer = (!cookie.is_empty()).then(|| self.ask("GET", "/v1/session", cookie, None))?;
        (answer.status == 200).then_some(answer.body)
    }

    /// Changes the session; begins one, if there is none.
    fn change(&self, cookie: &str, change: &Value) -> Answer {
        if !cookie.is_empty() {
            let changed = self.ask("PATCH", "/v1/session", cookie, Some(change));
            if changed.status != 404 {
                return plain(&changed);
            }
        }
        let expiry = change.get("expiry").cloned().unwrap_or(json!({ "sliding_ms": HALF_AN_HOUR_MS }));
        let body = json!({ "expiry": expiry, "fields": change.get("set").cloned().unwrap_or(json!({})) });
        with_ticket(&self.ask("POST", "/v1/sessions", "", Some(&body)))
    }

    fn login(&self, cookie: &str, user: &str) -> Answer {
        let expiry = json!({ "sliding_ms": HALF_AN_HOUR_MS });
        let body = json!({ "principal": user, "expiry": expiry, "grace_ms": self.grace_ms });
        with_ticket(&self.ask("POST", "/v1/session/login", cookie, Some(&body)))
    }

    fn rotate(&self, cookie: &str) -> Answer {
        if cookie.is_empty() {
            return answer(200, String::new());
        }
        let body = json!({ "grace_ms": self.grace_ms });
        let rotated = self.ask("POST", "/v1/session/rotate", cookie, Some(&body));
        if rotated.status == 404 { answer(200, String::new()) } else { with_ticket(&rotated) }
    }

    fn logout(&self, cookie: &str) -> Answer {
        let path = if self.vouches { "/v1/session?blind=true" } else { "/v1/session" };
        let ended = if cookie.is_empty() { 404 } else { self.ask("DELETE", path, cookie, None).status };
        let done = matches!(ended, 200 | 404);
        let set_cookie = Some("sid=; Max-Age=0".to_owned());
        Answer { set_cookie, ..answer(if done { 200 } else { ended }, String::new()) }
    }

    fn revoke(&self, cookie: &str, others_only: bool) -> Answer {
        let whose = self.session(cookie).and_then(|session| session["principal"].as_str().map(str::to_owned));
        let Some(user) = whose else { return answer(200, "nobody".into()) };
        let ticket = cookie.strip_prefix("sid=").filter(|_| others_only);
        let body = ticket.map_or(json!({}), |ticket| json!({ "except": ticket }));
        let revoked = self.ask("POST", &format!("/v1/principals/{user}/revoke"), "", Some(&body));
        answer(revoked.status, user)
    }

    fn read(&self, cookie: &str, path: &[&str]) -> Answer {
        let session = self.session(cookie).unwrap_or_default();
        let text = |value: &Value, none: &str| value.as_str().unwrap_or(none).to_owned();
        answer(
            200,
            match path {
                ["whose"] => text(&session["principal"], "nobody"),
                ["get", key] => text(&session["fields"][key], "none"),
                _ => {
                    let now_ms = u64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
                    let left_ms = session["deadline_ms"].as_u64().unwrap_or_default().saturating_sub(now_ms);
                    (left_ms / 3_600_000).to_string()
                }
            },
        )
    }

    async fn wait(&self) {
        self.loaded.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
    }
}

impl App for Shop {
    fn call(self: Arc<Self>, _: &'static str, path: String, cookie: String) -> Coming<'static> {
        Box::pin(async move {
            let cookie = cookie.as_str();
            match path.split('/').skip(1).collect::<Vec<_>>().as_slice() {
                ["set", key, value] => self.change(cookie, &json!({ "set": { *key: *value } })),
                ["slow", key, value] => {
                    let read = (!cookie.is_empty()).then(|| self.ask("GET", "/v1/session", cookie, None));
                    let had = read.is_some_and(|read| read.status == 200 || read.body["error"] == "replaced");
                    self.wait().await;
                    let change = json!({ "set": { *key: *value } });
                    // A session that has ended meanwhile is not begun again.
                    if had {
                        plain(&self.ask("PATCH", "/v1/session", cookie, Some(&change)))
                    } else {
                        self.change(cookie, &change)
                    }
                }
                ["login", user] => self.login(cookie, user),
                ["slow-login", user] => {
                    let answer = self.login(cookie, user);
                    self.wait().await;
                    answer
                }
                ["rotate"] => self.rotate(cookie),
                ["logout"] => self.logout(cookie),
                ["remember"] => self.change(cookie, &json!({ "expiry": { "sliding_ms": FORTNIGHT_MS } })),
                ["revoke"] => self.revoke(cookie, false),
                ["revoke-others"] => self.revoke(cookie, true),
                path => self.read(cookie, path),
            }
        })
    }

    fn loaded(&self) -> Arc<Semaphore> {
        Arc::clone(&self.loaded)
    }

    fn gate(&self) -> Arc<Semaphore> {
        Arc::clone(&self.gate)
    }
}

fn answer(status: u16, body: String) -> Answer {
    Answer { status: StatusCode::from_u16(status).unwrap(), body, set_cookie: None }
}

fn plain(from: &common::Answer) -> Answer {
    answer(from.status, from.body.to_string())
}

/// With the ticket as the cookie to keep.
fn with_ticket(from: &common::Answer) -> Answer {
    let ticket = from.body["ticket"].as_str().map(|ticket| format!("sid={ticket}"));
    let status = if from.status == 201 { 200 } else { from.status };
    Answer { set_cookie: ticket, ..answer(status, from.body.to_string()) }
}
