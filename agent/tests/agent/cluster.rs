//! Several agents: what one wrote the others have, and what happens when one dies.

use serde_json::json;

use sessionmesh_testkit::{Agent, eventually};

#[test]
fn a_session_is_one_session_on_every_agent() {
    let [a, b, c] = Agent::three(&["--drill"]);
    let id = a.create(&json!({ "user": "ada" }));
    // No waiting: a copy not here yet is asked for.
    assert_eq!(c.read(&id).body["fields"], json!({ "user": "ada" }));
    let (left, right) =
        (b.patch(&id, &json!({ "set": { "x": 1 } })), c.patch(&id, &json!({ "set": { "y": 2 } })));
    assert_eq!((&left.body["replicated"], &right.body["replicated"]), (&json!(true), &json!(true)));
    eventually("both changes everywhere", || {
        let merged = json!({ "user": "ada", "x": 1, "y": 2 });
        [&a, &b, &c].iter().all(|agent| agent.read(&id).body["fields"] == merged).then_some(())
    });
    eventually("equal copies", || (a.dump() == b.dump() && b.dump() == c.dump()).then_some(()));
    assert_eq!(c.end(&id).body["replicated"], true);
    eventually("the logout everywhere", || [&a, &b].iter().all(|g| g.read(&id).status == 404).then_some(()));
}

#[test]
fn a_killed_agent_takes_nothing_with_it() {
    let [a, b, mut c] = Agent::three(&[]);
    let made = c.request("POST", "/v1/sessions", &[], Some(&json!({ "expiry": { "sliding_ms": 60000 } })));
    assert_eq!(made.body["replicated"], true, "{made:?}");
    let id = made.body["ticket"].as_str().unwrap();
    c.child.kill();
    assert_eq!(a.read(id).status, 200);
    assert_eq!(b.read(id).status, 200);
    assert_eq!(a.patch(id, &json!({ "set": { "still": "here" } })).body["replicated"], true);
    let again = Agent::launch("c").seeds([&a]).start();
    again.ready();
    assert_eq!(again.read(id).body["fields"], json!({ "still": "here" }), "a new life gets everything back");
}

#[test]
fn sigterm_drains_and_exits_0() {
    let [a, mut b, c] = Agent::three(&["--set", "ack_timeout_ms=1"]);
    let ids: Vec<_> = (0..200).map(|n| b.create(&json!({ "n": n }))).collect();
    b.child.signal("TERM");
    assert_eq!(b.child.exit_code(), 0);
    for (n, id) in ids.iter().enumerate() {
        for agent in [&a, &c] {
            assert_eq!(agent.read(id).body["fields"]["n"], n, "session {n} at {}", agent.node);
        }
    }
    eventually("the goodbye is heard", || {
        let status = a.status();
        let members = status["members"].as_array()?;
        members.iter().all(|m| m["node"] != "b" || m["state"] == "left").then_some(())
    });
}

#[test]
fn a_drain_that_nobody_took_exits_5() {
    let [a, mut b, c] = Agent::three(&["--drill"]);
    b.drill(&json!({ "cut": [["b", "a"], ["a", "b"], ["b", "c"], ["c", "b"]] }));
    let made = b.request("POST", "/v1/sessions", &[], Some(&json!({ "expiry": { "sliding_ms": 60000 } })));
    assert_eq!((made.status, &made.body["replicated"]), (201, &json!(false)));
    b.child.signal("TERM");
    assert_eq!(b.child.exit_code(), 5);
    b.child.says("stopped with writes that no other member has acknowledged");
    assert_eq!(a.status()["serving"], c.status()["serving"]);
}

#[test]
fn writes_that_nobody_acknowledged_exit_5_also_when_nobody_is_there() {
    let mut alone = Agent::start("alone", &[]);
    alone.ready();
    alone.create(&json!({ "user": "ada" }));
    alone.child.signal("TERM");
    assert_eq!(alone.child.exit_code(), 5);
    alone.child.says("stopped with writes that no other member has acknowledged (0 seemed alive)");

    let mut a = Agent::start("a", &[]);
    a.ready();
    let mut b = Agent::launch("b").seeds([&a]).start();
    b.ready();
    a.linked_to(&[&b]);
    b.child.kill();
    eventually("b's death is noticed", || {
        let status = a.status();
        status["members"].as_array()?.iter().find(|m| m["node"] == "b" && m["state"] == "dead").map(drop)
    });
    a.create(&json!({ "user": "eve" }));
    a.child.signal("TERM");
    assert_eq!(a.child.exit_code(), 5, "its peer has just died");
}

#[test]
fn an_agent_that_wrote_nothing_has_nothing_to_drain() {
    let [a, mut b, c] =
        Agent::three(&["--drill", "--set", "link_timeout_ms=500", "--set", "dead_grace_ms=60000"]);
    b.drill(&json!({ "cut": [["b", "a"], ["a", "b"], ["b", "c"], ["c", "b"]] }));
    for peer in [&a, &c] {
        b.child.line("link down", |_, line| line.contains(&format!("peer=\"{}\"", peer.node)).then_some(()));
    }
    b.child.signal("TERM");
    assert_eq!(b.child.exit_code(), 0);
}

#[test]
fn of_two_agents_with_one_name_the_newcomer_exits_4_and_harms_nobody() {
    let seed = Agent::start("seed", &[]);
    let older = Agent::launch("twin").seeds([&seed]).start();
    older.ready();
    seed.linked_to(&[&older]);
    let mut newer = Agent::launch("twin").seeds([&seed]).start();
    assert_eq!(newer.child.exit_code(), 4);
    newer.child.says("a node named \"twin\" lives at");
    assert_eq!(older.status()["serving"], "ready");
    let id = older.create(&serde_json::json!({ "user": "ada" }));
    assert_eq!(seed.read(&id).status, 200);
    seed.linked_to(&[&older]);
}

#[test]
fn an_unresolvable_seed_is_told_and_the_agent_serves_alone_in_the_end() {
    let args = ["--seed", "no-such-host.invalid:7946", "--set", "solo_after_ms=4000"];
    let agent = Agent::start("a", &args);
    let mut told = false;
    let reason = eventually("ready", || {
        let answer = agent.request("GET", "/readyz", &[], None);
        let reason = answer.body["reason"].as_str().unwrap_or_default().to_owned();
        if answer.status == 503 {
            assert_eq!(answer.body["ready"], false);
            told |= reason.contains("seed \"no-such-host.invalid:7946\" does not resolve: ");
            return None;
        }
        Some(reason)
    });
    assert!(told, "it never said why it was not ready");
    assert_eq!(reason, "alone: no seed answered within solo_after_ms");
}

#[test]
fn before_it_is_ready_a_miss_is_not_an_absence() {
    let agent = Agent::start("a", &["--seed", "127.0.0.1:9", "--set", "solo_after_ms=60000"]);
    let id = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    for answer in [agent.read(id), agent.patch(id, &json!({ "set": { "a": 1 } }))] {
        assert_eq!(
            (answer.status, answer.body["error"].as_str()),
            (503, Some("not_yet_known")),
            "{answer:?}"
        );
    }
    let ended = agent.end(id);
    assert_eq!((ended.status, &ended.body["blind"]), (200, &json!(true)), "a logout sticks: {ended:?}");
}

#[test]
fn an_agent_that_was_frozen_refuses_until_it_caught_up() {
    let args = ["--set", "fence_after_ms=1000", "--set", "fence_timeout_ms=60000"];
    let a = Agent::start("a", &args);
    let mut b = Agent::launch("b").args(args).seeds([&a]).start();
    b.ready();
    let id = b.create(&json!({ "user": "ada" }));
    a.linked_to(&[&b]);
    b.child.kill();
    a.child.signal("STOP");
    // The freeze itself: there is no event to wait for.
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    a.child.signal("CONT");
    for answer in [a.read(&id), a.patch(&id, &json!({ "set": { "a": 1 } }))] {
        assert_eq!((answer.status, answer.body["error"].as_str()), (503, Some("fenced")), "{answer:?}");
    }
    assert_eq!(a.request("GET", "/readyz", &[], None).status, 503);
}
