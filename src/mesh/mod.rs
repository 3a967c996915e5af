//! The public handle: a mesh, its sessions, receipts, watchers, members.

mod builder;
mod config;
mod edit;
mod error;
#[cfg(any(feature = "_merge", feature = "cli", feature = "dashboard"))]
mod json;
#[cfg_attr(not(feature = "axum"), allow(dead_code))]
mod keys;
mod logout;
#[cfg(feature = "dashboard")]
pub(crate) mod observe;
mod principals;
mod receipt;
mod seen;
mod sessions;
mod status;
pub(crate) mod value;
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
#[cfg(any(feature = "_merge", feature = "cli", feature = "dashboard"))]
pub use json::AsJson;
#[cfg(feature = "axum")]
pub(crate) use keys::Opened;
pub use keys::{BegunLogin, Standing, Superseded, Ticket};
pub use principals::{Login, Revocation};
#[cfg(feature = "axum")]
pub(crate) use receipt::second_copies;
pub use receipt::{Receipt, TooFewCopies};
pub use seen::{CaughtUp, CaughtUpTotals, MAX_SEEN, Seen};
#[cfg(feature = "_merge")]
pub(crate) use sessions::Asked;
pub use sessions::Sessions;
pub use status::{MemberInfo, MisbehavingInfo, RefusedInfo, Status};
#[cfg(feature = "_merge")]
pub(crate) use version::{Version, Versioned};
pub use view::{FieldError, Found, Session};
pub use watch::{SessionEvent, Watch};

use crate::core::replica::{Serving, WriteError};
use crate::driver::{Command, ForgetError, Shared, Stopped};

/// What a node says whose task does not run.
pub(crate) const SILENT: &str = "its task does not run: the process was frozen, or its runtime is not driven";

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
    /// [`Error::Stopped`] if the node stops first; [`crate::WriteError::NotServing`] if its task runs no more, because the
    /// runtime it was started on is not driven.
    pub async fn ready(&self) -> Result<(), Error> {
        let mut serving = self.shared.serving.subscribe();
        let served = async {
            // The sender lives in `self`, so that an error cannot occur.
            let _ = serving.wait_for(|held| held.0 == Serving::Ready).await;
        };
        tokio::select! {
            biased;
            stopped = self.shared.not_running(), if self.shared.has_stopped() => Err(not_running(stopped)),
            () = served => Ok(()),
            stopped = self.shared.not_running() => Err(not_running(stopped)),
        }
    }

    /// Whether this node serves now, and why (not).
    pub fn readiness(&self) -> (bool, String) {
        let serving = self.shared.replica.serving(self.shared.clock.now());
        (serving == Serving::Ready, self.shared.serving.borrow().1.clone())
    }

    /// Drills only: falsifies this node's wall clock from now on, by this much (ms), as a step of NTP or an operator would.
    pub fn step_clock_to(&self, offset_ms: i64) {
        self.shared.clock.step_to(offset_ms);
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

    /// Waits until `enough` is true of the members, or the node runs no more: then nothing will change.
    pub async fn members_until(&self, mut enough: impl FnMut(&[MemberInfo]) -> bool) {
        let mut changed = self.shared.members_changed.subscribe();
        loop {
            changed.borrow_and_update();
            if enough(&self.members()) {
                return;
            }
            tokio::select! { _ = changed.changed() => {}, _ = self.shared.not_running() => return }
        }
    }

    /// Declares that a member which is out of reach will not return: expired sessions and words about the mesh wait for it
    /// no more, on any node. By its name, or by the first eight or more digits of its life's. Should it return all the
    /// same, it goes on under a new life with what it has: no logout is undone, and nobody active is logged out there;
    /// an older field may come back in a session that had expired here (`docs/ALGORITHM.md` §6).
    ///
    /// # Errors
    /// [`Error::Forget`] for a member that is alive, unknown or this node itself. Nothing changed.
    pub async fn forget(&self, node: &str) -> Result<Vec<String>, Error> {
        let (answer, answered) = oneshot::channel();
        let stopped = || Error::Forget(ForgetError::Stopped);
        let command = Command::Forget(node.to_owned(), answer);
        self.shared.commands.send(command).await.map_err(|_| stopped())?;
        let lives = answered.await.map_err(|_| stopped())??;
        Ok(lives.iter().map(|life| format!("{:032x}", life.0)).collect())
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
        let publish = self.shared.commands.send(Command::Publish(key.to_owned(), value.to_owned()));
        // A stopped node has nobody to tell.
        tokio::select! { _ = publish => {}, _ = self.shared.not_running() => {} }
    }

    /// Leaves in good order: hands over what no peer has yet (at most five seconds), says goodbye, stops.
    /// Returns whether a peer has adopted every write of this node; `false` also if its task runs no more, and so can
    /// hand over nothing.
    pub async fn leave(&self) -> bool {
        let (answer, drained) = oneshot::channel();
        let left = async {
            if self.shared.commands.send(Command::Leave(answer)).await.is_err() {
                return false;
            }
            let drained = drained.await.unwrap_or(false);
            self.stopped().await;
            drained
        };
        let silent = async {
            // The answer itself comes shortly before the end.
            while self.shared.not_running().await.is_some() {
                std::future::pending::<()>().await;
            }
        };
        // In this order, so that it is asked to leave in any case, should it be driven again.
        tokio::select! { biased; drained = left => drained, () = silent => false }
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

/// Why something that waited on the node's task ends.
fn not_running(stopped: Option<Stopped>) -> Error {
    stopped.map_or_else(|| WriteError::NotServing(SILENT).into(), Error::Stopped)
}

impl std::fmt::Debug for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mesh")
            .field("cluster", &self.shared.cluster)
            .field("node", &self.shared.node)
            .finish_non_exhaustive()
    }
}
