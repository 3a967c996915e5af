//! `view`: a trace as one HTML file.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use sessionmesh_sim::view::render;

use super::Failure;

#[derive(clap::Args)]
pub(super) struct Args {
    /// A trace written by `run --trace` or `swarm --trace`, or by a node with `--trace`.
    trace: PathBuf,
    /// Where the page goes.
    #[arg(short, long, value_name = "FILE", default_value = "run.html")]
    output: PathBuf,
}

pub(super) fn main(args: &Args) -> Result<bool, Failure> {
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", args.trace.display());
    let file = File::open(&args.trace).map_err(|e| named(&e))?;
    let page = render(BufReader::new(file)).map_err(|e| named(&e))?;
    std::fs::write(&args.output, &page).map_err(|e| format!("{}: {e}", args.output.display()))?;
    super::out(&format!("{}: {} kB, open it in a browser", args.output.display(), page.len() / 1_000));
    Ok(true)
}
