//! The comparison of failure detectors: its figures are the same for the same seed, and right where they are known
//! beforehand.

use std::process::Command;

use serde_json::Value;
use sessionmesh_sim::compare::arena::Arena;
use sessionmesh_sim::compare::network::Weather;
use sessionmesh_sim::compare::{Effort, Kind, Plan, stats};

const SMALL: Effort = Effort { kills: 2, node_hours: 0.5, heals: 1, freezes: 1 };

fn plan(systems: &[Kind], sizes: &[usize]) -> Plan {
    Plan {
        systems: systems.to_vec(),
        sizes: sizes.to_vec(),
        losses: vec![0, 20],
        traffic_sizes: Vec::new(),
        seed: 1,
        warm_up_ms: 5_000,
        traffic_ms: 5_000,
        effort: SMALL,
        chitchat_effort: Effort { node_hours: 0.02, ..SMALL },
    }
}

#[test]
fn figures_are_those_of_the_seed_whatever_the_threads() {
    let plan = plan(&[Kind::Ours, Kind::Foca], &[8]);
    let figures = plan.run(1, |_| {}).json();
    assert_eq!(plan.run(2, |_| {}).json(), figures);
    let other = Plan { seed: 2, ..plan };
    assert_ne!(other.run(2, |_| {}).json()["cells"], figures["cells"]);
}

#[test]
#[cfg(target_os = "linux")]
fn chitchat_is_repeatable_too() {
    let plan = Plan { losses: vec![20], ..plan(&[Kind::Chitchat], &[4]) };
    let figures = plan.run(1, |_| {}).json();
    assert_eq!(plan.run(2, |_| {}).json(), figures);
    let dead = &figures["cells"][0]["deaths"]["dead_at_all"];
    assert!(dead["samples"] == 2 && dead["never"] == 0, "{figures}");
    assert!(figures["cells"][0]["deaths"]["first_suspicion"].is_null());
}

/// With `Config::new_lan` foca probes once a second, in rounds of all members; a probe lasts a second, a suspicion of up
/// to ten members exactly four.
#[test]
fn foca_keeps_its_documented_times_without_loss() {
    for seed in 0..10 {
        let mut arena = Arena::new(Kind::Foca, 8, Weather::lan(0), seed);
        arena.run(10_000 + 137 * seed);
        assert!(arena.view.is_complete());
        let killed_ms = arena.now_ms;
        arena.kill(3);
        assert!(arena.run_until(60_000, |view| view.seen(3).all_dead_ms.is_some()));
        let seen = arena.view.seen(3);
        let (suspect_ms, dead_ms) = (seen.suspect_ms.unwrap(), seen.dead_ms.unwrap());
        // Begun at the end of the round after the next at the latest, as seven others shuffle.
        assert!((1..=15_000).contains(&(suspect_ms - killed_ms)), "{seen:?} after {killed_ms}");
        assert_eq!(dead_ms - suspect_ms, 4_000, "{seen:?}");
    }
}

#[test]
fn bytes_without_loss_are_a_ping_and_an_ack_a_second() {
    let report = plan(&[Kind::Foca], &[8]).run(1, |_| {});
    let usage = report.cells[0].usage.as_ref().unwrap();
    // Also an announcement every 30 s, and its answer.
    assert!((1.9..=2.1).contains(&usage.packets()), "{}", usage.packets());
    assert!((20..=40).contains(&usage.traffic.median_bytes()), "{}", usage.traffic.median_bytes());
}

#[test]
fn node_hours_and_their_bound_are_told() {
    let report = plan(&[Kind::Ours], &[8]).run(2, |_| {}).json();
    let deaths = &report["cells"][0]["false_deaths"];
    assert_eq!(deaths["counts"]["episodes"], 0);
    assert!((deaths["counts"]["node_hours"].as_f64().unwrap() - 0.5).abs() < 1e-3);
    let bound = deaths["upper_95_per_node_hour"].as_f64().unwrap();
    assert!((bound - stats::poisson_upper_95(0) / 0.5).abs() < 0.01, "{bound}");
}

fn simulator(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sessionmesh-sim")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_prints_tables_and_writes_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (json, markdown) = (file("table.json"), file("table.md"));
    let quick = ["compare-membership", "--quick", "--system", "foca", "--n", "8"];
    let files = ["--hours", "0.5", "--kills", "2", "--json", &json, "--markdown", &markdown];
    let (code, text, errors) = simulator(&[&quick[..], &files[..]].concat());
    assert_eq!(code, Some(0), "{errors}");
    for part in ["Deaths: ", "False deaths: ", "Traffic: ", "Splits ", "Goals ", "2 cells in "] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let figures: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(figures["cells"].as_array().map(Vec::len), Some(2));
    let markdown = std::fs::read_to_string(&markdown).unwrap();
    assert!(markdown.contains("| foca | 8 | 20 % |"), "{markdown}");
}

#[test]
fn what_is_not_run_is_said_and_what_is_unknown_refused() {
    let (code, text, _) =
        simulator(&["compare-membership", "--quick", "--system", "chitchat", "--n", "65", "--loss", "0"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("not run: N > 64"), "{text}");
    let (code, _, errors) = simulator(&["compare-membership", "--system", "serf"]);
    assert!(
        code == Some(2) && errors.contains("no system is called \"serf\": ours, foca, chitchat"),
        "{errors}"
    );
}
