//! Every answer in the shape the contract says, every path of it answered, and no path that it does not name.

use std::collections::BTreeSet;

use axum::Router;
use axum::http::{StatusCode, header};
use futures_util::StreamExt;
use serde_json::{Value, json};
use sessionmesh::transport::Drill;
use sessionmesh::{Mesh, SessionEvent};
use tower::ServiceExt;

use super::{get, lasting, open, request, until};
use crate::meshes::{self, within};

pub(super) fn contract() -> Value {
    serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap()
}

/// What is wrong with an answer by the schema of its path.
pub(super) fn faults(contract: &Value, schema: &Value, answer: &Value) -> Vec<String> {
    let mut schema = schema.clone();
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["components"] = contract["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator.iter_errors(answer).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

fn schema_of<'a>(contract: &'a Value, path: &str, media_type: &str) -> &'a Value {
    let schema = &contract["paths"][path]["get"]["responses"]["200"]["content"][media_type]["schema"];
    assert!(schema.is_object(), "{path} has no schema of {media_type}");
    schema
}

/// Three nodes that share a switch, with a session, an ended one, and a conflict that met at the third, which hears
/// of both writes whoever wins.
async fn eventful(cluster: &str) -> ([Mesh; 3], Router, String) {
    let drill = Drill::new(1);
    let with = |b: sessionmesh::Builder| b.drill(drill.clone());
    let a = meshes::start(cluster, "a", &[], with).await;
    let b = meshes::start(cluster, "b", &[&a], with).await;
    let c = meshes::start(cluster, "c", &[&a], with).await;
    let router = open(&c);
    for mesh in [&a, &b, &c] {
        within("ready", mesh.ready()).await.unwrap();
        within("linked", mesh.members_until(|m| m.len() == 3 && m.iter().all(|m| m.linked))).await;
    }
    let (here, there) = (a.sessions(), c.sessions());
    let id = here.create(lasting(), |s| s.set("user", "ada")).unwrap().id();
    let gone = here.create(lasting(), |_| Ok(())).unwrap();
    within("copies", gone.copies_within(3, meshes::CEILING)).await.unwrap();
    meshes::everywhere(std::slice::from_ref(&c), id, "there", |f| {
        matches!(f, sessionmesh::Found::Session(_))
    })
    .await;
    here.destroy(&gone.id()).unwrap();
    let mut watch = c.sessions().watch();
    for (from, to) in [("a", "c"), ("c", "a"), ("b", "c"), ("c", "b")] {
        drill.cut(from, to);
    }
    // The later write is not this node's: it comes here in any case, and meets the other. The earlier one may be beaten
    // before anybody else hears of it.
    there.edit(&id, |s| s.set("cart", "tea of this side")).unwrap();
    let then_ms = there.wall_ms();
    while here.wall_ms() <= then_ms {
        tokio::task::yield_now().await;
    }
    here.edit(&id, |s| s.set("cart", "tea of the other")).unwrap();
    drill.heal_all();
    let met = async { while !matches!(watch.next().await, Some(SessionEvent::Conflict(_)) | None) {} };
    within("a conflict", met).await;
    let hash = here.log_name(&id).trim_start_matches('#').to_owned();
    until(&router, "/api/v1/conflicts", "a conflict in the ring", |v| {
        v["conflicts"].as_array().unwrap().len() == 1
    })
    .await;
    ([a, b, c], router, hash)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_shape_of_the_contract_and_every_path_is_answered() {
    let contract = contract();
    let (_meshes, router, hash) = eventful("contract").await;
    until(&router, "/api/v1/mesh", "converged", |v| v["word"] == "converged").await;
    let mut asked = BTreeSet::new();
    for (path, ways) in contract["paths"].as_object().unwrap() {
        if ways["get"].is_null() {
            // Asked by `finding.rs`, with its body.
            continue;
        }
        let called = path.replace("{hash}", &hash);
        let (media_type, answers) = match path.as_str() {
            "/api/v1/stream" => ("text/event-stream", first_messages(&router).await),
            "/api/v1/snapshot" => ("application/x-ndjson", vec![last_line(&router).await]),
            _ => {
                let mut answers = vec![get(&router, &called).await];
                if path.ends_with("{hash}") || path.ends_with("/conflicts") {
                    answers.push(get(&router, &format!("{called}?values=1&peers=1")).await);
                }
                for answer in &answers {
                    assert_eq!(answer.status, StatusCode::OK, "{called}: {}", answer.text);
                    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
                }
                ("application/json", answers.iter().map(super::Answer::json).collect())
            }
        };
        let schema = schema_of(&contract, path, media_type);
        for answer in answers {
            let faults = faults(&contract, schema, &answer);
            assert!(faults.is_empty(), "{called}: {faults:#?}\n{answer:#}");
        }
        asked.insert(path.clone());
    }
    assert!(asked.len() >= 15, "{asked:?}");
    for path in ["/api/v1/", "/api/v1/nothing", "/api/v2/mesh", "/..%2fCargo.toml"] {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(
            faults(&contract, &json!({ "$ref": "#/components/schemas/Error" }), &answer.json()).is_empty()
        );
    }
}

/// A stream's first two messages: everything, then what changed.
async fn first_messages(router: &Router) -> Vec<Value> {
    let response = router.clone().oneshot(request("/api/v1/stream")).await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(response.headers()["x-accel-buffering"], "no", "nginx passes it on as it comes");
    let mut body = response.into_body().into_data_stream();
    let (mut text, mut messages) = (String::new(), Vec::new());
    let read = async {
        while messages.len() < 2 {
            text.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
            while let Some((message, rest)) = text.clone().split_once("\n\n") {
                let data = message.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
                let kind = message.lines().find_map(|line| line.strip_prefix("event: ")).unwrap();
                assert_eq!(kind, if messages.is_empty() { "full" } else { "delta" });
                messages.push(serde_json::from_str::<Value>(data).unwrap());
                text = rest.to_owned();
            }
        }
    };
    within("two messages", read).await;
    let parts = messages[0]["parts"].as_object().unwrap();
    assert_eq!(parts.len(), 8, "everything first: {:?}", parts.keys());
    messages
}

async fn last_line(router: &Router) -> Value {
    let answer = get(router, "/api/v1/snapshot").await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/x-ndjson");
    assert!(!answer.text.contains("tea of"), "a snapshot holds no values");
    serde_json::from_str(answer.text.lines().last().unwrap()).unwrap()
}

#[test]
fn the_contract_s_examples_fit_its_schemas() {
    let contract = contract();
    let paths = contract["paths"].as_object().unwrap().iter();
    for (path, way) in
        paths.flat_map(|(path, ways)| ways.as_object().unwrap().values().map(move |way| (path, way)))
    {
        for content in way["responses"]["200"]["content"].as_object().unwrap().values() {
            if content["example"].is_object() {
                let faults = faults(&contract, &content["schema"], &content["example"]);
                assert!(faults.is_empty(), "{path}: {faults:#?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_are_paged_and_bounded() {
    let a = meshes::alone("pages").await;
    let router = open(&a);
    (0..5).for_each(|_| drop(a.sessions().create(lasting(), |_| Ok(())).unwrap()));
    let first = get(&router, "/api/v1/sessions?limit=2").await.json();
    assert_eq!(first["sessions"].as_array().unwrap().len(), 2);
    let (mut seen, mut after) = (2, first["next_after"].as_str().map(str::to_owned));
    while let Some(at) = after {
        let page = get(&router, &format!("/api/v1/sessions?limit=2&after={at}")).await.json();
        seen += page["sessions"].as_array().unwrap().len();
        after = page["next_after"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, 5);
    let hash = first["sessions"][0]["hash"].as_str().unwrap();
    let one = get(&router, &format!("/api/v1/sessions?prefix=%23{}", &hash[..7])).await.json();
    assert!(one["sessions"].as_array().unwrap().iter().any(|s| s["hash"] == hash), "{one:#}");
    for bad in ["prefix=xyz", "prefix=012345678", "after=nonsense", "limit=many"] {
        assert_eq!(
            get(&router, &format!("/api/v1/sessions?{bad}")).await.status,
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
}
