//! The demo as a person runs it: the whole binary, its real processes, its real sockets.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SESSIONMESH: &str = env!("CARGO_BIN_EXE_sessionmesh");
/// No wait is longer: each ends within a second, or something is broken.
const CEILING: Duration = Duration::from_secs(60);

/// Kills the demo even if an assertion fails.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // An error means it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Process ids of the demo's nodes.
fn nodes_of(parent: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let from_main = list.unwrap_or_default();
    // A child belongs to the thread that started it.
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let mut nodes: Vec<u32> = lists
        .chain([from_main])
        .flat_map(|l| l.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<_>>())
        .collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

/// Whether the process runs. One that nobody has waited for yet runs no more.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn start_live() -> (Demo, Vec<u32>) {
    let mut demo = Command::new(SESSIONMESH);
    demo.args(["demo", "--nodes", "2"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut demo = Demo(demo.spawn().unwrap());
    let lines = BufReader::new(demo.0.stdout.take().unwrap()).lines();
    // The first line about the mesh comes when everything serves and the first kill is over.
    let seen: Vec<String> =
        lines.map_while(Result::ok).take_while(|line| !line.starts_with("a ready")).collect();
    assert!(seen.iter().any(|line| line.contains("still logged in on node b")), "{seen:#?}");
    let nodes = nodes_of(demo.0.id());
    assert_eq!(nodes.len(), 2, "two nodes of {}", demo.0.id());
    (demo, nodes)
}

fn until_none_runs(nodes: &[u32]) {
    let begun = Instant::now();
    while nodes.iter().any(|pid| runs(*pid)) {
        assert!(begun.elapsed() < CEILING, "orphans: {nodes:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_check_finds_every_promise_kept() {
    let output = Command::new(SESSIONMESH).args(["demo", "--check", "--quick"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{log}");
    assert!(text.contains("6 passed, 0 failed"), "{text}");
}

#[test]
fn no_node_outlives_a_demo_that_is_killed() {
    let (mut demo, nodes) = start_live();
    demo.0.kill().unwrap();
    demo.0.wait().unwrap();
    until_none_runs(&nodes);
}

#[test]
fn no_node_outlives_a_demo_that_is_told_to_end() {
    let (mut demo, nodes) = start_live();
    let told = Command::new("kill").args(["-TERM", &demo.0.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert!(demo.0.wait().unwrap().success(), "the end that was asked for is no error");
    assert!(nodes.iter().all(|pid| !runs(*pid)), "it waits for its nodes");
}
