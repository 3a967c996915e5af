//! An agent's life after its start: it serves until a signal or the mesh ends it, then drains.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sessionmesh::{Mesh, Stopped};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info};

use super::app::App;
use super::listen::Listener;
use super::{api, serve};
use crate::exit::{Exit, Failure};
use crate::logging::tell;

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
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Serves until told to stop, then ends in good order.
pub async fn live(mesh: Mesh, listener: Listener, app: App, mut stop: StopSignals) -> Exit {
    let (close, closing) = watch::channel(false);
    let router = api::router(Arc::new(app), closing.clone());
    let server = tokio::spawn(serve::serve(listener, router, closing, REQUEST_PATIENCE));
    let ending = tokio::select! {
        name = stop.next() => Ok(name),
        why = mesh.stopped() => Err(why),
    };
    // The server's task holds the other end until it has finished.
    let _ = close.send(true);
    match ending {
        Ok(name) => {
            info!(node = mesh.node(), "{name}: finishing requests, then handing over");
            tokio::select! {
                exit = drain(&mesh, server) => exit,
                name = stop.next() => {
                    tell(&format!("a second signal ({name}): stopping without handing over"));
                    Exit::Undrained
                }
            }
        }
        Err(why) => {
            tell(&format!("node {:?} stopped: {why}", mesh.node()));
            match why {
                Stopped::Clone { .. } | Stopped::NameTaken { .. } => Exit::Clone,
                Stopped::Left | Stopped::Dropped | Stopped::Died | Stopped::NewLife(_) => Exit::Runtime,
            }
        }
    }
}

async fn drain(mesh: &Mesh, server: tokio::task::JoinHandle<()>) -> Exit {
    if let Err(died) = server.await {
        error!("the HTTP server died: {died}");
    }
    let others = mesh.members().iter().filter(|m| m.node != mesh.node() && m.state == "alive").count();
    if mesh.leave().await || others == 0 {
        info!(node = mesh.node(), "left");
        return Exit::Ok;
    }
    tell(&format!(
        "node {:?} stopped with writes that none of the {others} other members acknowledged in time: they are lost \
         unless a member received them unacknowledged",
        mesh.node()
    ));
    Exit::Undrained
}
