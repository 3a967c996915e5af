//! Pipes and files that an agent writes to, and that block, are rotated away, or go: none of that stops the node.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use sessionmesh_testkit::{Agent, Launch, eventually};

/// A pipe with a name, in a directory of its own.
fn fifo(dir: &Path) -> PathBuf {
    let path = dir.join("pipe");
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.is_ok_and(|made| made.success()), "mkfifo {}", path.display());
    path
}

/// Logs everything there is to say, which is more than any pipe holds.
fn talkative(launch: Launch) -> Launch {
    launch.env("SESSIONMESH_LOG", "trace")
}

/// The log of this agent is blocked: it does everything all the same, and ends when it is told to.
fn goes_on(mut silent: Agent) {
    let peer = Agent::launch("b").seeds([&silent]).start();
    peer.ready();
    silent.linked_to(&[&peer]);
    eventually("lines are lost", || {
        let id = silent.create(&json!({ "user": "ada" }));
        assert_eq!(silent.read(&id).status, 200);
        silent.status()["numbers"]["log_lines_lost_total"].as_u64().filter(|lost| *lost > 0)
    });
    assert_eq!(silent.request("GET", "/healthz", &[], None).status, 200);
    assert_eq!(silent.request("GET", "/readyz", &[], None).status, 200);
    let made = silent.create(&json!({ "user": "eve" }));
    eventually("its writes spread", || (peer.read(&made).status == 200).then_some(()));
    let numbers = peer.status()["numbers"].clone();
    assert_eq!((&numbers["deaths_total"], &numbers["suspicions_total"]), (&json!(0), &json!(0)));
    silent.child.signal("TERM");
    assert_eq!(silent.child.exit_code(), 0);
}

#[test]
fn a_stderr_that_nobody_reads_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = fifo(dir.path());
    // Opened for both ways, so that opening waits for no reader; there never is one.
    let script = format!("exec \"$@\" 2<>{}", pipe.display());
    let agent = talkative(Agent::launch("a")).prefix(&["sh", "-c", &script, "sh"]).start();
    agent.ready();
    goes_on(agent);
}

#[test]
fn a_log_file_on_a_disk_that_hangs_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = fifo(dir.path());
    let _nobody_reads = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let agent = talkative(Agent::launch("a")).args(["--log-file", pipe.to_str().unwrap()]).start();
    agent.ready();
    goes_on(agent);
}

#[test]
fn sighup_opens_a_rotated_log_again_and_kills_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (log, rotated) = (dir.path().join("log"), dir.path().join("log.1"));
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let mut agent = Agent::launch("a").args(["--log-file", log.to_str().unwrap()]).start();
    agent.ready();
    eventually("a start line", || read(&log).contains("sessionmesh").then_some(()));
    std::fs::rename(&log, &rotated).unwrap();
    agent.child.signal("HUP");
    eventually("the log goes on under its name", || read(&log).contains("SIGHUP").then_some(()));
    let id = agent.create(&json!({ "user": "ada" }));
    assert_eq!(agent.read(&id).status, 200);
    agent.end(&id);
    agent.child.signal("TERM");
    agent.child.exit_code();
    assert!(read(&log).contains("SIGTERM: finishing requests"), "the last lines too: {}", read(&log));

    let plain = Agent::start("b", &[]);
    plain.ready();
    plain.child.signal("HUP");
    plain.child.says("SIGHUP: a log file is opened again");
    assert_eq!(plain.request("GET", "/healthz", &[], None).status, 200);
}

#[test]
fn a_rotated_log_is_found_without_a_signal() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let agent = talkative(Agent::launch("a")).args(["--log-file", log.to_str().unwrap()]).start();
    agent.ready();
    std::fs::rename(&log, dir.path().join("log.1")).unwrap();
    eventually("the log goes on under its name", || {
        agent.request("GET", "/healthz", &[], None);
        std::fs::metadata(&log).ok().filter(|log| log.len() > 0)
    });
}
