//! `swarm`: random scenarios.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use sessionmesh::core::marks::Mark;
use sessionmesh_sim::invariant::names;
use sessionmesh_sim::run::{FaultKind, Options, Outcome, mark_names, run};
use sessionmesh_sim::scenario::to_toml;
use sessionmesh_sim::swarm::{Campaign, Report, median, scenario};

use super::{Failure, out};

#[derive(clap::Args)]
pub(super) struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Threads. Results do not depend on their number.
    #[arg(long, default_value_t = super::cores())]
    jobs: usize,
    /// Nodes of every seed; drawn if absent.
    #[arg(long)]
    nodes: Option<usize>,
    /// Write a trace of each failing seed into this folder, for `view`.
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Print each seed's whole choice, expanded to single steps, as a scenario file. A single seed's is always
    /// printed.
    #[arg(long)]
    show: bool,
    /// Print the whole table of invariants by faults.
    #[arg(long)]
    matrix: bool,
    /// Print the hash of each seed's run and nothing else: for comparing builds and machines.
    #[arg(long)]
    hashes: bool,
}

pub(super) fn main(args: &Args) -> Result<bool, Failure> {
    if args.seeds == 0 || args.nodes.is_some_and(|n| !(1..=64).contains(&n)) {
        return Err("at least one seed, and 1 to 64 nodes".into());
    }
    if args.show || args.seeds == 1 && !args.hashes {
        for seed in args.from..args.from + args.seeds {
            out(&to_toml(&scenario(seed, args.nodes).expanded()));
        }
    }
    let campaign = Campaign {
        from: args.from,
        seeds: args.seeds,
        jobs: args.jobs,
        nodes: args.nodes,
        stop_early: false,
    };
    let bar = ProgressBar::new(args.seeds);
    let style = "{bar:32} {pos}/{len} seeds, {per_sec}, {eta} left {msg}";
    bar.set_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut failed = 0;
    let report = campaign.run(|outcome| {
        bar.inc(1);
        if !outcome.passed() {
            failed += 1;
            bar.set_message(format!("{failed} failed"));
        }
    });
    bar.finish_and_clear();
    if args.hashes {
        report.hashes.iter().for_each(|(seed, hash)| out(&format!("{seed} {hash}")));
        return Ok(report.failed.is_empty());
    }
    report.failed.iter().for_each(print_failed);
    if let Some(folder) = &args.trace {
        traces(folder, args, &report)?;
    }
    print_report(args, &report);
    Ok(report.failed.is_empty())
}

fn print_failed(outcome: &Outcome) {
    out(&format!("seed {} FAILED ({})", outcome.seed, outcome.hash));
    for violation in outcome.violations.iter().take(5) {
        out(&format!("     {violation}"));
    }
    let seed = outcome.seed;
    out(&format!(
        "     again: sessionmesh-sim swarm --from {seed} --seeds 1    small: sessionmesh-sim shrink {seed}"
    ));
}

fn traces(folder: &Path, args: &Args, report: &Report) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for outcome in &report.failed {
        let traced = run(&scenario(outcome.seed, args.nodes), Options { trace: true, ..Options::default() });
        let file = folder.join(format!("seed-{}.jsonl", outcome.seed));
        std::fs::write(&file, traced.trace.join("\n")).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(())
}

fn print_report(args: &Args, report: &Report) {
    if args.matrix {
        matrix(report);
    }
    let least = |numbers: &[u64]| numbers.iter().min().copied().unwrap_or(0);
    out(&format!(
        "each seed: {} client operations in the median (least {}), {} faults (least {}), equal {} ms after the heal",
        median(&report.ops),
        least(&report.ops),
        median(&report.faults),
        least(&report.faults),
        median(&report.converged_ms)
    ));
    let (rarest, never) = report.rarest();
    if let Some(((invariant, fault), count)) = rarest {
        out(&format!("rarest pair exercised: {invariant} under {fault}, {count} times"));
    }
    let kinds = FaultKind::ALL.len() * names().len();
    out(&format!(
        "{} of {kinds} pairs of invariant and fault exercised{}",
        kinds - never.len(),
        some(&never)
    ));
    let hit = mark_names(report.marks);
    let unhit: Vec<&str> = Mark::ALL.iter().map(|m| m.name()).filter(|m| !hit.contains(m)).collect();
    let list = if unhit.is_empty() { String::new() } else { format!("; never: {}", unhit.join(" ")) };
    out(&format!("{} of {} marks hit{list}", hit.len(), Mark::ALL.len()));
    out(&format!(
        "{} seeds in {:.1} s: {:.1} seeds/s, {:.2} M events/s, {:.0} x real time",
        report.seeds,
        report.seconds,
        report.seeds as f64 / report.seconds,
        report.handled as f64 / report.seconds / 1e6,
        report.virtual_ms as f64 / 1e3 / report.seconds
    ));
    out(&format!("{} passed, {} failed", report.seeds - report.failed.len() as u64, report.failed.len()));
}

fn some(never: &[(&str, &str)]) -> String {
    let named: Vec<String> = never.iter().take(6).map(|(i, f)| format!("{i}/{f}")).collect();
    match never.len() {
        0 => String::new(),
        n if n > 6 => format!("; never (of {n}): {} …", named.join(" ")),
        _ => format!("; never: {}", named.join(" ")),
    }
}

fn matrix(report: &Report) {
    let heads: Vec<&str> = FaultKind::ALL.iter().map(|k| k.name()).collect();
    out(&format!("{:<28} {}", "", heads.iter().map(|h| format!("{h:>11}")).collect::<String>()));
    for (invariant, counts) in names().iter().zip(&report.exercised.0) {
        out(&format!("{invariant:<28} {}", counts.iter().map(|n| format!("{n:>11}")).collect::<String>()));
    }
}
