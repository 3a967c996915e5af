//! The tools of the house, as `cargo xtask`: fast and full checks, mechanical repairs, a census of the structure, and
//! instruction counts of what the core does most. Nothing that is shipped depends on any of it.

mod census;
mod commands;
mod golden;
mod instructions;
mod steps;
mod tidy;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What `cargo xtask` understands.
#[derive(Parser)]
#[command(name = "cargo xtask", about = "The tools of the house")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Format, the core's tests, and the rules of style: after every change.
    Fast,
    /// What must hold before a review: format, clippy, documentation, every test.
    Verify,
    /// Repairs what clippy and rustfmt can repair by themselves. Snapshots stay as they are.
    Fix,
    /// Figures of the structure, counted from the sources.
    Census(CensusArgs),
    /// Instructions that the core's hottest operations need, counted under valgrind and held against a golden file.
    Instructions {
        /// Take what is counted for right, and write it to core/instructions.toml.
        #[arg(long)]
        bless: bool,
    },
}

#[derive(clap::Args)]
struct CensusArgs {
    /// The figures as JSON, for `--compare` later.
    #[arg(long, conflicts_with = "list")]
    json: bool,
    /// Show how the figures have changed since those in FILE, which `--json` wrote.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "list"])]
    compare: Option<PathBuf>,
    /// Print the places of this figure, or of all whose names begin with it and a dot.
    #[arg(long, value_name = "NAME")]
    list: Option<String>,
}

/// A tool that a command needs is not on this machine.
const EXIT_TOOL_MISSING: u8 = 2;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Fast => commands::fast(),
        Command::Verify => commands::verify(),
        Command::Fix => commands::fix(),
        Command::Census(args) => census::run(args.json, args.compare.as_deref(), args.list.as_deref()),
        Command::Instructions { bless } => instructions::run(bless),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            let missing = error.downcast_ref::<instructions::ToolMissing>().is_some();
            if missing { ExitCode::from(EXIT_TOOL_MISSING) } else { ExitCode::FAILURE }
        }
    }
}
