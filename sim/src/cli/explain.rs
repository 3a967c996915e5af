//! `explain`: a scenario in plain English.

use std::path::PathBuf;

use sessionmesh_sim::scenario;

use super::Failure;
use super::out::Out;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Scenario files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn main(args: &Args) -> Result<bool, Failure> {
    let mut out = Out::new();
    for (nth, file) in args.files.iter().enumerate() {
        let text = scenario::explain(&scenario::read(file)?);
        if nth > 0 {
            out.line("")?;
        }
        out.text(&text)?;
    }
    Ok(true)
}
