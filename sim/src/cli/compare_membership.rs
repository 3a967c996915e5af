//! `compare-membership`: failure detectors side by side.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use sessionmesh_sim::compare::table::Table;
use sessionmesh_sim::compare::{Effort, Kind, Plan, Report};

use super::{Failure, out};

/// Effort of a quick look.
const QUICK: Effort = Effort { kills: 32, node_hours: 20.0, heals: 2, freezes: 2 };
/// Of chitchat in a quick look.
const QUICK_CHITCHAT: Effort = Effort { kills: 8, node_hours: 1.0, heals: 1, freezes: 1 };
/// Effort by default.
const NORMAL: Effort = Effort { kills: 128, node_hours: 100.0, heals: 4, freezes: 4 };
/// Of chitchat by default: what fits in the same minutes.
const NORMAL_CHITCHAT: Effort = Effort { kills: 16, node_hours: 4.0, heals: 1, freezes: 1 };

const EXAMPLES: &str = "Examples:
  sessionmesh-sim compare-membership --quick
  sessionmesh-sim compare-membership --system ours,foca --n 64 --loss 0,20
  sessionmesh-sim compare-membership --hours 1000 --markdown table.md --json table.json

False deaths are counted in node-hours: 64 members for a virtual hour are 64. With none in 1,000 the
95 % bound is 0.003 per node-hour. The method is told in docs/MEMBERSHIP-COMPARISON.md.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A look at all systems in less than a minute: few sizes, few deaths, few hours.
    #[arg(long)]
    quick: bool,
    /// The systems, in the order of the tables.
    #[arg(long, value_delimiter = ',', default_values_t = Kind::ALL.map(|kind| kind.name().to_owned()), value_name = "NAMES")]
    system: Vec<String>,
    /// Members of a world [default: 16,64,128; quick: 16,64].
    #[arg(long, value_delimiter = ',', value_parser = member_count, value_name = "NUMBERS")]
    n: Vec<usize>,
    /// Packets lost, percent [default: 0,5,10,20,30; quick: 0,20].
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u64).range(..=90), value_name = "PERCENT")]
    loss: Vec<u64>,
    /// Larger worlds, of which only the traffic without loss is measured [default: 256,1024; none if --n is given].
    #[arg(long, value_delimiter = ',', value_parser = member_count, value_name = "NUMBERS")]
    traffic_n: Vec<usize>,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads. Figures do not depend on their number.
    #[arg(long, default_value_t = super::cores())]
    jobs: usize,
    /// Node-hours of each cell in which false deaths are counted [default: 100; quick: 20].
    #[arg(long, value_parser = hours)]
    hours: Option<f64>,
    /// The same for chitchat, whose worlds take many times as long to run [default: 4; quick: 1].
    #[arg(long, value_parser = hours, value_name = "HOURS")]
    chitchat_hours: Option<f64>,
    /// Deaths of each cell, at least [default: 128, chitchat 16; quick: 32, chitchat 8].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    kills: Option<u64>,
    /// Write all figures into this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the tables into this file as Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

fn member_count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (2..=2_048).contains(n)).ok_or("a world has 2 to 2,048 members".into())
}

fn hours(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|hours| (0.01..=1e7).contains(hours))
        .ok_or("hours are 0.01 to 10,000,000".into())
}

pub(super) fn main(args: &Args) -> Result<bool, Failure> {
    let plan = plan(args)?;
    let report = run(&plan, args.jobs)?;
    for table in report.tables().iter().filter(|table| !table.is_empty()) {
        out(&table.text());
    }
    out(&report.goals_table().text());
    out(&format!("{} cells in {:.0} s, seed {}", report.cells.len(), report.seconds, plan.seed));
    if let Some(file) = &args.json {
        write(file, &(serde_json::to_string_pretty(&report.json())? + "\n"))?;
    }
    if let Some(file) = &args.markdown {
        let tables = report.tables().into_iter().chain([report.goals_table()]);
        let tables: Vec<String> =
            tables.filter(|table| !table.is_empty()).map(|table| Table::markdown(&table)).collect();
        write(file, &tables.join("\n"))?;
    }
    Ok(true)
}

fn plan(args: &Args) -> Result<Plan, Failure> {
    let systems = args.system.iter().map(|name| name.parse()).collect::<Result<Vec<Kind>, _>>()?;
    let effort = if args.quick { QUICK } else { NORMAL };
    let chitchat_effort = if args.quick { QUICK_CHITCHAT } else { NORMAL_CHITCHAT };
    let with = |effort: Effort, hours: Option<f64>| Effort {
        kills: args.kills.map_or(effort.kills, |kills| kills as usize),
        node_hours: hours.unwrap_or(effort.node_hours),
        ..effort
    };
    let or = |given: &[usize], usual: &[usize]| if given.is_empty() { usual } else { given }.to_vec();
    let sizes = or(&args.n, if args.quick { &[16, 64] } else { &[16, 64, 128] });
    let larger: &[usize] = if args.n.is_empty() && !args.quick { &[256, 1_024] } else { &[] };
    let losses: &[u64] = match (args.loss.is_empty(), args.quick) {
        (false, _) => &args.loss,
        (true, true) => &[0, 20],
        (true, false) => &[0, 5, 10, 20, 30],
    };
    Ok(Plan {
        systems,
        sizes,
        losses: losses.to_vec(),
        traffic_sizes: or(&args.traffic_n, larger),
        seed: args.seed,
        warm_up_ms: if args.quick { 20_000 } else { 60_000 },
        traffic_ms: if args.quick { 30_000 } else { 120_000 },
        effort: with(effort, args.hours),
        chitchat_effort: with(chitchat_effort, args.chitchat_hours),
    })
}

fn run(plan: &Plan, jobs: usize) -> Result<Report, Failure> {
    let weights: f64 = plan.work().iter().map(|unit| unit.weight()).sum();
    let bar = ProgressBar::new(weights as u64 + 1);
    let style = "{bar:32} {percent:>3} % {elapsed} passed, {eta} left {msg}";
    bar.set_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut weight = 0.0;
    let report = plan.run(jobs, |unit| {
        weight += unit.weight();
        bar.set_position(weight as u64);
        let cell = unit.cell;
        let (system, loss) = (cell.system.name(), cell.loss_percent);
        bar.set_message(format!("{system} N={} {loss} %: {}", cell.members, unit.measure.name()));
    });
    bar.finish_and_clear();
    Ok(report)
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()).into())
}
