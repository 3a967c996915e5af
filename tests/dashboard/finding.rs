//! A session's hash, found by what its user or an operator has of it, without telling any of that.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::contract::{contract, faults};
use super::{Answer, get, lasting, open, request, send};
use crate::meshes;

async fn ask(router: &Router, body: &str, kind: &str) -> Answer {
    let mut request = request("/api/v1/sessions/find");
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
    *request.body_mut() = Body::from(body.to_owned());
    send(router, request).await
}

async fn found(router: &Router, body: &Value) -> Value {
    let answer = ask(router, &body.to_string(), "application/json").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let schema = json!({ "$ref": "#/components/schemas/FoundSessions" });
    let faults = faults(&contract(), &schema, &answer.json());
    assert!(faults.is_empty(), "{faults:#?}");
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_is_found_by_the_id_the_ticket_and_the_user() {
    let mesh = meshes::alone("finding").await;
    let (router, sessions) = (open(&mesh), mesh.sessions());
    let create = |fields: &mut sessionmesh::Fields| {
        fields.set_principal("user 4711");
        fields.set("cart", "tea")
    };
    let (receipt, ticket) = sessions.create_keyed(lasting(), create).unwrap();
    sessions.create(lasting(), create).unwrap();
    let id = receipt.id();
    let hash = sessions.log_name(&id).trim_start_matches('#').to_owned();
    for named in [id.to_text(), ticket.to_text(), format!("session={}; Path=/", ticket.to_text())] {
        let answer = found(&router, &json!({ "id": named })).await;
        assert_eq!(
            (&answer["hash"], &answer["sessions"][0]["hash"]),
            (&json!(hash), &json!(hash)),
            "{answer:#}"
        );
        assert_eq!(answer["sessions"][0]["state"], "live");
        for secret in [id.to_text(), ticket.to_text(), "4711".into()] {
            assert!(!answer.to_string().contains(&secret), "{answer:#}");
        }
    }
    let of_user = found(&router, &json!({ "principal": "user 4711" })).await;
    assert_eq!(
        (of_user["sessions"].as_array().unwrap().len(), &of_user["hash"]),
        (2, &Value::Null),
        "{of_user:#}"
    );
    assert!(!of_user.to_string().contains("4711"), "{of_user:#}");
    // What is not here has a hash all the same: it is what other nodes' logs say.
    let elsewhere = found(&router, &json!({ "id": "ab".repeat(16) })).await;
    assert!(elsewhere["hash"].is_string() && elsewhere["sessions"] == json!([]), "{elsewhere:#}");
    sessions.destroy(&id).unwrap();
    let ended = found(&router, &json!({ "id": id.to_text() })).await;
    assert_eq!(ended["sessions"][0]["state"], "ended");
    assert_eq!(
        get(&router, "/api/v1/sessions/find").await.status,
        StatusCode::METHOD_NOT_ALLOWED,
        "in no address"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_found_is_refused_and_not_repeated() {
    let mesh = meshes::alone("not-finding").await;
    let router = open(&mesh);
    let json = "application/json";
    let secret = "0123456789abcdef0123456789abcde";
    let tried = [
        (format!("{{\"id\":\"{secret}\"}}"), json, StatusCode::BAD_REQUEST),
        (format!("{{\"id\":\"{secret}\",\"principal\":\"ada\"}}"), json, StatusCode::BAD_REQUEST),
        (format!("{{\"{secret}\":1}}"), json, StatusCode::BAD_REQUEST),
        (format!("{{\"id\":[\"{secret}\"]}}"), json, StatusCode::BAD_REQUEST),
        (format!("\"{secret}\""), json, StatusCode::BAD_REQUEST),
        (String::new(), json, StatusCode::BAD_REQUEST),
        (format!("{{\"id\":\"{secret}0\"}}"), "text/plain", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (format!("{{\"id\":\"{}\"}}", "0".repeat(5_000)), json, StatusCode::PAYLOAD_TOO_LARGE),
    ];
    for (body, kind, status) in tried {
        let answer = ask(&router, &body, kind).await;
        assert_eq!(answer.status, status, "{body:.80}: {}", answer.text);
        assert!(!answer.text.contains(secret), "{}", answer.text);
    }
}
