//! A principal's sessions over the agent's API: list and revoke.

use serde_json::{Value, json};

use sessionmesh_testkit::Agent;

fn create(agent: &Agent, principal: &str) -> String {
    let body = json!({ "expiry": { "sliding_ms": 1_800_000 }, "fields": {}, "principal": principal });
    let made = agent.request("POST", "/v1/sessions", &[], Some(&body));
    assert_eq!(made.status, 201, "{made:?}");
    made.body["ticket"].as_str().unwrap().to_owned()
}

fn list(agent: &Agent, path_name: &str) -> Vec<String> {
    let path = format!("/v1/principals/{path_name}/sessions");
    let listed = agent.request("GET", &path, &[], None);
    assert_eq!(listed.status, 200, "{listed:?}");
    let all = listed.body["sessions"].as_array().unwrap();
    assert!(all.iter().all(|s| s["since_ms"].as_u64() < s["deadline_ms"].as_u64()), "{all:?}");
    all.iter().map(|s| s["login"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_principals_sessions_are_listed_and_revoked() {
    let agent = Agent::start("a", &[]);
    agent.ready();
    let (phone, laptop) = (create(&agent, "ada@example.org"), create(&agent, "ada@example.org"));
    let odd = create(&agent, "a/b c");
    assert_eq!(agent.read(&phone).body["principal"], "ada@example.org");
    assert_eq!(agent.read(&phone).body["fields"], json!({}));
    assert_eq!(list(&agent, "ada@example.org").len(), 2);
    let handle = agent.read(&odd).body["login"].as_str().unwrap().to_owned();
    assert_eq!(list(&agent, "a%2Fb%20c"), [handle]);
    assert_eq!(list(&agent, "nobody"), Vec::<String>::new());

    let revoke = |name: &str, body: Option<&Value>| {
        agent.request("POST", &format!("/v1/principals/{name}/revoke"), &[], body)
    };
    let others = revoke("ada@example.org", Some(&json!({ "except": laptop })));
    assert_eq!((others.status, &others.body["ended"]), (200, &json!(1)), "{others:?}");
    assert_eq!(others.body["replicated"], false, "nobody else is there");
    assert_eq!((agent.read(&phone).status, agent.read(&laptop).status), (404, 200));
    assert_eq!(revoke("a%2Fb%20c", Some(&json!({ "except": laptop }))).status, 404, "another's session");
    assert_eq!(revoke("ada@example.org", Some(&json!({ "except": "x" }))).body["error"], "bad_login");
    let long = revoke(&"x".repeat(256), None);
    assert_eq!((long.status, &long.body["error"]), (422, &json!("principal_length")));
    assert_eq!(agent.read(&odd).status, 200);

    // Log in, and out with null; what is left out stays.
    agent.patch(&odd, &json!({ "principal": "bob" }));
    agent.patch(&odd, &json!({ "set": { "n": 1 } }));
    assert_eq!((list(&agent, "a%2Fb%20c").len(), list(&agent, "bob").len()), (0, 1));
    agent.patch(&odd, &json!({ "principal": null }));
    assert_eq!(list(&agent, "bob"), Vec::<String>::new());
    assert_eq!(agent.read(&odd).body["principal"], Value::Null);
    let reserved = agent.patch(&odd, &json!({ "set": { "\0\0p": 1 } }));
    assert_eq!((reserved.status, &reserved.body["error"]), (422, &json!("reserved_key")));
    let all = revoke("ada@example.org", None);
    assert_eq!((all.status, &all.body["ended"]), (200, &json!(1)));
    assert_eq!(agent.read(&laptop).status, 404);
}

#[test]
fn a_clear_leaves_the_log_in_and_a_field_said_twice_is_one() {
    let agent = Agent::launch("a").args(["--set", "max_fields=2"]).start();
    agent.ready();
    let id = create(&agent, "ada");
    assert_eq!(agent.patch(&id, &json!({ "set": { "cart": [1], "note": "x" } })).status, 200);
    let cleared = agent.patch(&id, &json!({ "clear": true, "set": { "n": 1 } }));
    assert_eq!(cleared.status, 200, "{cleared:?}");
    assert_eq!(agent.read(&id).body["fields"], json!({ "n": 1 }));
    assert_eq!(agent.read(&id).body["principal"], "ada");
    let both = agent.patch(&id, &json!({ "clear": true, "principal": "bob" }));
    assert_eq!((both.status, &agent.read(&id).body["principal"]), (200, &json!("bob")));
    assert_eq!(
        agent.patch(&id, &json!({ "clear": true })).body["wrote"],
        false,
        "there is nothing to remove"
    );

    let twice = r#"{"set": {"a": 1, "b": 1, "a": 2}, "remove": ["n", "n"]}"#;
    let headers = [("session-ticket", id.as_str()), ("content-type", "application/json")];
    let twice = agent.http.request("PATCH", "/v1/session", &headers, twice.as_bytes()).unwrap();
    assert_eq!(twice.status, 200, "two fields, as the caps count them: {twice:?}");
    assert_eq!(agent.read(&id).body["fields"], json!({ "a": 2, "b": 1 }), "as it was said last");

    let ended = agent.request("POST", "/v1/principals/bob/revoke", &[], None);
    assert_eq!(ended.body["ended"], 1, "a session that was cleared is still its user's: {ended:?}");
}
