//! Joining, ready, fenced; and when a node must begin a new life.
//!
//! A joiner is ready when one complete round of every partition with a *ready* member is adopted and verified.
//! Nodes that meet only each other elect nobody: when each has completed a round with all the others and no
//! ready member has appeared for a while, each declares itself ready. A process that was frozen fences itself
//! until a full round, since it may have missed logouts.

use std::collections::BTreeSet;

use rand::RngExt;

use super::source::Sources;
use super::verify::Verify;
use super::{Node, Output};
use crate::causality::Origin;
use crate::limits::REFUSED_HOLD_MS;
use crate::marks::Mark;
use crate::replica::{GONE, Serving};
use crate::time::Now;

/// A joiner waits for its seeds to answer at most this many times `solo_after_ms`, however often their names lead to
/// somebody new: a name whose every look-up gives another address must not keep the first of a mesh out for ever. Three
/// times the default of 10 s is what a cluster's name server keeps an answer for.
const SOLO_WAITS: u64 = 3;

pub(super) struct Phase {
    pub serving: Serving,
    pub reason: String,
    has_seeds: bool,
    since_ms: u64,
    /// From when on nobody's answer is waited for: as `since_ms`, or when the seeds' names led to somebody new.
    solo_from_ms: u64,
    /// What outside speaks against becoming ready.
    pub hold: Option<String>,
    first_link_ms: Option<u64>,
    /// Partitions a complete round of which ended with a ready member.
    done: Vec<bool>,
    left: usize,
    /// When a dial was refused last, and by whom and why.
    refused: Option<(u64, String)>,
    /// Peers with which a whole round completed in this phase.
    pub complete_with: BTreeSet<Origin>,
    pub verify: Verify,
    pub sources: Sources,
    /// Peers of which something was refused in this phase, since it is from too far ahead (`ahead.rs`).
    pub ahead: BTreeSet<Origin>,
    /// What is not known, while this node serves all the same.
    pub incomplete: Option<String>,
    last_loss_ms: Option<u64>,
}

impl Phase {
    pub fn joining(has_seeds: bool, now: Now, partitions: u16) -> Self {
        Self {
            serving: Serving::Joining,
            reason: "no seed has answered yet".into(),
            has_seeds,
            since_ms: now.mono_ms,
            solo_from_ms: now.mono_ms,
            hold: None,
            first_link_ms: None,
            done: vec![false; usize::from(partitions)],
            left: usize::from(partitions),
            complete_with: BTreeSet::new(),
            refused: None,
            verify: Verify::default(),
            sources: Sources::default(),
            ahead: BTreeSet::new(),
            incomplete: None,
            last_loss_ms: None,
        }
    }

    fn fence(&mut self, now: Now) {
        self.since_ms = now.mono_ms;
        self.solo_from_ms = now.mono_ms;
        self.done.fill(false);
        self.left = self.done.len();
        self.complete_with.clear();
        self.ahead.clear();
        self.verify = Verify::default();
        self.sources.thawed(now);
        self.last_loss_ms = self.last_loss_ms.map(|_| now.mono_ms);
    }

    pub fn is_ready(&self) -> bool {
        self.serving == Serving::Ready
    }

    /// Whether this node holds everything: only then is it a source for others.
    pub fn is_source(&self) -> bool {
        self.is_ready() && self.incomplete.is_none()
    }

    pub fn partitions(&self) -> usize {
        self.done.len()
    }

    /// Partitions not yet adopted from a ready member.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Everything is here.
    pub fn completed(&mut self) {
        self.incomplete = None;
        self.sources = Sources::default();
    }

    /// How far joining is. What a node lacks that serves already is not talked over.
    pub fn say(&mut self, reason: String) {
        if self.incomplete.is_none() {
            self.reason = reason;
        }
    }

    /// A link was lost.
    pub fn lost(&mut self, now: Now, peer: Origin) {
        self.last_loss_ms = Some(now.mono_ms);
        self.sources.lost(now, peer);
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

    /// Trusts nothing until a full round. For a joiner that is the one it waits for anyway, and its clocks start again, or
    /// it would take the time it was frozen for a time in which nobody answered.
    pub(super) fn fence(&mut self, now: Now, why: &str) {
        self.phase.fence(now);
        if self.phase.serving == Serving::Joining {
            self.marks.hit(Mark::JoinerFrozen);
            self.hide_until_joined(why);
        } else {
            self.marks.hit(Mark::FenceClosed);
            self.serve_as(Serving::Fenced, format!("{why}: waiting for one full round"));
        }
        let peers: Vec<Origin> = self.peers.keys().copied().collect();
        peers.into_iter().for_each(|peer| self.want_round(peer));
        self.round = None;
    }

    /// A joiner shows and edits what has come to it. Once it stood still, a logout of that may have been missed.
    fn hide_until_joined(&mut self, why: &str) {
        if mutant!(ThawedJoinerServes) {
            return;
        }
        self.replica.set_serving(Serving::Fenced);
        let why = format!("{why}: nothing is shown before it has joined");
        self.outputs.push_back(Output::Serving(Serving::Fenced, why));
    }

    /// Begins a new life under a fresh origin; the data stays.
    pub(super) fn new_life(&mut self, now: Now, cause: Mark, why: &str) {
        self.marks.hit(cause);
        self.past.insert(self.origin);
        self.absent.on_board = (false, false);
        if !mutant!(CloneKeepsOrigin) {
            self.origin = Origin(self.rng.random());
        }
        self.replica.set_own_origin(self.origin);
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

    pub(super) fn serve_as(&mut self, serving: Serving, reason: String) {
        self.replica.set_serving(serving);
        self.phase.serving = serving;
        self.phase.reason.clone_from(&reason);
        self.outputs.push_back(Output::Serving(serving, reason));
    }

    /// Serves although no member that holds everything was found: either there is none yet, or what is lacking is said.
    fn serve_without_source(&mut self, why: &str) {
        let incomplete = self.incomplete();
        self.phase.incomplete.clone_from(&incomplete);
        self.serve_as(Serving::Ready, incomplete.unwrap_or_else(|| why.to_owned()));
    }

    pub(super) fn update_phase(&mut self, now: Now) {
        let waited_ms = now.mono_ms.saturating_sub(self.phase.since_ms);
        match self.phase.serving {
            Serving::Ready => self.complete_late(now),
            Serving::Fenced
                if self.phase.left == 0 || self.nobody_knows_better() || mutant!(FenceOpensAtOnce) =>
            {
                let by_round = self.phase.left == 0;
                self.marks.hit(if by_round {
                    Mark::FenceOpenedByRound
                } else {
                    Mark::FenceNobodyKnowsBetter
                });
                if by_round {
                    self.phase.completed();
                }
                self.open_fence("a full round completed after the freeze");
            }
            // A round that is bringing something goes on: one that hears nothing is given up soon enough.
            Serving::Fenced if waited_ms >= self.limits.fence_timeout_ms && self.round.is_none() => {
                self.marks.hit(Mark::FenceOpenedByTimeout);
                self.open_fence("no peer answered within fence_timeout_ms");
            }
            Serving::Fenced if waited_ms >= self.limits.fence_timeout_ms => {
                self.marks.hit(Mark::FenceWaitsForRound);
            }
            Serving::Fenced => {}
            Serving::Joining => self.update_joining(now),
        }
    }

    /// A fence that opens makes nothing whole that was not before.
    fn open_fence(&mut self, why: &str) {
        let lacking = self.phase.incomplete.iter().map(|text| format!("; {text}"));
        let reason = lacking.fold(why.to_owned(), |reason, text| reason + &text);
        self.serve_as(Serving::Ready, reason);
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

    /// The seeds' names lead to somebody who has not been asked yet.
    pub(super) fn seeds_moved(&mut self, now: Now) {
        let latest_ms = self.phase.since_ms + (SOLO_WAITS - 1) * self.limits.solo_after_ms;
        self.phase.solo_from_ms = self.phase.solo_from_ms.max(now.mono_ms.min(latest_ms));
    }

    /// When this node will serve alone (monotonic ms), if nobody answers: while it joins and has met nobody.
    pub fn solo_at_ms(&self) -> Option<u64> {
        let alone = self.peers.is_empty() && self.members.is_empty();
        let joins_alone = self.phase.serving == Serving::Joining && alone && self.phase.has_seeds;
        // Whoever answered and was lost is waited for from its loss on.
        let from_ms = self.phase.solo_from_ms.max(self.phase.last_loss_ms.unwrap_or(0));
        joins_alone.then(|| from_ms + self.limits.solo_after_ms)
    }

    /// Whether all members are linked. One that is heard of and never reached must not hold the others up for ever.
    pub(super) fn all_are_linked(&self, now: Now) -> bool {
        let waited_ms = now.mono_ms.saturating_sub(self.phase.since_ms);
        waited_ms >= self.limits.solo_after_ms || self.members.iter().all(|m| self.peers.contains_key(m))
    }

    fn update_joining(&mut self, now: Now) {
        if !self.phase.has_seeds {
            self.marks.hit(Mark::Solo);
            return self.serve_as(Serving::Ready, "no seeds: the first of its mesh".into());
        }
        if let Some(why) = self.phase.hold.clone() {
            if self.phase.left == 0 {
                self.continue_verify(now);
            }
            self.phase.reason = why;
            return;
        }
        if mutant!(ReadyAtFirstLink) && !self.peers.is_empty() {
            return self.serve_as(Serving::Ready, "linked".into());
        }
        if self.phase.left == 0 {
            if self.phase.verify.is_done() || mutant!(JoinUnverified) {
                self.marks.hit(Mark::VerifiedJoin);
                self.phase.completed();
                return self.serve_as(Serving::Ready, "every partition adopted and verified".into());
            }
            self.continue_verify(now);
            if self.peers.values().any(|peer| peer.ready) {
                return;
            }
        }
        if let Some(why) = self.phase.kept_out(now, REFUSED_HOLD_MS.max(self.limits.solo_after_ms)) {
            self.phase.reason = format!("refused by {why}");
            return;
        }
        if let Some(why) = self.waits_for_source(now) {
            self.phase.reason = why;
            return;
        }
        if self.peers.is_empty() && self.members.is_empty() {
            if self.solo_at_ms().is_some_and(|at_ms| now.mono_ms >= at_ms) {
                self.marks.hit(Mark::Solo);
                self.serve_without_source(match self.phase.first_link_ms {
                    Some(_) => "alone: whoever answered was lost, and nobody came back within solo_after_ms",
                    None => "alone: no seed answered within solo_after_ms",
                });
            }
            return;
        }
        let settled =
            self.phase.first_link_ms.is_some_and(|first| now.mono_ms >= first + self.limits.settle_ms);
        let all_linked = self.all_are_linked(now);
        let none_ready = self.peers.values().all(|p| !p.ready);
        let rounds = self.peers.keys().all(|p| self.phase.complete_with.contains(p));
        if settled && all_linked && none_ready && rounds && !self.peers.is_empty() {
            self.marks.hit(Mark::FoundedTogether);
            self.serve_without_source("founded together with members that were joining too");
        } else {
            let total = self.phase.done.len();
            self.phase.reason = format!("{} of {total} partitions adopted", total - self.phase.left);
        }
    }
}
