//! The `sessionmesh` command: one mesh node with an HTTP API for any language, and the tools around it.
//!
//! One subcommand per module: [`demo`], [`agent`], [`status`], [`forget`],
//! [`secret`], and `check-config` in [`settings`]. What they
//! share: [`exit`] codes, [`logging`], an HTTP [`client`].

mod agent;
mod client;
mod demo;
mod exit;
mod forget;
mod logging;
mod secret;
mod settings;
mod status;
mod which;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit::{Exit, Failure};
use crate::logging::LogFormat;

/// Long-lived processes with many small allocations of mixed ages: glibc's allocator doubles their memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXAMPLES: &str = "\
Examples:
  sessionmesh demo                                     three nodes with a shop on this machine, and a kill
  sessionmesh demo --check                             proves every promise, or names the broken one
  sessionmesh agent                                    one node, alone, API on 127.0.0.1:8080
  sessionmesh secret new > mesh.secret                 a secret for a cluster
  sessionmesh agent --cluster shop --node a --bind 0.0.0.0:7946 \\
      --seed b.internal:7946 --secret-file mesh.secret --http unix:/run/sessionmesh/api.sock
  sessionmesh status --http unix:/run/sessionmesh/api.sock
  sessionmesh forget web-3                             it is gone for good: nothing waits for it
  sessionmesh check-config --config mesh.toml          what would be in force, and who said so

SESSIONMESH_LOG sets log levels: info (default), debug, warn,sessionmesh::transport=trace, ...
";

/// Web sessions without a session server.
///
/// Nodes find each other by gossip and every node holds all sessions as mergeable maps: no leader, no database.
/// Applications in any language use a node through its HTTP API; Rust services can embed one instead.
#[derive(Debug, Parser)]
#[command(name = "sessionmesh", version, max_term_width = 110)]
#[command(after_help = format!("{EXAMPLES}\n{}", exit::help()))]
struct Cli {
    /// How log lines look.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        env = "SESSIONMESH_LOG_FORMAT"
    )]
    log_format: LogFormat,
    /// Append log lines to this file instead of stderr. A disk that is full or hangs costs log lines, never the node. A file
    /// that was moved away is opened again within a second, or at once on SIGHUP.
    #[arg(long, global = true, value_name = "PATH", env = "SESSIONMESH_LOG_FILE")]
    log_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one node with an HTTP API.
    #[command(after_help = agent::EXAMPLES)]
    Agent(Box<agent::AgentArgs>),
    /// Show what a running agent says of itself and its members. Exit code 6 if it is not ready.
    Status(status::StatusArgs),
    /// Tell a running agent that a member which is out of reach will not return: nothing waits for it then.
    Forget(forget::ForgetArgs),
    /// Make cluster secrets.
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// Print the settings an agent would run with, secrets hidden, and where each one comes from.
    CheckConfig(Box<settings::SettingsArgs>),
    /// Run three nodes with a small shop on this machine; kill one and stay logged in.
    Demo(demo::DemoArgs),
    /// One node of the demo; `demo` starts these.
    #[command(hide = true)]
    DemoNode(demo::DemoNodeArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = logging::init(cli.log_format, cli.log_file.as_deref()).and_then(|()| run(cli.command));
    let exit = done.unwrap_or_else(|failure| {
        logging::tell(&failure.message);
        failure.exit.into()
    });
    logging::finish();
    exit
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    let exit = match command {
        Command::Agent(args) => block_on(agent::run(*args))??,
        Command::Status(args) => {
            let (text, exit) = block_on(status::run(&args))??;
            print(&text)?;
            exit
        }
        Command::Forget(args) => {
            let (text, exit) = block_on(forget::run(&args))??;
            print(&text)?;
            exit
        }
        Command::Secret(command) => print(&secret::run(command)?)?,
        Command::CheckConfig(args) => print(&settings::check(&args)?)?,
        Command::Demo(args) => return block_on(demo::run(args)),
        Command::DemoNode(args) => return block_on(demo::run_node(args)),
    };
    Ok(exit.into())
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::runtime(format!("cannot start the runtime: {e}")))?;
    let done = runtime.block_on(work);
    // A thread that waits on stdin would keep the process from ending.
    runtime.shutdown_background();
    Ok(done)
}

fn print(text: &str) -> Result<Exit, Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map(|()| Exit::Ok)
        .map_err(|e| Failure::runtime(format!("stdout: {e}")))
}
