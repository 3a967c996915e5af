//! `view`: a trace as one HTML file.

use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::PathBuf;

use sessionmesh_sim::serve::{Player, serve as replay};
use sessionmesh_sim::view::render;

use super::Failure;

#[derive(clap::Args)]
pub(super) struct Args {
    /// A trace written by `run --trace` or `swarm --trace`, or by a node with `--trace`.
    trace: PathBuf,
    /// Where the page goes.
    #[arg(short, long, value_name = "FILE", default_value = "run.html")]
    output: PathBuf,
    /// Replay the run into the dashboard's page instead, served at this loopback address until the process ends.
    #[arg(long, value_name = "IP:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:8090")]
    serve: Option<SocketAddr>,
    /// With --serve: how much faster than real time.
    #[arg(long, requires = "serve", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.01..=10_000.0).contains(&speed) => Ok(speed),
        _ => Err("a number from 0.01 to 10,000".into()),
    }
}

fn serve(args: &Args, addr: SocketAddr) -> Result<bool, Failure> {
    if !addr.ip().is_loopback() {
        return Err(format!("--serve {addr}: a replay is served on loopback only").into());
    }
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", args.trace.display());
    let file = File::open(&args.trace).map_err(|e| named(&e))?;
    let player = Player::read(BufReader::new(file)).map_err(|e| named(&e))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let said = |url: &str| super::out(&format!("{url} replays {}; Ctrl-C ends it", args.trace.display()));
    runtime.block_on(replay(player, addr, args.speed, said)).map_err(|e| format!("{addr}: {e}"))?;
    Ok(true)
}

pub(super) fn main(args: &Args) -> Result<bool, Failure> {
    if let Some(addr) = args.serve {
        return serve(args, addr);
    }
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", args.trace.display());
    let file = File::open(&args.trace).map_err(|e| named(&e))?;
    let page = render(BufReader::new(file)).map_err(|e| named(&e))?;
    std::fs::write(&args.output, &page).map_err(|e| format!("{}: {e}", args.output.display()))?;
    super::out(&format!("{}: {} kB, open it in a browser", args.output.display(), page.len() / 1_000));
    Ok(true)
}
