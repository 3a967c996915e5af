//! `fast`, `verify` and `fix`: which steps they are.

use anyhow::Result;

use crate::steps::{Step, run_all};
use crate::tidy;
use crate::workspace::Workspace;

/// Format, the core's unit tests and the rules of style. Nothing above the core is built.
///
/// # Errors
/// If a step fails.
pub fn fast() -> Result<()> {
    let workspace = Workspace::load()?;
    let mut steps = vec![
        Step::cargo("format", &["fmt", "--all", "--check"]),
        Step::cargo("tests of the core", &["test", "--quiet", "--package", "sessionmesh-core", "--lib"]),
    ];
    steps.extend(tidy::steps(&workspace)?);
    run_all(&workspace.root, &steps)
}

/// What `.ci/run` does before its long stages.
///
/// # Errors
/// If a step fails.
pub fn verify() -> Result<()> {
    let steps = [
        Step::cargo("format", &["fmt", "--all", "--check"]),
        Step::cargo("clippy", &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        Step::cargo("docs", &["doc", "--quiet", "--workspace", "--no-deps"])
            .with_env("RUSTDOCFLAGS", "-D warnings"),
        Step::cargo("tests", &["test", "--workspace"]),
    ];
    run_all(&Workspace::load()?.root, &steps)
}

/// What tools can repair by themselves. Clippy first: what it writes is then put into form.
///
/// # Errors
/// If a step fails.
pub fn fix() -> Result<()> {
    let clippy = ["clippy", "--fix", "--allow-dirty", "--allow-staged", "--workspace", "--all-targets"];
    let steps = [Step::cargo("clippy", &clippy), Step::cargo("format", &["fmt", "--all"])];
    run_all(&Workspace::load()?.root, &steps)
}
