//! `sessionmesh demo`.
mod node;
pub use node::{DemoNodeArgs, run_node};
#[derive(clap::Args)]
pub struct DemoArgs {}
pub async fn run(_: DemoArgs) -> std::process::ExitCode { std::process::ExitCode::SUCCESS }
