//! Whether this node's wall clock is right: what it hears of others', what it asks, what it does about the answer.
//!
//! The question is an [`Ask`] for a session that nobody has: it carries no time, so that nobody refuses it, and its
//! answer tells the peer's, and whether the peer believes it.

use rand::RngExt;

use super::{Class, Node};
use crate::causality::Origin;
use crate::limits::Limits;
use crate::marks::Mark;
use crate::membership;
use crate::replica::GONE;
use crate::session::SessionId;
use crate::time::Now;
use crate::wall::{Judge, Trust, Turn, offset_of};
use crate::wire::{Ask, Message, PeerFault, Tell, TellHeader};

/// Wall time that went by without monotonic time (ms) is a suspend beyond this; below it is the clock being trimmed.
const SKIPPED_MS: u64 = 50;
/// Questions about the time have numbers from here on; those of reads never reach it.
const CLOCK_QUESTION: u64 = 1 << 63;
/// How often peers are asked for their time: in doubt (ms), and while they say that ours is wrong.
const ASK_MS: (u64, u64) = (2_000, 30_000);
/// An answer that took longer (ms) says too little about now.
const SLOW_MS: u64 = 2_000;

/// What a node knows of clocks.
pub(super) struct Clocks {
    pub judge: Judge,
    /// The machine's wall minus monotonic time at the last input.
    machine_ms: i64,
    /// The number of the last question, and when it was asked (monotonic ms).
    asked: (u64, u64),
    ask_at_ms: u64,
}

/// This node's wall clock, for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockView {
    /// What is thought of it.
    pub trust: Trust,
    /// How far it is ahead of what is believed (ms; negative: behind).
    pub ahead_ms: i64,
    /// How far the hybrid clock is ahead of the believed wall clock (ms): beyond `max_drift_ms` after a clock that was
    /// believed turned out to be ahead. Edits of what was written then reach nobody until that time has come.
    pub stamps_ahead_ms: u64,
}

impl Clocks {
    pub fn new(limits: &Limits, now: Now) -> Self {
        Self {
            judge: Judge::new(limits.step_bound_ms(), limits.max_drift_ms, now),
            machine_ms: offset_of(now),
            asked: (CLOCK_QUESTION, 0),
            ask_at_ms: 0,
        }
    }
}

/// "180000 ms ahead", "600000 ms behind".
fn spelled(ms: i64) -> String {
    format!("{} ms {}", ms.unsigned_abs(), if ms < 0 { "behind" } else { "ahead" })
}

/// How long the machine may have slept while its wall clock went from one offset to another (ms). `held_ms` was
/// believed before, `is_back` says that the clock is back there.
fn slept_ms(from_ms: i64, held_ms: i64, to_ms: i64, is_back: bool) -> u64 {
    let set_back = from_ms.saturating_sub(to_ms) > SKIPPED_MS as i64;
    let awake_ms = if is_back || to_ms > from_ms.max(held_ms) {
        // A clock that was behind and comes back to what is believed was no suspended machine's.
        from_ms.max(held_ms)
    } else if set_back && to_ms > held_ms {
        // It was ahead and is less so: set right while the machine slept.
        held_ms
    } else {
        from_ms
    };
    u64::try_from(to_ms - awake_ms).unwrap_or(0)
}

impl Node {
    /// This node's wall clock.
    pub fn clock(&self, machine: Now) -> ClockView {
        let (_, trust) = self.clocks.judge.held();
        let now = self.replica.wall().believe(machine);
        let stamps_ahead_ms = self.replica.clock().latest().ms().saturating_sub(now.wall_ms);
        ClockView { trust, ahead_ms: self.clocks.judge.ahead_ms(), stamps_ahead_ms }
    }

    /// Whether others may take from here that they have everything: not while the time may be another.
    pub(super) fn is_source(&self) -> bool {
        self.phase.is_source() && self.clocks.judge.held().1 != Trust::Doubted
    }

    /// Reads the machine's clocks. Returns what is believed; nothing that follows sees the machine's wall clock.
    pub(super) fn look_at_clocks(&mut self, machine: Now) -> Now {
        let to_ms = offset_of(machine);
        let from_ms = std::mem::replace(&mut self.clocks.machine_ms, to_ms);
        let (held_ms, trust) = self.clocks.judge.held();
        // Before readers are shown the clock as it is now: by that they would think it has not stepped.
        self.notice_suspend(machine, (from_ms, to_ms), held_ms);
        let cut_off = self.is_cut_off();
        let turn = self.clocks.judge.look(machine, cut_off);
        let now = self.took(machine, turn);
        let slept_ms = slept_ms(from_ms, held_ms, to_ms, turn == Some(Turn::Cleared));
        if slept_ms > SKIPPED_MS {
            if trust == Trust::Doubted && to_ms < from_ms {
                // What it was told of the step before this one was too much.
                self.detect(now, membership::Input::NotSuspended);
            }
            self.detect(now, membership::Input::Suspended(slept_ms));
        }
        now
    }

    /// The monotonic clock stands still while a machine is suspended, and only the wall clock can tell that it was.
    fn notice_suspend(&mut self, machine: Now, (from_ms, to_ms): (i64, i64), held_ms: i64) {
        // Where nobody else is known, nobody's logout can have been missed.
        let after_ms = self.limits.fence_after_ms;
        if !self.replica.wall().may_have_slept((from_ms, to_ms), held_ms, after_ms) || !self.knows_others() {
            return;
        }
        if mutant!(SetClockHidesSuspend) && to_ms <= from_ms.max(held_ms) {
            return;
        }
        self.marks.hit(Mark::SuspendNoticed);
        let far = spelled(to_ms - from_ms);
        self.fence(machine, &format!("the wall clock stepped, and is {far} (a suspend?)"));
    }

    pub(super) fn knows_others(&self) -> bool {
        self.inc.iter().any(|(m, v)| *m != self.origin && v & GONE == 0)
    }

    /// Whether members are known that cannot be asked.
    fn is_cut_off(&self) -> bool {
        let missing = |m: &Origin| *m != self.origin && !self.past.contains(m) && !self.peers.contains_key(m);
        self.inc.iter().any(|(m, v)| v & GONE == 0 && missing(m))
    }

    /// Carries out what the judge found.
    fn took(&mut self, machine: Now, turn: Option<Turn>) -> Now {
        let before = self.replica.wall().believe(machine);
        self.replica.wall().set(&self.clocks.judge);
        let now = self.replica.wall().believe(machine);
        match turn {
            None => {}
            Some(Turn::Doubted(ahead_ms)) => {
                let forward = ahead_ms > 0;
                self.marks.hit(if forward { Mark::WallJumpForward } else { Mark::WallJumpBackward });
                self.clocks.ask_at_ms = 0;
                self.ask_clocks(now);
                let far = spelled(ahead_ms);
                self.warn(format!("the wall clock jumped: it is {far}; not followed until it is confirmed"));
            }
            Some(Turn::Cleared) => {
                self.detect(now, membership::Input::NotSuspended);
                self.warn("the wall clock is back where it was, and is followed".into());
            }
            Some(Turn::Adopted(moved_ms, by)) => {
                self.marks.hit(Mark::ClockAdopted);
                let who =
                    if by > 0 { format!("{by} peers agree with it") } else { "nobody contradicts it".into() };
                self.warn(format!("the wall clock is followed again, {}: {who}", spelled(moved_ms)));
            }
            Some(Turn::Refuted(ahead_ms, by)) => {
                self.marks.hit(Mark::ClockRefuted);
                self.detect(now, membership::Input::NotSuspended);
                let far = spelled(ahead_ms);
                self.warn(format!("this machine's wall clock is {far}, say {by} peers: going on without it"));
            }
        }
        self.take_back(before, now);
        if turn.is_some() {
            self.news(now);
        }
        now
    }

    /// A clock that was believed was ahead. What was told by it binds nobody: others would think this node's state
    /// taken in as of a time to come, and reap what is still touched here before then. So that life ends. Coverage is
    /// kept: forgotten, the writes nobody else holds yet would be covered by nobody, and sent to nobody.
    fn take_back(&mut self, before: Now, now: Now) {
        let back_ms = before.wall_ms.saturating_sub(now.wall_ms);
        if back_ms <= self.limits.max_drift_ms {
            return;
        }
        let old = self.origin;
        self.new_life(now, Mark::NewLifeJump, &format!("the time was believed to be {back_ms} ms later"));
        (0..self.limits.partitions).for_each(|ix| self.replica.locked(ix, |p| p.reset_wall(now.wall_ms)));
        // Nobody else can know it so surely: without the mark, the old life would hold up all reaping.
        self.gone(now, old);
    }

    /// Asks all linked peers for their time, while ours is not followed.
    pub(super) fn ask_clocks(&mut self, now: Now) {
        let pause_ms = match self.clocks.judge.held().1 {
            Trust::Followed => return,
            Trust::Doubted => ASK_MS.0,
            Trust::Refuted => ASK_MS.1,
        };
        if now.mono_ms < self.clocks.ask_at_ms {
            // What was held back for answers that did not come.
            return self.news(now);
        }
        self.clocks.ask_at_ms = now.mono_ms + pause_ms;
        self.clocks.asked = (self.clocks.asked.0 + 1, now.mono_ms);
        let request = self.clocks.asked.0;
        let id = SessionId::from_bytes(self.rng.random());
        let peers: Vec<(Origin, u16)> = self.peers.iter().map(|(o, p)| (*o, p.version)).collect();
        self.clocks.judge.asked(now, peers.iter().map(|p| p.0));
        for (peer, version) in peers {
            let frame = Ask { request, id }.encode(version);
            self.send(peer, Class::Control, frame);
        }
    }

    /// A new link: whoever does not believe its own clock asks before it tells the time.
    pub(super) fn clock_linked(&mut self, now: Now) {
        self.clocks.ask_at_ms = 0;
        self.ask_clocks(now);
    }

    /// Whether this node takes its own wall clock for right: the answer to a question says so.
    pub(super) fn believes_its_clock(&self) -> bool {
        self.clocks.judge.held().1 == Trust::Followed
    }

    /// A peer's time has been told, by an answer or a handshake.
    pub(super) fn clock_told(&mut self, now: Now, peer: Origin, wall_ms: u64, sound: bool) {
        let cut_off = self.is_cut_off();
        // The machine's clock as it stands: the judge looked at it when this input came.
        let turn = self.clocks.judge.told(now, peer, wall_ms, sound, cut_off);
        let machine_ms = now.mono_ms.saturating_add_signed(self.clocks.judge.raw_ms());
        self.took(Now { wall_ms: machine_ms, ..now }, turn);
    }

    /// A peer's link is down: it will not answer.
    pub(super) fn clock_lost(&mut self, peer: Origin) {
        self.clocks.judge.lost(peer);
    }

    /// Takes note of the time a message tells. Returns whether the message may be taken in; skew is checked on every
    /// one that moves data, not only at the handshake (docs/ALGORITHM.md §7).
    ///
    /// # Errors
    /// The peer's clock is too far off.
    pub(super) fn clock_fits(
        &mut self,
        now: Now,
        peer: Origin,
        wall_ms: u64,
        message: &Message<'_>,
    ) -> Result<bool, PeerFault> {
        if let Message::Tell(Tell { header: TellHeader { request, sound, .. }, .. }) = message
            && *request >= CLOCK_QUESTION
        {
            let (asked, at_ms) = self.clocks.asked;
            if *request == asked && now.mono_ms <= at_ms + SLOW_MS {
                self.clock_told(now, peer, wall_ms, *sound);
            }
            return Ok(false);
        }
        self.clocks.judge.hear(now, peer, wall_ms);
        let apart = now.wall_ms.abs_diff(wall_ms);
        let max = self.limits.max_drift_ms;
        if apart <= max || mutant!(MessageSkewUnchecked) {
            return Ok(true);
        }
        let machine_ms = now.mono_ms.saturating_add_signed(self.clocks.judge.raw_ms());
        if self.clocks.judge.held().1 == Trust::Doubted && machine_ms.abs_diff(wall_ms) <= max {
            // Ours may be the wrong one: a round will bring this again when that is known.
            return Ok(false);
        }
        self.marks.hit(Mark::PeerClockRefused);
        Err(PeerFault::ClockApart { apart_ms: apart, ahead: wall_ms > now.wall_ms, max_ms: max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspend_is_as_long_as_the_clock_went_on_wherever_it_had_been() {
        // Right before: as far as it went.
        assert_eq!(slept_ms(0, 0, 45_000, false), 45_000);
        // Wrong before, and it went on from there.
        assert_eq!(slept_ms(90_000, 0, 135_000, false), 45_000);
        assert_eq!(slept_ms(-90_000, 0, -80_000, false), 10_000);
        // Wrong before, and set right meanwhile.
        assert_eq!(slept_ms(90_000, 0, 45_000, false), 45_000);
        assert_eq!(slept_ms(-90_000, 0, 45_000, false), 45_000);
        // Wrong, and going on so, give or take a rounding.
        assert_eq!([-1, 0, 1].map(|off| slept_ms(90_000, 0, 90_000 + off, false)), [0, 0, 1]);
        // Set, and nobody slept as far as one can tell.
        assert_eq!(slept_ms(0, 0, -90_000, false), 0);
        assert_eq!(slept_ms(-90_000, 0, 300, true), 300);
        assert_eq!(slept_ms(90_000, 0, 300, true), 0);
    }
}
