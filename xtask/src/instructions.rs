//! Instructions of the core's hottest operations, counted by callgrind: of two runs that differ in the number of
//! operations alone, the difference. Unlike times these are the same on a busy machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::golden::{Counts, faults, more_milli, read, write};
use crate::workspace::Workspace;

/// The operations, and how many of each the shorter run has: so many that what happens once in a while (a table that
/// grows) is spread, and so few that all runs together take less than a minute.
const OPERATIONS: [(&str, u64); 5] =
    [("digest", 100), ("edit", 2_000), ("get", 4_000), ("page", 100), ("swim", 2_000)];

const GOLDEN: &str = "core/instructions.toml";

/// Valgrind is not installed: nothing can be said, which is no failure of the core.
#[derive(Debug)]
pub struct ToolMissing;

impl std::fmt::Display for ToolMissing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "valgrind is not installed here (Debian: apt-get install valgrind): no instruction was counted",
        )
    }
}

impl std::error::Error for ToolMissing {}

/// Counts, and holds the figures against the golden file, or writes it.
///
/// # Errors
/// [`ToolMissing`], if valgrind is; else if an operation needs too much more than the golden file says, or something
/// cannot be built, run or read.
pub fn run(bless: bool) -> Result<()> {
    if !Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Err(ToolMissing.into());
    }
    let workspace = Workspace::load()?;
    let program = build(&workspace)?;
    let work = workspace.target_dir.join("xtask");
    fs::create_dir_all(&work).with_context(|| format!("{} cannot be made", work.display()))?;
    let golden = workspace.root.join(GOLDEN);
    let held = match fs::read_to_string(&golden) {
        Ok(text) => read(&text).context(GOLDEN)?,
        Err(_) if bless => Counts::new(),
        Err(error) => return Err(error).with_context(|| format!("{GOLDEN}: --bless would write it")),
    };
    let mut counts = Counts::new();
    for (name, count) in OPERATIONS {
        let now = per_operation(&program, &work, name, count)?;
        println!("{name:>8} {now:>10} instructions{}", beside(held.get(name), now));
        counts.insert(name.to_owned(), now);
    }
    if bless {
        fs::write(&golden, write(&counts)).with_context(|| GOLDEN.to_owned())?;
        println!("{GOLDEN} is written");
        return Ok(());
    }
    let faults = faults(&held, &counts);
    if !faults.is_empty() {
        let list = faults.join("\n  ");
        bail!("{GOLDEN} allows 3 % more:\n  {list}\nIf that is the price of something: --bless");
    }
    Ok(())
}

fn beside(held: Option<&u64>, now: u64) -> String {
    held.map_or_else(String::new, |&was| {
        let milli = more_milli(was, now);
        let sign = if milli < 0 { '-' } else { '+' };
        format!("  {sign}{}.{} %  (golden: {was})", milli.abs() / 10, milli.abs() % 10)
    })
}

/// Builds the program as it ships, optimised, and says where it is.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let args =
        ["build", "--quiet", "--release", "--package", "sessionmesh-core", "--example", "instructions"];
    let status = Command::new("cargo").args(args).current_dir(&workspace.root).status();
    let status = status.context("cargo cannot be started")?;
    ensure!(status.success(), "the operations cannot be built: cargo {}", args.join(" "));
    Ok(workspace.target_dir.join("release/examples/instructions"))
}

/// Instructions of one operation.
fn per_operation(program: &Path, work: &Path, name: &str, count: u64) -> Result<u64> {
    let room = 2 * count;
    let few = instructions(program, work, name, count, room)?;
    let many = instructions(program, work, name, room, room)?;
    ensure!(many > few, "{name}: {room} operations need no more than {count}");
    Ok((many - few) / count)
}

/// All instructions of one run.
fn instructions(program: &Path, work: &Path, name: &str, count: u64, room: u64) -> Result<u64> {
    let out = work.join(format!("callgrind.{name}.{count}"));
    let args = ["--tool=callgrind".to_owned(), format!("--callgrind-out-file={}", out.display())];
    let mut command = Command::new("valgrind");
    command.args(args).arg(program).arg(name).args([count.to_string(), room.to_string()]);
    let output = command.output().context("valgrind cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} under callgrind ({}):\n{said}", output.status);
    let text = fs::read_to_string(&out).with_context(|| out.display().to_string())?;
    total(&text).with_context(|| format!("{}: no total", out.display()))
}

/// The total of callgrind's file.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix("summary:").or_else(|| l.strip_prefix("totals:")))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_run_is_found() {
        assert_eq!(total("version: 1\nevents: Ir\nsummary: 4711\nfn=main\n1 2\n"), Some(4711));
        assert_eq!(total("fn=main\n1 2\ntotals: 12 5\n"), Some(12));
        assert_eq!(total("version: 1\n"), None);
    }

    #[test]
    fn a_figure_stands_beside_its_golden_one() {
        assert_eq!(beside(Some(&1_000), 1_031), "  +3.1 %  (golden: 1000)");
        assert_eq!(beside(Some(&1_000), 995), "  -0.5 %  (golden: 1000)");
        assert_eq!(beside(None, 995), "");
    }
}
