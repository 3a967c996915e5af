//! The command line. One command a file.

mod bench;
mod compare_membership;
mod explain;
mod mutants;
mod new;
mod out;
mod report;
mod run;
mod schema;
mod shrink;
mod swarm;
mod view;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The deterministic simulator of sessionmesh: the shipped core in virtual time over a hostile network.
#[derive(Parser)]
#[command(name = "sessionmesh-sim", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run scenario files, or all those of a folder.
    Run(run::Args),
    /// Run random scenarios, one a seed.
    Swarm(swarm::Args),
    /// Make a failing seed or scenario small.
    Shrink(shrink::Args),
    /// Switch on seeded bugs one by one and see which seed or scenario finds each.
    Mutants(mutants::Args),
    /// Measure how fast the simulator is.
    Bench(bench::Args),
    /// Compare failure detectors: how soon they notice deaths, how often they are wrong, what they send.
    CompareMembership(compare_membership::Args),
    /// Draw a trace as one HTML file.
    View(view::Args),
    /// Tell scenario files in plain English.
    Explain(explain::Args),
    /// Write a scenario to begin with.
    New(new::Args),
    /// Print the JSON Schema of scenario files.
    Schema,
}

/// Runs the command; the exit code is 0 if everything held, 1 if a rule was broken, 2 for bad input.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => run::main(&args),
        Command::Swarm(args) => swarm::main(&args),
        Command::Shrink(args) => shrink::main(&args),
        Command::Mutants(args) => mutants::main(&args),
        Command::Bench(args) => bench::main(&args),
        Command::CompareMembership(args) => compare_membership::main(&args),
        Command::View(args) => view::main(&args),
        Command::Explain(args) => explain::main(&args),
        Command::New(args) => new::main(&args),
        Command::Schema => schema::main(),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("sessionmesh-sim: {error}");
            ExitCode::from(2)
        }
    }
}

/// What went wrong, for the last line on the screen.
type Failure = Box<dyn std::error::Error>;

/// Threads that make sense here.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Writes a line to the standard output; if nobody reads it any more, there is nobody to tell.
fn out(line: &str) {
    let _ = out::Out::new().line(line);
}

/// A number of nodes from the command line.
fn node_count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=64).contains(n)).ok_or("a mesh has 1 to 64 nodes".into())
}
