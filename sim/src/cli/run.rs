//! `run`: scenario files.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sessionmesh_sim::mutants;
use sessionmesh_sim::run::{Options, run, run_full};
use sessionmesh_sim::scenario::{self, Scenario};

use super::Failure;
use super::out::Out;
use super::report::{self, Done};

/// A run shorter than this shows no bar.
const BAR_AFTER: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(super) struct Args {
    /// Scenario files, or folders of them (folders within are left out).
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Run under this seed instead of the file's.
    #[arg(long)]
    seed: Option<u64>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Print one JSON object with everything; progress goes to the error output.
    #[arg(long)]
    json: bool,
    /// Write a JUnit file for a build server.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// With this seeded bug switched on (see `mutants --list`).
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    /// Run the product's discovery with the real chitchat instead of the board's model: slower, Linux only.
    #[arg(long)]
    full: bool,
    /// Write a trace of each run into this folder, for `view`.
    #[arg(long, value_name = "DIR")]
    trace: Option<PathBuf>,
}

/// The scenario files of a folder, sorted; or the one file.
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
    if files.is_empty() {
        return Err(format!("{}: no scenario (*.toml) in this folder", path.display()).into());
    }
    Ok(files)
}

/// Every scenario that was asked for; the first that is refused ends it.
fn scenarios(args: &Args) -> Result<Vec<Scenario>, Failure> {
    let mut scenarios = Vec::new();
    for path in &args.paths {
        for file in files(path)? {
            let mut scenario = scenario::read(&file)?;
            scenario.seed = args.seed.unwrap_or(scenario.seed);
            scenarios.push(scenario);
        }
    }
    Ok(scenarios)
}

pub(super) fn main(args: &Args) -> Result<bool, Failure> {
    if args.mutant.is_some() && !mutants::BUILT_IN {
        return super::mutants::instrumented(&std::env::args().skip(1).collect::<Vec<_>>());
    }
    if !mutants::select(args.mutant.as_deref()) {
        return Err(format!("there is no mutant {:?}; `mutants --list` names them", args.mutant).into());
    }
    let scenarios = scenarios(args)?;
    if let Some(folder) = &args.trace {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let bar = ProgressBar::with_draw_target(Some(scenarios.len() as u64), ProgressDrawTarget::hidden());
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    let mut out = Out::new();
    let done = all(args, &scenarios, &bar, &mut out)?;
    bar.finish_and_clear();
    if let Some(file) = &args.junit {
        std::fs::write(file, report::junit(&done)).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    let passed = done.iter().filter(|d| d.outcome.passed()).count();
    if args.json {
        out.line(&report::json(&done))?;
    }
    say(args, &mut out, &format!("{passed} passed, {} failed", done.len() - passed))?;
    Ok(passed == done.len())
}

/// A line for people: among the results, or beside them if those are for a machine.
fn say(args: &Args, out: &mut Out, text: &str) -> Result<(), Failure> {
    if args.json {
        eprintln!("{text}");
        return Ok(());
    }
    Ok(out.line(text)?)
}

/// Runs them all and tells of each in the order of the files.
fn all(args: &Args, scenarios: &[Scenario], bar: &ProgressBar, out: &mut Out) -> Result<Vec<Done>, Failure> {
    let (next, begun) = (AtomicUsize::new(0), Instant::now());
    let (sender, results) = mpsc::channel();
    let mut done = Vec::with_capacity(scenarios.len());
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.clamp(1, scenarios.len().max(1)) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = scenarios.get(nth) else { return };
                    let begun = Instant::now();
                    let trace = args.trace.is_some();
                    let outcome = if args.full {
                        run_full(one, trace)
                    } else {
                        run(one, Options { trace, ..Options::default() })
                    };
                    // If nobody listens any more, writing a trace has failed.
                    if sender.send((nth, Done { outcome, took_ms: begun.elapsed().as_millis() })).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early: BTreeMap<usize, Done> = BTreeMap::new();
        for (nth, one) in results {
            if bar.is_hidden() && begun.elapsed() > BAR_AFTER && std::io::stderr().is_terminal() {
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            bar.inc(1);
            early.insert(nth, one);
            while let Some(mut one) = early.remove(&done.len()) {
                bar.set_message(one.outcome.name.clone());
                write_trace(args, &mut one)?;
                bar.suspend(|| tell(args, out, &one))?;
                done.push(one);
            }
        }
        Ok(done)
    })
}

fn write_trace(args: &Args, done: &mut Done) -> Result<(), Failure> {
    let Some(folder) = &args.trace else { return Ok(()) };
    let file = folder.join(format!("{}.jsonl", done.outcome.name));
    let trace = std::mem::take(&mut done.outcome.trace).join("\n");
    std::fs::write(&file, trace).map_err(|e| format!("{}: {e}", file.display()).into())
}

fn tell(args: &Args, out: &mut Out, done: &Done) -> Result<(), Failure> {
    let outcome = &done.outcome;
    let word = if outcome.passed() { "ok  " } else { "FAIL" };
    let equal =
        outcome.converged_ms.map_or("never equal".into(), |ms| format!("equal {ms} ms after the heal"));
    let (t, took_ms) = (&outcome.totals, done.took_ms);
    let text = format!(
        "{word} {:<34} {} ops, {} faults, {equal}, {} in {took_ms} ms",
        outcome.name, t.ops, t.faults, outcome.hash
    );
    say(args, out, &text)?;
    outcome.violations.iter().try_for_each(|v| say(args, out, &format!("     {}", report::line(v))))
}
