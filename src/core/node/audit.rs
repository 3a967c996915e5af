//! The audit (CRDT.md §9): what equal vectors cannot show. A bug, bit rot, or a peer that claims writes it never
//! sent leaves equal coverage with unequal contents; the sums of both sides tell, and the difference is refetched.

use rand::RngExt;

use super::{Class, Node};
use crate::core::causality::Origin;
use crate::core::marks::Mark;
use crate::core::replication::{Message, encode};
use crate::core::time::Now;

/// Partitions compared in one verification message: bounds how long the node is busy summing.
const BATCH: u16 = 16;

impl Node {
    /// Audits one random partition with one random peer.
    pub(super) fn audit_one(&mut self, now: Now) {
        if !self.phase.is_ready() {
            return;
        }
        let partition = self.rng.random_range(0..self.limits.partitions);
        if let Some(peer) = self.pick_peer(now) {
            self.send_audit(now, peer, 0, partition..partition + 1);
        }
    }

    /// Verifies what joining brought, a batch at a time; `request` is one past the batch's first partition.
    pub(super) fn verify_from(&mut self, now: Now, peer: Origin, first: u16) {
        let end = first.saturating_add(BATCH).min(self.limits.partitions);
        self.send_audit(now, peer, u64::from(first) + 1, first..end);
    }

    fn send_audit(&mut self, now: Now, to: Origin, request: u64, partitions: std::ops::Range<u16>) {
        let Some(version) = self.peers.get(&to).map(|p| p.version) else { return };
        let sums = partitions.filter_map(|ix| self.sums(now.wall_ms, ix)).flatten().collect();
        let frame = encode(version, &Message::Audit { request, wall_ms: now.wall_ms, sums });
        self.send(to, Class::Control, frame);
    }

    /// Both sides must sum by one clock, or what ends between their two would look like a difference.
    fn sums(&self, wall_ms: u64, ix: u16) -> Option<[u64; 3]> {
        let both = |p: &crate::core::replica::Partition| {
            (p.cov_hash(wall_ms, &self.limits), p.audit_sum(wall_ms, &self.limits))
        };
        let (cov, sum) = self.replica.shared(ix, both);
        if sum.is_none() {
            self.marks.hit(Mark::AuditNoEvidence);
        }
        sum.map(|sum| [u64::from(ix), cov, sum])
    }

    pub(super) fn audit(
        &mut self,
        from: Origin,
        (request, wall_ms): (u64, u64),
        sums: &[u64],
    ) -> Result<(), String> {
        let Some(version) = self.peers.get(&from).map(|p| p.version) else { return Ok(()) };
        if sums.len() > 3 * usize::from(BATCH) {
            return Err(format!("an audit of {} numbers: at most {}", sums.len(), 3 * BATCH));
        }
        let mut partitions = Vec::new();
        for theirs in sums.chunks_exact(3) {
            let ix = u16::try_from(theirs[0]).ok().filter(|&ix| ix < self.limits.partitions);
            let ix = ix.ok_or("an audited partition out of range")?;
            if self.sums(wall_ms, ix).is_some_and(|ours| ours[1] == theirs[1] && ours[2] != theirs[2]) {
                partitions.push(ix);
            }
        }
        let answer = encode(version, &Message::AuditDiff { request, partitions: partitions.clone() });
        self.send(from, Class::Control, answer);
        self.found_diff(from, partitions);
        Ok(())
    }

    pub(super) fn audit_answer(&mut self, now: Now, from: Origin, request: u64, partitions: &[u16]) {
        let known = partitions.iter().copied().filter(|&p| p < self.limits.partitions).collect::<Vec<_>>();
        let clean = known.is_empty();
        self.found_diff(from, known);
        if let Some(first) = request.checked_sub(1) {
            if !clean {
                self.marks.hit(Mark::VerifyDiffered);
            }
            self.phase.verified(from, first as u16, (first as u16).saturating_add(BATCH), clean);
            self.continue_verify(now);
        }
    }

    /// Contents differ under equal coverage: ask for the whole partition. Both sides do, since either may lack.
    fn found_diff(&mut self, peer: Origin, partitions: Vec<u16>) {
        if partitions.is_empty() {
            return;
        }
        self.stats.audit_diffs += 1;
        self.marks.hit(Mark::AuditDiff);
        self.warn(format!(
            "audit: partitions {partitions:?} differ from peer {peer} under equal coverage; refetching"
        ));
        if mutant!(AuditNeverRefetches) {
            return;
        }
        if self.round.is_some() {
            self.marks.hit(Mark::AuditDiffLeft);
        }
        self.refetch.retain(|(of, _)| *of != peer);
        self.refetch.push_back((peer, partitions));
    }
}
