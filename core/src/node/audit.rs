//! The audit (docs/ALGORITHM.md §9): what equal vectors cannot show. A bug, bit rot, or a peer that claims writes it
//! never sent leaves equal coverage with unequal contents; the sums of both sides tell, and the difference is
//! refetched.
//!
//! A comparison has three answers: same, different, and *apart*: one side has news the other has not, and the sums say
//! nothing. An audit that finds a partition apart takes it apart into buckets and compares those without news; a
//! joiner goes on until it has compared everything (`verify.rs`). Older nodes know two answers only.

use std::collections::BTreeSet;

use rand::RngExt;

use super::{Class, Node};
use crate::causality::Origin;
use crate::limits::REFETCH_PAUSE_MS;
use crate::marks::Mark;
use crate::replica::Sifted;
use crate::time::Now;
use crate::wire::{
    Audit, AuditDiff, AuditSum, Compare, Compared, ExactSum, PeerFault, Purpose, Sums, Verdict, Verdicts,
};

/// Partitions compared in one verification message: bounds how long the node is busy summing.
pub(super) const BATCH: u16 = 16;
/// Buckets a partition is taken apart into: 4 KiB a question. Of `n` components with news in flight, a share of
/// (1 - 1/256)^n of all others can be compared each time.
pub(super) const BUCKETS: usize = 256;

/// A partition as one comparison saw it.
struct Look {
    cov: u64,
    old: Option<u64>,
    exact: Option<u64>,
}

impl Node {
    /// Audits one random partition with one random peer.
    pub(super) fn audit_one(&mut self, now: Now) {
        if !self.phase.is_ready() {
            return;
        }
        let partition = self.rng.random_range(0..self.limits.partitions);
        if let Some(peer) = self.pick_peer(now) {
            self.audited = None;
            let unproven = self.ask_sums(now, peer, Purpose::Routine, partition..partition + 1);
            if unproven.is_empty() {
                self.audited = Some((peer, partition));
            }
        }
    }

    /// Asks a peer to compare partitions. Returns those that were not asked for, since this side has no evidence.
    pub(super) fn ask_sums(
        &mut self,
        now: Now,
        to: Origin,
        request: Purpose,
        partitions: std::ops::Range<u16>,
    ) -> Vec<u16> {
        let Some(version) = self.peers.get(&to).map(|p| p.version) else { return partitions.collect() };
        let margin_ms = self.audit_margin_ms(to);
        let (mut sums, mut unproven) = (Vec::new(), Vec::new());
        for ix in partitions {
            match self.look(now.wall_ms, margin_ms, ix) {
                Look { cov, old: Some(old), exact: Some(exact) } => {
                    let audit = AuditSum { partition: ix, coverage: cov, sum: old };
                    sums.push(ExactSum { audit, exact });
                }
                _ => {
                    self.marks.hit(Mark::AuditNoEvidence);
                    unproven.push(ix);
                }
            }
        }
        if !sums.is_empty() {
            let sums = Sums::Partitions(sums);
            let compare = Compare { request, wall_ms: now.wall_ms, margin_ms, sums };
            self.send(to, Class::Control, compare.encode(version));
        }
        unproven
    }

    /// Asks a peer that knows three answers to compare one partition bucket by bucket.
    pub(super) fn ask_buckets(&mut self, now: Now, to: Origin, request: Purpose, partition: u16) {
        let Some(version) = self.peers.get(&to).map(|p| p.version) else { return };
        let margin_ms = self.audit_margin_ms(to);
        let (coverage, sifted) = self.sift(now.wall_ms, margin_ms, request, partition);
        let sums = Sums::Buckets { partition, coverage, buckets: sifted.sums };
        let compare = Compare { request, wall_ms: now.wall_ms, margin_ms, sums };
        self.send(to, Class::Control, compare.encode(version));
    }

    /// How long before its end a session is left out (ms). While clocks are near nobody can have reaped what is
    /// visible here; a peer whose clock is far off may have.
    pub(super) fn audit_margin_ms(&self, peer: Origin) -> u64 {
        let limits = &self.limits;
        match self.peers.get(&peer) {
            Some(peer) if peer.clock_apart_ms <= limits.skew_ms => {
                (2 * limits.skew_ms).saturating_sub(limits.grace_ms)
            }
            _ => 2 * limits.max_drift_ms,
        }
    }

    /// What a message of this peer tells of its clock.
    pub(super) fn note_clock(&mut self, now: Now, peer: Origin, wall_ms: u64) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.clock_apart_ms = now.wall_ms.abs_diff(wall_ms);
        }
    }

    /// Both sides must sum by one clock, or what ends between their two would look like a difference.
    fn look(&self, wall_ms: u64, margin_ms: u64, ix: u16) -> Look {
        self.replica.shared(ix, |p| Look {
            cov: p.cov_hash(wall_ms, &self.limits),
            old: p.audit_sum(wall_ms, &self.limits),
            exact: p.exact_sum(wall_ms, margin_ms),
        })
    }

    /// The buckets of a partition, and the hash of its coverage: none if that promises nothing.
    fn sift(&self, wall_ms: u64, margin_ms: u64, asked: Purpose, ix: u16) -> (Option<u64>, Sifted) {
        self.replica.shared(ix, |p| {
            let sifted = p.sift(wall_ms, margin_ms, asked.number(), BUCKETS);
            (sifted.covered.then(|| p.cov_hash(wall_ms, &self.limits)), sifted)
        })
    }

    /// Answers an older node.
    pub(super) fn on_audit(&mut self, now: Now, from: Origin, audit: &Audit) -> Result<(), PeerFault> {
        let Some(version) = self.peers.get(&from).map(|p| p.version) else { return Ok(()) };
        self.check_audited(audit.sums.iter())?;
        let differs = |theirs: &&AuditSum| {
            let ours = self.look(audit.wall_ms, 0, theirs.partition);
            ours.old.is_some_and(|old| ours.cov == theirs.coverage && old != theirs.sum)
        };
        let partitions: Vec<u16> = audit.sums.iter().filter(differs).map(|theirs| theirs.partition).collect();
        let answer = AuditDiff { request: audit.request, partitions };
        self.send(from, Class::Control, answer.encode(version));
        self.found_diff(now, from, answer.partitions);
        Ok(())
    }

    fn check_audited<'a>(&self, sums: impl ExactSizeIterator<Item = &'a AuditSum>) -> Result<(), PeerFault> {
        let (named, most) = (sums.len(), usize::from(BATCH));
        if named > most {
            return Err(PeerFault::AuditTooLarge { named, most });
        }
        let mut partitions = sums.map(|sum| sum.partition);
        partitions.try_for_each(|partition| self.check_partition("an audited", partition))
    }

    /// Answers a node that knows three answers.
    pub(super) fn on_compare(&mut self, now: Now, from: Origin, compare: &Compare) -> Result<(), PeerFault> {
        let Some(version) = self.peers.get(&from).map(|p| p.version) else { return Ok(()) };
        let times = (compare.wall_ms, compare.margin_ms);
        let (verdicts, partitions) = match &compare.sums {
            Sums::Partitions(sums) => {
                self.check_audited(sums.iter().map(|sum| &sum.audit))?;
                self.compare_sums(times, sums)
            }
            Sums::Buckets { partition, coverage, buckets } => {
                self.check_partition("a compared", *partition)?;
                if buckets.len() != BUCKETS {
                    return Err(PeerFault::Buckets { buckets: buckets.len(), expected: BUCKETS });
                }
                self.compare_buckets(times, compare.request, (*partition, *coverage), buckets)
            }
        };
        let verdicts = Verdicts::to_bytes(&verdicts);
        let answer = Compared { request: compare.request, partitions, verdicts: Verdicts::new(&verdicts) };
        self.send(from, Class::Control, answer.encode(version));
        self.found_diff(now, from, answer.partitions);
        Ok(())
    }

    fn compare_sums(&self, (wall_ms, margin_ms): (u64, u64), sums: &[ExactSum]) -> (Vec<Verdict>, Vec<u16>) {
        let (mut verdicts, mut differ) = (Vec::new(), Vec::new());
        for ExactSum { audit: theirs, exact } in sums {
            let ours = self.look(wall_ms, margin_ms, theirs.partition);
            let verdict = match ours.exact.filter(|_| ours.cov == theirs.coverage) {
                None if mutant!(ApartTakenForSame) => Verdict::Same,
                None => Verdict::Apart,
                Some(own) if own == *exact => Verdict::Same,
                Some(_) => Verdict::Differs,
            };
            verdicts.push(verdict);
            differ.extend((verdict == Verdict::Differs).then_some(theirs.partition));
        }
        (verdicts, differ)
    }

    fn compare_buckets(
        &self,
        (wall_ms, margin_ms): (u64, u64),
        request: Purpose,
        (partition, coverage): (u16, Option<u64>),
        buckets: &[(u64, u64)],
    ) -> (Vec<Verdict>, Vec<u16>) {
        let (own_coverage, own) = self.sift(wall_ms, margin_ms, request, partition);
        let equal_cov = own_coverage.is_some() && own_coverage == coverage;
        let verdict = |(own, theirs): (&(u64, u64), &(u64, u64))| match (own.0 == theirs.0, own.1 == theirs.1)
        {
            (true, true) => Verdict::Same,
            (true, false) => Verdict::Differs,
            (false, _) if equal_cov => Verdict::Differs,
            (false, _) => Verdict::Apart,
        };
        let verdicts: Vec<Verdict> = own.sums.iter().zip(buckets).map(verdict).collect();
        let differ = verdicts.contains(&Verdict::Differs).then_some(partition);
        (verdicts, differ.into_iter().collect())
    }

    /// An answer; `verdicts` is `None` from an older node.
    pub(super) fn on_audit_answer(
        &mut self,
        now: Now,
        from: Origin,
        request: Purpose,
        partitions: &[u16],
        verdicts: Option<Verdicts<'_>>,
    ) {
        let known: BTreeSet<u16> =
            partitions.iter().copied().filter(|&p| p < self.limits.partitions).collect();
        let known: Vec<u16> = known.into_iter().collect();
        let clean = known.is_empty();
        self.found_diff(now, from, known);
        if request != Purpose::Routine {
            return self.verify_answer(now, from, request, clean, verdicts);
        }
        // Taken apart once: what was in flight now is compared another time.
        let apart = verdicts.is_some_and(|v| v.count() == 1 && v.get(0) == Some(Verdict::Apart));
        if let Some((_, partition)) = self.audited.take_if(|(peer, _)| *peer == from && apart) {
            self.ask_buckets(now, from, Purpose::Routine, partition);
        }
    }

    /// Contents differ under equal coverage: ask for the whole partition. Both sides do, since either may lack.
    fn found_diff(&mut self, now: Now, peer: Origin, partitions: Vec<u16>) {
        if partitions.is_empty() {
            return;
        }
        self.stats.audit_diffs += 1;
        self.marks.hit(Mark::AuditDiff);
        let text =
            format!("audit: partitions {partitions:?} differ in what the same writes wrote; refetching");
        self.warn_of(now, peer, "audit", text);
        if mutant!(AuditNeverRefetches) {
            return;
        }
        // Whoever finds a difference each time makes them up, or mends nothing by our asking: once in a while is
        // enough.
        let Some(held) = self.peers.get_mut(&peer).filter(|p| now.mono_ms >= p.refetch_ms) else { return };
        held.refetch_ms = now.mono_ms + REFETCH_PAUSE_MS;
        if self.round.is_some() {
            self.marks.hit(Mark::AuditDiffLeft);
        }
        self.refetch.retain(|(of, _)| *of != peer);
        self.refetch.push_back((peer, partitions));
    }
}
