//! Whether a wall clock that stepped is right: by the word of peers that believe their own, else by time.
//!
//! A peer that is itself in doubt, or was refuted, counts on as if no step had been, and so would confirm whoever
//! stepped together with it: it has no vote. Votes are answers to a question asked since the step, or a handshake
//! begun since: what lay in a buffer through a suspend tells the time of its sending.

use std::collections::{BTreeMap, BTreeSet};

use super::{Trust, offset_of};
use crate::causality::Origin;
use crate::limits::MAX_CLOCKS_HEARD;
use crate::time::Now;

/// How long peers that were asked are waited for (ms), once one has answered.
const DECIDE_MS: u64 = 1_500;
/// A step that nobody contradicts is believed after this (ms): longer than a mistaken setting stands while somebody
/// is at the keyboard, shorter than anybody waits for a suspended machine.
pub const CONFIRM_MS: u64 = 60_000;
/// The same where members are known and out of reach (ms): the mesh may tell better, if it comes back.
pub const CONFIRM_CUT_OFF_MS: u64 = 600_000;
/// What a peer's clock said counts for this long (ms).
const HEARD_MS: u64 = 60_000;
/// A clock that was refuted, and that nobody with a clock of his own has contradicted for this long (ms), is in doubt
/// again: those who refuted it may have been wrong, and gone.
const REFUTED_MS: u64 = 600_000;

/// What a look at the clocks changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The wall clock has stepped to this much ahead of the believed one (ms; negative: behind).
    Doubted(i64),
    /// It is back where it was.
    Cleared,
    /// It is right, by the word of so many peers: belief moved by this much (ms).
    Adopted(i64, usize),
    /// It is wrong, by the word of so many peers, and this much ahead of what they say (ms).
    Refuted(i64, usize),
}

/// The judge of one node's wall clock. All offsets are wall minus this machine's monotonic time (ms).
#[derive(Debug)]
pub struct Judge {
    bound_ms: u64,
    far_ms: u64,
    anchor_ms: i64,
    held_ms: i64,
    raw_ms: i64,
    trust: Trust,
    /// When the doubt began, or was last renewed (monotonic ms).
    since_ms: u64,
    /// Since when the anchor stands without anybody's word (monotonic ms).
    calm_ms: u64,
    /// Whose answer is awaited.
    awaited: BTreeSet<Origin>,
    asked_ms: u64,
    /// What peers' messages said last: offset, and when (monotonic ms).
    heard: BTreeMap<Origin, (i64, u64)>,
    /// Votes: the same of peers that believe their own clock, as answers to questions of this doubt.
    votes: BTreeMap<Origin, (i64, u64)>,
}

impl Judge {
    /// Follows this clock from here on. Steps beyond `bound_ms` are doubted; beyond `far_ms` clocks do not fit.
    pub fn new(bound_ms: u64, far_ms: u64, now: Now) -> Self {
        let offset = offset_of(now);
        Self {
            bound_ms,
            far_ms,
            anchor_ms: offset,
            held_ms: offset,
            raw_ms: offset,
            trust: Trust::Followed,
            since_ms: now.mono_ms,
            calm_ms: now.mono_ms,
            awaited: BTreeSet::new(),
            asked_ms: 0,
            heard: BTreeMap::new(),
            votes: BTreeMap::new(),
        }
    }

    /// The believed offset, and what is thought of the machine's.
    pub fn held(&self) -> (i64, Trust) {
        (self.held_ms, self.trust)
    }

    /// The machine's offset as read last.
    pub fn raw_ms(&self) -> i64 {
        self.raw_ms
    }

    /// How far the machine's wall clock is ahead of what is believed (ms).
    pub fn ahead_ms(&self) -> i64 {
        self.raw_ms - self.held_ms
    }

    /// Reads the clocks. `cut_off`: members are known that are out of reach.
    pub fn look(&mut self, now: Now, cut_off: bool) -> Option<Turn> {
        let offset = offset_of(now);
        let step_ms = offset.abs_diff(self.raw_ms);
        self.raw_ms = offset;
        let near = offset.abs_diff(self.anchor_ms) <= self.bound_ms || mutant!(EveryStepFollowed);
        match self.trust {
            Trust::Followed if near => {
                self.held_ms = offset;
                if now.mono_ms >= self.calm_ms + CONFIRM_MS {
                    self.anchor(now);
                }
                None
            }
            Trust::Followed => Some(self.doubt(now)),
            _ if near => {
                (self.trust, self.held_ms) = (Trust::Followed, offset);
                Some(Turn::Cleared)
            }
            _ if step_ms > self.bound_ms => Some(self.doubt(now)),
            Trust::Doubted => self.decide(now, cut_off),
            Trust::Refuted => {
                let newest = self.votes.values().map(|v| v.1).max().unwrap_or(self.since_ms);
                (now.mono_ms >= newest + REFUTED_MS).then(|| self.doubt(now))
            }
        }
    }

    fn doubt(&mut self, now: Now) -> Turn {
        (self.trust, self.since_ms) = (Trust::Doubted, now.mono_ms);
        self.votes.clear();
        self.awaited.clear();
        Turn::Doubted(self.ahead_ms())
    }

    fn anchor(&mut self, now: Now) {
        (self.anchor_ms, self.calm_ms) = (self.raw_ms, now.mono_ms);
    }

    /// A message told a peer's time.
    pub fn hear(&mut self, now: Now, peer: Origin, wall_ms: u64) {
        let offset = offset_of(Now { wall_ms, ..now });
        self.remember(now, peer, offset);
        if self.trust == Trust::Followed && offset.abs_diff(self.raw_ms) <= self.bound_ms {
            self.anchor(now);
        } else if self.trust == Trust::Followed {
            // Somebody is there who does not confirm it: time alone does not.
            self.calm_ms = now.mono_ms;
        }
    }

    fn remember(&mut self, now: Now, peer: Origin, offset: i64) {
        if self.heard.len() >= MAX_CLOCKS_HEARD {
            self.heard.retain(|_, (_, at_ms)| now.mono_ms < *at_ms + HEARD_MS);
        }
        if self.heard.len() < MAX_CLOCKS_HEARD || self.heard.contains_key(&peer) {
            self.heard.insert(peer, (offset, now.mono_ms));
        }
    }

    /// These peers were asked for their time.
    pub fn asked(&mut self, now: Now, peers: impl Iterator<Item = Origin>) {
        (self.awaited, self.asked_ms) = (peers.collect(), now.mono_ms);
    }

    /// Whether peers are about to say what the time is. What tells them ours waits: they would refuse it, and us.
    pub fn is_waiting(&self, now: Now) -> bool {
        self.trust == Trust::Doubted && !self.awaited.is_empty() && now.mono_ms < self.asked_ms + DECIDE_MS
    }

    /// A peer will not answer.
    pub fn lost(&mut self, peer: Origin) {
        self.awaited.remove(&peer);
    }

    /// A peer has told its time since the step; `sound` if it believes its own clock.
    pub fn told(&mut self, now: Now, peer: Origin, wall_ms: u64, sound: bool, cut_off: bool) -> Option<Turn> {
        let offset = offset_of(Now { wall_ms, ..now });
        self.awaited.remove(&peer);
        self.remember(now, peer, offset);
        if self.trust == Trust::Followed {
            return None;
        }
        if sound || mutant!(DoubtersVote) {
            self.votes.retain(|_, (_, at_ms)| now.mono_ms < *at_ms + HEARD_MS);
            if self.votes.len() < MAX_CLOCKS_HEARD {
                self.votes.insert(peer, (offset, now.mono_ms));
            }
        } else {
            self.votes.remove(&peer);
        }
        self.decide(now, cut_off)
    }

    /// Whether the machine's clock or the believed one is right, as far as that is known.
    fn decide(&mut self, now: Now, cut_off: bool) -> Option<Turn> {
        let waited_ms = now.mono_ms.saturating_sub(self.since_ms);
        if self.votes.is_empty() {
            let enough_ms = if cut_off { CONFIRM_CUT_OFF_MS } else { CONFIRM_MS };
            let over = self.trust == Trust::Doubted && waited_ms >= enough_ms && !mutant!(DoubtHasNoEnd);
            return over.then(|| self.adopt(now, 0));
        }
        if !self.awaited.is_empty() && waited_ms < DECIDE_MS {
            return None;
        }
        let theirs_ms = lower_median(self.votes.values().map(|v| v.0).collect())?;
        let (to_raw, to_held) = (theirs_ms.abs_diff(self.raw_ms), theirs_ms.abs_diff(self.held_ms));
        if to_raw <= self.far_ms && to_raw < to_held {
            return Some(self.adopt(now, self.votes.len()));
        }
        if to_held > self.far_ms {
            // Neither is right, as when a machine was suspended whose clock was wrong before: theirs is.
            (self.held_ms, self.anchor_ms) = (theirs_ms, theirs_ms);
        } else if self.trust == Trust::Refuted {
            return None;
        }
        self.trust = Trust::Refuted;
        Some(Turn::Refuted(self.ahead_ms(), self.votes.len()))
    }

    fn adopt(&mut self, now: Now, peers: usize) -> Turn {
        let moved_ms = self.ahead_ms();
        (self.trust, self.held_ms) = (Trust::Followed, self.raw_ms);
        self.anchor(now);
        Turn::Adopted(moved_ms, peers)
    }

    /// The wall time by which something may be reaped at `now`, a believed time: the median of all clocks heard of and
    /// this one, and no later than either of ours. It never stands still, however wrong a clock is.
    pub fn reap_ms(&self, now: Now) -> u64 {
        let held_ms = offset_of(now);
        let heard = self.heard.values().filter(|(_, at_ms)| now.mono_ms < at_ms + HEARD_MS);
        let median_ms = lower_median(heard.map(|h| h.0).chain([held_ms]).collect()).unwrap_or(held_ms);
        let raw_ms = if self.trust == Trust::Doubted { self.raw_ms } else { held_ms };
        if mutant!(ReapGoesOnAfterJump) {
            return now.mono_ms.saturating_add_signed(self.raw_ms);
        }
        now.mono_ms.saturating_add_signed(median_ms.min(held_ms).min(raw_ms))
    }
}

/// The middle one; of two in the middle the lower, which reaps later.
fn lower_median(mut offsets: Vec<i64>) -> Option<i64> {
    offsets.sort_unstable();
    offsets.get(offsets.len().checked_sub(1)? / 2).copied()
}
