//! What only the parent may ask: cut this node off, and spell out what it holds. Guarded by a token the page
//! does not have.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use sessionmesh::core::replica::Dumped;
use sessionmesh::transport::Drill;
use subtle::ConstantTimeEq;

use super::App;

/// The header with the token.
pub const TOKEN_HEADER: &str = "x-demo-token";

/// The guarded routes.
pub fn router(app: App) -> Router<App> {
    Router::new()
        .route("/cut-from", post(cut))
        .route("/dump", post(dump))
        .layer(from_fn_with_state(app, guarded))
}

async fn guarded(State(app): State<App>, request: Request, next: Next) -> Response {
    let given = request.headers().get(TOKEN_HEADER).map(|v| v.as_bytes()).unwrap_or_default();
    let same: bool = given.ct_eq(app.drill_token.as_bytes()).into();
    // An empty token means the node was started by hand: then nobody may.
    if same && !app.drill_token.is_empty() {
        next.run(request).await
    } else {
        StatusCode::FORBIDDEN.into_response()
    }
}

/// Cuts this node from the named ones, both ways, and heals all others.
pub fn cut_from(drill: &Drill, me: &str, names: &[String]) {
    drill.heal_all();
    for name in names {
        drill.cut(me, name);
        drill.cut(name, me);
    }
}

#[derive(Deserialize)]
struct Cut {
    names: Vec<String>,
    /// Where the named ones are: this node may not have met them yet.
    addresses: BTreeMap<String, std::net::SocketAddr>,
}

async fn cut(State(app): State<App>, Json(body): Json<Cut>) -> Json<Value> {
    for (name, addr) in &body.addresses {
        app.drill.name_addr(name, *addr);
    }
    cut_from(&app.drill, app.mesh.node(), &body.names);
    tracing::info!(from = body.names.join(","), "cut set");
    Json(json!({ "cut_from": body.names }))
}

#[derive(Deserialize)]
struct Of {
    /// One session only; in the body and not in the address, which would end up in logs.
    sid: Option<String>,
}

async fn dump(State(app): State<App>, Json(of): Json<Of>) -> Json<BTreeMap<String, Dumped>> {
    let mut all = app.mesh.dump();
    if let Some(sid) = of.sid {
        all.retain(|id, _| *id == sid);
    }
    Json(all)
}
