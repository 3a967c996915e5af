//! The session API of one agent.

use std::io::{Read, Write};

use serde_json::{Value, json};

use sessionmesh_testkit::Agent;

fn round_trip(agent: &Agent) {
    let fields = json!({ "user": "ada", "cart": [1, -2, 2.5, null, { "deep": true }] });
    let new = json!({ "expiry": { "sliding_ms": 600_000 }, "fields": fields });
    let made = agent.request("POST", "/v1/sessions", &[], Some(&new));
    let id = made.body["ticket"].as_str().unwrap_or_else(|| panic!("{made:?}")).to_owned();
    assert!(id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    let read = agent.read(&id);
    assert_eq!((read.status, &read.body["fields"]), (200, &fields));
    let hash = |answer: &sessionmesh_testkit::Answer| {
        let line = answer.head.lines().find_map(|line| line.strip_prefix("session-hash: "));
        line.unwrap_or_else(|| panic!("{}", answer.head)).to_owned()
    };
    let named = hash(&read);
    assert_eq!(hash(&made), named);
    assert!(named.len() == 8 && named.bytes().all(|b| b.is_ascii_hexdigit()), "{named}");
    assert!(read.body["deadline_ms"].as_u64() > read.body["created_ms"].as_u64());
    assert!(read.head.contains("cache-control: no-store"), "{}", read.head);

    let change = json!({ "ticket": id, "set": { "user": "bob" }, "remove": ["cart"], "expiry": { "sliding_ms": 5000 } });
    let patched = agent.request("PATCH", "/v1/session", &[], Some(&change));
    assert_eq!((patched.status, &patched.body["wrote"]), (200, &json!(true)), "{patched:?}");
    assert_eq!(patched.body["replicated"], false, "nobody else is there");
    assert_eq!(agent.read(&id).body["fields"], json!({ "user": "bob" }));
    let same = agent.patch(&id, &json!({ "set": { "user": "bob" }, "skip_unchanged": true }));
    assert_eq!(same.body["wrote"], false, "{same:?}");
    agent.patch(&id, &json!({ "clear": true, "set": { "only": 1 } }));
    assert_eq!(agent.read(&id).body["fields"], json!({ "only": 1 }));

    let touched = agent.request("POST", "/v1/session/touch", &[("session-ticket", &id)], None);
    assert_eq!(touched.status, 200, "{touched:?}");
    assert_eq!((hash(&touched), hash(&patched), hash(&same)), (named.clone(), named.clone(), named));
    assert_eq!(agent.end(&id).status, 200);
    let gone = agent.read(&id);
    assert_eq!((gone.status, &gone.body["error"]), (404, &json!("absent")));
    assert_eq!(agent.patch(&id, &json!({ "set": { "user": "eve" } })).status, 404, "a logout is final");
    assert_eq!(agent.end(&id).body["wrote"], false, "a second logout changes nothing");
}

#[test]
fn a_session_lives_and_ends_over_tcp() {
    let agent = Agent::start("a", &[]);
    agent.ready();
    round_trip(&agent);
}

#[test]
fn a_session_lives_and_ends_over_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", dir.path().join("api.sock").display());
    let mut agent = Agent::start("a", &["--http", &listen]);
    agent.ready();
    round_trip(&agent);
    agent.child.kill();
    let mut again = Agent::start("a", &["--http", &listen]);
    assert_eq!(
        again.request("GET", "/healthz", &[], None).status,
        200,
        "a killed agent's socket is replaced"
    );
    let mut second = Agent::launch("b").args(["--http", &listen]).spawn();
    assert_eq!(second.exit_code(), 3, "a living one's is not");
    second.says("is already in use by another process");
    again.child.signal("TERM");
    assert_eq!(again.child.exit_code(), 0);
    assert!(!dir.path().join("api.sock").exists(), "and is removed in the end");
}

#[test]
fn a_blind_end_sticks_for_a_session_never_seen() {
    let agent = Agent::start("a", &[]);
    agent.ready();
    let id = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    assert_eq!(agent.end(id).status, 404);
    let blind = agent.request("DELETE", "/v1/session?blind=true", &[("session-ticket", id)], None);
    assert_eq!((blind.status, &blind.body["wrote"]), (200, &json!(true)), "{blind:?}");
    assert_eq!(agent.status()["numbers"]["tombstones"], 1);
}

fn refusals(id: &str) -> Vec<(&'static str, &'static str, u16, &'static str, Value)> {
    let many: serde_json::Map<_, _> = (0..11).map(|n| (format!("k{n}"), n.into())).collect();
    let long = json!({ ("k".repeat(256)): 1 });
    let slide = json!({ "sliding_ms": 1000 });
    let create = |fields: &Value| json!({ "expiry": slide, "fields": fields });
    let patch = |key: &str, value: Value| json!({ "ticket": id, key: value });
    vec![
        ("POST", "/v1/sessions", 413, "record_too_large", create(&json!({ "v": "x".repeat(1500) }))),
        ("PATCH", "/v1/session", 413, "record_too_large", patch("set", json!({ "v": "x".repeat(1500) }))),
        ("POST", "/v1/sessions", 413, "body_too_large", create(&json!({ "v": "x".repeat(9000) }))),
        ("POST", "/v1/sessions", 422, "too_many_fields", create(&json!(many))),
        ("PATCH", "/v1/session", 422, "too_many_fields", patch("set", json!(many))),
        ("POST", "/v1/sessions", 422, "key_length", create(&long)),
        ("PATCH", "/v1/session", 422, "key_length", patch("set", json!({ "": 1 }))),
        ("POST", "/v1/sessions", 422, "expired_deadline", json!({ "expiry": { "at_ms": 1000 } })),
        ("POST", "/v1/sessions", 422, "expired_deadline", json!({ "expiry": { "sliding_ms": 0 } })),
        ("PATCH", "/v1/session", 422, "expired_deadline", patch("expiry", json!({ "at_ms": 1000 }))),
        ("POST", "/v1/sessions", 400, "bad_json", json!({ "fields": {} })),
        ("POST", "/v1/sessions", 400, "bad_json", json!({ "expiry": slide, "feilds": {} })),
        ("POST", "/v1/sessions", 400, "bad_json", json!({ "expiry": { "sliding_ms": -5 } })),
        (
            "PATCH",
            "/v1/session",
            400,
            "bad_json",
            json!({ "ticket": id, "set": { "a": 1 }, "remove": ["a"] }),
        ),
        ("PATCH", "/v1/session", 400, "bad_session_id", json!({ "id": "zz", "set": { "a": 1 } })),
        ("PATCH", "/v1/session", 400, "bad_session_id", json!({ "id": id, "set": { "a": 1 } })),
        ("PATCH", "/v1/session", 400, "bad_ticket", json!({ "ticket": &id[1..], "set": { "a": 1 } })),
        ("PATCH", "/v1/session", 400, "bad_ticket", json!({ "ticket": &id[..32], "set": { "a": 1 } })),
        (
            "PATCH",
            "/v1/session",
            400,
            "bad_ticket",
            json!({ "ticket": id.replace(|_| true, "g"), "set": {} }),
        ),
        ("PATCH", "/v1/session", 400, "bad_session_id", json!({ "ticket": id, "id": &id[..32], "set": {} })),
        ("PATCH", "/v1/session", 400, "no_ticket", json!({ "set": { "a": 1 } })),
        ("POST", "/v1/session/rotate", 400, "no_ticket", json!({})),
        ("POST", "/v1/session/rotate", 422, "grace_too_long", json!({ "ticket": id, "grace_ms": 600_001 })),
        ("POST", "/v1/session/login", 400, "bad_json", json!({ "ticket": id, "principal": "ada" })),
        (
            "POST",
            "/v1/session/login",
            400,
            "bad_ticket",
            json!({ "ticket": "x", "principal": "ada", "expiry": slide }),
        ),
        ("POST", "/v1/session/login", 422, "principal_length", json!({ "principal": "", "expiry": slide })),
        (
            "POST",
            "/v1/session/login",
            422,
            "expired_deadline",
            json!({ "principal": "a", "expiry": { "at_ms": 1 } }),
        ),
        (
            "POST",
            "/v1/session/login",
            422,
            "grace_too_long",
            json!({ "principal": "a", "expiry": slide, "grace_ms": u64::MAX }),
        ),
        ("DELETE", "/v1/session?blnd=true", 400, "bad_query", json!({ "ticket": id })),
        ("DELETE", "/v1/sessions", 405, "method_not_allowed", json!({})),
        ("GET", "/v1/sesion", 404, "no_such_endpoint", json!({})),
    ]
}

#[test]
fn a_refusal_names_its_cause_and_changes_nothing() {
    let small =
        ["--set", "max_record_bytes=1024", "--set", "max_fields=10", "--set", "http.max_body_bytes=8192"];
    let agent = Agent::launch("a").args(small).args(["--drill"]).start();
    agent.ready();
    let id = agent.create(&json!({ "user": "ada" }));
    let before = agent.dump();
    for (method, path, status, error, body) in refusals(&id) {
        let answer = agent.request(method, path, &[], Some(&body));
        assert_eq!((answer.status, answer.body["error"].as_str()), (status, Some(error)), "{answer:?}");
        assert!(answer.body["detail"].as_str().is_some_and(|d| !d.is_empty()), "{answer:?}");
        let said = answer.body.to_string();
        assert!(![&id[..32], &id[32..]].iter().any(|half| said.contains(half)), "repeated: {answer:?}");
    }
    assert_eq!(agent.dump(), before);
}

#[test]
fn bytes_that_are_no_request_harm_nobody() {
    let agent = Agent::start("a", &["--drill"]);
    agent.ready();
    for garbage in [
        &b"\x16\x03\x01\x00\xff garbage"[..],
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
    ] {
        let mut connection = agent.http.connect().unwrap();
        connection.write_all(garbage).unwrap();
        // Whatever is answered, or nothing: the connection ends.
        let _ = connection.read_to_end(&mut Vec::new());
    }
    let json = [("content-type", "application/json")];
    for body in [&b"{"[..], b"\xff\xfe", b"[]", b"{\"expiry\":{\"sliding_ms\":1,\"at_ms\":2}}"] {
        let answer = agent.http.request("POST", "/v1/sessions", &json, body).unwrap();
        assert_eq!((answer.status, answer.body["error"].as_str()), (400, Some("bad_json")), "{answer:?}");
    }
    let deep = [b"{\"expiry\":{\"sliding_ms\":1},\"fields\":{\"a\":".as_slice(), &[b'['; 100_000]].concat();
    assert_eq!(agent.http.request("POST", "/v1/sessions", &json, &deep).unwrap().status, 400);
    let plain = agent.http.request("POST", "/v1/sessions", &[("content-type", "text/plain")], b"{}").unwrap();
    assert_eq!(plain.status, 415, "{plain:?}");
    assert_eq!(agent.dump(), json!({}));
}
