//! Drill controls: what the network does to this node's packets, and everything it holds. Only with `--drill`, and
//! only for whoever read the token on the agent's first line.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use sessionmesh::transport::{Drill, Rule};
use sessionmesh::{Error, Expiry, Receipt, Sessions};

use super::app::{App, Drills, Shared};
use super::body;
use super::error::Refusal;

/// Most packets per thousand: all of them.
const ALL_PER_MILLE: u16 = 1_000;

/// How long sessions made by a fill live: longer than any drill.
const FILL_TTL: Duration = Duration::from_secs(6 * 3_600);

/// The body of `POST /drill/rules`. Healing comes first, then cuts, then rules that are set.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    heal_all: bool,
    heal: Vec<(String, String)>,
    cut: Vec<(String, String)>,
    set: Vec<Direction>,
}

/// What happens to the packets of one direction.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Direction {
    from: String,
    to: String,
    #[serde(default)]
    drop_per_mille: u16,
    #[serde(default)]
    delay_ms: u64,
}

fn allowed<'a>(app: &'a App, headers: &HeaderMap) -> Result<&'a Drills, Refusal> {
    let detail = "header Drill-Token: must be the drill_token of this run's started line";
    app.drills_for(headers).ok_or_else(|| Refusal::new(StatusCode::UNAUTHORIZED, "drill_token", detail))
}

/// `POST /drill/rules`
pub async fn change(
    State(app): State<Shared>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let drills = allowed(&app, &headers)?;
    let change: Change = body::json(&app, &headers, body).await?;
    if let Some(rule) = change.set.iter().find(|rule| rule.drop_per_mille > ALL_PER_MILLE) {
        let detail = format!("drop_per_mille: {}: at most {ALL_PER_MILLE}", rule.drop_per_mille);
        return Err(Refusal::bad("bad_json", detail));
    }
    let switch = &drills.switch;
    if change.heal_all {
        switch.heal_all();
    }
    change.heal.iter().for_each(|(from, to)| switch.heal(from, to));
    change.cut.iter().for_each(|(from, to)| switch.cut(from, to));
    for Direction { from, to, drop_per_mille, delay_ms } in change.set {
        switch.set(&from, &to, Rule { drop_per_mille, delay_ms, cut: false });
    }
    Ok(in_force(switch))
}

/// `GET /drill/rules`
pub async fn rules(State(app): State<Shared>, headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    Ok(in_force(&allowed(&app, &headers)?.switch))
}

fn in_force(switch: &Drill) -> Json<Value> {
    let rule = |(from, to, rule): (String, String, Rule)| {
        json!({
            "from": from,
            "to": to,
            "cut": rule.cut,
            "drop_per_mille": rule.drop_per_mille,
            "delay_ms": rule.delay_ms,
        })
    };
    Json(switch.rules().into_iter().map(rule).collect())
}

/// The body of `POST /drill/clock`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    offset_ms: i64,
}

/// `POST /drill/clock`: steps this node's wall clock, as seen from the true one.
pub async fn clock(
    State(app): State<Shared>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    allowed(&app, &headers)?;
    let Step { offset_ms } = body::json(&app, &headers, body).await?;
    app.mesh.step_clock_to(offset_ms);
    Ok(Json(json!({ "offset_ms": offset_ms, "wall_ms": app.wall_ms() })))
}

/// `GET /drill/dump`: every session this node holds, ids and values spelled out.
pub async fn dump(State(app): State<Shared>, headers: HeaderMap) -> Result<Vec<u8>, Refusal> {
    allowed(&app, &headers)?;
    let mesh = app.mesh.clone();
    let internal = |e: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", e);
    // Minutes of text for a full node: not on a thread that serves others.
    let dumped = tokio::task::spawn_blocking(move || serde_json::to_vec(&mesh.dump())).await;
    dumped.map_err(|e| internal(e.to_string()))?.map_err(|e| internal(e.to_string()))
}

/// The body of `POST /drill/fill`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    sessions: u32,
    fields: u16,
    value_bytes: usize,
}

/// `POST /drill/fill`: makes sessions without a request for each, so that a drill can start from a full node.
pub async fn fill(State(app): State<Shared>, headers: HeaderMap, body: Body) -> Result<Json<Value>, Refusal> {
    allowed(&app, &headers)?;
    let fill: Fill = body::json(&app, &headers, body).await?;
    let sessions = app.sessions.clone();
    let work = move || (0..fill.sessions).try_for_each(|n| make(&sessions, n, &fill).map(|_| ()));
    let done = tokio::task::spawn_blocking(work).await;
    let internal = |e: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", e);
    done.map_err(|e| internal(e.to_string()))?.map_err(|e| internal(e.to_string()))?;
    Ok(Json(json!({ "sessions": app.sessions.len() })))
}

fn make(sessions: &Sessions, n: u32, fill: &Fill) -> Result<Receipt, Error> {
    sessions.create(Expiry::sliding(FILL_TTL), |s| {
        for field in 0..fill.fields {
            let value: Vec<u8> = n.to_le_bytes().iter().copied().cycle().take(fill.value_bytes).collect();
            s.set_bytes(&format!("field_{field}"), value);
        }
        Ok(())
    })
}
