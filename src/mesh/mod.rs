//! The public handle: a mesh, its sessions, receipts, watchers, members.

mod builder;
mod config;
mod edit;
mod error;
#[cfg(feature = "dashboard")]
pub(crate) mod observe;
mod principals;
mod receipt;
#[cfg(feature = "axum")]
mod rotate;
mod seen;
mod sessions;
mod status;
#[cfg(feature = "_merge")]
mod version;
mod view;
mod watch;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

pub use builder::Builder;
pub use config::{Config, ConfigError, SecretSource};
pub use edit::{Expiry, Fields};
pub use error::Error;
pub use principals::Revocation;
#[cfg(feature = "axum")]
pub(crate) use receipt::second_copies;
pub use receipt::{Receipt, TooFewCopies};
pub use seen::{CaughtUp, CaughtUpTotals, MAX_SEEN, Seen};
pub use sessions::Sessions;
pub use status::{MemberInfo, RefusedInfo, Status};
#[cfg(feature = "_merge")]
pub(crate) use version::{Version, Versioned};
pub use view::{FieldError, Found, Session};
pub use watch::{SessionEvent, Watch};

use crate::core::replica::Serving;
use crate::driver::{Command, Shared, Stopped};

/// One node of a mesh. Cheap to clone; all clones are the same node. When the last handle (with every
/// [`Sessions`] and [`Receipt`] made from it) is gone the node stops without a goodbye; [`Mesh::leave`] says one.
#[derive(Clone)]
pub struct Mesh {
    shared: Arc<Shared>,
    _alive: Arc<StopOnDrop>,
}

/// Ends the node's task with the last handle.
struct StopOnDrop(Arc<Shared>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        // A full queue means a busy task that has a command more to see; a closed one has stopped already.
        let _ = self.0.commands.try_send(Command::Stop);
    }
}

impl Mesh {
    /// Configures a node.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { _alive: Arc::new(StopOnDrop(Arc::clone(&shared))), shared }
    }

    /// The sessions of this mesh.
    pub fn sessions(&self) -> Sessions {
        Sessions::new(self.clone())
    }

    /// Waits until this node serves: it holds every live session of the mesh, or knows that nobody is there.
    ///
    /// Before that, a missing session is [`Found::NotYetKnown`], never absent.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the node stops first.
    pub async fn ready(&self) -> Result<(), Error> {
        let mut serving = self.shared.serving.subscribe();
        let mut stopped = self.shared.stopped.subscribe();
        loop {
            if let Some(why) = stopped.borrow_and_update().clone() {
                return Err(Error::Stopped(why));
            }
            if serving.borrow_and_update().0 == Serving::Ready {
                return Ok(());
            }
            // The senders live in `self`, so that an error cannot occur.
            tokio::select! { _ = serving.changed() => {}, _ = stopped.changed() => {} }
        }
    }

    /// Whether this node serves now, and why (not).
    pub fn readiness(&self) -> (bool, String) {
        let serving = self.shared.replica.serving(self.shared.clock.now());
        (serving == Serving::Ready, self.shared.serving.borrow().1.clone())
    }

    /// Waits until the node has stopped, and says why.
    pub async fn stopped(&self) -> Stopped {
        let mut stopped = self.shared.stopped.subscribe();
        loop {
            if let Some(why) = stopped.borrow_and_update().clone() {
                return why;
            }
            if stopped.changed().await.is_err() {
                return Stopped::Dropped;
            }
        }
    }

    /// The members as this node sees them, itself included, by name.
    pub fn members(&self) -> Vec<MemberInfo> {
        self.shared.members.read().iter().map(MemberInfo::from).collect()
    }

    /// Waits until `enough` is true of the members.
    pub async fn members_until(&self, mut enough: impl FnMut(&[MemberInfo]) -> bool) {
        let mut changed = self.shared.members_changed.subscribe();
        loop {
            changed.borrow_and_update();
            if enough(&self.members()) {
                return;
            }
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// What this node knows of itself.
    pub fn status(&self) -> Status {
        Status::of(&self.shared)
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.shared.node
    }

    /// The address peers dial.
    pub fn addr(&self) -> std::net::SocketAddr {
        self.shared.life.read().1
    }

    /// Publishes a fact about this node; it appears in every member's [`MemberInfo::metadata`].
    pub async fn publish(&self, key: &str, value: &str) {
        // A stopped node has nobody to tell.
        let _ = self.shared.commands.send(Command::Publish(key.to_owned(), value.to_owned())).await;
    }

    /// Leaves in good order: hands over what no peer has yet (at most five seconds), says goodbye, stops.
    /// Returns whether a peer has adopted every write of this node.
    pub async fn leave(&self) -> bool {
        let (answer, drained) = oneshot::channel();
        if self.shared.commands.send(Command::Leave(answer)).await.is_err() {
            return false;
        }
        let drained = drained.await.unwrap_or(false);
        self.stopped().await;
        drained
    }

    /// Writes answered to clients without the promised second copy, since the start.
    pub fn unreplicated_total(&self) -> u64 {
        self.shared.unreplicated.load(Ordering::Relaxed)
    }

    /// Everything this node holds, spelled out with ids and values. Secret: for tests and drills.
    pub fn dump(&self) -> std::collections::BTreeMap<String, crate::core::replica::Dumped> {
        self.shared.replica.dump()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn ack_timeout(&self) -> Duration {
        Duration::from_millis(self.shared.ack_timeout_ms)
    }
}

impl std::fmt::Debug for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mesh")
            .field("cluster", &self.shared.cluster)
            .field("node", &self.shared.node)
            .finish_non_exhaustive()
    }
}
