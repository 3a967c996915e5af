//! The failure detector on real processes: a kill and a freeze, as the others see them.
//!
//! How long it takes is printed, not asserted; what is asserted is what is seen. The chatter of chitchat is kept slow,
//! so that it is the detector that notices.

use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use sessionmesh_testkit::{Agent, Target, eventually};

/// Five agents that are linked to each other and serve.
fn five() -> Vec<Agent> {
    let calm = ["--set", "gossip_interval_ms=1000"];
    let mut agents = vec![Agent::start("a", &calm)];
    for node in ["b", "c", "d", "e"] {
        agents.push(Agent::launch(node).args(calm).seeds([&agents[0]]).start());
    }
    agents.iter().for_each(|agent| _ = agent.ready());
    for agent in &agents {
        let others: Vec<&Agent> = agents.iter().filter(|other| other.node != agent.node).collect();
        agent.linked_to(&others);
    }
    agents
}

fn member(agent: &Agent, node: &str) -> Value {
    let status = agent.status();
    let members = status["members"].as_array().cloned().unwrap_or_default();
    members.into_iter().find(|m| m["node"] == node).unwrap_or_default()
}

/// Waits until all of these see `node` in a state, and prints how long each took since `begun`.
fn all_see(agents: &[Agent], node: &str, state: &str, begun: Instant) {
    let mut waiting: Vec<&Agent> = agents.iter().filter(|a| a.node != node).collect();
    eventually(&format!("{node} is {state} at all"), || {
        waiting.retain(|agent| {
            let seen = member(agent, node)["state"] == state;
            if seen {
                eprintln!("{}: {node} is {state} after {} ms", agent.node, begun.elapsed().as_millis());
            }
            !seen
        });
        waiting.is_empty().then_some(())
    });
}

#[test]
fn a_kill_is_noticed_by_all_and_told_with_its_reason() {
    let mut agents = five();
    let lives: Vec<Value> = agents.iter().map(|agent| agent.status()["origin"].clone()).collect();
    let begun = Instant::now();
    agents[4].child.kill();
    let rest = &agents[..4];
    all_see(rest, "e", "dead", begun);
    for agent in rest {
        let dead = member(agent, "e");
        assert!(dead["why"].as_str().unwrap().contains("no probe was answered"), "{dead}");
        assert_eq!((&dead["linked"], &dead["incarnation"]), (&false.into(), &0.into()), "{dead}");
        for other in rest.iter().filter(|other| other.node != agent.node) {
            assert_eq!(member(agent, &other.node)["state"], "alive", "nobody else is harmed");
        }
    }
    let told = rest[0].child.printed(sessionmesh_testkit::child::Stream::Err);
    assert!(told.lines().any(|line| line.contains("dead") && line.contains("peer=\"e\"")), "{told}");
    for life in &lives {
        assert!(!told.contains(&life.as_str().unwrap()[..8]), "who reads a log reads names: {told}");
    }
    let Target::Tcp(addr) = rest[0].http else { panic!("started on TCP") };
    let out = Command::new(sessionmesh_testkit::binary())
        .args(["status", "--http", &addr.to_string()])
        .output()
        .unwrap();
    let table = String::from_utf8(out.stdout).unwrap();
    assert!(table.contains("dead") && table.contains("no probe was answered"), "{table}");
}

#[test]
fn a_stopped_process_comes_back_by_refuting_its_death() {
    let agents = five();
    let begun = Instant::now();
    agents[4].child.signal("STOP");
    all_see(&agents[..4], "e", "dead", begun);
    let woken = Instant::now();
    agents[4].child.signal("CONT");
    all_see(&agents[..4], "e", "alive", woken);
    for agent in &agents[..4] {
        let back = member(agent, "e");
        assert!(back["incarnation"].as_u64() >= Some(1), "only its own word revives it: {back}");
        eventually("it accuses nobody for long", || {
            (member(&agents[4], &agent.node)["state"] == "alive").then_some(())
        });
    }
}
