//! Where a node runs: on a thread and runtime of its own, or on its embedder's.
//!
//! On a runtime that it shares, a handler that blocks all workers blocks the node: it answers no probe, and the others
//! declare it dead. On its own thread the engine, the socket and every link go on.

use std::sync::Arc;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::engine::{Engine, EngineConfig, StartError};
use super::pulse::with_pulse;
use super::shared::Shared;

/// Ends the node's task with the last handle, which holds it.
pub(crate) struct StopOnDrop(Arc<Shared>);

impl StopOnDrop {
    /// What the task and all handles share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        // Kept until the task looks, whatever waits in its queues.
        self.0.stop.notify_one();
    }
}

/// Starts a node. Whoever drops this future before its end leaves nothing behind.
pub(crate) async fn start(config: EngineConfig) -> Result<StopOnDrop, StartError> {
    if config.own_thread {
        return on_own_thread(config).await;
    }
    let (engine, shared) = Engine::begin(config).await?;
    tokio::spawn(with_pulse(engine.run(), Arc::clone(&shared)));
    Ok(StopOnDrop(shared))
}

async fn on_own_thread(config: EngineConfig) -> Result<StopOnDrop, StartError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    let (tell, told) = oneshot::channel();
    let live = move || {
        runtime.block_on(async move {
            match Engine::begin(config).await {
                Ok((engine, shared)) => {
                    // If nobody waits for it any more, the handle that comes back ends it.
                    let _ = tell.send(Ok(StopOnDrop(Arc::clone(&shared))));
                    with_pulse(engine.run(), shared).await;
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            }
        });
        // Whatever still runs in there is not waited for.
        runtime.shutdown_background();
    };
    std::thread::Builder::new().name("sessionmesh".into()).spawn(live).map_err(StartError::Thread)?;
    told.await.unwrap_or_else(|_| Err(StartError::Thread(std::io::Error::other("it ended at once"))))
}
