//! `swarm`: random scenarios.

use sessionmesh_sim::swarm::{Campaign, median};

use super::Failure;

#[derive(clap::Args)]
pub(super) struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Nodes of every seed; drawn if absent.
    #[arg(long)]
    nodes: Option<usize>,
    /// Write a trace of each failing seed into this folder, for `view`.
    #[arg(long)]
    trace: Option<std::path::PathBuf>,
    /// Print each seed's whole choice as a scenario file.
    #[arg(long)]
    show: bool,
}

pub(super) fn main(args: &Args) -> Result<bool, Failure> {
    let campaign =
        Campaign { from: args.from, seeds: args.seeds, jobs: args.jobs, nodes: args.nodes, stop_early: false };
    if args.show {
        for seed in args.from..args.from + args.seeds {
            println!("{}", sessionmesh_sim::scenario::to_toml(&sessionmesh_sim::swarm::scenario(seed, args.nodes)));
        }
    }
    let report = campaign.run(|_| {});
    if let Some(folder) = &args.trace {
        std::fs::create_dir_all(folder)?;
        for outcome in &report.failed {
            let scenario = sessionmesh_sim::swarm::scenario(outcome.seed, args.nodes);
            let options = sessionmesh_sim::run::Options { trace: true, ..Default::default() };
            let traced = sessionmesh_sim::run::run(&scenario, options);
            std::fs::write(folder.join(format!("seed-{}.jsonl", outcome.seed)), traced.trace.join("\n"))?;
        }
    }
    for outcome in &report.failed {
        println!("seed {} failed:", outcome.seed);
        for v in outcome.violations.iter().take(3) {
            println!("  {} ms {:?} {:?} {}: {}", v.at_ms, v.node, v.session, v.invariant, v.text);
        }
    }
    println!("{} seeds in {:.1} s, {} handled/s, median ops {} faults {} converged {}", report.seeds, report.seconds,
        report.handled as f64 / report.seconds, median(&report.ops), median(&report.faults), median(&report.converged_ms));
    println!("{:?}", report.rarest());
    Ok(report.failed.is_empty())
}
