//! What the dashboard reads of a node: one consistent gathering a time, and questions to peers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{CaughtUpTotals, Mesh};
use crate::core::causality::Origin;
use crate::core::replica::{Counts, Dumped, Partition, Serving};
use crate::core::session::SessionId;
use crate::driver::told::Listener;
use crate::driver::{Command, Stopped, within};
pub(crate) use crate::driver::{Faulty, Flow, MemberView, Note, NoteKind, Numbers, Observed};

/// Everything a node knows that a dashboard may show, but for its sessions.
#[derive(Clone, Debug)]
pub(crate) struct Gathered {
    pub node: String,
    pub cluster: String,
    pub origin: Origin,
    /// The clocks when it was gathered.
    pub wall_ms: u64,
    pub mono_ms: u64,
    /// By which monotonic times are told as wall times.
    pub wall_minus_mono_ms: u64,
    /// When the node was started (wall ms).
    pub started_wall_ms: u64,
    pub serving: Serving,
    pub reason: String,
    pub stopped: Option<Stopped>,
    pub members: Vec<MemberView>,
    pub numbers: Numbers,
    /// `None` for a quarter of a second after the first gathering.
    pub observed: Option<Arc<Observed>>,
    pub counts: Counts,
    /// Peers that broke rules lately.
    pub faulty: Vec<Faulty>,
    pub record_bytes: u64,
    /// What `max_memory_bytes` bounds.
    pub held_bytes: u64,
    pub max_memory_bytes: u64,
    pub partitions: u16,
    pub max_drift_ms: u64,
    pub gossip_interval_ms: u64,
    pub backlog: u64,
    pub unreplicated: u64,
    pub caught_up: CaughtUpTotals,
    pub linked: usize,
    /// Watchers of sessions.
    pub watchers: usize,
    /// Write events of this life.
    pub own_writes: u64,
    /// The newest counter held of each origin; empty unless lag was asked for.
    pub newest: BTreeMap<Origin, u64>,
    /// Own writes each linked peer has not acknowledged, an upper bound; empty unless lag was asked for.
    pub unacked: BTreeMap<Origin, u64>,
}

impl Gathered {
    /// A monotonic time of this node as wall time (ms).
    pub fn wall_of(&self, mono_ms: u64) -> u64 {
        self.wall_minus_mono_ms + mono_ms
    }

    /// The name of a life, if it is a member's.
    pub fn name_of(&self, origin: Origin) -> Option<&str> {
        let member = self.members.iter().find(|m| m.origin == origin);
        member.map(|m| m.node.as_str()).or_else(|| (origin == self.origin).then_some(self.node.as_str()))
    }
}

impl Mesh {
    /// From now on this node keeps what [`Mesh::gather`] tells.
    pub(crate) fn observe(&self) {
        // A full queue is a busy task; the next gathering asks again.
        let _ = self.shared().commands.try_send(Command::Observe);
    }

    /// As [`Mesh::gather`], with who lacks what: walks the vectors of all partitions, some milliseconds with a hundred
    /// members.
    pub(crate) fn gather_lag(&self) -> Gathered {
        let newest = self.shared().replica.newest_counters();
        Gathered { newest, unacked: self.unacknowledged(), ..self.gather() }
    }

    /// Reads everything but who lacks what: far below a millisecond.
    pub(crate) fn gather(&self) -> Gathered {
        let shared = self.shared();
        let observed = shared.observed.lock().clone();
        if observed.is_none() {
            self.observe();
        }
        let now = shared.now();
        let limits = shared.replica.limits();
        let (serving, reason) = shared.served();
        Gathered {
            node: shared.node.clone(),
            cluster: shared.cluster.clone(),
            origin: shared.life.read().0,
            wall_ms: now.wall_ms,
            mono_ms: now.mono_ms,
            wall_minus_mono_ms: shared.told_offset.at(now),
            started_wall_ms: shared.started_wall_ms,
            serving,
            reason,
            stopped: shared.stopped.borrow().clone(),
            members: shared.members.read().clone(),
            numbers: shared.stats.lock().clone(),
            observed,
            counts: shared.replica.counts(),
            faulty: shared.faulty.read().clone(),
            record_bytes: shared.replica.record_bytes(),
            held_bytes: shared.replica.held_bytes(),
            max_memory_bytes: limits.max_memory_bytes,
            partitions: limits.partitions,
            max_drift_ms: limits.max_drift_ms,
            gossip_interval_ms: shared.gossip_interval_ms,
            backlog: shared.backlog.load(Ordering::Acquire),
            unreplicated: self.unreplicated_total(),
            caught_up: self.sessions().caught_up_totals(),
            linked: shared.acks.linked(),
            watchers: shared.events.listeners(),
            own_writes: shared.replica.counter(),
            newest: BTreeMap::new(),
            unacked: BTreeMap::new(),
        }
    }

    fn unacknowledged(&self) -> BTreeMap<Origin, u64> {
        let shared = self.shared();
        let mut behind: BTreeMap<Origin, u64> = BTreeMap::new();
        let linked = shared.acks.linked_peers();
        for ix in 0..shared.replica.limits().partitions {
            let last = shared.replica.shared(ix, Partition::own_last);
            for (peer, upto) in shared.acks.upto(ix, &linked) {
                let lacks = if upto >= last { 0 } else { shared.replica.shared(ix, |p| p.own_since(upto)) };
                *behind.entry(peer).or_default() += lacks as u64;
            }
        }
        behind
    }

    /// What happens from now on, for an event log.
    pub(crate) fn notes(&self) -> Listener<Note> {
        self.shared().notes.listen()
    }

    /// The monotonic clock (ms).
    pub(crate) fn mono_ms(&self) -> u64 {
        self.shared().clock.now().mono_ms
    }

    /// The wall clock (ms since the epoch).
    pub(crate) fn wall_ms(&self) -> u64 {
        self.shared().now().wall_ms
    }

    /// Runs `f` on a partition, locked shared.
    pub(crate) fn with_partition<T>(&self, ix: u16, f: impl FnOnce(&Partition) -> T) -> T {
        self.shared().replica.shared(ix, f)
    }

    /// The key of the short hashes by which sessions are named.
    pub(crate) fn log_key(&self) -> u64 {
        self.shared().log_key
    }

    /// What linked peers have of a session, by whoever answers within `patience`. Nothing of it is taken in.
    pub(crate) async fn inspect(
        &self,
        id: SessionId,
        patience: Duration,
    ) -> BTreeMap<Origin, Option<Box<Dumped>>> {
        let mut answers = BTreeMap::new();
        let wanted = self.shared().acks.linked();
        // Each of those asked answers once at most: as many as are linked, and the core sees to that.
        let (tell, mut told) = mpsc::unbounded_channel();
        if wanted == 0 || self.shared().commands.send(Command::Inspect(id, tell)).await.is_err() {
            return answers;
        }
        let all = async {
            while answers.len() < wanted
                && let Some((peer, copy)) = told.recv().await
            {
                answers.insert(peer, copy);
            }
        };
        // Whoever is silent until then is missing in the answer.
        let _ = within(patience, all).await;
        answers
    }
}
