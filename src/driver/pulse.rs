//! Whether the node's task still runs: what everything that waits on it ends by.
//!
//! A task can end without a word: it panics, it is aborted, its runtime is dropped. [`Ended`] says so however that
//! happens. A runtime can also stop being driven without ending (a `current_thread` one whose `block_on` returned):
//! then nothing inside it can tell, and a thread of its own looks at the pulse.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::shared::{Shared, Stopped};
use crate::core::replica::Serving;

/// The task shows a pulse this often (ms), whatever it waits for.
const PULSE_MS: u64 = 250;
/// A task without a pulse for this long (ms) is not driven any more, as far as those who wait can know: a busy machine
/// or a handler that blocks the runtime's threads is slower than [`PULSE_MS`], and not by this much.
const SILENT_MS: u64 = 5_000;

/// The task's pulse.
pub(crate) struct Pulse {
    last_ms: AtomicU64,
    silent: watch::Sender<bool>,
}

impl Pulse {
    pub fn new(now_ms: u64) -> Self {
        Self { last_ms: now_ms.into(), silent: watch::channel(false).0 }
    }

    /// Whether the task has shown no pulse for long.
    pub fn is_silent(&self) -> bool {
        *self.silent.borrow()
    }

    fn look(&self, now_ms: u64) {
        let silent = now_ms.saturating_sub(self.last_ms.load(Ordering::Acquire)) > SILENT_MS;
        self.silent.send_if_modified(|held| std::mem::replace(held, silent) != silent);
    }
}

/// Says that the task has ended when it is dropped, whatever dropped it.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        let shared = &self.0;
        // Nothing that is read may pass for fresh, and nobody holds anything for us that we could hear of.
        shared.replica.set_serving(Serving::Fenced);
        shared.stopped.send_if_modified(|held| {
            let first = held.is_none();
            held.get_or_insert(Stopped::Died);
            first
        });
        shared.acks.stop();
    }
}

/// The node's task: its work and its pulse. Runs on the thread that also drives the socket, so that a pulse means both. Whatever ends it, those who wait hear of it.
pub(super) async fn with_pulse(work: impl Future<Output = ()>, shared: Arc<Shared>) {
    let _ended = Ended(Arc::clone(&shared));
    tokio::select! { () = work => {}, never = beat(shared) => match never {} }
}

/// Shows the pulse for as long as it is polled; never ends.
async fn beat(shared: Arc<Shared>) -> std::convert::Infallible {
    loop {
        shared.pulse.last_ms.store(shared.clock.now().mono_ms, Ordering::Release);
        tokio::time::sleep(Duration::from_millis(PULSE_MS)).await;
    }
}

/// Watches the pulse from a thread of its own until the node is gone.
pub(super) fn watch_pulse(shared: &Arc<Shared>) {
    let watched = Arc::downgrade(shared);
    let watch = move || {
        let live = |shared: &Weak<Shared>| shared.upgrade().filter(|s| s.stopped.borrow().is_none());
        loop {
            std::thread::sleep(Duration::from_millis(PULSE_MS));
            let Some(shared) = live(&watched) else { return };
            let now_ms = shared.clock.now().mono_ms;
            drop(shared);
            // A frozen process thaws on all its threads: its task may show its pulse before it is judged.
            std::thread::sleep(Duration::from_millis(PULSE_MS));
            let Some(shared) = live(&watched) else { return };
            shared.pulse.look(now_ms);
        }
    };
    let spawned = std::thread::Builder::new().name("sessionmesh-pulse".into()).spawn(watch);
    if let Err(error) = spawned {
        tracing::warn!("no thread to watch the node's task by: {error}; a task that hangs is not told");
    }
}

impl Shared {
    /// Whether the node runs no more.
    pub fn has_stopped(&self) -> bool {
        self.stopped.borrow().is_some()
    }

    /// Waits until the node runs no more: it has stopped, or its task shows no pulse. Says which, for those who care.
    pub async fn not_running(&self) -> Option<Stopped> {
        let (mut stopped, mut silent) = (self.stopped.subscribe(), self.pulse.silent.subscribe());
        loop {
            if let Some(why) = stopped.borrow_and_update().clone() {
                return Some(why);
            }
            if *silent.borrow_and_update() {
                return None;
            }
            // The senders live in `self`, so that an error cannot occur.
            tokio::select! { _ = stopped.changed() => {}, _ = silent.changed() => {} }
        }
    }
}
