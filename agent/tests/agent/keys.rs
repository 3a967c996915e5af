//! Tickets of the agent: what a rotation and a log-in make of them, and what an id alone opens.

use serde_json::{Value, json};

use sessionmesh_testkit::{Agent, Answer, eventually};

/// The name of the one in a refusal, with its status.
fn refused(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["error"].as_str().unwrap_or_default())
}

/// The ticket of an answer.
pub fn ticket(answer: &Answer) -> String {
    answer.body["ticket"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

fn post(agent: &Agent, path: &str, ticket: &str, body: &Value) -> Answer {
    agent.request("POST", path, &[("session-ticket", ticket)], Some(body))
}

fn rotate(agent: &Agent, ticket: &str, body: &Value) -> Answer {
    post(agent, "/v1/session/rotate", ticket, body)
}

/// Logs in; without a ticket if that is empty.
pub fn login(agent: &Agent, old: &str, principal: &str, grace_ms: u64) -> Answer {
    let body = json!({ "principal": principal, "expiry": { "sliding_ms": 600_000 }, "grace_ms": grace_ms });
    let headers: Vec<_> = [("session-ticket", old)].into_iter().filter(|(_, old)| !old.is_empty()).collect();
    let answer = agent.request("POST", "/v1/session/login", &headers, Some(&body));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// The log-ins that are listed.
pub fn logins(agent: &Agent, principal: &str) -> Vec<Value> {
    let listed = agent.request("GET", &format!("/v1/principals/{principal}/sessions"), &[], None);
    assert_eq!(listed.status, 200, "{listed:?}");
    listed.body["sessions"].as_array().unwrap().iter().map(|row| row["login"].clone()).collect()
}

#[test]
fn a_rotated_ticket_opens_the_same_session_and_the_old_one_for_the_grace() {
    let agent = Agent::start("a", &[]);
    agent.ready();
    let first = agent.create(&json!({ "cart": "tea" }));
    let before = agent.read(&first).body;
    let rotated = rotate(&agent, &first, &json!({}));
    assert_eq!(rotated.status, 200, "{rotated:?}");
    let second = ticket(&rotated);
    assert!(second != first && second[..32] == first[..32], "another key of the same session");
    assert_eq!(rotated.body["id"], second[..32]);
    assert_eq!(agent.read(&second).body, before);
    assert_eq!(agent.patch(&first, &json!({ "set": { "late": 1 } })).status, 200, "within the grace");
    assert_eq!(agent.read(&second).body["fields"], json!({ "cart": "tea", "late": 1 }));

    let third = ticket(&rotate(&agent, &second, &json!({ "grace_ms": 0 })));
    assert_eq!(refused(&agent.read(&second)), (404, "replaced"));
    for path in ["/v1/session/touch", "/v1/session/rotate"] {
        assert_eq!(refused(&post(&agent, path, &second, &json!({}))), (409, "stale"), "{path}");
    }
    assert_eq!(refused(&agent.patch(&second, &json!({ "set": { "lost": 1 } }))), (409, "stale"));
    assert_eq!(agent.read(&third).body["fields"], json!({ "cart": "tea", "late": 1 }));
}

#[test]
fn an_id_alone_opens_only_what_has_no_keys() {
    let agent = Agent::start("a", &["--drill"]);
    agent.ready();
    let ticket = agent.create(&json!({ "user": "ada" }));
    let id = &ticket[..32];
    let bare = [("session-id", id)];
    let set = json!({ "set": { "user": "eve" } });
    let by_id = |method: &str, path: &str, body: Option<&Value>| agent.request(method, path, &bare, body);
    for (method, path, body) in [
        ("GET", "/v1/session", None),
        ("PATCH", "/v1/session", Some(&set)),
        ("POST", "/v1/session/touch", None),
        ("POST", "/v1/session/rotate", None),
        ("DELETE", "/v1/session", None),
        ("DELETE", "/v1/session?blind=true", None),
    ] {
        assert_eq!(refused(&by_id(method, path, body)), (404, "absent"), "{method} {path}");
    }
    let guess = format!("{id}{}", "5".repeat(32));
    assert_eq!(refused(&agent.read(&guess)), (404, "absent"));
    assert_eq!(refused(&agent.end(&guess)), (404, "absent"));
    assert_eq!(agent.read(&ticket).body["fields"], json!({ "user": "ada" }));

    // As versions before and embedders make them.
    let fill = json!({ "sessions": 1, "fields": 1, "value_bytes": 10 });
    let filled = agent.request("POST", "/drill/fill", &[("drill-token", &agent.drill_token)], Some(&fill));
    assert_eq!(filled.status, 200, "{filled:?}");
    let dump = agent.dump();
    let plain = dump.as_object().unwrap().keys().find(|key| *key != id).unwrap().clone();
    let named = [("session-id", plain.as_str())];
    assert_eq!(agent.request("PATCH", "/v1/session", &named, Some(&set)).status, 200);
    let keyed = agent.request("POST", "/v1/session/rotate", &named, Some(&json!({ "grace_ms": 0 })));
    assert_eq!(keyed.status, 200, "{keyed:?}");
    assert_eq!(refused(&agent.request("GET", "/v1/session", &named, None)), (404, "replaced"));
    assert_eq!(agent.read(&self::ticket(&keyed)).body["fields"]["user"], "eve");
}

#[test]
fn a_log_in_takes_all_along_and_gives_the_old_one_up() {
    let agent = Agent::start("a", &[]);
    agent.ready();
    let visitor = agent.create(&json!({ "cart": "tea" }));
    let body = json!({ "principal": "ada", "expiry": { "sliding_ms": 1000 }, "set": { "user": "ada" } });
    let answer = post(&agent, "/v1/session/login", &visitor, &body);
    assert_eq!((answer.status, &answer.body["carried"]), (200, &json!(true)), "{answer:?}");
    let ada = ticket(&answer);
    assert_ne!(ada[..32], visitor[..32], "a session of its own");
    let read = agent.read(&ada);
    assert_eq!(read.body["fields"], json!({ "cart": "tea", "user": "ada" }));
    assert_eq!((&read.body["principal"], &read.body["login"]), (&json!("ada"), &answer.body["login"]));
    let left_ms = read.body["deadline_ms"].as_u64().unwrap() - read.body["created_ms"].as_u64().unwrap();
    assert!(left_ms > 1_000_000, "as the old one was to end: {left_ms}");
    assert_eq!(refused(&agent.read(&visitor)), (404, "replaced"));
    assert_eq!(refused(&agent.patch(&visitor, &json!({ "set": { "lost": 1 } }))), (409, "stale"));
    let nobody = login(&agent, "", "bob", 0);
    assert_eq!(agent.read(&ticket(&nobody)).body["fields"], json!({}));
}

#[test]
fn a_refused_log_in_leaves_the_old_session_as_it_was() {
    let agent = Agent::start("a", &["--set", "max_fields=2"]);
    agent.ready();
    let visitor = agent.create(&json!({ "cart": "tea" }));
    let body = json!({ "principal": "ada", "expiry": { "sliding_ms": 1000 }, "set": { "a": 1, "b": 2 } });
    let answer = post(&agent, "/v1/session/login", &visitor, &body);
    assert_eq!(refused(&answer), (422, "too_many_fields"));
    assert_eq!(agent.patch(&visitor, &json!({ "set": { "cart": "pot" } })).status, 200);
    assert_eq!(logins(&agent, "ada"), Vec::<Value>::new());
}

#[test]
fn one_log_in_is_one_row_and_is_ended_by_its_handle() {
    let agent = Agent::start("a", &[]);
    agent.ready();
    let first = login(&agent, "", "ada", 0);
    assert_eq!(logins(&agent, "ada"), [first.body["login"].clone()]);
    let rotated = rotate(&agent, &ticket(&first), &json!({ "grace_ms": 0 }));
    assert_eq!(rotated.body["login"], first.body["login"], "through rotations");
    let second = login(&agent, &ticket(&rotated), "ada", 0);
    assert_eq!(logins(&agent, "ada"), [second.body["login"].clone()], "the old one is nobody's");
    let phone = login(&agent, "", "ada", 0);
    assert_eq!(logins(&agent, "ada").len(), 2);

    let handle = phone.body["login"].as_str().unwrap();
    let delete = |who: &str, which: &str| {
        agent.request("DELETE", &format!("/v1/principals/{who}/sessions/{which}"), &[], None)
    };
    assert_eq!(refused(&delete("bob", handle)), (404, "absent"), "another's");
    assert_eq!(refused(&delete("ada", "x")), (400, "bad_login"));
    assert_eq!(delete("ada", handle).status, 200);
    assert_eq!(refused(&delete("ada", handle)), (404, "absent"));
    assert_eq!(refused(&agent.read(&ticket(&phone))), (404, "absent"));
    assert_eq!(agent.read(&ticket(&second)).status, 200);

    for except in [second.body["login"].clone(), second.body["ticket"].clone()] {
        let other = ticket(&login(&agent, "", "ada", 0));
        let revoke = json!({ "except": except });
        let revoked = agent.request("POST", "/v1/principals/ada/revoke", &[], Some(&revoke));
        assert_eq!(revoked.status, 200, "{revoked:?}");
        assert_eq!((agent.read(&other).status, agent.read(&ticket(&second)).status), (404, 200));
    }
}

#[test]
fn an_application_that_hangs_up_before_its_answer_has_lost_nothing() {
    use std::io::Write;
    // The answer waits for a second copy, which a cut keeps away.
    let patient = ["--drill", "--set", "ack_timeout_ms=5000"];
    let a = Agent::start("a", &patient);
    let b = Agent::launch("b").args(patient).seeds([&a]).start();
    b.ready();
    a.linked_to(&[&b]);
    let visitor = a.create(&json!({ "cart": "tea" }));
    a.drill(&json!({ "cut": [["a", "b"], ["b", "a"]] }));
    let body =
        json!({ "ticket": visitor, "principal": "ada", "expiry": { "sliding_ms": 600_000 } }).to_string();
    let json = [("content-type", "application/json")];
    let mut connection = a.http.connect().unwrap();
    connection
        .write_all(&sessionmesh_testkit::http::spell("POST", "/v1/session/login", &json, body.as_bytes()))
        .unwrap();
    eventually("the log-in is under way", || (logins(&a, "ada").len() == 1).then_some(()));
    drop(connection);
    eventually("it is taken back", || logins(&a, "ada").is_empty().then_some(()));
    assert_eq!(a.read(&visitor).body["fields"], json!({ "cart": "tea" }), "the old one is as it was");
    a.drill(&json!({ "heal_all": true }));
    assert_eq!(a.patch(&visitor, &json!({ "set": { "cart": "pot" } })).status, 200);
}
