//! Starts a node: mesh first, then the shop's listener, then one line on standard output for the parent.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sessionmesh::Mesh;
use sessionmesh::transport::Drill;
use tokio::net::TcpListener;

use super::{App, DRILL_TOKEN_ENV, DemoNodeArgs, Node, PAGE_TOKEN_ENV, SECRET_ENV, held, page};

/// Who exists is gossiped this often (ms): a death shows in the page after about 1.5 s.
const GOSSIP_INTERVAL_MS: u64 = 250;
/// A silent link is dead after this (ms). On a busy laptop a process may well miss half a second.
const LINK_TIMEOUT_MS: u64 = 1_200;
/// Nodes that meet only newcomers wait this long for an older member (ms).
const SETTLE_MS: u64 = 600;
/// A restarted node that finds nobody serves alone after this (ms).
const SOLO_AFTER_MS: u64 = 1_500;
/// A write's answer waits this long for the second copy (ms): far above a busy laptop's hiccups, so that a kill
/// never meets an answer that promised nothing. Just after a cut, writes on its small side take this long.
const ACK_TIMEOUT_MS: u64 = 800;
/// A read of an unknown session waits this long for peers (ms), since "absent" logs the user out.
const ASK_TIMEOUT_MS: u64 = 800;
/// The port of a life that was killed may stay taken for a moment (ms).
const BIND_PATIENCE_MS: u64 = 3_000;
/// Seed of the drill's dice; the demo cuts and never drops at random.
const DRILL_SEED: u64 = 1;

/// The line a node prints when it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Started {
    /// Always `started`.
    pub event: String,
    /// The node's name.
    pub node: String,
    /// Where the shop listens.
    pub shop: SocketAddr,
    /// Where peers dial the mesh node.
    pub mesh: SocketAddr,
}

/// Starts everything and says so.
pub async fn start(args: DemoNodeArgs) -> Result<(App, TcpListener), String> {
    let drill = Drill::new(DRILL_SEED);
    for (name, addr) in &args.peers {
        drill.name_addr(name, *addr);
    }
    super::drill::cut_from(&drill, &args.name, &args.cut_from);
    let mesh = retry(|| start_mesh(&args, &drill)).await?;
    let listener = retry(|| bind(args.shop)).await?;
    let shop = listener.local_addr().map_err(|e| format!("the shop's address: {e}"))?;
    say(&Started { event: "started".into(), node: args.name.clone(), shop, mesh: mesh.addr() })?;
    let page_token = std::env::var(PAGE_TOKEN_ENV).unwrap_or_default();
    let node = Node {
        page: page::Config { node: args.name, control: args.control, token: page_token },
        drill_token: std::env::var(DRILL_TOKEN_ENV).unwrap_or_default(),
        held: held::Held::default(),
        shop,
        mesh,
        drill,
    };
    Ok((Arc::new(node), listener))
}

async fn start_mesh(args: &DemoNodeArgs, drill: &Drill) -> Result<Mesh, String> {
    let builder = Mesh::builder()
        .cluster("demo")
        .node(&args.name)
        .bind(&args.mesh.to_string())
        .seeds(args.seeds.iter().map(ToString::to_string))
        .drill(drill.clone())
        .secret_from_env(SECRET_ENV)
        .map_err(|e| e.to_string())?;
    let builder = builder.configure(|c| {
        c.gossip_interval_ms = GOSSIP_INTERVAL_MS;
        c.link_timeout_ms = LINK_TIMEOUT_MS;
        c.settle_ms = SETTLE_MS;
        c.solo_after_ms = SOLO_AFTER_MS;
        c.ack_timeout_ms = ACK_TIMEOUT_MS;
        c.ask_timeout_ms = ASK_TIMEOUT_MS;
    });
    builder.start().await.map_err(|e| e.to_string())
}

async fn bind(addr: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(addr).await.map_err(|e| format!("cannot listen on {addr}: {e}"))
}

/// Tries until [`BIND_PATIENCE_MS`] have passed; the last error stands.
async fn retry<T, F: Future<Output = Result<T, String>>>(attempt: impl Fn() -> F) -> Result<T, String> {
    let deadline = Instant::now() + Duration::from_millis(BIND_PATIENCE_MS);
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(why) if Instant::now() >= deadline => return Err(why),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn say(started: &Started) -> Result<(), String> {
    let line = serde_json::to_string(started).map_err(|e| format!("the started line: {e}"))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| format!("standard output: {e}"))
}
