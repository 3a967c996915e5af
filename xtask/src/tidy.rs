//! The rules of style (tests/tidy), built alone: the test needs nothing but the standard library, whereas cargo would
//! first build the whole workspace beneath the package it is a test of.

use anyhow::{Context, Result};

use crate::steps::Step;
use crate::workspace::Workspace;

/// Builds the test and runs it.
///
/// # Errors
/// If no package has such a test, or where it is built to cannot be made.
pub fn steps(workspace: &Workspace) -> Result<Vec<Step>> {
    let found = workspace.packages.iter().find_map(|package| {
        let target = package.targets.iter().find(|target| target.kind == "test" && target.name == "tidy")?;
        Some((package, target))
    });
    let (package, target) = found.context("no package has a test named tidy")?;
    let dir = workspace.target_dir.join("xtask");
    std::fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    let built = dir.join("tidy").display().to_string();
    let source = target.root.display().to_string();
    let args = ["--test", "--edition", "2024", "--crate-name", "tidy", "-o", &built, &source];
    // What cargo would have told it.
    let home = package.dir.display().to_string();
    let build = Step::new("tidy: build", "rustc", &args).with_env("CARGO_MANIFEST_DIR", &home);
    Ok(vec![build, Step::new("tidy", &built, &["--quiet"])])
}
