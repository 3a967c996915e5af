//! The dashboard's API against its contract, `docs/openapi.json`: every answer of a real mesh in the shape the file says,
//! every path in the file answered and no other; `/metrics` read by a parser; and who is let in to see what.

#[path = "../meshes/mod.rs"]
mod meshes;

mod contract;
mod finding;
mod inspector;
mod links;
mod metrics;
mod safety;

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, header};
use serde_json::Value;
use sessionmesh::dashboard::DashboardConfig;
use sessionmesh::{Expiry, Mesh};
use tower::ServiceExt;

use crate::meshes::{CEILING, within};

/// An answer, whole.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
}

/// A `GET` from this machine, by a loopback name.
fn request(path: &str) -> Request<Body> {
    let mut request =
        Request::builder().uri(path).header(header::HOST, "127.0.0.1:8080").body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 50_000))));
    request
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = within("an answer", to_bytes(body, usize::MAX)).await.unwrap();
    Answer { status: head.status, headers: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
}

async fn get(router: &Router, path: &str) -> Answer {
    send(router, request(path)).await
}

/// Asks until the answer is what is waited for.
async fn until(router: &Router, path: &str, what: &str, enough: impl Fn(&Value) -> bool) -> Value {
    let asked = async {
        loop {
            let answer = get(router, path).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
            let json = answer.json();
            if enough(&json) {
                return json;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    within(what, asked).await
}

fn lasting() -> Expiry {
    Expiry::sliding(CEILING * 10)
}

/// A dashboard that shows values to this machine.
fn open(mesh: &Mesh) -> Router {
    mesh.dashboard(DashboardConfig::loopback().with_values())
}
