//! How an agent ends: signals, its parent's death, ports that are taken.

use std::io::Write;
use std::net::{TcpListener, UdpSocket};

use serde_json::json;

use sessionmesh_testkit::http::{read_answer, spell};
use sessionmesh_testkit::{Agent, CEILING};

/// A request of which all but the last bytes have been sent, and those.
fn half_a_request(agent: &Agent) -> (sessionmesh_testkit::http::Connection, Vec<u8>) {
    let body = json!({ "expiry": { "sliding_ms": 60000 }, "fields": { "n": 1 } }).to_string();
    let bytes = spell("POST", "/v1/sessions", &[("content-type", "application/json")], body.as_bytes());
    let (first, rest) = bytes.split_at(bytes.len() - 5);
    let mut connection = agent.http.connect().unwrap();
    connection.write_all(first).unwrap();
    // Answered by the same thread of the server or a later one: the half request is being read by now or soon.
    assert_eq!(agent.request("GET", "/healthz", &[], None).status, 200);
    (connection, rest.to_vec())
}

#[test]
fn a_request_under_way_is_finished_first() {
    let mut agent = Agent::start("a", &[]);
    agent.ready();
    let (mut connection, rest) = half_a_request(&agent);
    agent.child.signal("TERM");
    agent.child.says("SIGTERM: finishing requests");
    connection.write_all(&rest).unwrap();
    assert_eq!(read_answer(&mut connection).unwrap().status, 201);
    assert_eq!(agent.child.exit_code(), 5, "nobody else has that session");
}

#[test]
fn a_second_signal_does_not_wait() {
    let mut agent = Agent::start("a", &[]);
    agent.ready();
    let _under_way = half_a_request(&agent);
    agent.child.signal("INT");
    agent.child.says("SIGINT: finishing requests");
    agent.child.signal("INT");
    assert_eq!(agent.child.exit_code(), 5);
    agent.child.says("a second signal (SIGINT)");
}

#[test]
fn a_request_that_never_ends_is_cut_off() {
    let mut agent = Agent::start("a", &[]);
    agent.ready();
    let _under_way = half_a_request(&agent);
    agent.child.signal("TERM");
    assert_eq!(agent.child.exit_code(), 0);
    agent.child.says("1 requests were still under way after 5s and are cut off");
}

#[test]
fn an_agent_ends_with_its_parents_pipe() {
    let mut agent = Agent::start("a", &[]);
    agent.child.close_stdin();
    assert_eq!(agent.child.exit_code(), 0);
}

#[test]
fn a_port_in_use_is_named_and_exits_3() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = tcp.local_addr().unwrap().to_string();
    let mut agent = Agent::launch("a").args(["--http", &addr]).spawn();
    assert_eq!(agent.exit_code(), 3);
    agent.says(&format!("TCP port of {addr} is already in use"));
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = udp.local_addr().unwrap().to_string();
    let mut agent = Agent::launch("a").args(["--bind", &addr]).spawn();
    assert_eq!(agent.exit_code(), 3);
    agent.says(&format!("UDP port of {addr} is already in use"));
    let mut elsewhere = Agent::launch("a").args(["--http", "unix:/no/such/directory/api.sock"]).spawn();
    assert_eq!(elsewhere.exit_code(), 3);
    elsewhere.says("cannot bind unix:/no/such/directory/api.sock");
}

#[test]
fn a_full_disk_under_the_log_costs_log_lines_only() {
    let agent = Agent::start("a", &["--log-file", "/dev/full"]);
    agent.ready();
    agent.child.says("log file /dev/full: No space left on device");
    let id = agent.create(&json!({ "user": "ada" }));
    assert_eq!(agent.read(&id).status, 200);
    let told = agent.child.printed(sessionmesh_testkit::child::Stream::Err);
    assert_eq!(told.lines().count(), 1, "told once: {told}");

    let wrapped = ["sh", "-c", "exec \"$@\" 2>/dev/full", "sh"];
    let mut silent = Agent::launch("b").prefix(&wrapped).env("SESSIONMESH_LOG", "trace").start();
    silent.ready();
    assert_eq!(silent.read(&id).status, 404, "{CEILING:?} of nothing would be a panic while logging");
    silent.child.signal("TERM");
    assert_eq!(silent.child.exit_code(), 0);
}

#[test]
fn a_trace_on_a_full_disk_costs_the_trace_only() {
    let agent = Agent::start("a", &["--trace", "/dev/full"]);
    agent.ready();
    agent.child.says("the trace stops: No space left on device");
    agent.create(&json!({ "user": "ada" }));
}

#[test]
fn a_trace_is_json_and_gives_away_no_session() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trace");
    let seed = Agent::start("seed", &[]);
    let args = ["--trace", file.to_str().unwrap()];
    let mut agent = Agent::launch("b").args(args).seeds([&seed]).start();
    agent.ready();
    let id = seed.create(&json!({ "odd \u{1b} \"key\"": "a value nobody shall see" }));
    agent.read(&id);
    seed.end(&id);
    agent.child.signal("TERM");
    assert_eq!(agent.child.exit_code(), 0);
    let text = std::fs::read_to_string(&file).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "its owner's alone");
    assert!(!text.contains(&id) && !text.contains("a value nobody"), "{text}");
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect();
    assert_eq!(lines[0], json!({ "trace": 1, "node": "b" }));
    let kinds: Vec<_> = lines.iter().filter_map(|l| l["in"].as_str().or(l["out"].as_str())).collect();
    for kind in ["link_up", "frame", "send", "serving"] {
        assert!(kinds.contains(&kind), "{kind}: {text}");
    }
}
