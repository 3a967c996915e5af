//! A member that was killed and replaced by one of another name: what waits for it, and how an operator ends that.

use std::process::Command;

use serde_json::{Value, json};

use sessionmesh_testkit::agent::forget_settings;
use sessionmesh_testkit::{Agent, Child, Target, child::Stream, eventually};

/// A small skew, so that the wait is about what the test sets.
const SKEW: [&str; 2] = ["--set", "skew_ms=100"];

fn number(agent: &Agent, name: &str) -> u64 {
    agent.status()["numbers"][name].as_u64().unwrap_or_default()
}

fn state(agent: &Agent, node: &str) -> Option<String> {
    let status = agent.status();
    let member = status["members"].as_array()?.iter().find(|m| m["node"] == node)?.clone();
    member["state"].as_str().map(str::to_owned)
}

/// Sessions of a second, then a kill and a successor of another name. What is left waits for the killed one.
fn killed_and_replaced(args: &[&str]) -> (Agent, Agent) {
    let args: Vec<&str> = SKEW.iter().chain(args).copied().collect();
    let a = Agent::start("a", &args);
    let b = Agent::launch("b").args(&args).seeds([&a]).start();
    let mut c = Agent::launch("c").args(&args).seeds([&a]).start();
    [&a, &b, &c].iter().for_each(|agent| _ = agent.ready());
    a.linked_to(&[&b, &c]);
    for n in 0..50 {
        let body = json!({ "expiry": { "sliding_ms": 1_000 }, "fields": { "n": n } });
        assert_eq!(a.request("POST", "/v1/sessions", &[], Some(&body)).status, 201);
    }
    c.child.kill();
    let d = Agent::launch("d").args(&args).seeds([&a]).start();
    d.ready();
    eventually("dead", || (state(&a, "c").as_deref() == Some("dead")).then_some(()));
    eventually("expired", || (number(&a, "expired_retained") == 50).then_some(()));
    (a, d)
}

#[test]
fn nothing_waits_for_the_forgotten() {
    let (a, d) = killed_and_replaced(&[]);
    // The histories of a dashboard begin when somebody looks.
    assert_eq!(d.request("GET", "/dashboard/api/v1/mesh", &[], None).status, 200);
    let health = a.request("GET", "/dashboard/api/v1/health", &[], None);
    let found = health.body["findings"].as_array().cloned().unwrap_or_default();
    let finding = found.iter().find(|f| f["id"] == "expiry_waits").unwrap_or_else(|| panic!("{found:?}"));
    assert!(
        finding["title"].as_str().is_some_and(|t| t.starts_with("50 ") && t.ends_with("for c")),
        "{finding}"
    );
    let refused = |node: &str, status: u16, word: &str| {
        let answer = a.request("POST", &format!("/v1/members/{node}/forget"), &[], Some(&json!({})));
        assert_eq!((answer.status, &answer.body["error"]), (status, &Value::from(word)), "{answer:?}");
    };
    refused("d", 409, "member_alive");
    refused("a", 409, "member_itself");
    refused("x", 404, "no_such_member");
    let mut command = Command::new(sessionmesh_testkit::binary());
    let http = match &a.http {
        Target::Tcp(addr) => addr.to_string(),
        Target::Unix(path) => format!("unix:{}", path.display()),
    };
    forget_settings(command.args(["forget", "c", "--http", &http]));
    let mut forget = Child::spawn("forget", &mut command);
    assert_eq!(forget.exit_code(), 0, "{}", forget.printed(Stream::Err));
    assert!(forget.printed(Stream::Out).contains("c is forgotten"));
    for agent in [&a, &d] {
        eventually("forgotten", || state(agent, "c").is_none().then_some(()));
        eventually("gone", || (number(agent, "expired_retained") == 0).then_some(()));
        assert_eq!(number(agent, "members_forgotten_total"), 1);
        let events = agent.request("GET", "/dashboard/api/v1/events", &[], None);
        assert!(events.body.to_string().contains("member_forgotten"), "{events:?}");
    }
}

#[test]
fn expired_sessions_wait_for_the_missing_only_so_long() {
    let (a, d) = killed_and_replaced(&["--set", "expire_wait_ms=10000"]);
    for agent in [&a, &d] {
        eventually("gone", || (number(agent, "expired_retained") == 0).then_some(()));
        assert_eq!(state(agent, "c").as_deref(), Some("dead"), "missing all the same");
    }
    assert_eq!(number(&a, "expired_unheard_total"), 50);
}
