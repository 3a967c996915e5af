//! Who may ask.

use serde_json::json;

use sessionmesh_testkit::Agent;

const TOKEN: &str = "0123456789abcdef-a-token";

#[test]
fn without_the_token_only_healthz_answers() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    // Any other address than loopback, which a token makes possible.
    let args = ["--http", "0.0.0.0:0", "--token-file", file.to_str().unwrap(), "--drill"];
    let mut agent = Agent::start("a", &args);
    agent.ready();
    assert_eq!(agent.request("GET", "/healthz", &[], None).status, 200);
    let shut = ["/readyz", "/v1/status", "/v1/session", "/drill/rules", "/nowhere"];
    for wrong in [None, Some("wrong"), Some(&TOKEN[1..]), Some("0123456789abcdef-a-token ")] {
        let header = wrong.map(|w| format!("Basic {w}"));
        let headers: Vec<_> = header.iter().map(|h| ("authorization", h.as_str())).collect();
        for path in shut {
            let answer = agent.request("GET", path, &headers, None);
            assert_eq!((answer.status, answer.body["error"].as_str()), (401, Some("unauthorized")), "{path}");
        }
    }
    agent.token = Some("another-token-of-its-own".into());
    assert_eq!(agent.request("GET", "/v1/status", &[], None).status, 401);
    agent.token = Some(TOKEN.into());
    assert_eq!(agent.request("GET", "/v1/status", &[], None).status, 200);
    assert_eq!(agent.request("GET", "/drill/dump", &[], None).status, 401, "drills ask for their own too");
    assert!(agent.dump().is_object());
}

#[test]
fn a_public_address_without_a_token_is_refused() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let mut agent = Agent::launch("a").args(["--http", listen]).spawn();
        assert_eq!(agent.exit_code(), 2);
        agent.says("http.listen: ");
        agent.says("is not a loopback address and no token is set");
    }
    let mut short = Agent::launch("a").env("SESSIONMESH_HTTP_TOKEN", "hunter2").spawn();
    assert_eq!(short.exit_code(), 2);
    let said = short.says("http.token: 7 characters: at least 16 are needed");
    assert!(said.contains("env SESSIONMESH_HTTP_TOKEN") && !said.contains("hunter2"), "{said}");
    let mut open = Agent::launch("a").args(["--bind", "0.0.0.0:0"]).spawn();
    assert_eq!(open.exit_code(), 2);
    open.says("no secret is set");
}

#[test]
fn drill_controls_exist_only_when_asked_for() {
    let plain = Agent::start("plain", &[]);
    assert_eq!(plain.request("GET", "/drill/rules", &[("drill-token", "")], None).status, 404);
    let agent = Agent::start("a", &["--drill", "--clock-offset-ms", "-1500"]);
    assert_eq!(agent.request("GET", "/drill/rules", &[("drill-token", "guess")], None).status, 401);
    let rules = json!({ "cut": [["a", "b"], ["b", "a"]], "set": [{ "from": "a", "to": "c", "drop_per_mille": 200 }] });
    let set = agent.drill(&rules);
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(set.body.as_array().map(Vec::len), Some(3), "{set:?}");
    let healed = agent.drill(&json!({ "heal": [["a", "b"]] }));
    assert_eq!(healed.body[1]["from"], "b", "{healed:?}");
    assert_eq!(agent.drill(&json!({ "heal_all": true })).body, json!([]));
    assert_eq!(
        agent.drill(&json!({ "set": [{ "from": "a", "to": "b", "drop_per_mille": 1001 }] })).status,
        400
    );
    let mut undrilled = Agent::launch("a").args(["--clock-offset-ms", "5"]).spawn();
    assert_eq!(undrilled.exit_code(), 2);
}
