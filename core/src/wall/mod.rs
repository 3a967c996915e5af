//! The believed wall clock: what a node stamps, hides and reaps by.
//!
//! The machine's wall clock is followed while it stays near an *anchor*, an offset from the monotonic clock that moves
//! only when peers or time confirm it. A step beyond that puts it in doubt: the node then counts on by the monotonic
//! clock, as if the step had not been, until [`Judge`] finds out which of the two is right. Embedders' threads read
//! the outcome here, without a lock. See `docs/CLOCKS.md`.

mod judge;

use std::sync::atomic::{AtomicI64, Ordering};

pub use self::judge::{Judge, Turn};
use super::time::Now;

/// What is thought of the machine's wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// It is followed.
    #[default]
    Followed,
    /// It has stepped, and nobody has said yet whether it is right.
    Doubted,
    /// Peers say that it is wrong: this node counts on without it.
    Refuted,
}

impl Trust {
    /// The word operators see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Followed => "followed",
            Self::Doubted => "in doubt",
            Self::Refuted => "wrong",
        }
    }
}

/// The clock as the node's task left it, shared by all threads.
#[derive(Debug)]
pub struct Wall {
    bound_ms: u64,
    /// Wall minus monotonic time that is believed, in the upper bits; trust in the lowest two.
    held: AtomicI64,
    /// Wall minus monotonic time as the machine says.
    raw: AtomicI64,
}

impl Wall {
    /// A clock that is followed from here on; steps beyond `bound_ms` put it in doubt.
    pub fn new(bound_ms: u64, now: Now) -> Self {
        let offset = offset_of(now);
        Self { bound_ms, held: AtomicI64::new(offset << 2), raw: AtomicI64::new(offset) }
    }

    /// Takes over what the judge says.
    pub fn set(&self, judge: &Judge) {
        let (held_ms, trust) = judge.held();
        self.raw.store(judge.raw_ms(), Ordering::Release);
        self.held.store(held_ms << 2 | trust as i64, Ordering::Release);
    }

    /// What is thought of the machine's wall clock.
    pub fn trust(&self) -> Trust {
        trust_of(self.held.load(Ordering::Acquire))
    }

    /// The believed time for a reading of the machine's clocks. Of a believed time it is that time.
    pub fn believe(&self, now: Now) -> Now {
        let held = self.held.load(Ordering::Acquire);
        let (held_ms, trust) = (held >> 2, trust_of(held));
        // A step that the node's task has not seen yet is not believed either.
        let near = offset_of(now).abs_diff(held_ms) <= self.bound_ms;
        if trust == Trust::Followed && near || mutant!(RawClockStamps) {
            return now;
        }
        Now { wall_ms: now.mono_ms.saturating_add_signed(held_ms), ..now }
    }

    /// What the machine's wall clock says while it is in doubt: what ends between this and the believed time is
    /// neither shown nor hidden with certainty.
    pub fn disputed_ms(&self, now: Now) -> Option<u64> {
        let held = self.held.load(Ordering::Acquire);
        match trust_of(held) {
            Trust::Followed => (offset_of(now).abs_diff(held >> 2) > self.bound_ms).then_some(now.wall_ms),
            Trust::Doubted => Some(now.mono_ms.saturating_add_signed(self.raw.load(Ordering::Acquire))),
            Trust::Refuted => None,
        }
    }

    /// Whether the machine may have been suspended for longer than `after_ms` while its wall clock went from one offset to
    /// another; `held_ms` is what was believed. It was if the clock went ahead. But it may have been set as well, or have
    /// been wrong before, and end up anywhere: so it may hide in a step back too. One back to where the clock is believed,
    /// or by no more than what is followed, is taken for what it seems.
    pub fn may_have_slept(&self, (from_ms, to_ms): (i64, i64), held_ms: i64, after_ms: u64) -> bool {
        let (after_ms, bound_ms) = (after_ms as i64, self.bound_ms as i64);
        let back_in_doubt = to_ms > held_ms + after_ms || to_ms < held_ms - bound_ms;
        to_ms - from_ms > after_ms || from_ms - to_ms > after_ms && back_in_doubt
    }

    /// The same of a step that this reading shows and the node's task has not seen. A believed reading shows none.
    pub fn has_slept(&self, now: Now, after_ms: u64) -> bool {
        let (to_ms, held_ms) = (offset_of(now), self.held.load(Ordering::Acquire) >> 2);
        let from_ms = self.raw.load(Ordering::Acquire);
        to_ms != held_ms && self.may_have_slept((from_ms, to_ms), held_ms, after_ms)
    }

    /// The time to be told in a handshake. A machine that was suspended is right about the time, and has no link on
    /// which it could have heard so.
    pub fn presented_ms(&self, now: Now) -> u64 {
        match self.trust() {
            Trust::Doubted => now.mono_ms.saturating_add_signed(self.raw.load(Ordering::Acquire)),
            Trust::Followed | Trust::Refuted => self.believe(now).wall_ms,
        }
    }
}

fn trust_of(held: i64) -> Trust {
    match held & 3 {
        0 => Trust::Followed,
        1 => Trust::Doubted,
        _ => Trust::Refuted,
    }
}

/// Wall minus monotonic time. Two bits are left for trust: the wall clock of a broken machine may say anything.
pub fn offset_of(now: Now) -> i64 {
    let far = i64::MAX >> 3;
    (i128::from(now.wall_ms) - i128::from(now.mono_ms)).clamp(i128::from(-far), i128::from(far)) as i64
}
