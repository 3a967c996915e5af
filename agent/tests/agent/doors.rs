//! The doors of the API: pages in a browser, connections that only take room, files that others may change.

use std::io::{Read, Write};

use serde_json::json;

use sessionmesh_testkit::Agent;
use sessionmesh_testkit::http::{Answer, read_answer};

const TOKEN: &str = "0123456789abcdef-a-token";

/// Sends a request spelled out, but for its first line's version and the length of its body.
fn raw(agent: &Agent, line: &str, headers: &[&str], body: &str) -> Answer {
    let mut connection = agent.http.connect().unwrap();
    let length = format!("content-length: {}", body.len());
    let head = [&[&length as &str, "connection: close"], headers].concat().join("\r\n");
    connection.write_all(format!("{line} HTTP/1.1\r\n{head}\r\n\r\n{body}").as_bytes()).unwrap();
    read_answer(&mut connection).unwrap()
}

fn word(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["error"].as_str().unwrap_or_default())
}

#[test]
fn a_page_in_a_browser_ends_and_reads_nothing() {
    let agent = Agent::start("a", &[]);
    agent.ready();
    let (local, json) = ("host: localhost:8080", "content-type: application/json");
    let revoke = "POST /v1/principals/ada/revoke";
    // What a form can send: no body, and a body of a form's types.
    assert_eq!(word(&raw(&agent, revoke, &[local], "")), (415, "content_type"));
    for kind in ["content-type: text/plain", "content-type: application/x-www-form-urlencoded"] {
        assert_eq!(word(&raw(&agent, revoke, &[local, kind], "{}")), (415, "content_type"), "{kind}");
        assert_eq!(
            word(&raw(&agent, "POST /v1/members/b/forget", &[local, kind], "")),
            (415, "content_type")
        );
    }
    assert_eq!(raw(&agent, revoke, &[local, json], "").status, 200, "a program says that it is one");
    for foreign in [
        "sec-fetch-site: cross-site",
        "sec-fetch-site: same-site",
        "origin: https://evil.example",
        "origin: http://localhost:3000",
        "origin: null",
    ] {
        for line in [revoke, "GET /v1/status", "GET /v1/session", "DELETE /v1/session"] {
            assert_eq!(
                word(&raw(&agent, line, &[local, json, foreign], "")),
                (403, "foreign_page"),
                "{foreign}"
            );
        }
    }
    // A name of the page's own that resolves to 127.0.0.1.
    for host in ["host: rebound.example:8080", "host: 10.0.0.1", "host: localhost.example"] {
        for line in [revoke, "GET /v1/status", "GET /readyz"] {
            assert_eq!(word(&raw(&agent, line, &[host, json], "")), (421, "foreign_host"), "{host}");
        }
        assert_eq!(raw(&agent, "GET /healthz", &[host], "").status, 200, "probes come by any name");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let mut guarded = Agent::start("b", &["--token-file", file.to_str().unwrap()]);
    let bearer = format!("authorization: Bearer {TOKEN}");
    guarded.token = Some(TOKEN.into());
    guarded.ready();
    let by_name = raw(&guarded, "GET /v1/status", &["host: agents.internal", &bearer], "");
    assert_eq!(by_name.status, 200, "no page has the token");
}

#[test]
fn who_only_takes_room_makes_room() {
    // The mesh and the process itself need a few dozen files.
    let few = ["sh", "-c", "ulimit -n 96; exec \"$0\" \"$@\""];
    let agent = Agent::launch("a").prefix(&few).start();
    agent.ready();
    let idle: Vec<_> = (0..200).map(|_| agent.http.connect().unwrap()).collect();
    let made =
        agent.request("POST", "/v1/sessions", &[], Some(&json!({ "expiry": { "sliding_ms": 60_000 } })));
    assert_eq!(made.status, 201, "{made:?}");
    drop(idle);
}

#[test]
fn bodies_that_never_end_keep_out_no_ordinary_request() {
    let agent = Agent::start("a", &["--set", "http.max_body_bytes=33554432"]);
    agent.ready();
    let head = "POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 33000000\r\n\r\n";
    // Two of them fill what all bodies may hold; a third finds no room for the first of its own.
    let (most, more) = (vec![b' '; 32_000_000], vec![b' '; 6_000_000]);
    let third = || {
        let mut open: Vec<_> = (0..3).map(|_| agent.http.connect().unwrap()).collect();
        for (connection, body) in open.iter_mut().zip([&most, &most, &more]) {
            connection.write_all(head.as_bytes()).unwrap();
            // One that is refused while it writes may see its connection end.
            let _ = connection.write_all(body);
        }
        let expiry = json!({ "expiry": { "sliding_ms": 60_000 } });
        let small = agent.request("POST", "/v1/sessions", &[], Some(&expiry));
        assert_eq!(small.status, 201, "{small:?}");
        let mut said = [0; 12];
        open[2].read_exact(&mut said).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    };
    // On a machine so slow that the time of the first two is over meanwhile, there is room again.
    let said = (0..5).map(|_| third()).find(|said| said != "HTTP/1.1 408");
    assert_eq!(said.as_deref(), Some("HTTP/1.1 503"));
}

#[cfg(unix)]
#[test]
fn a_secret_that_anybody_can_change_or_guess_is_none() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    let with = |text: &str, mode: u32, flag: &str| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        Agent::launch("a").args([flag, file.to_str().unwrap()])
    };
    let secret = "fJ0q9cZkYp1m2xW8sV5tB7nL4hD6gR3e";
    for flag in ["--secret-file", "--token-file"] {
        let mut writable = with(secret, 0o666, flag).spawn();
        assert_eq!(writable.exit_code(), 2, "{flag}");
        writable.says("can be changed by others than its owner");
        assert_eq!(with(&"x".repeat(32), 0o600, flag).spawn().exit_code(), 2, "{flag}");
        drop(with(secret, 0o640, flag).start());
    }
    with(secret, 0o644, "--secret-file").start().child.says("can be read by every user of this machine");
    let words = "correct horse battery staple, and then some";
    with(words, 0o600, "--secret-file").start().child.says("a secret that reads like words can be guessed");
    let open = Agent::start("b", &[]);
    open.child.says("no secret is set: any process on this machine");
}
