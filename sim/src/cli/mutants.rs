//! `mutants`: does the suite see seeded bugs?

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use sessionmesh_sim::mutants;
use sessionmesh_sim::run::{Options, run};
use sessionmesh_sim::scenario::{self, Scenario};
use sessionmesh_sim::swarm::{Campaign, median};

use super::Failure;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Most seeds tried on one mutant before named scenarios are.
    #[arg(long, default_value_t = 600)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Threads.
    #[arg(long, default_value_t = super::cores())]
    jobs: usize,
    /// Only these mutants.
    #[arg(long)]
    only: Vec<String>,
    /// Scenarios for what seeds do not find.
    #[arg(long, value_name = "DIR", default_values = ["sim/scenarios", "sim/regressions"])]
    scenarios: Vec<PathBuf>,
    /// List the mutants and what each breaks.
    #[arg(long)]
    list: bool,
}

/// How one mutant ended.
struct Fate {
    name: &'static str,
    /// Seeds it took, if a seed killed it.
    seeds: Option<u64>,
    /// The scenario that killed it, if one did.
    scenario: Option<String>,
    invariant: String,
}

pub(super) fn main(args: &Args) -> Result<bool, Failure> {
    if !mutants::BUILT_IN {
        return instrumented(&std::env::args().skip(1).collect::<Vec<_>>());
    }
    if args.list {
        mutants::list().iter().for_each(|(name, about)| super::out(&format!("{name:<32} {about}")));
        return Ok(true);
    }
    let unknown = args.only.iter().find(|o| !mutants::list().iter().any(|(name, _)| name == o));
    if let Some(unknown) = unknown {
        return Err(format!("there is no mutant {unknown:?}; --list names them").into());
    }
    let mut scenarios = Vec::new();
    for folder in &args.scenarios {
        scenarios.extend(named(folder)?);
    }
    healthy(args, &scenarios)?;
    // A mutant that panics is a mutant killed: its backtrace is noise.
    std::panic::set_hook(Box::new(|_| {}));
    let begun = Instant::now();
    let wanted =
        mutants::list().into_iter().filter(|(n, _)| args.only.is_empty() || args.only.iter().any(|o| o == n));
    super::out(&format!("{:<34} {:>6}  killed by", "mutant", "seeds"));
    let fates: Vec<Fate> = wanted.map(|(name, _)| hunt(args, name, &scenarios)).collect();
    mutants::select(None);
    Ok(summary(&fates, begun.elapsed().as_secs_f64()))
}

/// Builds the binary that holds the mutants and runs it with the same arguments.
pub(super) fn instrumented(arguments: &[String]) -> Result<bool, Failure> {
    let exe = std::env::current_exe()?;
    let target = exe.parent().and_then(Path::parent).ok_or("this binary is not in a target folder")?;
    let binary = build_instrumented(target)?;
    let ran = Command::new(binary).args(arguments).status()?;
    match ran.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        code => Err(format!("the instrumented binary ended with {code:?}").into()),
    }
}

/// What the compiler is called through: only this workspace's crates get the seeded bugs, so that all they depend on is
/// not built again.
const WRAPPER: &str = "#!/bin/sh\nexec \"$@\" --cfg sessionmesh_mutants\n";

fn build_instrumented(target: &Path) -> Result<PathBuf, Failure> {
    let folder = target.join("mutants");
    eprintln!("building the instrumented binary in {}", folder.display());
    std::fs::create_dir_all(&folder)?;
    let (wrapper, kept) = (folder.join("rustc"), folder.join("sessionmesh-sim"));
    // Written once: a newer wrapper is another compiler to cargo.
    if std::fs::read_to_string(&wrapper).ok().as_deref() != Some(WRAPPER) {
        std::fs::write(&wrapper, WRAPPER)?;
        executable(&wrapper)?;
    }
    let built = target.join("release").join("sessionmesh-sim");
    let ships = built.exists();
    cargo_build(target, Some(&wrapper))?;
    let _ = std::fs::remove_file(&kept);
    std::fs::copy(&built, &kept)?;
    // Where the one that ships was, it shall be again; cargo has it still.
    if ships {
        cargo_build(target, None)?;
    } else {
        std::fs::remove_file(&built)?;
    }
    Ok(kept)
}

#[cfg(unix)]
fn executable(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn executable(_: &Path) -> std::io::Result<()> {
    Err(std::io::Error::other("seeded bugs are built with a shell script: on Unix only"))
}

fn cargo_build(target: &Path, wrapper: Option<&Path>) -> Result<(), Failure> {
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--release", "-q", "-p", "sessionmesh-sim", "--target-dir"]).arg(target);
    match wrapper {
        // It runs for seconds: what it would gain by the shipped one's settings, it would lose many times while building.
        Some(wrapper) => cargo
            .env("RUSTC_WORKSPACE_WRAPPER", wrapper)
            .arg("--config=profile.release.package.sessionmesh-core.codegen-units=16"),
        None => cargo.env_remove("RUSTC_WORKSPACE_WRAPPER"),
    };
    if !cargo.status().map_err(|e| format!("cargo could not be run: {e}"))?.success() {
        return Err("the instrumented binary does not build (run this in the workspace)".into());
    }
    Ok(())
}

fn named(folder: &Path) -> Result<Vec<Scenario>, Failure> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    super::run::files(folder)?.iter().map(|file| Ok(scenario::read(file)?)).collect()
}

/// A suite that fails without a mutant proves nothing with one.
fn healthy(args: &Args, scenarios: &[Scenario]) -> Result<(), Failure> {
    mutants::select(None);
    let campaign =
        Campaign { from: args.from, seeds: args.seeds, jobs: args.jobs, nodes: None, stop_early: true };
    if let Some(failed) = campaign.run(|_| {}).failed.first() {
        return Err(
            format!("seed {} fails without any mutant: {}", failed.seed, failed.violations[0].text).into()
        );
    }
    let fails = |s: &&Scenario| !run(s, Options { stop_early: true, ..Options::default() }).passed();
    match scenarios.iter().find(fails) {
        Some(scenario) => Err(format!("scenario {} fails without any mutant", scenario.name).into()),
        None => Ok(()),
    }
}

fn hunt(args: &Args, name: &'static str, scenarios: &[Scenario]) -> Fate {
    mutants::select(Some(name));
    let campaign =
        Campaign { from: args.from, seeds: args.seeds, jobs: args.jobs, nodes: None, stop_early: true };
    let report = campaign.run(|_| {});
    let mut fate = Fate { name, seeds: None, scenario: None, invariant: "SURVIVED".into() };
    if let Some(first) = report.failed.first() {
        fate.seeds = Some(first.seed - args.from + 1);
        fate.invariant.clone_from(&first.violations[0].invariant);
    } else {
        for scenario in scenarios {
            let outcome = run(scenario, Options { stop_early: true, ..Options::default() });
            if let Some(violation) = outcome.violations.first() {
                fate.scenario = Some(scenario.name.clone());
                fate.invariant.clone_from(&violation.invariant);
                break;
            }
        }
    }
    let seeds = fate.seeds.map_or("-".into(), |n| n.to_string());
    let by = fate.scenario.as_ref().map_or(String::new(), |s| format!(" in the scenario {s}"));
    super::out(&format!("{name:<34} {seeds:>6}  {}{by}", fate.invariant));
    fate
}

fn summary(fates: &[Fate], seconds: f64) -> bool {
    let by_seed: Vec<u64> = fates.iter().filter_map(|f| f.seeds).collect();
    let by_scenario = fates.iter().filter(|f| f.scenario.is_some()).count();
    let survivors: Vec<&str> =
        fates.iter().filter(|f| f.seeds.is_none() && f.scenario.is_none()).map(|f| f.name).collect();
    super::out(&format!(
        "{} mutants in {seconds:.0} s: {} killed by random seeds (median {} seeds), {by_scenario} by named scenarios, {} survived",
        fates.len(),
        by_seed.len(),
        median(&by_seed),
        survivors.len()
    ));
    if !survivors.is_empty() {
        super::out(&format!("survivors: {}", survivors.join(" ")));
    }
    survivors.is_empty()
}
