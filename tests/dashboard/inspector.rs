//! One session side by side on every node, and the mesh through a cut and its heal.

use axum::http::StatusCode;
use serde_json::Value;
use sessionmesh::transport::Drill;

use super::{get, lasting, open, until};
use crate::meshes::{self, CEILING, within};

fn peer<'a>(detail: &'a Value, node: &str) -> &'a Value {
    detail["peers"].as_array().unwrap().iter().find(|p| p["node"] == node).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_shown_as_every_peer_has_it() {
    let meshes = meshes::linked("inspect").await;
    let [a, b, c] = &meshes;
    let router = open(a);
    let receipt = a.sessions().create(lasting(), |s| s.set("user", "ada")).unwrap();
    within("copies", receipt.copies_within(3, CEILING)).await.unwrap();
    let edit = b.sessions().edit(&receipt.id(), |s| s.set("cart", "tea")).unwrap();
    within("copies", edit.copies_within(3, CEILING)).await.unwrap();
    let hash = a.sessions().log_name(&receipt.id()).trim_start_matches('#').to_owned();
    let path = format!("/api/v1/sessions/{hash}?peers=1&values=1");
    let detail = get(&router, &path).await.json();
    let fields = detail["session"]["fields"].as_array().unwrap();
    let by: Vec<_> =
        fields.iter().map(|f| (f["name"].as_str().unwrap(), f["stamp"]["node"].as_str().unwrap())).collect();
    assert_eq!(by, [("cart", "b"), ("user", "a")], "who wrote what");
    for node in [b.node(), c.node()] {
        assert_eq!(peer(&detail, node)["answer"], "same", "{detail:#}");
    }
    assert_eq!(get(&router, "/api/v1/sessions/00000000").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_a_session_is_and_what_revoked_it_are_shown_to_nobody() {
    let mesh = meshes::alone("whose-inspected").await;
    let router = open(&mesh);
    let sessions = mesh.sessions();
    let create = |fields: &mut sessionmesh::Fields| {
        fields.set_principal("user 4711");
        fields.set("cart", "tea")
    };
    let id = sessions.create(lasting(), create).unwrap().id();
    let hash = sessions.log_name(&id).trim_start_matches('#').to_owned();
    let detail = get(&router, &format!("/api/v1/sessions/{hash}?values=1")).await.json();
    let fields = detail["session"]["fields"].as_array().unwrap();
    let shown: Vec<_> = fields.iter().map(|f| (f["name"].as_str().unwrap(), &f["value"]["shown"])).collect();
    let hidden = &Value::Bool(false);
    assert_eq!(shown, [("(which log-in)", hidden), ("(principal)", hidden), ("cart", &Value::Bool(true))]);
    assert!(!detail.to_string().contains("4711"), "{detail:#}");
    sessions.revoke_all("user 4711").unwrap();
    let list = get(&router, "/api/v1/sessions").await.json();
    let states: Vec<_> = list["sessions"].as_array().unwrap().iter().map(|s| &s["state"]).collect();
    assert_eq!(states, ["ended"], "and the revocation is no session: {list:#}");
    let metrics = get(&router, "/metrics").await;
    assert!(!metrics.text.contains("4711"));
    assert!(metrics.text.contains("sessionmesh_revocations 1"), "{}", metrics.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_is_told_by_name_and_why_a_session_is_not_there() {
    let drill = Drill::new(1);
    let with = |b: sessionmesh::Builder| b.drill(drill.clone()).configure(|c| c.link_timeout_ms = 500);
    let a = meshes::start("told", "a", &[], with).await;
    let b = meshes::start("told", "b", &[&a], with).await;
    let c = meshes::start("told", "c", &[&a], with).await;
    let (at_a, at_c) = (open(&a), open(&c));
    for mesh in [&a, &b, &c] {
        within("linked", mesh.members_until(|m| m.len() == 3 && m.iter().all(|m| m.linked))).await;
    }
    until(&at_a, "/api/v1/mesh", "converged", |v| v["word"] == "converged").await;
    let compared = |v: &Value| v["peers"].as_array().unwrap().iter().all(|p| p["equal"] == true);
    until(&at_a, "/api/v1/divergence", "compared with both", compared).await;
    for (from, to) in [("a", "b"), ("a", "c")] {
        drill.cut(from, to);
        drill.cut(to, from);
    }
    let split = until(&at_a, "/api/v1/mesh", "split", |v| v["word"] == "split").await;
    assert_eq!(split["severity"], "critical");
    let degraded = until(&at_c, "/api/v1/mesh", "degraded", |v| v["word"] == "degraded").await;
    assert!(degraded["evidence"][0].as_str().unwrap().contains("a"), "{degraded:#}");
    let islands = get(&at_a, "/api/v1/partitions").await.json();
    assert_eq!(islands["islands"][0]["nodes"], serde_json::json!(["a"]));
    assert_eq!(islands["islands"][1]["nodes"], serde_json::json!(["b", "c"]));
    let id = a.sessions().create(lasting(), |s| s.set("user", "ada")).unwrap().id();
    let hash = a.sessions().log_name(&id).trim_start_matches('#').to_owned();
    let detail = get(&at_a, &format!("/api/v1/sessions/{hash}?peers=1")).await.json();
    assert_eq!(peer(&detail, "b")["answer"], "unreachable", "{detail:#}");
    let health = get(&at_a, "/api/v1/health").await.json();
    assert!(health["findings"].as_array().unwrap().iter().any(|f| f["id"] == "members_silent"), "{health:#}");
    let matrix = get(&at_a, "/api/v1/matrix").await.json();
    assert_eq!(matrix["rows"][1]["behind_writes"][0], 1, "b is not known to hold the write: {matrix:#}");
    drill.heal_all();
    until(&at_a, "/api/v1/mesh", "converged again", |v| v["word"] == "converged").await;
    let path = format!("/api/v1/sessions/{hash}?peers=1");
    until(&at_a, &path, "the same everywhere", |v| {
        peer(v, "b")["answer"] == "same" && peer(v, "c")["answer"] == "same"
    })
    .await;
    let events = get(&at_a, "/api/v1/events?limit=1000").await.json();
    let kinds: Vec<&str> =
        events["events"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    for kind in ["member_suspect", "member_dead", "link_down", "split", "healed", "member_alive"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
}
