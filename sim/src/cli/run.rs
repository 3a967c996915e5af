//! `run`: scenario files.

use std::path::{Path, PathBuf};

use sessionmesh_sim::run::{Options, Outcome, run};
use sessionmesh_sim::scenario::{self, Scenario};

use super::Failure;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Scenario files, or folders of them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Run under this seed instead of the file's.
    #[arg(long)]
    seed: Option<u64>,
    /// Write a trace of each run into this folder, for `view`.
    #[arg(long)]
    trace: Option<PathBuf>,
}

/// Every scenario at or below a path, sorted.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

pub(super) fn main(args: &Args) -> Result<bool, Failure> {
    let mut scenarios = Vec::new();
    for path in &args.paths {
        for file in files(path)? {
            scenarios.push(scenario::read(&file)?);
        }
    }
    let mut passed = 0;
    for scenario in &mut scenarios {
        if let Some(seed) = args.seed {
            scenario.seed = seed;
        }
        let begun = std::time::Instant::now();
        let outcome = run(scenario, Options { trace: args.trace.is_some(), ..Options::default() });
        print_outcome(scenario, &outcome, begun.elapsed().as_millis());
        if let Some(folder) = &args.trace {
            std::fs::create_dir_all(folder)?;
            std::fs::write(folder.join(format!("{}.jsonl", scenario.name)), outcome.trace.join("\n"))?;
        }
        passed += usize::from(outcome.passed());
    }
    println!("{passed} passed, {} failed", scenarios.len() - passed);
    Ok(passed == scenarios.len())
}

fn print_outcome(scenario: &Scenario, outcome: &Outcome, took_ms: u128) {
    let word = if outcome.passed() { "ok  " } else { "FAIL" };
    let equal = outcome.converged_ms.map_or("never equal".into(), |ms| format!("equal {ms} ms after the heal"));
    let t = &outcome.totals;
    println!(
        "{word} {:<34} {} ops, {} faults, {equal}, {} in {took_ms} ms",
        scenario.name, t.ops, t.faults, outcome.hash
    );
    for violation in &outcome.violations {
        let node = violation.node.map_or(String::new(), |n| format!(" n{n}"));
        let session = violation.session.map_or(String::new(), |s| format!(" session {s}"));
        println!("     {} ms{node}{session}: {}: {}", violation.at_ms, violation.invariant, violation.text);
    }
}
