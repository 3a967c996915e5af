//! What the node's task and embedders' threads share.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::acks::Acks;
use super::clock::Clock;
use super::conduct::Faulty;
use super::observe::{Copied, Delays, Note, Observed, ToldOffset};
use super::pulse::Pulse;
use super::refusals::Refusal;
use super::told::Told;
use crate::core::causality::Origin;
use crate::core::limits::MAX_ASKS_PER_SECOND;
use crate::core::membership::{self, State};
use crate::core::node::{ClockView, Stats};
use crate::core::replica::{Happened, Replica, Serving};
use crate::core::session::SessionId;
use crate::core::time::Now;
use crate::discovery::{DiscoveryError, DiscoveryHealth};
use crate::transport;

/// What handles ask of the node's task.
pub(crate) enum Command {
    /// Read a session through from peers.
    Ask(SessionId, Asker),
    /// Keep what observers read, from now on.
    #[cfg_attr(not(feature = "dashboard"), allow(dead_code))]
    Observe,
    /// Show every linked peer's copy of a session, without taking it in.
    #[cfg_attr(not(feature = "dashboard"), allow(dead_code))]
    Inspect(SessionId, mpsc::UnboundedSender<Copied>),
    /// Publish a fact about this node; one of its own does not count against the user's.
    Publish { key: String, value: String, own: bool, answer: oneshot::Sender<Result<(), DiscoveryError>> },
    /// Declare the last life of a member over. Answers which lives those were.
    Forget(String, oneshot::Sender<Result<Vec<Origin>, ForgetError>>),
    /// Drain, say goodbye, stop. Answers whether everything was handed over.
    Leave(oneshot::Sender<bool>),
}

/// Who waits for what peers say of a session.
pub(crate) enum Asker {
    /// Answered when one has it or all have said no; counts who said anything.
    Any(oneshot::Sender<()>, Arc<Answers>),
    /// Answered when all have, with who they were.
    All(Vec<Origin>, oneshot::Sender<Vec<Origin>>),
}

/// How the peers that were asked behaved. Read also when nobody waits for the rest any more.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Said whether they have it.
    pub said: AtomicUsize,
    /// Were lost before they said anything: that is no "no".
    pub lost: AtomicUsize,
}

impl Asker {
    /// Takes in one peer's answer; returns whether no other is needed.
    pub fn heard(&mut self, answered: Option<Origin>, found: bool) -> bool {
        match self {
            Self::Any(_, answers) => {
                let counted = if answered.is_some() { &answers.said } else { &answers.lost };
                counted.fetch_add(1, Ordering::AcqRel);
                found
            }
            Self::All(peers, _) => {
                peers.extend(answered);
                false
            }
        }
    }

    /// Tells the asker, who may have stopped waiting.
    pub fn answer(self) {
        let _ = match self {
            Self::Any(waiting, _) => waiting.send(()).is_ok(),
            Self::All(peers, waiting) => waiting.send(peers).is_ok(),
        };
    }

    /// Whether nobody waits any more.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Any(waiting, _) => waiting.is_closed(),
            Self::All(_, waiting) => waiting.is_closed(),
        }
    }
}

/// How reads that had to see certain writes went, since the start.
#[derive(Debug, Default)]
pub(crate) struct CaughtUpCounts {
    pub here: AtomicU64,
    pub waited: AtomicU64,
    pub fetched: AtomicU64,
    pub behind: AtomicU64,
}

/// One member as this node sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MemberView {
    pub node: String,
    pub origin: Origin,
    pub addr: SocketAddr,
    pub state: State,
    /// Why it is in that state.
    pub why: String,
    /// How long it has been in that state (ms).
    pub since_ms: u64,
    /// Since when it is in that state (monotonic ms), if the detector judged it.
    pub since_mono_ms: Option<u64>,
    /// How often it had to refute a suspicion.
    pub incarnation: u32,
    /// Who suspects it, by name where the name is known.
    pub accusers: Vec<String>,
    /// How much longer it has to refute the suspicion (ms).
    pub dead_in_ms: Option<u64>,
    /// When it is dead unless it does (monotonic ms).
    pub dead_mono_ms: Option<u64>,
    /// Round-trip time of its probes (ms).
    pub rtt_ms: Option<f64>,
    pub linked: bool,
    /// Since when it answers and has no link (monotonic ms).
    pub unlinked_mono_ms: Option<u64>,
    pub wall_offset_ms: i64,
    pub backlog_partitions: usize,
    pub metadata: BTreeMap<String, String>,
}

/// Counts of everything that runs.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    pub node: Stats,
    pub members: membership::Stats,
    /// Its wall clock.
    pub clock: ClockView,
    /// How much this node doubts itself.
    pub penalty: u32,
    pub network: transport::Stats,
    pub discovery: DiscoveryHealth,
}

/// Why a member was not forgotten. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgetError {
    /// Its processes answer, or may still answer: it is no decision of an operator's that they do not.
    #[error("{node:?} is {state}: only a member that is out of reach can be forgotten; stop it first")]
    Alive {
        /// The member.
        node: String,
        /// What it is believed to be.
        state: &'static str,
    },
    /// It said goodbye: nothing waits for it.
    #[error("{node:?} said goodbye: nothing waits for it")]
    Left {
        /// The member.
        node: String,
    },
    /// No member of this name is missing here.
    #[error("no member {node:?} is known here, or missing")]
    Unknown {
        /// The name asked for.
        node: String,
    },
    /// A node cannot forget itself.
    #[error("this is the node itself: it leaves when it is stopped in good order")]
    Itself,
    /// The node runs no more.
    #[error("this node runs no more")]
    Stopped,
}

/// Why a node runs no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// `leave` was called.
    #[error("the node left the mesh")]
    Left,
    /// The last handle was dropped, or the process is ending.
    #[error("the node was stopped")]
    Dropped,
    /// Another process runs under this node's name, and of the two it stays: two nodes must not share a name.
    #[error("another process runs as node {node:?} (life {origin}): give each node a name of its own")]
    Clone {
        /// The name.
        node: String,
        /// The other's life.
        origin: Origin,
    },
    /// Its task ended without a word: it panicked, it was aborted, or its runtime was shut down.
    #[error("the node's task has ended: it panicked, or its runtime was shut down")]
    Died,
    /// A member that lives carries this node's name, and this node had not served yet: it does not start.
    #[error(
        "a node named {node:?} lives at {addr}: give this one a name of its own, or none, and it takes one that is free"
    )]
    NameTaken {
        /// The name.
        node: String,
        /// Where the member lives.
        addr: SocketAddr,
    },
    /// The node could not come back under a new life.
    #[error("the node could not begin a new life: {0}")]
    NewLife(String),
}

/// Shared by the engine and all handles of one mesh.
pub(crate) struct Shared {
    pub node: String,
    pub cluster: String,
    pub replica: Arc<Replica>,
    pub clock: Clock,
    /// Keys the short hashes by which logs name sessions; the same on all members.
    pub log_key: u64,
    /// Keys of what clients carry: the first one signs.
    #[cfg_attr(not(feature = "axum"), allow(dead_code))]
    pub client_keys: Vec<[u8; 32]>,
    /// The second of the last asks, and how many there were in it.
    pub asks: Mutex<(u64, u64)>,
    /// Sessions whose clients' writes nobody could bring, and until when (monotonic ms) nobody is asked again.
    pub vain_asks: Mutex<HashMap<SessionId, u64>>,
    pub acks: Acks,
    /// Set when `leave` begins: writes are refused from then on.
    pub leaving: AtomicBool,
    /// Wakes the engine after local writes.
    pub news: Notify,
    /// Asks the engine to stop without a goodbye. Not a command: those can be lost when too many wait.
    pub stop: Notify,
    /// When the node was started (wall ms): one moment, whatever lives and clocks come after.
    #[cfg_attr(not(feature = "dashboard"), allow(dead_code))]
    pub started_wall_ms: u64,
    /// How often each node gossips (ms).
    #[cfg_attr(not(feature = "dashboard"), allow(dead_code))]
    pub gossip_interval_ms: u64,
    /// Why no new request shall come here although sessions are served: the process is about to end.
    pub draining: watch::Sender<Option<String>>,
    pub commands: mpsc::Sender<Command>,
    pub events: Told<Happened>,
    /// Something came from a peer: whoever waits for a write looks again.
    pub arrived: watch::Sender<()>,
    pub caught_up: CaughtUpCounts,
    pub serving: watch::Sender<(Serving, String)>,
    pub stopped: watch::Sender<Option<Stopped>>,
    pub pulse: Pulse,
    pub members: RwLock<Vec<MemberView>>,
    pub members_changed: watch::Sender<u64>,
    /// Handshakes refused lately, by either side.
    pub refusals: RwLock<Vec<Refusal>>,
    /// Peers that broke rules lately.
    pub faulty: RwLock<Vec<Faulty>>,
    pub life: RwLock<(Origin, SocketAddr)>,
    pub stats: Mutex<Numbers>,
    /// Writes answered without the promised second copy.
    pub unreplicated: AtomicU64,
    /// How long an adapter waits for the second copy (ms).
    pub ack_timeout_ms: u64,
    /// How long a read-through waits for peers (ms).
    pub ask_timeout_ms: u64,
    /// What happened, for event logs.
    pub notes: Told<Note>,
    /// What the node's task shows observers; `None` while there was none.
    pub observed: Mutex<Option<Arc<Observed>>>,
    pub delays: Delays,
    #[cfg_attr(not(feature = "dashboard"), allow(dead_code))]
    pub told_offset: ToldOffset,
    /// Partitions with local writes some linked peer has not been sent, and pushes under way.
    pub backlog: AtomicU64,
}

/// What a node says whose task does not run.
pub(crate) const SILENT: &str = "its task does not run: the process was frozen, or its runtime is not driven";

impl Shared {
    /// Both clocks; the wall time is the believed one.
    pub fn now(&self) -> Now {
        self.replica.wall().believe(self.clock.now())
    }

    /// Whether the node serves, and why. What stood still is fenced before its own task has looked and told of it.
    pub fn served(&self) -> (Serving, String) {
        let serving = self.replica.serving(self.clock.now());
        let (told, why) = &*self.serving.borrow();
        // What was told last is no reason for what is so since.
        let why = if serving == Serving::Fenced && *told != serving { SILENT } else { why };
        (serving, why.to_owned())
    }

    /// Wakes the engine: local writes happened.
    pub fn wrote(&self) {
        self.news.notify_one();
    }

    /// Whether any other member is thought to be there.
    pub fn others_alive(&self) -> bool {
        self.acks.linked() > 0
            || self.members.read().iter().any(|m| m.state.is_living() && m.node != self.node)
    }

    /// Whether peers may be asked about one more unknown id in this second.
    pub fn may_ask(&self) -> bool {
        let second = self.clock.now().mono_ms / 1_000;
        let mut asks = self.asks.lock();
        if asks.0 != second {
            *asks = (second, 0);
        }
        asks.1 += 1;
        asks.1 <= MAX_ASKS_PER_SECOND
    }

    /// Counts a write answered with too few copies.
    pub fn count_unreplicated(&self) {
        self.unreplicated.fetch_add(1, Ordering::Relaxed);
    }
}
