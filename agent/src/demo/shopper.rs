//! A browser's part of a check: a cookie jar and the shop's requests.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use hyper::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{ask, decode};
use crate::client::Answer;

/// What `/api/me` tells.
#[derive(Clone, Debug, Deserialize)]
pub struct Me {
    /// Who is logged in; nobody, if the session is gone.
    pub user: Option<String>,
    /// The cart.
    pub items: BTreeMap<String, u64>,
    /// All attributes of the session.
    pub attributes: BTreeMap<String, Value>,
}

/// A write's answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Done {
    /// Whether a second node had it when the answer was sent.
    #[serde(default)]
    pub replicated: bool,
    /// Of a save: whether there was still a session to save to.
    #[serde(default)]
    pub saved: bool,
    /// Of a hold: what to save under.
    #[serde(default)]
    pub ticket: u64,
}

/// How a node took an add.
pub enum Add {
    /// It is in the cart.
    Done(Done),
    /// The node says there is no session.
    LoggedOut,
    /// The node does not serve or does not answer: another may.
    NotServed,
}

/// A client with its cookie.
#[derive(Clone, Default)]
pub struct Shopper {
    sid: Option<String>,
}

impl Shopper {
    /// The session's id: for dumps, never for messages.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    async fn send(&self, node: SocketAddr, path: &str, body: Option<Value>) -> Result<Answer, String> {
        let cookie = self.sid.as_ref().map(|sid| format!("sid={sid}"));
        let headers: Vec<(&str, &str)> = cookie.iter().map(|cookie| ("cookie", cookie.as_str())).collect();
        ask(node, path, &headers, body).await
    }

    async fn write(&self, node: SocketAddr, path: &str, body: Value) -> Result<Done, String> {
        decode(path, &self.send(node, path, Some(body)).await?)
    }

    /// Logs in; from then on requests carry the session.
    pub async fn login(&mut self, node: SocketAddr, user: &str) -> Result<Done, String> {
        let answer = self.send(node, "/login", Some(json!({ "user": user }))).await?;
        let done = decode("/login", &answer)?;
        self.sid = cookie(&answer);
        if self.sid.is_some() { Ok(done) } else { Err("/login: no cookie in the answer".into()) }
    }

    /// Logs out; keeps the cookie, to see that it is worth nothing.
    pub async fn logout(&self, node: SocketAddr) -> Result<Done, String> {
        self.write(node, "/logout", json!({})).await
    }

    /// Adds to the cart.
    pub async fn add(&self, node: SocketAddr, item: &str) -> Result<Done, String> {
        self.write(node, "/cart", json!({ "item": item })).await
    }

    /// Adds to the cart at a node that may be on its way out or in.
    pub async fn try_add(&self, node: SocketAddr, item: &str) -> Result<Add, String> {
        let Ok(answer) = self.send(node, "/cart", Some(json!({ "item": item }))).await else {
            return Ok(Add::NotServed);
        };
        match answer.status {
            StatusCode::UNAUTHORIZED => Ok(Add::LoggedOut),
            StatusCode::SERVICE_UNAVAILABLE => Ok(Add::NotServed),
            _ => decode("/cart", &answer).map(Add::Done),
        }
    }

    /// Sets an attribute.
    pub async fn set(&self, node: SocketAddr, key: &str, value: &str) -> Result<Done, String> {
        self.write(node, "/set", json!({ "key": key, "value": value })).await
    }

    /// Loads the session and keeps it, as a slow request does.
    pub async fn hold(&self, node: SocketAddr) -> Result<u64, String> {
        Ok(self.write(node, "/hold", json!({})).await?.ticket)
    }

    /// Saves to what was held, as the end of a slow request does.
    pub async fn save_held(&self, node: SocketAddr, ticket: u64, value: &str) -> Result<Done, String> {
        self.write(node, "/save-held", json!({ "ticket": ticket, "key": "late", "value": value })).await
    }

    /// Who am I; `None` if the node says it cannot know now (503).
    pub async fn me(&self, node: SocketAddr) -> Result<Option<Me>, String> {
        let answer = self.send(node, "/api/me", None).await?;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            return Ok(None);
        }
        decode("/api/me", &answer).map(Some)
    }

    /// Who am I, at a node that may be on its way out or in; `None` if it does not serve.
    pub async fn try_me(&self, node: SocketAddr) -> Result<Option<Me>, String> {
        match self.send(node, "/api/me", None).await {
            Ok(answer) if answer.status != StatusCode::SERVICE_UNAVAILABLE => {
                decode("/api/me", &answer).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Who am I, at a node that must know.
    pub async fn known_me(&self, node: SocketAddr) -> Result<Me, String> {
        self.me(node).await?.ok_or_else(|| format!("http://{node}/api/me: 503 from a node that should serve"))
    }
}

fn cookie(answer: &Answer) -> Option<String> {
    let line = answer.headers.get(header::SET_COOKIE)?.to_str().ok()?;
    let (name, value) = line.split(';').next()?.split_once('=')?;
    (name == "sid").then(|| value.to_owned())
}
