//! How a process ends in good order: it hears the signals that ask for it, lets load balancers notice, and leaves.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::info;

use super::Mesh;
use crate::driver::within;

/// What a process that embeds a node does between SIGTERM or Ctrl-C and its end; made by [`Mesh::shutdown`].
///
/// ```no_run
/// # async fn run(mesh: sessionmesh::Mesh, app: axum::Router, listener: tokio::net::TcpListener)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// let shutdown = mesh.shutdown(std::time::Duration::from_secs(5))?;
/// axum::serve(listener, app).with_graceful_shutdown(shutdown.drained()).await?;
/// shutdown.leave().await;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Shutdown {
    mesh: Mesh,
    drain: Duration,
    /// How many signals have come.
    signals: watch::Receiver<u32>,
}

impl Mesh {
    /// Hears SIGTERM and Ctrl-C (SIGINT) from now on: they no longer end the process by themselves. At the first one
    /// [`Mesh::readiness`] turns to no, and the process goes on serving for `drain`, in which load balancers shall notice.
    ///
    /// Must be called on a tokio runtime that lives until the end.
    ///
    /// # Errors
    /// If there is no such runtime, or the operating system refuses.
    pub fn shutdown(&self, drain: Duration) -> std::io::Result<Shutdown> {
        let runtime = Handle::try_current().map_err(std::io::Error::other)?;
        let (tell, signals) = watch::channel(0);
        let mut heard = Signals::listen()?;
        let mesh = self.clone();
        runtime.spawn(async move {
            loop {
                let name = tokio::select! {
                    name = heard.next() => name,
                    // Nobody waits for signals any more, and the node shall end with its last handle.
                    () = tell.closed() => return,
                };
                if *tell.borrow() == 0 {
                    info!(node = mesh.node(), "{name}: serving on for {drain:?}, then leaving");
                    mesh.drain(&format!("{name}: about to leave"));
                }
                tell.send_modify(|count| *count += 1);
            }
        });
        Ok(Shutdown { mesh: self.clone(), drain, signals })
    }
}

impl Shutdown {
    /// Waits for the first signal. Needs no runtime, may be dropped at any await.
    pub async fn begun(&self) {
        self.came(1).await;
    }

    /// Waits until it is time to stop serving: the drain has passed since the first signal, a second one has come, or the
    /// node has stopped by itself. For `with_graceful_shutdown`: it holds nothing of this borrowed, needs no runtime, and may
    /// be dropped at any await.
    pub fn drained(&self) -> impl Future<Output = ()> + Send + use<> {
        let this = self.clone();
        async move {
            let over = async {
                this.begun().await;
                // A second signal is somebody who does not want to wait.
                let _ = within(this.drain, this.came(2)).await;
            };
            tokio::select! { () = over => {}, _ = this.mesh.stopped() => {} }
        }
    }

    /// Leaves: what no other node has is handed over, and goodbye is said ([`Mesh::leave`]). Returns whether another node has
    /// every write of this one.
    pub async fn leave(&self) -> bool {
        let handed_over = self.mesh.leave().await;
        if handed_over {
            info!(node = self.mesh.node(), "left");
        } else {
            tracing::warn!(
                node = self.mesh.node(),
                "stopped with writes that no other node has acknowledged"
            );
        }
        handed_over
    }

    async fn came(&self, count: u32) {
        let mut signals = self.signals.clone();
        if signals.wait_for(|came| *came >= count).await.is_err() {
            // The task that hears them is gone with its runtime: nothing will come.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
