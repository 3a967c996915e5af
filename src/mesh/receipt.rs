//! What a write returns: proof of it, and a way to wait for copies.

use std::time::{Duration, Instant};

use super::Mesh;
use crate::core::causality::Dot;
use crate::core::limits::ALL_COPIES_GRACE_MS;
use crate::core::replica::Written;
use crate::core::session::SessionId;
use crate::driver::within;

/// Fewer copies than asked for by the deadline. The write stands and goes on spreading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{have} of {want} copies by the deadline; the write stands and goes on spreading")]
pub struct TooFewCopies {
    /// Nodes that hold it, this one included.
    pub have: usize,
    /// What was asked for.
    pub want: usize,
}

/// A write that this node holds. Waiting on it is optional: the write spreads in any case.
///
/// ```no_run
/// # async fn example(sessions: sessionmesh::Sessions, id: sessionmesh::SessionId) -> Result<(), Box<dyn std::error::Error>> {
/// let receipt = sessions.edit(&id, |s| s.set("paid", &true))?;
/// if let Err(few) = receipt.copies(3).await {
///     println!("{few}");                                      // it stands, and goes on spreading
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Receipt {
    mesh: Mesh,
    id: SessionId,
    written: Written,
}

impl Receipt {
    pub(crate) fn new(mesh: Mesh, id: SessionId, written: Written) -> Self {
        Self { mesh, id, written }
    }

    /// The session written to.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The write event: of an edit that changed nothing, the one whose value stands.
    pub fn dot(&self) -> Dot {
        self.written.dot
    }

    /// Whether anything was written.
    pub fn wrote(&self) -> bool {
        self.written.wrote
    }

    /// When the session now ends (ms since the epoch).
    pub fn deadline_ms(&self) -> u64 {
        self.written.deadline_ms
    }

    /// How many nodes are known to hold this write now, this one included.
    pub fn have(&self) -> usize {
        let shared = self.mesh.shared();
        // A skipped edit may name another life's dot: it is known to be here, there if that life is linked, and wherever
        // a round has shown it. Writes of an earlier life of this process are another life's too.
        let writer = self.written.dot.origin;
        if writer != shared.life.read().0 {
            return 1 + shared.acks.holders_of(self.written.partition, self.written.dot);
        }
        1 + shared.acks.holders(self.written.partition, self.written.dot.counter)
    }

    /// Waits until `want` nodes hold the write, this one included, each having adopted it; at most the
    /// configured `ack_timeout_ms`.
    ///
    /// # Errors
    /// [`TooFewCopies`] at the deadline.
    pub async fn copies(&self, want: usize) -> Result<(), TooFewCopies> {
        self.copies_within(want, self.mesh.ack_timeout()).await
    }

    /// As [`Receipt::copies`], waiting at most `patience`.
    ///
    /// # Errors
    /// [`TooFewCopies`] at the deadline.
    pub async fn copies_within(&self, want: usize, patience: Duration) -> Result<(), TooFewCopies> {
        let shared = self.mesh.shared();
        let enough = shared.acks.wait(|_| self.have() >= want || shared.has_stopped());
        // At the deadline what is there counts, and a node that has stopped hears of no copy any more.
        let _ = within(patience, enough).await;
        match self.have() {
            have if have >= want => Ok(()),
            have => Err(TooFewCopies { have, want }),
        }
    }

    /// What web adapters do before they answer: wait for a second copy while another member is alive, and a moment
    /// longer for the rest, so that the next request reads this write wherever it lands. Returns whether there is a
    /// second copy; if not although somebody should have taken it, the write is counted in `unreplicated_total`.
    pub async fn replicated(&self) -> bool {
        // Where nothing was written the value that stands was promised by its writer, who may be dead: rounds show who
        // else holds it, and begin as soon as a link is lost.
        second_copies(std::slice::from_ref(self)).await;
        if self.written.wrote && self.have() >= 2 {
            self.all_that_keep_up().await;
        }
        self.have() >= 2
    }

    /// The promise is kept already; this is courtesy to the reader.
    async fn all_that_keep_up(&self) {
        let (partition, counter) = (self.written.partition, self.written.dot.counter);
        let acks = &self.mesh.shared().acks;
        let all = acks.wait(|acks| acks.all_keeping_up_hold(partition, counter, Instant::now()));
        let grace = self.mesh.ack_timeout().min(Duration::from_millis(ALL_COPIES_GRACE_MS));
        if within(grace, all).await.is_none() {
            acks.let_pass(partition, counter, Instant::now());
        }
    }
}

/// Waits for a second copy of each of these writes while another member is alive; at most the configured
/// `ack_timeout_ms` for all. Those still without one are counted in `unreplicated_total`.
pub(crate) async fn second_copies(receipts: &[Receipt]) {
    let Some(shared) = receipts.first().map(|receipt| receipt.mesh.shared()) else { return };
    let copied = |receipt: &Receipt| receipt.have() >= 2;
    let over = || shared.has_stopped() || !shared.others_alive();
    let all = shared.acks.wait(|_| receipts.iter().all(copied) || over());
    let late = within(Duration::from_millis(shared.ack_timeout_ms), all).await.is_none();
    if late || shared.has_stopped() {
        receipts.iter().filter(|receipt| !copied(receipt)).for_each(|_| shared.count_unreplicated());
    }
}
