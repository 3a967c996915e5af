//! A joiner compares everything it adopted with a ready member before it serves.
//!
//! First a sum for each partition. A partition that is being written to is *apart*: its sums say nothing. It is taken
//! into buckets, again and again with other buckets, until each component that was held when this began was in one
//! that both sides summed alike. Only two kinds may be let go after [`TRIES`]. A component that was replaced since: what
//! joining brought of it is gone, and under a steady load it would never stand still. And one stamped further ahead than
//! the drift bound, as what this node wrote before its clock was set right: members that were not ahead refuse it until
//! its time has come, and so have nothing to compare it with. Audits do when they have.

use std::collections::{BTreeMap, VecDeque};

use super::Node;
use super::audit::{BATCH, BUCKETS};
use crate::causality::Origin;
use crate::marks::Mark;
use crate::replica::bucket_of;
use crate::time::Now;
use crate::wire::{Purpose, Verdict, Verdicts};

/// A verification without an answer is tried again after this (ms), and so is one that differed: its refetch takes as
/// long.
const VERIFY_RETRY_MS: u64 = 1_000;
/// Comparisons of a busy partition right after each other. Then those that are left wait for a while, and what was
/// replaced meanwhile is let go.
const TRIES: u32 = 8;

/// How far verification has come.
#[derive(Default)]
pub(super) struct Verify {
    peer: Option<Origin>,
    /// The question under way, and when it was asked.
    asked: Option<(Purpose, u64)>,
    /// The first partition whose sums were not compared yet.
    next: u16,
    /// Partitions whose sums proved nothing.
    apart: VecDeque<u16>,
    sifting: Option<Sifting>,
    asked_so_far: u64,
    done: bool,
    /// Partitions of the batch under way that this side had no evidence of.
    unproven: Vec<u16>,
    batch: Vec<u16>,
}

/// A partition that is being taken apart.
struct Sifting {
    partition: u16,
    /// Components not compared yet, and the version each had when this began.
    left: BTreeMap<u64, u64>,
    tries: u32,
}

impl Verify {
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether an answer is awaited.
    fn waits(&self, now: Now) -> bool {
        self.asked.is_some_and(|(_, at_ms)| now.mono_ms < at_ms + VERIFY_RETRY_MS)
    }

    /// Takes in an answer about a batch: the partitions that proved nothing are taken apart later.
    fn batch_compared(&mut self, end: u16, verdicts: Option<Verdicts<'_>>) {
        // An older node says nothing of what it could not compare.
        let is_apart = |n: usize| verdicts.is_some_and(|v| v.get(n) == Some(Verdict::Apart));
        let apart = self.batch.iter().enumerate().filter(|(n, _)| is_apart(*n)).map(|(_, ix)| *ix);
        self.apart.extend(apart);
        if verdicts.is_some() {
            self.apart.append(&mut std::mem::take(&mut self.unproven).into());
        }
        self.next = end;
        self.asked = None;
    }

    /// Takes in an answer about buckets. What is left over is asked for again, at once or after a while.
    fn buckets_compared(&mut self, request: Purpose, verdicts: Verdicts<'_>) {
        let Some(sifting) = &mut self.sifting else { return };
        let same = |key: u64| verdicts.get(bucket_of(key, request.number(), BUCKETS)) == Some(Verdict::Same);
        sifting.left.retain(|key, _| !same(*key));
        if sifting.tries % TRIES != 0 || sifting.left.is_empty() {
            self.asked = None;
        }
    }
}

impl Node {
    pub(super) fn continue_verify(&mut self, now: Now) {
        let verify = &self.phase.verify;
        let linked = |o: Origin| self.peers.contains_key(&o);
        if verify.done || verify.waits(now) && verify.peer.is_some_and(linked) {
            return;
        }
        let source =
            |(o, p): (&Origin, &super::Peer)| (p.ready && self.phase.complete_with.contains(o)).then_some(*o);
        let retry = verify.asked.is_some();
        let kept = verify.peer.filter(|&o| linked(o) && !retry);
        let Some(peer) = kept.or_else(|| self.peers.iter().find_map(source)) else { return };
        if retry {
            self.marks.hit(Mark::VerifyRetry);
        }
        let verify = &mut self.phase.verify;
        verify.peer = Some(peer);
        verify.asked_so_far += 1;
        if verify.next < self.limits.partitions {
            self.verify_batch(now, peer);
        } else {
            self.verify_apart(now, peer);
        }
    }

    /// Asks for the sums of the next batch.
    fn verify_batch(&mut self, now: Now, peer: Origin) {
        let verify = &mut self.phase.verify;
        let (first, end) = (verify.next, verify.next.saturating_add(BATCH).min(self.limits.partitions));
        let request = Purpose::Joining { nth: verify.asked_so_far, first: Some(first) };
        verify.asked = Some((request, now.mono_ms));
        self.phase.say(format!("verifying partition {first} of {}", self.limits.partitions));
        let unproven = self.ask_sums(now, peer, request, first..end);
        let verify = &mut self.phase.verify;
        verify.batch = (first..end).filter(|ix| !unproven.contains(ix)).collect();
        verify.unproven = unproven;
        if verify.batch.is_empty() {
            verify.batch_compared(end, Some(Verdicts::new(&[])));
            self.continue_verify(now);
        }
    }

    /// Takes the next busy partition apart, or goes on with the one that is.
    fn verify_apart(&mut self, now: Now, peer: Origin) {
        let margin_ms = self.audit_margin_ms(peer);
        loop {
            let verify = &mut self.phase.verify;
            let Some(partition) =
                verify.sifting.as_ref().map(|s| s.partition).or_else(|| verify.apart.pop_front())
            else {
                verify.done = true;
                return;
            };
            let held = self.replica.shared(partition, |p| p.components(now.wall_ms, margin_ms));
            let began = || held.iter().map(|&(key, version, _)| (key, version)).collect();
            let sifting =
                verify.sifting.get_or_insert_with(|| Sifting { partition, left: began(), tries: 0 });
            sifting.tries += 1;
            let (patient, latest_ms) = (sifting.tries <= TRIES, now.wall_ms + self.limits.max_drift_ms);
            let held: BTreeMap<u64, (u64, u64)> = held.into_iter().map(|(k, v, ms)| (k, (v, ms))).collect();
            let refused = |stamped_ms: u64| stamped_ms > latest_ms && !mutant!(VerifiesTheFuture);
            // What ended meanwhile serves nobody.
            sifting.left.retain(|key, began| {
                held.get(key).is_some_and(|&(ver, ms)| patient || ver == *began && !refused(ms))
            });
            if sifting.left.is_empty() {
                verify.sifting = None;
                continue;
            }
            let (left, total) = (sifting.left.len(), self.limits.partitions);
            let request = Purpose::Joining { nth: verify.asked_so_far, first: None };
            verify.asked = Some((request, now.mono_ms));
            self.phase.say(format!(
                "verifying partition {partition} of {total}, which is being written to: {left} values left"
            ));
            return self.ask_buckets(now, peer, request, partition);
        }
    }

    /// An answer to a question of this phase.
    pub(super) fn verify_answer(
        &mut self,
        now: Now,
        from: Origin,
        request: Purpose,
        clean: bool,
        verdicts: Option<Verdicts<'_>>,
    ) {
        if !clean {
            self.marks.hit(Mark::VerifyDiffered);
        }
        let verify = &mut self.phase.verify;
        let sifting = verify.next >= self.limits.partitions;
        let wanted = if sifting { BUCKETS } else { verify.batch.len() };
        let current = verify.peer == Some(from) && verify.asked.is_some_and(|(asked, _)| asked == request);
        if !current || verdicts.is_some_and(|v| v.count() != wanted) {
            return;
        }
        if !clean {
            // Asked again after a while, which its refetch takes: a partition taken apart from the start.
            let again = verify.sifting.take().map(|s| s.partition);
            verify.apart.extend(again);
            return;
        }
        match verdicts {
            Some(verdicts) if sifting => verify.buckets_compared(request, verdicts),
            // A node that cannot say what it compared is taken at its word.
            None if sifting => (verify.sifting, verify.asked) = (None, None),
            verdicts => {
                let end = verify.next.saturating_add(BATCH).min(self.limits.partitions);
                verify.batch_compared(end, verdicts);
            }
        }
        self.continue_verify(now);
    }
}
