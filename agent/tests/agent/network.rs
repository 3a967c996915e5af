//! What an agent makes of a network that is not there yet, is gone for a while, or leads back to itself.

use std::net::UdpSocket;

use serde_json::json;

use sessionmesh_testkit::{Agent, Launch, eventually, ip};

const SECRET: &str = "0123456789abcdef0123456789abcdef-of-one-cluster";

/// A network namespace of its own, if this machine lets us have one.
struct Space(String);

impl Space {
    /// One with an address and a default route that lead nowhere else.
    fn new(tag: &str) -> Option<Self> {
        let this = Self(format!("sm{tag}{}", std::process::id()));
        let space = &this.0;
        let made = ip(&format!("netns add {space}"))
            .and_then(|()| ip(&format!("-n {space} link set lo up")))
            .and_then(|()| ip(&format!("-n {space} addr add 10.78.0.1/24 dev lo")))
            .and_then(|()| ip(&format!("-n {space} route add default dev lo src 10.78.0.1")));
        if let Err(why) = made {
            let required = std::env::var("SESSIONMESH_REQUIRE").is_ok_and(|r| r.contains("netns"));
            assert!(!required, "network namespaces are required here: {why}");
            println!("skipped: no network namespaces ({why})");
            return None;
        }
        Some(this)
    }

    fn route(&self, verb: &str) {
        ip(&format!("-n {} route {verb} default dev lo src 10.78.0.1", self.0))
            .unwrap_or_else(|e| panic!("{e}"));
    }

    fn launch(&self, node: &str, dir: &std::path::Path) -> Launch {
        let socket = format!("unix:{}", dir.join(node).display());
        let launch = Agent::launch(node).prefix(&["ip", "netns", "exec", &self.0]);
        launch
            .args(["--http", &socket, "--drill", "--set", "link_timeout_ms=500"])
            .env("SESSIONMESH_SECRET", SECRET)
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = ip(&format!("netns del {}", self.0));
    }
}

#[test]
fn a_start_without_a_route_exits_with_a_code_that_restarts() {
    let Some(space) = Space::new("s") else { return };
    let dir = tempfile::tempdir().unwrap();
    space.route("del");
    let mut early = space.launch("a", dir.path()).args(["--bind", "0.0.0.0:0"]).spawn();
    assert_eq!(early.exit_code(), 3);
    early.says("wait for the network");
    let unit = include_str!("../../../deploy/sessionmesh.service");
    let prevented = unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus="));
    assert_eq!(prevented, Some("2 4"), "3 is tried again");
}

/// A machine that wakes up has no route for a moment. The node knew its address before.
#[test]
fn a_new_life_without_a_route_keeps_its_address() {
    let Some(space) = Space::new("l") else { return };
    let dir = tempfile::tempdir().unwrap();
    let a = space.launch("a", dir.path()).args(["--bind", "10.78.0.1:7001"]).start();
    let b = space.launch("b", dir.path()).args(["--bind", "0.0.0.0:7002"]).seeds([&a]).start();
    b.ready();
    b.linked_to(&[&a]);
    let id = b.create(&json!({ "user": "ada" }));
    let (before, numbers) = (b.status()["origin"].clone(), b.status()["numbers"].clone());
    a.drill(&json!({ "cut": [["a", "b"], ["b", "a"]] }));
    let forgotten = || a.request("POST", "/v1/members/b/forget", &[], None).status == 200;
    eventually("b is out of reach, and forgotten", || forgotten().then_some(()));
    space.route("del");
    a.drill(&json!({ "heal_all": true }));
    b.linked_to(&[&a]);
    assert_ne!(b.status()["origin"], before, "it goes on under a new life");
    assert_eq!(b.read(&id).status, 200);
    for (name, held) in numbers.as_object().unwrap() {
        let now = &b.status()["numbers"][name];
        assert!(
            !name.ends_with("_total") || now.as_u64() >= held.as_u64(),
            "{name} fell from {held} to {now}"
        );
    }
}

#[test]
fn a_seed_of_the_other_family_is_told_at_once() {
    let agent = Agent::start("a", &["--bind", "127.0.0.1:0", "--seed", "[::1]:7946"]);
    agent.child.says("seed \"[::1]:7946\" does not resolve: it leads to IPv6 only");
    let told = agent.status()["unresolved_seeds"]["[::1]:7946"].clone();
    assert!(told.to_string().contains("bind [::]"), "{told}");
    let both = Agent::start("b", &["--bind", "127.0.0.1:0", "--seed", "[::1]:7946", "--seed", "127.0.0.1:9"]);
    assert_eq!(both.status()["unresolved_seeds"].as_object().map(serde_json::Map::len), Some(1));
}

#[test]
fn a_seed_that_is_oneself_is_nobody() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let agent = Agent::start("a", &["--bind", &free, "--seed", &free]);
    assert_eq!(agent.ready(), "no seeds: the first of its mesh");
}

/// Who reads a log reads names; what starts says which version and where; of a seed that does not resolve it is said once.
#[test]
fn logs_say_names_and_one_line_what_starts() {
    let a = Agent::start("a", &[]);
    a.ready();
    let b = Agent::launch("b").args(["--seed", "no-such-name.invalid:1"]).seeds([&a]).start();
    b.ready();
    b.linked_to(&[&a]);
    b.child.line("the warning", |_, line| {
        (line.contains("no-such-name.invalid") && line.contains("WARN")).then_some(())
    });
    let told = b.child.printed(sessionmesh_testkit::child::Stream::Err);
    let starts: Vec<&str> = told.lines().filter(|l| l.contains(env!("CARGO_PKG_VERSION"))).collect();
    assert!(matches!(starts[..], [line] if line.contains(&b.mesh) && line.contains(&a.mesh)), "{told}");
    let unresolved = told.lines().filter(|l| l.contains("no-such-name.invalid") && l.contains("WARN"));
    assert_eq!(unresolved.count(), 1, "{told}");
    let lives = [a.status()["origin"].clone(), b.status()["origin"].clone()];
    for life in lives {
        let short = &life.as_str().unwrap()[..8];
        assert!(!told.contains(short), "{short} in {told}");
    }
}
