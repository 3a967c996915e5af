//! What one process remembers of one incarnation, and chitchat's phi-accrual failure detector.
//!
//! Rule for rule as `failure_detector.rs` and `NodeState` of chitchat 0.11.2, in whole milliseconds.

use super::BoardConfig;

/// Heartbeat intervals remembered of each incarnation: the product's `sampling_window_size`.
const WINDOW: usize = 100;
/// How many samples the prior weighs as much as.
const PRIOR_WEIGHT: u64 = 5;
/// A time that never comes.
const NEVER: u64 = u64::MAX;

/// The settings, worked out once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    phi_threshold: f64,
    prior_sum_ms: u64,
    max_interval_ms: u64,
    grace_ms: u64,
}

impl Rules {
    pub(super) fn new(config: &BoardConfig) -> Self {
        Self {
            phi_threshold: config.phi_threshold,
            prior_sum_ms: config.gossip_interval_ms * PRIOR_WEIGHT,
            max_interval_ms: config.gossip_interval_ms * 10,
            grace_ms: config.dead_grace_ms,
        }
    }
}

/// One incarnation as one process sees it. Dense: indexed by the incarnation's number in the world.
#[derive(Debug)]
pub(super) struct Seen {
    /// The greatest heartbeat heard of; 0 until the first, which proves nothing.
    pub(super) heartbeat: u32,
    /// Its keys are known up to this version. Nobody deletes keys, so a version says it all.
    pub(super) version: u32,
    /// Its heartbeat when it was forgotten: only a greater one brings it back. 0: never forgotten.
    forgotten: u32,
    /// It has a place in the digest.
    pub(super) known: bool,
    /// The detector's verdict.
    pub(super) alive: bool,
    dead_since_ms: u64,
    /// From then on it is left out of digests and deltas.
    hidden_after_ms: u64,
    last_ms: u64,
    sum_ms: u64,
    len: u32,
    next: u32,
    /// Made at the second heartbeat: most pairs of a large world never meet.
    ring: Option<Box<[u32; WINDOW]>>,
}

impl Seen {
    /// Nothing was ever heard of it.
    pub(super) const fn unheard() -> Self {
        Self {
            heartbeat: 0,
            version: 0,
            forgotten: 0,
            known: false,
            alive: false,
            dead_since_ms: NEVER,
            hidden_after_ms: NEVER,
            last_ms: NEVER,
            sum_ms: 0,
            len: 0,
            next: 0,
            ring: None,
        }
    }

    /// A process as it sees itself: always alive, never judged.
    pub(super) fn own(version: u32) -> Self {
        Self { heartbeat: 1, version, known: true, alive: true, ..Self::unheard() }
    }

    /// True if a digest naming it with `heartbeat` makes it known (again).
    pub(super) fn would_return(&self, heartbeat: u32) -> bool {
        heartbeat > self.forgotten
    }

    /// It becomes known.
    pub(super) fn enter(&mut self) {
        *self = Self { known: true, ..Self::unheard() };
    }

    /// A heartbeat of a known incarnation, read in a digest.
    #[inline]
    pub(super) fn beat(&mut self, now_ms: u64, heartbeat: u32, rules: &Rules) {
        if heartbeat <= self.heartbeat {
            return;
        }
        let is_first = self.heartbeat == 0;
        self.heartbeat = heartbeat;
        if is_first {
            return;
        }
        if self.last_ms != NEVER {
            let interval = now_ms - self.last_ms;
            if interval <= rules.max_interval_ms {
                self.sample(interval as u32);
            }
        }
        self.last_ms = now_ms;
    }

    #[inline]
    fn sample(&mut self, interval_ms: u32) {
        let ring = self.ring.get_or_insert_with(|| Box::new([0; WINDOW]));
        let slot = &mut ring[self.next as usize];
        if self.len as usize == WINDOW {
            self.sum_ms -= u64::from(*slot);
        } else {
            self.len += 1;
        }
        *slot = interval_ms;
        self.sum_ms += u64::from(interval_ms);
        self.next = if self.next as usize == WINDOW - 1 { 0 } else { self.next + 1 };
    }

    fn is_believed(&self, now_ms: u64, rules: &Rules) -> bool {
        if self.len == 0 {
            return false;
        }
        let elapsed = ((now_ms - self.last_ms) * (u64::from(self.len) + PRIOR_WEIGHT)) as f64;
        elapsed <= rules.phi_threshold * (self.sum_ms + rules.prior_sum_ms) as f64
    }

    /// Passes judgement. A dead one loses its samples, so that it begins afresh when it returns.
    #[inline]
    pub(super) fn judge(&mut self, now_ms: u64, rules: &Rules) {
        self.alive = self.is_believed(now_ms, rules);
        if self.alive {
            self.dead_since_ms = NEVER;
            self.hidden_after_ms = NEVER;
            return;
        }
        if self.dead_since_ms == NEVER {
            self.dead_since_ms = now_ms;
            self.hidden_after_ms = now_ms + rules.grace_ms / 2;
        }
        (self.len, self.next, self.sum_ms) = (0, 0, 0);
    }

    /// Dead: in the list that chitchat sometimes tries. A newcomer not judged yet is in no list.
    pub(super) fn is_dead(&self) -> bool {
        self.dead_since_ms != NEVER
    }

    /// Left out of digests and deltas.
    #[inline]
    pub(super) fn is_hidden(&self, now_ms: u64) -> bool {
        self.hidden_after_ms < now_ms
    }

    /// Dead for the whole grace: to be forgotten.
    #[inline]
    pub(super) fn is_expired(&self, now_ms: u64, rules: &Rules) -> bool {
        self.dead_since_ms != NEVER && now_ms >= self.dead_since_ms + rules.grace_ms
    }

    /// Forgets it but for its last heartbeat.
    pub(super) fn forget(&mut self) {
        *self = Self { forgotten: self.heartbeat, ..Self::unheard() };
    }
}
