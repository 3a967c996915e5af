//! Requests to the nodes: what a browser would send, and what only the parent may.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sessionmesh::core::replica::Dumped;

use super::node::TOKEN_HEADER;
use crate::client::{self, Answer, Target};

/// A node that takes longer than this to answer (s) is taken for gone.
const PATIENCE_S: u64 = 10;

/// What a node holds, by session id.
pub type Dump = BTreeMap<String, Dumped>;

/// One request; `body` makes it a post.
pub async fn ask(
    node: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> Result<Answer, String> {
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, node.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = match body {
        Some(json) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Bytes::from(json.to_string())
        }
        None => Bytes::new(),
    };
    let request = request.body(Full::new(body)).map_err(|e| format!("request {path}: {e}"))?;
    client::send(&Target::Tcp(node), request, Duration::from_secs(PATIENCE_S)).await
}

/// Decodes an answer that must be a success.
pub fn decode<T: DeserializeOwned>(path: &str, answer: &Answer) -> Result<T, String> {
    if !answer.status.is_success() {
        return Err(format!("{path}: {}: {}", answer.status, answer.text()));
    }
    // The body is not quoted: a dump spells out session ids.
    serde_json::from_slice(&answer.body).map_err(|e| format!("{path}: not as expected: {e}"))
}

/// Whether the node serves.
pub async fn is_ready(node: SocketAddr) -> bool {
    ask(node, "/readyz", &[], None).await.is_ok_and(|answer| answer.status.is_success())
}

/// What the node says of itself.
pub async fn status(node: SocketAddr) -> Result<sessionmesh::Status, String> {
    decode("/status", &ask(node, "/status", &[], None).await?)
}

/// Sets whom the node is cut from.
pub async fn cut_from(
    node: SocketAddr,
    token: &str,
    names: &[String],
    addresses: &BTreeMap<String, SocketAddr>,
) -> Result<(), String> {
    let path = "/drill/cut-from";
    let body = json!({ "names": names, "addresses": addresses });
    let answer = ask(node, path, &[(TOKEN_HEADER, token)], Some(body)).await?;
    decode::<Value>(path, &answer).map(|_| ())
}

/// What the node holds: of one session, or all of it.
pub async fn dump(node: SocketAddr, token: &str, sid: Option<&str>) -> Result<Dump, String> {
    let path = "/drill/dump";
    let answer = ask(node, path, &[(TOKEN_HEADER, token)], Some(json!({ "sid": sid }))).await?;
    decode(path, &answer)
}
