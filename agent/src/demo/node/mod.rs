//! One node of the demo: a mesh node and a small shop on loopback, run as a process of its own so that it can be
//! killed. It ends with its parent, whatever way the parent ends.

mod cookie;
mod drill;
mod guard;
mod held;
mod page;
mod shop;
mod start;

use std::io::Read;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use sessionmesh::Mesh;
use sessionmesh::transport::Drill;

pub use drill::TOKEN_HEADER;
pub use shop::DASHBOARD_PATH;
pub use start::Started;

/// The variable with the mesh's secret. Not an argument: arguments are in every process list.
pub const SECRET_ENV: &str = "SESSIONMESH_DEMO_SECRET";
/// The variable with the token that guards the drill endpoints. The page never learns it: it opens dumps.
pub const DRILL_TOKEN_ENV: &str = "SESSIONMESH_DEMO_DRILL_TOKEN";
/// The variable with the token that the page needs to ask the parent for a kill.
pub const PAGE_TOKEN_ENV: &str = "SESSIONMESH_DEMO_PAGE_TOKEN";

/// Requests under way may take this long to end when the node leaves (ms).
const FINISH_MS: u64 = 1_000;

/// What the parent tells a node.
#[derive(Debug, clap::Args)]
pub struct DemoNodeArgs {
    /// The node's name.
    #[arg(long)]
    pub name: String,
    /// Where the shop listens.
    #[arg(long)]
    pub shop: SocketAddr,
    /// Where the mesh node listens (UDP).
    #[arg(long)]
    pub mesh: SocketAddr,
    /// Members to look for.
    #[arg(long = "seed")]
    pub seeds: Vec<SocketAddr>,
    /// Which node is behind an address, as NAME=ADDRESS: a node started inside a cut has met nobody yet.
    #[arg(long = "peer", value_parser = named_addr)]
    pub peers: Vec<(String, SocketAddr)>,
    /// A node this one is cut from, from the start.
    #[arg(long = "cut-from")]
    pub cut_from: Vec<String>,
    /// The parent's control server, for the page.
    #[arg(long)]
    pub control: Option<SocketAddr>,
}

fn named_addr(text: &str) -> Result<(String, SocketAddr), String> {
    let (name, addr) = text.split_once('=').ok_or("must be NAME=ADDRESS")?;
    Ok((name.to_owned(), addr.parse().map_err(|e| format!("{addr:?}: {e}"))?))
}

/// What every handler needs.
pub struct Node {
    pub mesh: Mesh,
    pub drill: Drill,
    pub drill_token: String,
    pub page: page::Config,
    pub held: held::Held,
    /// Where the shop listens.
    pub shop: SocketAddr,
}

/// Handlers share one.
pub type App = Arc<Node>;

/// Runs a node until its standard input closes or it is told to leave by SIGTERM.
pub async fn run_node(args: DemoNodeArgs) -> ExitCode {
    end_with_parent();
    match serve(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// The parent holds the other end of our standard input; the kernel closes it even if the parent is SIGKILLed.
fn end_with_parent() {
    // A thread and not a task: a stuck runtime must not keep an orphan alive, and a blocking read inside the
    // runtime would keep it from shutting down.
    std::thread::spawn(|| {
        let mut byte = [0];
        while matches!(std::io::stdin().read(&mut byte), Ok(n) if n > 0) {}
        std::process::exit(0);
    });
}

async fn serve(args: DemoNodeArgs) -> Result<(), String> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|e| format!("cannot listen for SIGTERM: {e}"))?;
    let (app, listener) = start::start(args).await?;
    let mesh = app.mesh.clone();
    let (finish, finished) = tokio::sync::oneshot::channel::<()>();
    let shop = axum::serve(listener, shop::router(app)).with_graceful_shutdown(async {
        // An error means the sender is gone: the end as well.
        let _ = finished.await;
    });
    let shop = tokio::spawn(shop.into_future());
    tokio::select! {
        _ = terminate.recv() => {}
        why = mesh.stopped() => return Err(format!("the node stopped: {why}")),
    }
    tracing::info!("leaving");
    // Requests first, then the goodbye: no write of ours may come after what was handed over.
    let _ = finish.send(());
    if tokio::time::timeout(Duration::from_millis(FINISH_MS), shop).await.is_err() {
        tracing::warn!("requests were still under way after {FINISH_MS} ms");
    }
    let handed_over = mesh.leave().await;
    tracing::info!(handed_over, "left");
    Ok(())
}
