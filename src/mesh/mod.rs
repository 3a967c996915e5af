//! The public handle: a mesh, its sessions, receipts, watchers, members.

mod builder;
mod config;
#[cfg(feature = "_merge")]
mod cycle;
mod edit;
mod error;
#[cfg(any(feature = "_merge", feature = "dashboard"))]
mod json;
#[cfg_attr(not(feature = "axum"), allow(dead_code))]
mod keys;
mod logout;
#[cfg(feature = "dashboard")]
pub(crate) mod observe;
mod principals;
mod private;
mod ration;
mod receipt;
mod seen;
mod sessions;
mod shutdown;
mod status;
mod ticket;
pub(crate) mod value;
#[cfg(feature = "_merge")]
mod version;
mod view;
mod watch;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use builder::Builder;
pub use config::{Config, ConfigError, SecretSource};
#[cfg(feature = "_merge")]
pub(crate) use cycle::{GivenUp, HeldLogin, Kin};
pub use edit::{Expiry, Fields};
pub use error::Error;
#[cfg(any(feature = "_merge", feature = "dashboard"))]
pub use json::AsJson;
pub use keys::{BegunLogin, Standing, Superseded, Ticket};
pub use principals::{Login, Revocation};
#[doc(hidden)]
pub use private::first_line;
pub(crate) use ration::Ration;
#[cfg(feature = "axum")]
pub(crate) use receipt::second_copies;
pub use receipt::{Receipt, TooFewCopies};
pub use seen::{CaughtUp, CaughtUpTotals, MAX_SEEN, Seen};
#[cfg(feature = "_merge")]
pub(crate) use sessions::Asked;
pub use sessions::Sessions;
pub use shutdown::Shutdown;
pub use status::{MemberInfo, MisbehavingInfo, RefusedInfo, Status};
#[cfg(feature = "axum")]
pub(crate) use ticket::Look;
pub use ticket::{LoggedOut, Opened};
#[cfg(feature = "_merge")]
pub(crate) use version::{Version, Versioned};
pub use view::{FieldError, Found, Session};
pub use watch::{SessionEvent, Watch};

use crate::core::replica::{Serving, WriteError};
pub(crate) use crate::driver::SILENT;
use crate::driver::{Command, ForgetError, Shared, StopOnDrop, Stopped};

/// One node of a mesh. Cheap to clone; all clones are the same node. When the last handle (with every
/// [`Sessions`] and [`Receipt`] made from it) is gone the node stops without a goodbye; [`Mesh::leave`] says one.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sessionmesh::Mesh;
///
/// let builder = Mesh::builder().cluster("shop").seeds(["shop-mesh:7946"]).secret_from_env("SESSIONMESH_SECRET")?;
/// let mesh = builder.start().await?;
/// mesh.ready().await?;                                        // serve from here on
/// for member in mesh.members() {
///     println!("{} is {:?}", member.node, member.state);
/// }
/// mesh.leave().await;                                         // hand over, say goodbye
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Mesh {
    shared: Arc<Shared>,
    /// Ends the node's task with the last handle.
    _alive: Arc<StopOnDrop>,
    /// Logouts of sessions that nobody here knows, with tickets that nobody vouches for.
    strangers: Arc<Mutex<Ration>>,
}

impl Mesh {
    /// Configures a node.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(alive: StopOnDrop) -> Self {
        let strangers = Arc::new(Mutex::new(Ration::new(Instant::now())));
        Self { shared: Arc::clone(alive.shared()), _alive: Arc::new(alive), strangers }
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
    ///
    /// Needs no runtime, may be dropped at any await.
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

    /// Whether requests shall be sent here now, and why (not): `/readyz`. Never waits.
    pub fn readiness(&self) -> (bool, String) {
        if let Err(why) = self.liveness() {
            return (false, why);
        }
        if let Some(why) = self.shared.draining.borrow().clone() {
            return (false, why);
        }
        let (serving, why) = self.shared.served();
        (serving == Serving::Ready, why)
    }

    /// Whether the node's task runs: `/healthz`. A process that answers while its node does not is of no use to anybody, and
    /// is to be started again. Never waits.
    ///
    /// # Errors
    /// A sentence that says why it does not: it has stopped, or has shown no pulse for five seconds.
    pub fn liveness(&self) -> Result<(), String> {
        if let Some(stopped) = self.shared.stopped.borrow().as_ref() {
            return Err(stopped.to_string());
        }
        if self.shared.pulse.is_silent() { Err(SILENT.to_owned()) } else { Ok(()) }
    }

    /// From now on no new requests shall come here: [`Mesh::readiness`] says no, for this reason, and everything else goes on.
    /// For a process that is about to end, while load balancers notice.
    pub fn drain(&self, why: &str) {
        self.shared.draining.send_replace(Some(why.to_owned()));
    }

    /// Whether this node serves now.
    pub(crate) fn is_ready(&self) -> bool {
        self.shared.replica.serving(self.shared.clock.now()) == Serving::Ready
    }

    /// Drills only: falsifies this node's wall clock from now on, by this much (ms), as a step of NTP or an operator would.
    pub fn step_clock_to(&self, offset_ms: i64) {
        self.shared.clock.step_to(offset_ms);
    }

    /// Waits until the node has stopped, and says why. Needs no runtime, may be dropped at any await.
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

    /// Waits until `enough` is true of the members, or the node runs no more: then nothing will change. Needs no runtime, may
    /// be dropped at any await.
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
    /// [`Error::Forget`] for a member that is alive, unknown or this node itself, and after `leave`. Nothing changed.
    ///
    /// Needs no runtime. Dropped at an await, it may have been done or not.
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

    /// Publishes a fact about this node; it appears in every member's [`MemberInfo::metadata`], also after a new life.
    ///
    /// # Errors
    /// [`Error::Publish`] for a key that is not 1 to 123 printable ASCII bytes, a value over 8 KiB, or more than 64 keys; those
    /// of the node itself, such as where its dashboard is, do not count. [`Error::Stopped`] after `leave`. Nothing changed.
    ///
    /// Needs no runtime. Dropped at an await, it may have been done or not.
    pub async fn publish(&self, key: &str, value: &str) -> Result<(), Error> {
        self.publish_as(key, value, false).await
    }

    /// Publishes a fact of the node's own.
    #[cfg(feature = "dashboard")]
    pub(crate) async fn publish_own(&self, key: &str, value: &str) {
        // Keys and values are ours and fit, and a node that has stopped has nobody to tell.
        let _ = self.publish_as(key, value, true).await;
    }

    async fn publish_as(&self, key: &str, value: &str, own: bool) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Publish { key: key.to_owned(), value: value.to_owned(), own, answer };
        let published = async {
            // An error means that the node has stopped, which the other branch tells.
            let _ = self.shared.commands.send(command).await;
            answered.await
        };
        tokio::select! {
            biased;
            done = published => match done {
                Ok(done) => done.map_err(Error::from),
                Err(_) => Err(not_running(self.shared.not_running().await)),
            },
            stopped = self.shared.not_running() => Err(not_running(stopped)),
        }
    }

    /// Leaves in good order: hands over what no peer has yet (at most five seconds), says goodbye, stops.
    /// Returns whether a peer has adopted every write of this node; `false` also if its task runs no more, and so can
    /// hand over nothing. A second call answers `false` at once.
    ///
    /// It takes a fraction of a second if everything is elsewhere already, and 9 s at most. Needs no runtime. Dropped at an
    /// await, the node leaves all the same.
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
