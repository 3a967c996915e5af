//! Two processes of one name: a newcomer does not start beside a member that lives, and never harms it; a predecessor that
//! died does not count.

use serde_json::json;

use sessionmesh_testkit::{Agent, eventually};

/// Agents a and b, linked and serving.
fn pair() -> (Agent, Agent) {
    let a = Agent::start("a", &[]);
    a.ready();
    let b = Agent::launch("b").seeds([&a]).start();
    b.ready();
    a.linked_to(&[&b]);
    (a, b)
}

/// The member still serves, knows what it knew, and is what others see under its name.
fn unharmed(member: &Agent, by: &Agent, id: &str) {
    assert_eq!(member.read(id).status, 200);
    assert_eq!(member.request("GET", "/readyz", &[], None).status, 200);
    by.linked_to(&[member]);
}

#[test]
fn a_newcomer_with_the_name_of_a_living_member_does_not_start() {
    let (a, b) = pair();
    let id = b.create(&json!({ "user": "ada" }));
    // Its clock right, behind and ahead: generations say nothing. Each seeded by another member, and by the one itself.
    for (offset, seed) in [("0", &a), ("-20000", &a), ("20000", &a), ("0", &b)] {
        let mut second =
            Agent::launch("b").seeds([seed]).args(["--drill", "--clock-offset-ms", offset]).spawn();
        assert_eq!(second.exit_code(), 4, "{offset}");
        second.says("a node named \"b\" lives at");
        assert!(
            !second.printed(sessionmesh_testkit::child::Stream::Out).contains("\"ready\""),
            "it never served"
        );
        unharmed(&b, &a, &id);
    }
}

#[test]
fn a_restart_under_the_same_name_right_after_a_kill_is_not_refused() {
    let (a, mut b) = pair();
    let id = b.create(&json!({ "user": "ada" }));
    for _ in 0..3 {
        b.child.kill();
        b = Agent::launch("b").seeds([&a]).start();
        b.ready();
        unharmed(&b, &a, &id);
    }
}

#[test]
fn of_two_of_one_name_that_serve_one_stops() {
    let (a, mut b) = pair();
    // A process that stands still does not answer: its name is free.
    b.child.signal("STOP");
    let mut second = Agent::launch("b").seeds([&a]).start();
    second.ready();
    b.child.signal("CONT");
    assert_eq!(b.child.exit_code(), 4, "the older one");
    let id = second.create(&json!({ "user": "ada" }));
    eventually("the other goes on", || (second.read(&id).status == 200).then_some(()));
    unharmed(&second, &a, &id);
    second.child.signal("TERM");
    assert_eq!(second.child.exit_code(), 0);
}
