//! `agent`: one node and its HTTP API, from the first line on stdout to the drain at the end.

mod answer;
mod api;
mod app;
mod body;
mod clients;
mod door;
mod drills;
mod error;
mod health;
mod keys;
mod life;
mod limits;
mod listen;
mod logout;
mod members;
mod patient;
mod principals;
mod serve;
mod sessions;
mod ticket;
mod untold;

use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use sessionmesh::discovery::DiscoveryError;
use sessionmesh::transport::{Drill, TransportError};
use sessionmesh::{Builder, Error, Mesh, StartError};

use crate::exit::{Exit, Failure};
use crate::secret::random_hex;
use crate::settings::{Settings, SettingsArgs, ignored_variables};
use app::{App, Drills};
use listen::Listener;

/// Ends the help page.
pub const EXAMPLES: &str = "\
Examples:
  sessionmesh agent --config mesh.toml
  SESSIONMESH_SECRET=... sessionmesh agent --cluster shop --bind 0.0.0.0:7946 --seed shop-mesh:7946
  curl -X POST localhost:8080/v1/sessions -H 'content-type: application/json' \\
      -d '{\"expiry\":{\"sliding_ms\":1800000},\"fields\":{\"user\":\"ada\"}}'

stdout carries JSON lines for whoever started the agent: {\"event\":\"started\",...} with the addresses bound, then
{\"event\":\"ready\",...}. SIGTERM finishes requests, hands over what no peer has yet, and exits; a second one exits
at once. docs/AGENT.md has the API.
";

/// Bytes of the token that guards the drill controls of one run.
const DRILL_TOKEN_BYTES: usize = 16;

/// How to run an agent.
#[derive(Args, Debug)]
pub struct AgentArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Exit when stdin reaches its end: for children of tests and demos, which die with their parent's pipe.
    #[arg(long)]
    exit_with_parent: bool,
    /// Write the core's inputs and outputs to this file, ids and values hashed (docs/TRACE.md).
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Drills only: controls that drop, delay and cut this node's packets, and show every session it holds.
    #[arg(long)]
    drill: bool,
    /// Drills only: falsify this node's wall clock.
    #[arg(long, value_name = "MS", requires = "drill", default_value_t = 0, allow_hyphen_values = true)]
    clock_offset_ms: i64,
}

/// Runs an agent until it is told to stop or cannot go on.
///
/// # Errors
/// If it cannot start; nothing runs then.
pub async fn run(args: AgentArgs) -> Result<Exit, Failure> {
    let (settings, http) = Settings::load(&args.settings)?;
    for name in ignored_variables() {
        tracing::warn!("env {name} is ignored: it is no setting");
    }
    let stop = life::StopSignals::listen()?;
    if args.exit_with_parent {
        life::exit_with_parent();
    }
    listen::raise_file_limit();
    let listener = Listener::bind(&http.listen).await?;
    let (drills, builder) = drills(&args, builder(&args, &settings)?)?;
    let mesh = builder.start().await.map_err(refused)?;
    let mut app = App::new(mesh.clone(), &http, drills);
    if let Some(url) = listener.url(mesh.addr().ip(), api::DASHBOARD_PATH) {
        app.dashboard = app.dashboard.map(|config| config.published_as(&url));
    }
    announce(&mesh, &listener, &app);
    let exit = life::live(mesh, listener, app, stop).await;
    Ok(exit)
}

fn builder(args: &AgentArgs, settings: &Settings) -> Result<Builder, Failure> {
    let builder = Mesh::builder().config(settings.mesh.clone());
    match &args.trace {
        None => Ok(builder),
        Some(path) => {
            // Hashed, and still nobody else's.
            let mut options = std::fs::OpenOptions::new();
            let file = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(path)
                .map_err(|e| Failure::usage(format!("--trace {}: {e}", path.display())))?;
            Ok(builder.trace(file))
        }
    }
}

fn drills(args: &AgentArgs, builder: Builder) -> Result<(Option<Drills>, Builder), Failure> {
    if !args.drill {
        return Ok((None, builder));
    }
    let token = random_hex::<DRILL_TOKEN_BYTES>()?;
    let switch = Drill::new(u64::from(std::process::id()));
    let builder = builder.drill(switch.clone()).clock_offset_ms(args.clock_offset_ms);
    Ok((Some(Drills { switch, token }), builder))
}

fn announce(mesh: &Mesh, listener: &Listener, app: &App) {
    let mut started = json!({
        "event": "started",
        "node": mesh.node(),
        "mesh": mesh.addr().to_string(),
        "http": listener.name(),
        "pid": std::process::id(),
    });
    if app.dashboard.is_some() {
        started["dashboard"] = listener.url(mesh.addr().ip(), api::DASHBOARD_PATH).into();
    }
    if let Some(drills) = &app.drills {
        started["drill_token"] = drills.token.clone().into();
    }
    life::say(&started);
    tracing::info!(node = mesh.node(), "HTTP on {}", listener.name());
    let mesh = mesh.clone();
    tokio::spawn(async move {
        if mesh.ready().await.is_ok() {
            life::say(&json!({ "event": "ready", "reason": mesh.readiness().1 }));
        }
    });
}

fn refused(error: Error) -> Failure {
    let exit = match &error {
        Error::Start(StartError::Discovery(DiscoveryError::Start(_))) => Exit::Runtime,
        Error::Config(_) | Error::Start(StartError::Config(_) | StartError::Discovery(_)) => Exit::Usage,
        // What may pass by itself: a port that is freed, an interface that comes up.
        Error::Start(StartError::Transport(
            TransportError::PortInUse { .. } | TransportError::Bind { .. } | TransportError::NoRoute { .. },
        )) => Exit::Bind,
        Error::Start(StartError::Transport(_)) => Exit::Usage,
        _ => Exit::Runtime,
    };
    Failure::new(exit, error.to_string())
}
