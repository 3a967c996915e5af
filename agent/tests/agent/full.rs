//! An agent at its bound of memory: what it refuses, what it never refuses, and that it says so.

use serde_json::{Value, json};

use sessionmesh_testkit::Agent;

/// Sessions that nobody is logged in to, until there is no room for them.
fn fill(agent: &Agent) -> Vec<String> {
    let new = json!({ "expiry": { "sliding_ms": 600_000 }, "fields": { "cart": "x".repeat(20_000) } });
    let mut tickets = Vec::new();
    for _ in 0..1_000 {
        let answer = agent.request("POST", "/v1/sessions", &[], Some(&new));
        if answer.status == 507 {
            assert_eq!(answer.body["error"], "memory_full", "{answer:?}");
            return tickets;
        }
        assert_eq!(answer.status, 201, "{answer:?}");
        tickets.push(answer.body["ticket"].as_str().unwrap().to_owned());
    }
    panic!("never full, with {} sessions", tickets.len());
}

#[test]
fn a_full_agent_says_so_and_takes_log_ins_and_log_outs_still() {
    let agent = Agent::start("a", &["--set", "max_memory_bytes=2000000"]);
    agent.ready();
    let tickets = fill(&agent);
    assert!(tickets.len() > 10, "{}", tickets.len());
    let logged_in = json!({ "expiry": { "sliding_ms": 600_000 }, "fields": {}, "principal": "ada" });
    assert_eq!(agent.request("POST", "/v1/sessions", &[], Some(&logged_in)).status, 201);
    let health = agent.request("GET", "/dashboard/api/v1/health", &[], None);
    let findings = health.body["findings"].as_array().unwrap_or_else(|| panic!("{health:?}"));
    let memory: Vec<&Value> = findings.iter().filter(|finding| finding["id"] == "memory").collect();
    assert_eq!(memory.len(), 1, "{findings:#?}");
    assert!(memory[0]["title"].as_str().unwrap().contains("max_memory_bytes"), "{memory:?}");
    for ticket in &tickets {
        assert_eq!(agent.end(ticket).status, 200, "the end of a session that is here is never refused");
    }
}
