//! `swarm`: random scenarios.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sessionmesh::core::marks::Mark;
use sessionmesh_sim::run::{Options, Outcome, mark_names, run};
use sessionmesh_sim::scenario::to_toml;
use sessionmesh_sim::swarm::{Campaign, Report, median, scenario};

use super::{Failure, out};

/// How often a run without a terminal says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub(super) struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..1 << 62))]
    from: u64,
    /// Threads. Results do not depend on their number.
    #[arg(long, default_value_t = super::cores())]
    jobs: usize,
    /// Nodes of every seed; drawn if absent.
    #[arg(long, value_parser = super::node_count)]
    nodes: Option<usize>,
    /// Write a trace of each failing seed into this folder, for `view`; of a single seed in any case.
    #[arg(long, value_name = "DIR")]
    trace: Option<PathBuf>,
    /// Print each seed's whole choice, expanded to single steps, as a scenario file; the report goes to the error
    /// output then.
    #[arg(long)]
    show: bool,
    /// Name every mark that was not hit.
    #[arg(long)]
    marks: bool,
    /// Print the whole table of invariants by faults.
    #[arg(long)]
    matrix: bool,
    /// Print the hash of each seed's run and nothing else: for comparing builds and machines.
    #[arg(long)]
    hashes: bool,
}

pub(super) fn main(args: &Args) -> Result<bool, Failure> {
    let say = |line: &str| if args.show { eprintln!("{line}") } else { out(line) };
    if args.show {
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
    let (mut failed, mut told) = (0, Instant::now());
    let report = campaign.run(|outcome| {
        bar.inc(1);
        if !outcome.passed() {
            failed += 1;
            bar.set_message(format!("{failed} failed"));
        }
        // Without a terminal nobody sees the bar. A run of hours that is ended early has said what it found.
        let found = outcome.violations.first().filter(|_| bar.is_hidden());
        found.into_iter().for_each(|first| eprintln!("seed {} FAILED: {first}", outcome.seed));
        if bar.is_hidden() && told.elapsed() > TELL_EVERY {
            eprintln!("{} of {} seeds, {failed} failed", bar.position(), args.seeds);
            told = Instant::now();
        }
    });
    bar.finish_and_clear();
    if args.hashes {
        report.hashes.iter().for_each(|(seed, hash)| out(&format!("{seed} {hash}")));
        return Ok(report.failed.is_empty());
    }
    report.failed.iter().for_each(|outcome| print_failed(args, outcome, &say));
    if let Some(folder) = &args.trace {
        traces(folder, args, &report)?;
    }
    print_report(args, &report, &say);
    Ok(report.failed.is_empty())
}

fn print_failed(args: &Args, outcome: &Outcome, say: &dyn Fn(&str)) {
    say(&format!("seed {} FAILED ({})", outcome.seed, outcome.hash));
    for violation in outcome.violations.iter().take(5) {
        say(&format!("     {violation}"));
    }
    let nodes = args.nodes.map_or(String::new(), |n| format!(" --nodes {n}"));
    let seed = outcome.seed;
    say(&format!("     again: sessionmesh-sim swarm --from {seed} --seeds 1{nodes}"));
    say(&format!("     small: sessionmesh-sim shrink {seed}{nodes}"));
}

fn traces(folder: &Path, args: &Args, report: &Report) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let failed = report.failed.iter().map(|outcome| outcome.seed);
    let wanted: Vec<u64> = if args.seeds == 1 { vec![args.from] } else { failed.collect() };
    for seed in wanted {
        let traced = run(&scenario(seed, args.nodes), Options { trace: true, ..Options::default() });
        let file = folder.join(format!("seed-{seed}.jsonl"));
        std::fs::write(&file, traced.trace.join("\n") + "\n")
            .map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(())
}

fn print_report(args: &Args, report: &Report, say: &dyn Fn(&str)) {
    if args.matrix {
        matrix(report);
    }
    let least = |numbers: &[u64]| numbers.iter().min().copied().unwrap_or(0);
    say(&format!(
        "each seed: {} client operations in the median (least {}), {} faults (least {}), equal {} ms after the heal",
        median(&report.ops),
        least(&report.ops),
        median(&report.faults),
        least(&report.faults),
        median(&report.converged_ms)
    ));
    let (rarest, never) = report.rarest();
    if let Some(((invariant, fault), count)) = rarest {
        say(&format!("rarest pair exercised: {invariant} under {fault}, {count} times"));
    }
    let kinds = Report::faults().len() * Report::invariants().len();
    say(&format!(
        "{} of {kinds} pairs of invariant and fault exercised{}",
        kinds - never.len(),
        some(&never)
    ));
    let hit = mark_names(report.marks);
    let unhit: Vec<&str> = Mark::ALL.iter().map(|m| m.name()).filter(|m| !hit.contains(m)).collect();
    let list = match unhit.len() {
        0 => String::new(),
        _ if args.marks => format!("; never: {}", unhit.join(" ")),
        n => format!("; {n} never (--marks names them; scenarios reach rarer ones)"),
    };
    say(&format!("{} of {} marks hit{list}", hit.len(), Mark::ALL.len()));
    say(&format!(
        "{} seeds in {:.1} s: {:.1} seeds/s, {:.2} M events/s, {:.0} x real time",
        report.seeds,
        report.seconds,
        report.seeds as f64 / report.seconds,
        report.handled as f64 / report.seconds / 1e6,
        report.virtual_ms as f64 / 1e3 / report.seconds
    ));
    say(&format!("{} passed, {} failed", report.seeds - report.failed.len() as u64, report.failed.len()));
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
    let heads: Vec<&str> = Report::faults().iter().map(|k| k.name()).collect();
    out(&format!("{:<28} {}", "", heads.iter().map(|h| format!("{h:>12}")).collect::<String>()));
    for (invariant, counts) in Report::invariants().iter().zip(&report.exercised.0) {
        out(&format!("{invariant:<28} {}", counts.iter().map(|n| format!("{n:>12}")).collect::<String>()));
    }
}
