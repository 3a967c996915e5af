//! The page and its parts, embedded: no build step, nothing loaded from elsewhere.

use std::net::SocketAddr;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::App;

const INDEX: &str = include_str!("../page/index.html");
const SCRIPT: &str = include_str!("../page/app.js");
const PICTURE: &str = include_str!("../page/mesh.js");
const STYLE: &str = include_str!("../page/style.css");
/// Where the page's settings go.
const SLOT: &str = "__CONFIG__";

/// What the page must know before it can ask.
pub struct Config {
    /// The node that serves it.
    pub node: String,
    /// The parent's control server, if there is one.
    pub control: Option<SocketAddr>,
    /// What opens it.
    pub token: String,
}

impl Config {
    /// JSON that is safe inside a script element.
    fn embedded(&self) -> String {
        let control = self.control.map(|addr| format!("http://{addr}"));
        json!({ "node": self.node, "control": control, "token": self.token })
            .to_string()
            .replace('<', "\\u003c")
    }

    /// Scripts and styles only from here, requests only to here and to the control server.
    fn policy(&self) -> String {
        let control = self.control.map(|addr| format!(" http://{addr}")).unwrap_or_default();
        format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'{control}; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    }
}

/// The page.
pub async fn index(State(app): State<App>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, app.page.policy()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, INDEX.replace(SLOT, &app.page.embedded())).into_response()
}

/// Its behaviour.
pub async fn script() -> Response {
    part("text/javascript; charset=utf-8", SCRIPT)
}

/// Its picture of the mesh.
pub async fn picture() -> Response {
    part("text/javascript; charset=utf-8", PICTURE)
}

/// Its looks.
pub async fn style() -> Response {
    part("text/css; charset=utf-8", STYLE)
}

fn part(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}
