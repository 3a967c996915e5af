//! The dashboard where an agent serves it.

use std::io::Read;

use sessionmesh_testkit::Agent;

const TOKEN: &str = "a-token-of-at-least-16";

fn status(agent: &Agent, path: &str, headers: &[(&str, &str)]) -> u16 {
    // The page is no JSON: only the head counts.
    let mut connection = agent.http.connect().unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("GET {path} HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
    std::io::Write::write_all(&mut connection, request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    let head = String::from_utf8_lossy(&answer);
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn without_a_token_it_is_for_this_machine_by_a_loopback_name() {
    let agent = Agent::start("a", &[]);
    agent.ready();
    let (here, elsewhere) = ([("host", "localhost:8080")], [("host", "rebound.example")]);
    for path in ["/dashboard/", "/dashboard/index.html", "/dashboard/api/v1/mesh", "/metrics"] {
        assert_eq!(status(&agent, path, &here), 200, "{path}");
        assert_eq!(status(&agent, path, &elsewhere), 421, "{path}");
    }
}

#[test]
fn with_a_token_it_asks_for_it_and_a_unix_socket_needs_none() {
    let agent = Agent::launch("a").env("SESSIONMESH_HTTP_TOKEN", TOKEN).start();
    let (bearer, host) = (format!("Bearer {TOKEN}"), ("host", "any.example"));
    for path in ["/dashboard/", "/dashboard/api/v1/mesh", "/metrics"] {
        assert_eq!(status(&agent, path, &[host]), 401, "{path}");
        assert_eq!(status(&agent, path, &[host, ("authorization", &bearer)]), 200, "{path}");
    }
    let dir = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", dir.path().join("api.sock").display());
    let local = Agent::start("b", &["--http", &listen]);
    assert_eq!(status(&local, "/metrics", &[("host", "any")]), 200);
}

#[test]
fn it_can_be_switched_off() {
    let agent = Agent::start("a", &["--set", "http.dashboard=false"]);
    for path in ["/dashboard/", "/metrics"] {
        assert_eq!(status(&agent, path, &[("host", "localhost")]), 404, "{path}");
    }
}
