//! One simulated process, and the machine it runs on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sessionmesh::core::causality::{Origin, RangeSet};
use sessionmesh::core::limits::Limits;
use sessionmesh::core::membership;
use sessionmesh::core::node::{Node, Setup};
use sessionmesh::core::replica::{Happened, Replica};
use sessionmesh::core::time::Now;
use sessionmesh::core::wire::WIRE_NEWEST;

use super::detect::Witness;
use crate::board::BoardMember;
use crate::clock::Clock;

/// What outlives a process: its machine, its name, its configuration.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// The name its processes carry on the board.
    pub name: String,
    /// Its clocks.
    pub clock: Clock,
    /// The wall clock's error (ms), kept while no process runs.
    pub offset_ms: i64,
    /// How long one input takes to be handled (ms): a slow or overloaded machine.
    pub slow_ms: u64,
    /// Until when (virtual ms) it is busy with inputs that came before.
    pub busy_until_ms: u64,
    /// Indices of the processes it is told to join through.
    pub seeds: Vec<usize>,
    /// The wire version its processes speak.
    pub version: u16,
    /// Counts the starts of its processes, and the lives begun within one.
    pub starts: u64,
    /// The last generation it had on the board.
    pub generation: u64,
}

/// A write that waits for its second copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unacked {
    pub op: u64,
    pub partition: u16,
    pub counter: u64,
}

/// One simulated process.
pub struct SimNode {
    /// The shipped state machine.
    pub node: Node,
    /// The shipped replica, as embedders use it.
    pub replica: Arc<Replica>,
    /// This node's clock error (ms).
    pub offset_ms: i64,
    /// Wire version it speaks.
    pub version: u16,
    /// Until when (virtual ms) the process is frozen.
    pub frozen_until_ms: u64,
    /// Since when (virtual ms) the machine has been suspended: nothing reaches it, nothing waits for it.
    pub suspended_since_ms: Option<u64>,
    /// Since when (virtual ms) it has been leaving: it takes no more writes.
    pub leaving_since_ms: Option<u64>,
    /// What watchers were told. Kept only while nobody looks at the world's own record of it.
    pub events: Vec<Happened>,
    /// Warnings.
    pub warnings: Vec<String>,
    /// Own counters each linked peer is known to have adopted, per partition.
    pub adopted: BTreeMap<(Origin, u16), RangeSet>,
    /// Answers to asks: token, found, left.
    pub asked: Vec<(u64, bool, usize)>,
    /// The board as this process sees it.
    pub members: Vec<BoardMember>,
    /// What its detector really sent and heard.
    pub witness: Witness,
    pub(crate) links: BTreeSet<Origin>,
    pub(crate) wake_ms: u64,
    /// Change counters of the partitions when they were last looked at.
    pub(crate) changes: Vec<u64>,
    pub(crate) unacked: Vec<Unacked>,
}

impl SimNode {
    pub(crate) fn new(setup: SetupOf<'_>) -> Self {
        let SetupOf { limits, membership, seed, hash_key, has_seeds, now, offset_ms, version } = setup;
        let changes = vec![0; usize::from(limits.partitions)];
        let (limits, membership) = (limits.clone(), membership.cloned());
        let setup = Setup { limits, seed, hash_key, has_seeds, watched: true, membership, now };
        let (node, replica) = Node::new(setup);
        Self {
            node,
            replica,
            offset_ms,
            version,
            frozen_until_ms: 0,
            suspended_since_ms: None,
            leaving_since_ms: None,
            events: Vec::new(),
            warnings: Vec::new(),
            adopted: BTreeMap::new(),
            asked: Vec::new(),
            members: Vec::new(),
            witness: Witness::default(),
            links: BTreeSet::new(),
            wake_ms: 0,
            changes,
            unacked: Vec::new(),
        }
    }

    /// Which partitions changed since the last look: one bit each, the first 64.
    pub(crate) fn take_changed(&mut self) -> u64 {
        let mut mask = 0;
        for (ix, seen) in self.changes.iter_mut().enumerate() {
            let now = self.replica.shared(ix as u16, |p| p.changes());
            if now != *seen {
                *seen = now;
                mask |= 1 << (ix % 64);
            }
        }
        mask
    }

    /// Lives this process has a link to.
    pub fn links(&self) -> impl Iterator<Item = Origin> + '_ {
        self.links.iter().copied()
    }
}

/// What a process is made from.
pub(crate) struct SetupOf<'a> {
    pub limits: &'a Limits,
    pub membership: Option<&'a membership::Config>,
    pub seed: [u8; 32],
    pub hash_key: u64,
    pub has_seeds: bool,
    pub now: Now,
    pub offset_ms: i64,
    pub version: u16,
}

impl Host {
    pub(crate) fn new(at: usize) -> Self {
        Self { name: format!("n{at}"), version: WIRE_NEWEST, ..Self::default() }
    }
}
