//! `shrink`: a failing seed or scenario made small.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use sessionmesh_sim::scenario::{self, Scenario, to_toml};
use sessionmesh_sim::{mutants, shrink, swarm};

use super::Failure;

#[derive(clap::Args)]
pub(super) struct Args {
    /// A seed of the swarm, or a scenario file. With --mutant it may be left out: then the first seed that kills
    /// the mutant is shrunk.
    what: Option<String>,
    /// With this seeded bug switched on (see `mutants --list`).
    #[arg(long)]
    mutant: Option<String>,
    /// Give up after this many seconds, with the smallest found so far.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Where the shrunk scenario goes; beside the name of what was shrunk if absent.
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Most seeds tried to find one that kills the mutant.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
}

pub(super) fn main(args: &Args) -> Result<bool, Failure> {
    if args.mutant.is_some() && !mutants::BUILT_IN {
        return super::mutants::instrumented(&std::env::args().skip(1).collect::<Vec<_>>());
    }
    if !mutants::select(args.mutant.as_deref()) {
        return Err(format!("there is no mutant {:?}; `mutants --list` names them", args.mutant).into());
    }
    if args.mutant.is_some() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let scenario = chosen(args)?;
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {elapsed} {msg}")?);
    bar.enable_steady_tick(Duration::from_millis(100));
    let mut progress = |best: &Scenario, runs: u64| {
        bar.set_message(format!("{} steps, {} nodes after {runs} runs", best.step.len(), best.mesh.nodes));
    };
    let shrunk = shrink::shrink(&scenario, Duration::from_secs(args.seconds), &mut progress);
    bar.finish_and_clear();
    let Some(shrunk) = shrunk else {
        return Err(format!("{} does not fail: nothing to shrink", scenario.name).into());
    };
    let file = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.toml", shrunk.scenario.name)));
    std::fs::write(&file, to_toml(&shrunk.scenario)).map_err(|e| format!("{}: {e}", file.display()))?;
    super::out(&format!(
        "{} violates {}: {} steps became {}, {} nodes, in {} runs{}",
        scenario.name,
        shrunk.invariant,
        shrunk.steps.0,
        shrunk.steps.1,
        shrunk.scenario.mesh.nodes,
        shrunk.runs,
        if shrunk.cut_short { " (the time was up)" } else { "" }
    ));
    super::out(&shrunk.text);
    let mutant = args.mutant.as_ref().map_or(String::new(), |m| format!(" --mutant {m}"));
    super::out(&format!("reproduce: sessionmesh-sim run{mutant} {}", file.display()));
    Ok(true)
}

fn chosen(args: &Args) -> Result<Scenario, Failure> {
    match &args.what {
        Some(what) => match what.parse() {
            Ok(seed) => Ok(swarm::scenario(seed, None)),
            Err(_) => Ok(scenario::read(what.as_ref())?),
        },
        None if args.mutant.is_some() => {
            let campaign = swarm::Campaign {
                from: 0,
                seeds: args.seeds,
                jobs: super::cores(),
                nodes: None,
                stop_early: true,
            };
            let report = campaign.run(|_| {});
            let first = report
                .failed
                .first()
                .ok_or(format!("no seed below {} kills it: name a scenario", args.seeds))?;
            Ok(swarm::scenario(first.seed, None))
        }
        None => Err("a seed or a scenario file is needed".into()),
    }
}
