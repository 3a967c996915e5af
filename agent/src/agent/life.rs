//! An agent's life after its start: it serves until a signal or the mesh ends it, then drains.

use std::io::{Read, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sessionmesh::{Lines, Mesh, Stopped};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info};

use super::app::App;
use super::listen::Listener;
use super::{api, serve};
use crate::exit::{Exit, Failure};
use crate::logging::{self, tell};

/// How long requests under way may take at shutdown. With the drain's own bound of five seconds a stop takes at
/// most ten: what service managers are told to wait for.
const REQUEST_PATIENCE: Duration = Duration::from_secs(5);

/// The signals that ask for an end.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Begins to listen; from now on these signals no longer kill.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn listen() -> Result<Self, Failure> {
        let on = |kind| signal(kind).map_err(|e| Failure::runtime(format!("cannot listen for signals: {e}")));
        let mut hangup = on(SignalKind::hangup())?;
        // A terminal that closes, or `systemctl reload`, or the end of a log's rotation.
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                logging::reopen();
                info!("SIGHUP: a log file is opened again, and nothing else happens");
            }
        });
        Ok(Self { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Ends the process when stdin reaches its end: whoever held the other end of the pipe is gone, and with it
/// anybody to drain for.
pub fn exit_with_parent() {
    std::thread::spawn(|| {
        let mut buffer = [0; 1024];
        while matches!(std::io::stdin().read(&mut buffer), Ok(1..)) {}
        std::process::exit(Exit::Ok as i32);
    });
}

/// Prints one JSON line on stdout. Nobody may be listening: that is no reason to stop.
pub fn say(line: &Value) {
    // Never fails, never waits.
    let _ = Lines::stdout().write(format!("{line}\n").as_bytes());
}

/// Serves until told to stop, then ends in good order.
pub async fn live(mesh: Mesh, listener: Listener, app: App, mut stop: StopSignals) -> Exit {
    let (close, closing) = watch::channel(false);
    let router = api::router(Arc::new(app), closing.clone());
    let mut server = tokio::spawn(serve::serve(listener, router, closing, REQUEST_PATIENCE));
    let ending = tokio::select! {
        name = stop.next() => Ok(name),
        why = mesh.stopped() => Err(why),
        died = &mut server => return leave_without_server(&mesh, died.err()).await,
    };
    // The server's task holds the other end until it has finished.
    let _ = close.send(true);
    let why = match ending {
        Ok(name) => {
            info!(node = mesh.node(), "{name}: finishing requests, then handing over");
            mesh.drain(&format!("{name}: about to leave"));
            let mut drained = pin!(drain(&mesh, server));
            return tokio::select! {
                exit = &mut drained => exit,
                name = stop.next() => {
                    tell(&format!("a second signal ({name}): stopping without handing over"));
                    Exit::Undrained
                }
            };
        }
        Err(why) => why,
    };
    tell(&format!("node {:?} stopped: {why}", mesh.node()));
    match why {
        Stopped::Clone { .. } | Stopped::NameTaken { .. } => Exit::Clone,
        Stopped::Left | Stopped::Dropped | Stopped::Died | Stopped::NewLife(_) => Exit::Runtime,
    }
}

/// A node that nobody can ask any more is of no use: it hands over, and whoever started it is told to start it again.
async fn leave_without_server(mesh: &Mesh, died: Option<tokio::task::JoinError>) -> Exit {
    let why = died.map_or_else(|| "it ended".into(), |died| died.to_string());
    tell(&format!("the HTTP server of node {:?} died: {why}", mesh.node()));
    mesh.leave().await;
    Exit::Runtime
}

async fn drain(mesh: &Mesh, server: JoinHandle<()>) -> Exit {
    if let Err(died) = server.await {
        error!("the HTTP server died: {died}");
    }
    // Who is alive makes no difference: a write that nobody else has acknowledged is lost with this process.
    let alive = mesh.members().iter().filter(|m| m.node != mesh.node() && m.state == "alive").count();
    if mesh.leave().await {
        info!(node = mesh.node(), "left");
        return Exit::Ok;
    }
    tell(&format!(
        "node {:?} stopped with writes that no other member has acknowledged ({alive} seemed alive): they are lost unless \
         a member received them unacknowledged",
        mesh.node()
    ));
    Exit::Undrained
}
