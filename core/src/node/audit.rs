//! The audit (CRDT.md §9): what equal vectors cannot show. A bug, bit rot, or a peer that claims writes it never
//! sent leaves equal coverage with unequal contents; the sums of both sides tell, and the difference is refetched.
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
use crate::wire::{Message, Verdict, encode};

/// Partitions compared in one verification message: bounds how long the node is busy summing.
pub(super) const BATCH: u16 = 16;
/// Buckets a partition is taken apart into: 4 KiB a question. Of `n` components with news in flight, a share of
/// (1 - 1/256)^n of all others can be compared each time.
pub(super) const BUCKETS: usize = 256;
/// The number of an audit that nobody joins by.
const ROUTINE: u64 = 0;

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
            let unproven = self.ask_sums(now, peer, ROUTINE, partition..partition + 1);
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
        request: u64,
        partitions: std::ops::Range<u16>,
    ) -> Vec<u16> {
        let Some(version) = self.peers.get(&to).map(|p| p.version) else { return partitions.collect() };
        let margin_ms = self.audit_margin_ms(to);
        let (mut sums, mut exact, mut unproven) = (Vec::new(), Vec::new(), Vec::new());
        for ix in partitions {
            match self.look(now.wall_ms, margin_ms, ix) {
                Look { cov, old: Some(old), exact: Some(sum) } => {
                    sums.extend([u64::from(ix), cov, old]);
                    exact.push(sum);
                }
                _ => {
                    self.marks.hit(Mark::AuditNoEvidence);
                    unproven.push(ix);
                }
            }
        }
        if !exact.is_empty() {
            let compare = Message::Compare { request, wall_ms: now.wall_ms, sums, margin_ms, exact };
            self.send(to, Class::Control, encode(version, &compare));
        }
        unproven
    }

    /// Asks a peer that knows three answers to compare one partition bucket by bucket.
    pub(super) fn ask_buckets(&mut self, now: Now, to: Origin, request: u64, partition: u16) {
        let Some(version) = self.peers.get(&to).map(|p| p.version) else { return };
        let margin_ms = self.audit_margin_ms(to);
        let (cov, sifted) = self.sift(now.wall_ms, margin_ms, request, partition);
        let mut exact = vec![u64::from(partition), cov];
        exact.extend(sifted.sums.iter().flat_map(|&(versions, values)| [versions, values]));
        let compare = Message::Compare { request, wall_ms: now.wall_ms, sums: Vec::new(), margin_ms, exact };
        self.send(to, Class::Control, encode(version, &compare));
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

    /// The buckets of a partition, and the hash of its coverage: 0 if that promises nothing.
    fn sift(&self, wall_ms: u64, margin_ms: u64, salt: u64, ix: u16) -> (u64, Sifted) {
        self.replica.shared(ix, |p| {
            let sifted = p.sift(wall_ms, margin_ms, salt, BUCKETS);
            (if sifted.covered { p.cov_hash(wall_ms, &self.limits) } else { 0 }, sifted)
        })
    }

    /// Answers an older node.
    pub(super) fn audit(
        &mut self,
        now: Now,
        from: Origin,
        (request, wall_ms): (u64, u64),
        sums: &[u64],
    ) -> Result<(), String> {
        let Some(version) = self.peers.get(&from).map(|p| p.version) else { return Ok(()) };
        let mut partitions = Vec::new();
        for (ix, theirs) in self.audited_partitions(sums)? {
            let ours = self.look(wall_ms, 0, ix);
            if ours.old.is_some_and(|old| ours.cov == theirs[1] && old != theirs[2]) {
                partitions.push(ix);
            }
        }
        let answer = encode(version, &Message::AuditDiff { request, partitions: partitions.clone() });
        self.send(from, Class::Control, answer);
        self.found_diff(now, from, partitions);
        Ok(())
    }

    fn audited_partitions<'a>(&self, sums: &'a [u64]) -> Result<Vec<(u16, &'a [u64])>, String> {
        if sums.len() > 3 * usize::from(BATCH) {
            return Err(format!("an audit of {} numbers: at most {}", sums.len(), 3 * BATCH));
        }
        let partition = |theirs: &'a [u64]| Some((self.partition_named(theirs[0])?, theirs));
        let named: Option<Vec<_>> = sums.chunks_exact(3).map(partition).collect();
        named.ok_or_else(|| "an audited partition out of range".into())
    }

    fn partition_named(&self, number: u64) -> Option<u16> {
        u16::try_from(number).ok().filter(|&ix| ix < self.limits.partitions)
    }

    /// Answers a node that knows three answers.
    pub(super) fn compare(
        &mut self,
        now: Now,
        from: Origin,
        (request, wall_ms, margin_ms): (u64, u64, u64),
        sums: &[u64],
        exact: &[u64],
    ) -> Result<(), String> {
        let Some(version) = self.peers.get(&from).map(|p| p.version) else { return Ok(()) };
        let (verdicts, partitions) = if sums.is_empty() {
            self.compare_buckets((request, wall_ms, margin_ms), exact)?
        } else {
            self.compare_sums((wall_ms, margin_ms), sums, exact)?
        };
        let verdicts: Vec<u8> = verdicts.into_iter().map(|verdict| verdict as u8).collect();
        let answer = Message::Compared { request, partitions: partitions.clone(), verdicts: &verdicts };
        self.send(from, Class::Control, encode(version, &answer));
        self.found_diff(now, from, partitions);
        Ok(())
    }

    fn compare_sums(
        &self,
        (wall_ms, margin_ms): (u64, u64),
        sums: &[u64],
        exact: &[u64],
    ) -> Result<(Vec<Verdict>, Vec<u16>), String> {
        let named = self.audited_partitions(sums)?;
        if named.len() != exact.len() {
            return Err(format!("{} exact sums of {} partitions", exact.len(), named.len()));
        }
        let (mut verdicts, mut differ) = (Vec::new(), Vec::new());
        for ((ix, theirs), &sum) in named.into_iter().zip(exact) {
            let ours = self.look(wall_ms, margin_ms, ix);
            let verdict = match ours.exact.filter(|_| ours.cov == theirs[1]) {
                None if mutant!(ApartTakenForSame) => Verdict::Same,
                None => Verdict::Apart,
                Some(own) if own == sum => Verdict::Same,
                Some(_) => Verdict::Differs,
            };
            verdicts.push(verdict);
            differ.extend((verdict == Verdict::Differs).then_some(ix));
        }
        Ok((verdicts, differ))
    }

    fn compare_buckets(
        &self,
        (request, wall_ms, margin_ms): (u64, u64, u64),
        exact: &[u64],
    ) -> Result<(Vec<Verdict>, Vec<u16>), String> {
        let [number, cov, buckets @ ..] = exact else { return Err("a comparison of nothing".into()) };
        let partition = self.partition_named(*number).ok_or("a compared partition out of range")?;
        if buckets.len() != 2 * BUCKETS {
            return Err(format!("{} numbers of buckets: {} expected", buckets.len(), 2 * BUCKETS));
        }
        let (own_cov, own) = self.sift(wall_ms, margin_ms, request, partition);
        let equal_cov = own_cov != 0 && own_cov == *cov;
        let verdict = |(own, theirs): (&(u64, u64), &[u64])| match (own.0 == theirs[0], own.1 == theirs[1]) {
            (true, true) => Verdict::Same,
            (true, false) => Verdict::Differs,
            (false, _) if equal_cov => Verdict::Differs,
            (false, _) => Verdict::Apart,
        };
        let verdicts: Vec<Verdict> = own.sums.iter().zip(buckets.chunks_exact(2)).map(verdict).collect();
        let differ = verdicts.contains(&Verdict::Differs).then_some(partition);
        Ok((verdicts, differ.into_iter().collect()))
    }

    /// An answer; `verdicts` is `None` from an older node.
    pub(super) fn audit_answer(
        &mut self,
        now: Now,
        from: Origin,
        request: u64,
        partitions: &[u16],
        verdicts: Option<&[u8]>,
    ) {
        let known: BTreeSet<u16> =
            partitions.iter().copied().filter(|&p| p < self.limits.partitions).collect();
        let known: Vec<u16> = known.into_iter().collect();
        let clean = known.is_empty();
        self.found_diff(now, from, known);
        if request != ROUTINE {
            return self.verify_answer(now, from, request, clean, verdicts);
        }
        // Taken apart once: what was in flight now is compared another time.
        let apart = verdicts.is_some_and(|v| v == [Verdict::Apart as u8]);
        if let Some((_, partition)) = self.audited.take_if(|(peer, _)| *peer == from && apart) {
            self.ask_buckets(now, from, ROUTINE, partition);
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
        // Whoever finds a difference each time makes them up, or mends nothing by our asking: once in a while is enough.
        let Some(held) = self.peers.get_mut(&peer).filter(|p| now.mono_ms >= p.refetch_ms) else { return };
        held.refetch_ms = now.mono_ms + REFETCH_PAUSE_MS;
        if self.round.is_some() {
            self.marks.hit(Mark::AuditDiffLeft);
        }
        self.refetch.retain(|(of, _)| *of != peer);
        self.refetch.push_back((peer, partitions));
    }
}
