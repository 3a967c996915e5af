//! Logging out over the agent's API: all that one ticket's log-ins made, on every node, and what its status says.

use serde_json::json;

use crate::keys::{login, logins, ticket};
use sessionmesh_testkit::child::Stream;
use sessionmesh_testkit::{Agent, eventually};

/// Waits until these tickets open nothing anywhere.
fn nobody_anywhere(agents: &[&Agent], tickets: &[&str]) {
    for agent in agents {
        for (n, ticket) in tickets.iter().enumerate() {
            eventually(&format!("{}: ticket {n} opens nothing", agent.node), || {
                (agent.read(ticket).status == 404).then_some(())
            });
        }
    }
}

#[test]
fn a_logout_with_either_of_two_log_ins_ends_both_everywhere() {
    let [a, b, c] = Agent::three(&["--drill"]);
    for (round, at) in [(0, &a), (1, &b)] {
        let visitor = a.create(&json!({ "cart": "tea" }));
        assert_eq!(b.read(&visitor).status, 200);
        // Beside each other: neither knows of the other.
        a.drill(&json!({ "cut": [["a", "b"], ["b", "a"]] }));
        b.drill(&json!({ "cut": [["a", "b"], ["b", "a"]] }));
        let (one, other) = (ticket(&login(&a, &visitor, "ada", 0)), ticket(&login(&b, &visitor, "ada", 0)));
        a.drill(&json!({ "heal_all": true }));
        b.drill(&json!({ "heal_all": true }));
        eventually("both are known everywhere", || {
            [&a, &b, &c].iter().all(|agent| logins(agent, "ada").len() == 2).then_some(())
        });
        let ended = at.end(if round == 0 { &one } else { &other });
        assert_eq!((ended.status, &ended.body["blind"]), (200, &json!(false)), "{ended:?}");
        nobody_anywhere(&[&a, &b, &c], &[&one, &other, &visitor]);
    }
}

#[test]
fn a_logout_with_an_old_ticket_ends_what_it_grew_into() {
    let [a, b, c] = Agent::three(&[]);
    let visitor = a.create(&json!({ "cart": "tea" }));
    let rotated = ticket(&a.request(
        "POST",
        "/v1/session/rotate",
        &[("session-ticket", &visitor)],
        Some(&json!({ "grace_ms": 0 })),
    ));
    let ada = ticket(&login(&b, &rotated, "ada", 0));
    let again = ticket(&login(&c, &ada, "ada", 0));
    assert_eq!(a.end(&visitor).status, 200);
    nobody_anywhere(&[&a, &b, &c], &[&visitor, &rotated, &ada, &again]);
    let second = a.end(&visitor);
    assert_eq!((second.status, &second.body["wrote"]), (200, &json!(false)), "{second:?}");
}

#[test]
fn a_logout_where_the_session_is_not_ends_it_after_the_heal_and_says_what_it_knows() {
    let args = ["--drill", "--set", "link_timeout_ms=500"];
    let [a, b] = Agent::two(&args);
    let never = "7".repeat(64);
    let nobody = b.end(&never);
    assert_eq!((nobody.status, nobody.body["error"].as_str()), (404, Some("absent")), "nobody is missing");

    let cut = json!({ "cut": [["a", "b"], ["b", "a"]] });
    a.drill(&cut);
    b.drill(&cut);
    b.child.line("link down", |_, line| line.contains("peer=\"a\"").then_some(()));
    let made = a.create(&json!({ "user": "ada" }));
    let read = b.read(&made);
    assert_eq!((read.status, read.body["error"].as_str()), (503, Some("not_yet_known")), "{read:?}");
    let ended = b.end(&made);
    assert_eq!((ended.status, &ended.body["blind"]), (200, &json!(true)), "{ended:?}");
    // Strangers' tickets: so many, and then it says that it does not know.
    let told = (0..100).map(|n| b.end(&format!("{:032x}{}", n + 1, "5".repeat(32))));
    let refused = told.into_iter().find(|answer| answer.status != 200).unwrap();
    assert_eq!((refused.status, refused.body["error"].as_str()), (503, Some("not_yet_known")), "{refused:?}");
    let vouched = b.request("DELETE", "/v1/session?blind=true", &[("session-ticket", &never)], None);
    assert_eq!((vouched.status, &vouched.body["blind"]), (200, &json!(true)), "{vouched:?}");

    a.drill(&json!({ "heal_all": true }));
    b.drill(&json!({ "heal_all": true }));
    nobody_anywhere(&[&a, &b], &[&made]);
}

#[test]
fn a_key_that_a_node_has_not_heard_of_is_not_called_wrong() {
    let args = ["--drill", "--set", "link_timeout_ms=500"];
    let [a, b] = Agent::two(&args);
    let first = a.create(&json!({ "user": "ada" }));
    assert_eq!(b.read(&first).status, 200);
    let cut = json!({ "cut": [["a", "b"], ["b", "a"]] });
    a.drill(&cut);
    b.drill(&cut);
    b.child.line("link down", |_, line| line.contains("peer=\"a\"").then_some(()));
    let rotated = a.request("POST", "/v1/session/rotate", &[("session-ticket", &first)], None);
    let second = ticket(&rotated);
    for answer in [b.read(&second), b.patch(&second, &json!({ "set": { "n": 1 } })), b.end(&second)] {
        let said = (answer.status, answer.body["error"].as_str());
        assert_eq!(said, (503, Some("not_yet_known")), "{answer:?}");
    }
    let log_in = login(&b, &second, "ada", 0);
    assert_eq!(log_in.body["carried"], false, "{log_in:?}");
    a.drill(&json!({ "heal_all": true }));
    b.drill(&json!({ "heal_all": true }));
    b.linked_to(&[&a]);
    assert_eq!(b.read(&second).status, 200, "asked for");
}

#[test]
fn no_ticket_is_in_any_log() {
    let loud = |node: &str| Agent::launch(node).env("SESSIONMESH_LOG", "trace");
    let a = loud("a").start();
    let b = loud("b").seeds([&a]).start();
    b.ready();
    a.linked_to(&[&b]);
    let visitor = a.create(&json!({ "cart": "tea" }));
    let read = a.read(&visitor);
    let rotated = ticket(&a.request("POST", "/v1/session/rotate", &[("session-ticket", &visitor)], None));
    let ada = ticket(&login(&b, &rotated, "ada", 0));
    let never = "7c".repeat(32);
    for secret in [&never, &visitor[1..].to_owned(), &ada] {
        a.read(secret);
        a.patch(secret, &json!({ "set": { "n": 1 } }));
        a.end(secret);
    }
    // What a session is called there instead, which its answers carry too.
    let hash = read.head.lines().find_map(|line| line.strip_prefix("session-hash: ")).expect("the header");
    let told = || a.child.printed(Stream::Err).contains(&format!("#{hash}"));
    sessionmesh_testkit::eventually("the hash in the log", || told().then_some(()));
    for agent in [&a, &b] {
        let said = [Stream::Out, Stream::Err].map(|stream| agent.child.printed(stream)).concat();
        assert!(said.contains("TRACE") || said.contains("DEBUG"), "it is loud");
        for secret in [&visitor, &rotated, &ada, &never] {
            for half in [&secret[..32], &secret[32..]] {
                assert!(!said.contains(half), "{}: a ticket is in the log", agent.node);
            }
        }
    }
}
