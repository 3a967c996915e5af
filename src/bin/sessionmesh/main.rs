//! The `sessionmesh` command.

mod client;
mod demo;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "sessionmesh", version, about = "Web sessions without a session server")]
enum Cli {
    /// Three nodes and a small shop on this machine; kill one and stay logged in.
    Demo(demo::DemoArgs),
    /// One node of the demo; `demo` starts these.
    #[command(hide = true)]
    DemoNode(demo::DemoNodeArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse() {
        Cli::Demo(args) => demo::run(args).await,
        Cli::DemoNode(args) => demo::run_node(args).await,
    }
}
