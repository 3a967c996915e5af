//! Joining, ready, fenced; and when a node must begin a new life.
//!
//! A joiner is ready when one complete round of every partition with a *ready* member is adopted and verified.
//! Nodes that meet only each other elect nobody: when each has completed a round with all the others and no
//! ready member has appeared for a while, each declares itself ready. A process that was frozen fences itself
//! until a full round, since it may have missed logouts.

use std::collections::BTreeSet;

use rand::RngExt;

use super::{Node, Output, offset_of};
use crate::core::causality::Origin;
use crate::core::limits::REFUSED_HOLD_MS;
use crate::core::marks::Mark;
use crate::core::membership;
use crate::core::replica::{GONE, Serving};
use crate::core::time::Now;

/// Wall time that went by without monotonic time (ms) is a suspend beyond this; below it is the clock being trimmed.
const SKIPPED_MS: u64 = 50;
/// A verification without an answer is tried again after this (ms).
const VERIFY_RETRY_MS: u64 = 1_000;

pub(super) struct Phase {
    serving: Serving,
    pub reason: String,
    has_seeds: bool,
    since_ms: u64,
    first_link_ms: Option<u64>,
    /// Partitions a complete round of which ended with a ready member.
    done: Vec<bool>,
    left: usize,
    /// Peers with which a whole round completed in this phase.
    complete_with: BTreeSet<Origin>,
    verify: Verify,
    /// When a dial was refused last, and by whom and why.
    refused: Option<(u64, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verify {
    No,
    /// Waiting for the answer about the batch from `next`, asked at `asked_ms`.
    Asked {
        peer: Origin,
        next: u16,
        asked_ms: u64,
    },
    /// May ask the next batch.
    Next {
        peer: Origin,
        next: u16,
    },
    Done,
}

impl Phase {
    pub fn joining(has_seeds: bool, now: Now, partitions: u16) -> Self {
        Self {
            serving: Serving::Joining,
            reason: "no seed has answered yet".into(),
            has_seeds,
            since_ms: now.mono_ms,
            first_link_ms: None,
            done: vec![false; usize::from(partitions)],
            left: usize::from(partitions),
            complete_with: BTreeSet::new(),
            verify: Verify::No,
            refused: None,
        }
    }

    fn fence(&mut self, now: Now) {
        self.since_ms = now.mono_ms;
        self.done.fill(false);
        self.left = self.done.len();
        self.complete_with.clear();
        self.verify = Verify::No;
    }

    pub fn is_ready(&self) -> bool {
        self.serving == Serving::Ready
    }

    pub fn met_anyone(&mut self, now: Now) {
        self.first_link_ms.get_or_insert(now.mono_ms);
    }

    /// A member refused this node, or was refused: it is no proof of being alone, but of the opposite.
    pub fn refused(&mut self, now: Now, why: &str) {
        self.refused = Some((now.mono_ms, why.to_owned()));
    }

    /// Who keeps this node out, while that is so.
    fn kept_out(&self, now: Now, hold_ms: u64) -> Option<&str> {
        let (at_ms, why) = self.refused.as_ref()?;
        (now.mono_ms < at_ms + hold_ms && !mutant!(RefusalIsSilence)).then_some(why.as_str())
    }

    pub fn done(&mut self, partition: u16, ready: bool) {
        if (ready || mutant!(JoinerTrustsJoiners))
            && !std::mem::replace(&mut self.done[usize::from(partition)], true)
        {
            self.left -= 1;
        }
    }

    pub fn all_done(&mut self, ready: bool) {
        if ready || mutant!(JoinerTrustsJoiners) {
            self.done.fill(true);
            self.left = 0;
        }
    }

    pub fn round_complete(&mut self, peer: Origin) {
        self.complete_with.insert(peer);
    }

    pub fn verified(&mut self, from: Origin, first: u16, end: u16, clean: bool) {
        let Verify::Asked { peer, next, .. } = self.verify else { return };
        if peer == from && next == first {
            // A batch that differed is asked again after a while, which its refetch takes.
            if clean {
                let done = usize::from(end) >= self.done.len();
                self.verify = if done { Verify::Done } else { Verify::Next { peer, next: end } };
            }
        }
    }
}

impl Node {
    /// A silence of the beat means the process was frozen. The fence closes before the beat moves on, so that no
    /// reader sees a fresh beat with the fence open.
    pub(super) fn notice_freeze(&mut self, now: Now) {
        let silent_ms = now.mono_ms.saturating_sub(self.replica.last_beat_ms());
        if silent_ms <= self.limits.fence_after_ms || mutant!(FenceNeverCloses) {
            return;
        }
        self.fence(now, &format!("frozen for {silent_ms} ms"));
    }

    /// Trusts nothing until a full round. A joiner trusts nothing yet: for it only the clocks start again, or it
    /// would take the time it was frozen for a time in which nobody answered.
    fn fence(&mut self, now: Now, why: &str) {
        self.phase.fence(now);
        if self.phase.serving == Serving::Joining {
            self.marks.hit(Mark::JoinerFrozen);
        } else {
            self.marks.hit(Mark::FenceClosed);
            self.serve_as(Serving::Fenced, format!("{why}: waiting for one full round"));
        }
        let peers: Vec<Origin> = self.peers.keys().copied().collect();
        peers.into_iter().for_each(|peer| self.want_round(peer));
        self.round = None;
    }

    /// A jump of the wall clock against the monotonic one: nothing timed can be trusted, so reaping stops until a
    /// full round, under a new life (CRDT.md A8). Coverage is kept, and stays true because reaping stops before the
    /// next look: forgotten, the writes nobody else holds yet would be covered by nobody, and sent to nobody.
    pub(super) fn notice_jump(&mut self, now: Now) {
        let offset = offset_of(now);
        let before = std::mem::replace(&mut self.wall_offset_ms, offset);
        let jump_ms = offset.abs_diff(before);
        if offset > before && jump_ms > SKIPPED_MS {
            self.detect(now, membership::Input::Suspended(jump_ms));
        }
        if offset > before && jump_ms > self.limits.fence_after_ms {
            self.marks.hit(Mark::SuspendNoticed);
            // The monotonic clock stands still while a machine is suspended: the wall clock tells that it was.
            self.fence(now, &format!("the wall clock went {jump_ms} ms ahead (a suspend?)"));
        }
        if jump_ms > self.limits.max_drift_ms {
            // Whoever is known counts, linked or not: a node cut off from the others must not judge by this clock.
            self.reap_frozen =
                self.inc.values().any(|value| value & GONE == 0) && !mutant!(ReapGoesOnAfterJump);
            if self.reap_frozen {
                self.marks.hit(Mark::ReapFrozen);
            }
            let forward = offset > before;
            self.marks.hit(if forward { Mark::WallJumpForward } else { Mark::WallJumpBackward });
            let old = self.origin;
            self.new_life(now, Mark::NewLifeJump, &format!("the wall clock jumped by {jump_ms} ms"));
            (0..self.limits.partitions).for_each(|ix| self.replica.locked(ix, |p| p.reset_wall(now.wall_ms)));
            // Nobody else can know it so surely: without the mark, the old life would hold up all reaping.
            self.gone(now, old);
        }
    }

    /// Begins a new life under a fresh origin; the data stays.
    pub(super) fn new_life(&mut self, now: Now, cause: Mark, why: &str) {
        self.marks.hit(cause);
        self.past.insert(self.origin);
        if !mutant!(CloneKeepsOrigin) {
            self.origin = Origin(self.rng.random());
        }
        for ix in 0..self.limits.partitions {
            self.replica.locked(ix, |p| p.reincarnate(self.origin));
        }
        self.stats.new_lives += 1;
        self.round = None;
        for token in std::mem::take(&mut self.asks).into_keys() {
            self.outputs.push_back(Output::Asked { token, answered: None, found: false, left: 0 });
        }
        // Links are to the old life: the driver reconnects under the new one.
        self.peers.clear();
        self.warn(format!("new life {}: {why}", self.origin));
        // What the old life's detector wanted to say would go out under the new name.
        self.outputs.retain(|o| !matches!(o, Output::Datagram { .. } | Output::Publish { .. }));
        self.outputs.push_back(Output::NewLife(self.origin));
        if self.detector.is_some() {
            self.members.clear();
            self.start_detector(now);
        }
    }

    fn serve_as(&mut self, serving: Serving, reason: String) {
        self.replica.set_serving(serving);
        self.phase.serving = serving;
        self.phase.reason.clone_from(&reason);
        self.outputs.push_back(Output::Serving(serving, reason));
    }

    pub(super) fn update_phase(&mut self, now: Now) {
        let waited_ms = now.mono_ms.saturating_sub(self.phase.since_ms);
        match self.phase.serving {
            Serving::Ready => {}
            Serving::Fenced
                if self.phase.left == 0 || self.nobody_knows_better() || mutant!(FenceOpensAtOnce) =>
            {
                let by_round = self.phase.left == 0;
                self.marks.hit(if by_round {
                    Mark::FenceOpenedByRound
                } else {
                    Mark::FenceNobodyKnowsBetter
                });
                self.serve_as(Serving::Ready, "a full round completed after the freeze".into());
            }
            // A round that is bringing something goes on: one that hears nothing is given up soon enough.
            Serving::Fenced if waited_ms >= self.limits.fence_timeout_ms && self.round.is_none() => {
                self.marks.hit(Mark::FenceOpenedByTimeout);
                self.serve_as(Serving::Ready, "no peer answered within fence_timeout_ms".into());
            }
            Serving::Fenced if waited_ms >= self.limits.fence_timeout_ms => {
                self.marks.hit(Mark::FenceWaitsForRound);
            }
            Serving::Fenced => {}
            Serving::Joining => self.update_joining(now, waited_ms),
        }
    }

    /// A round with a member that is joining or fenced itself proves little; it counts only if there is no other
    /// that this node has ever been linked to. One that is out of reach may know of a logout.
    fn nobody_knows_better(&self) -> bool {
        let complete = |peer: &Origin| self.phase.complete_with.contains(peer);
        let gone = |value: u64| value & GONE != 0;
        let all_here =
            self.inc.iter().all(|(m, &v)| *m == self.origin || gone(v) || self.peers.contains_key(m));
        !self.peers.is_empty()
            && all_here
            && self.peers.iter().all(|(origin, peer)| complete(origin) && !peer.ready)
    }

    fn update_joining(&mut self, now: Now, waited_ms: u64) {
        if !self.phase.has_seeds {
            self.marks.hit(Mark::Solo);
            return self.serve_as(Serving::Ready, "no seeds: the first of its mesh".into());
        }
        if mutant!(ReadyAtFirstLink) && !self.peers.is_empty() {
            return self.serve_as(Serving::Ready, "linked".into());
        }
        if self.phase.left == 0 {
            if self.phase.verify == Verify::Done || mutant!(JoinUnverified) {
                self.marks.hit(Mark::VerifiedJoin);
                return self.serve_as(Serving::Ready, "every partition adopted and verified".into());
            }
            return self.continue_verify(now);
        }
        if let Some(why) = self.phase.kept_out(now, REFUSED_HOLD_MS.max(self.limits.solo_after_ms)) {
            self.phase.reason = format!("refused by {why}");
            return;
        }
        if self.peers.is_empty() && self.members.is_empty() {
            if waited_ms >= self.limits.solo_after_ms {
                self.marks.hit(Mark::Solo);
                self.serve_as(Serving::Ready, "alone: no seed answered within solo_after_ms".into());
            }
            return;
        }
        let settled =
            self.phase.first_link_ms.is_some_and(|first| now.mono_ms >= first + self.limits.settle_ms);
        // A member that is heard of and never reached must not hold the others up for ever.
        let all_linked =
            waited_ms >= self.limits.solo_after_ms || self.members.iter().all(|m| self.peers.contains_key(m));
        let none_ready = self.peers.values().all(|p| !p.ready);
        let rounds = self.peers.keys().all(|p| self.phase.complete_with.contains(p));
        if settled && all_linked && none_ready && rounds && !self.peers.is_empty() {
            self.marks.hit(Mark::FoundedTogether);
            self.serve_as(Serving::Ready, "founded together with members that were joining too".into());
        } else {
            let total = self.phase.done.len();
            self.phase.reason = format!("{} of {total} partitions adopted", total - self.phase.left);
        }
    }

    pub(super) fn continue_verify(&mut self, now: Now) {
        let source =
            self.peers.iter().find(|(o, p)| p.ready && self.phase.complete_with.contains(o)).map(|(o, _)| *o);
        let (peer, next) = match self.phase.verify {
            Verify::Done => return,
            Verify::Asked { peer, asked_ms, .. }
                if now.mono_ms < asked_ms + VERIFY_RETRY_MS && self.peers.contains_key(&peer) =>
            {
                return;
            }
            Verify::Asked { next, .. } => match source {
                Some(source) => {
                    self.marks.hit(Mark::VerifyRetry);
                    (source, next)
                }
                None => return,
            },
            Verify::Next { peer, next } => (peer, next),
            Verify::No => match source {
                Some(source) => (source, 0),
                None => return,
            },
        };
        self.phase.verify = Verify::Asked { peer, next, asked_ms: now.mono_ms };
        self.phase.reason = format!("verifying partition {next} of {}", self.phase.done.len());
        self.verify_from(now, peer, next);
    }
}
