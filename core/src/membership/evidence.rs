//! Evidence that a member lives, and when it was produced (docs/MEMBERSHIP.md#the-two-witnesses).
//!
//! What counts against a suspicion is what the suspect produced after it began. Old news keeps arriving for seconds
//! after a death, so that the time of arrival says nothing. Every pulse carries its speaker's own clock; an answer to
//! a ping anchors that clock to ours, with an error of at most one round trip, and dates whatever is told of the
//! speaker by others: produced at `t₀ + (beat - beat₀)`.

use super::message::Pulse;

/// An answer later than this (ms) anchors no clock: the error would be as great.
const ROUND_TRIP_MS: u64 = 250;

/// What is known of one member's life signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence {
    /// Our clock and the member's at one moment.
    anchor: Option<(u64, u64)>,
    /// By how much the anchor was moved for suspends since it was made (ms).
    moved_ms: u64,
    /// The anchor comes from an answer to a ping of ours: it is wrong by a round trip at most.
    pub(super) exact: bool,
    /// The newest of its beats known.
    pub(super) beat_ms: u64,
    /// When the newest evidence was produced (ms, our clock); 0 for never.
    pub(super) produced_ms: u64,
}

impl Evidence {
    /// It spoke to us. `asked_ms`: when the ping it answers left, if it is an answer to one: it was produced since. Any
    /// other packet may have been on its way for long, or be a copy, and is dated like what others tell.
    pub(super) fn direct(&mut self, now_ms: u64, pulse: Pulse, asked_ms: Option<u64>) {
        let answered_ms = asked_ms.filter(|asked_ms| now_ms <= asked_ms + ROUND_TRIP_MS);
        let is_earlier = |(at, beat): (u64, u64)| {
            now_ms.saturating_sub(pulse.beat_ms) < at.saturating_sub(beat) && now_ms >= pulse.beat_ms
        };
        // An answer was made between its question and now. An anchor that says so too is at least as good: this answer
        // may have been the longer on its way, and must not make itself and all that is told later look younger.
        let fits =
            |asked_ms| self.anchor.is_some_and(|a| (asked_ms..=now_ms).contains(&shifted(a, pulse.beat_ms)));
        let anchors = match answered_ms {
            Some(asked_ms) => !(self.exact && fits(asked_ms)),
            None => !self.exact && self.anchor.is_none_or(is_earlier),
        };
        if anchors {
            self.anchor = Some((now_ms, pulse.beat_ms));
            self.moved_ms = 0;
            self.exact = answered_ms.is_some();
        }
        // It has just come from the member itself. If this machine was suspended it was said since, and if the wall
        // clock merely stepped, the anchor as it was made dates it.
        let anchor = self.anchor.map(|(at_ms, beat_ms)| (at_ms, beat_ms.saturating_sub(self.moved_ms)));
        self.learn(now_ms, pulse.beat_ms, anchor);
        if let Some(asked_ms) = asked_ms {
            self.produced_ms = self.produced_ms.max(asked_ms + 1);
        }
    }

    /// This machine's clock stood still for so long, and the member's did not.
    pub(super) fn suspended(&mut self, for_ms: u64) {
        if let Some((_, beat_ms)) = &mut self.anchor {
            *beat_ms += for_ms;
            self.moved_ms += for_ms;
        }
    }

    /// It did not stand still: the wall clock was wrong. An anchor made since is right as it is.
    pub(super) fn not_suspended(&mut self) {
        let moved_ms = std::mem::take(&mut self.moved_ms);
        if let Some((_, beat_ms)) = &mut self.anchor {
            *beat_ms = beat_ms.saturating_sub(moved_ms);
        }
    }

    /// A link to it has come up.
    pub(super) fn contact(&mut self, now_ms: u64) {
        self.produced_ms = self.produced_ms.max(now_ms);
    }

    /// Somebody tells that it spoke. Returns whether we knew nothing as new.
    pub(super) fn told(&mut self, now_ms: u64, beat_ms: u64) -> bool {
        self.learn(now_ms, beat_ms, self.anchor)
    }

    fn learn(&mut self, now_ms: u64, beat_ms: u64, anchor: Option<(u64, u64)>) -> bool {
        if beat_ms <= self.beat_ms && self.produced_ms > 0 {
            return false;
        }
        self.beat_ms = beat_ms;
        let produced_ms = if mutant!(OldEvidenceClears) { now_ms } else { date(now_ms, beat_ms, anchor) };
        self.produced_ms = self.produced_ms.max(produced_ms);
        true
    }

    /// When a beat was, by our clock: never in the future. Without an anchor it counts as now: a member that never
    /// spoke to us must not die for want of a date.
    pub(super) fn date(&self, now_ms: u64, beat_ms: u64) -> u64 {
        date(now_ms, beat_ms, self.anchor)
    }
}

fn date(now_ms: u64, beat_ms: u64, anchor: Option<(u64, u64)>) -> u64 {
    anchor.map_or(now_ms, |anchor| shifted(anchor, beat_ms).min(now_ms))
}

/// When a beat was, by an anchor.
fn shifted((at_ms, anchor_ms): (u64, u64), beat_ms: u64) -> u64 {
    (at_ms + beat_ms).saturating_sub(anchor_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse(beat_ms: u64) -> Pulse {
        Pulse { incarnation: 0, beat_ms }
    }

    #[test]
    fn what_is_told_is_dated_by_the_speakers_own_clock() {
        let mut evidence = Evidence::default();
        evidence.direct(100_000, pulse(5_000), Some(99_990));
        assert!(evidence.told(109_000, 6_000), "it is news, though old");
        assert_eq!(evidence.produced_ms, 101_000);
        assert!(!evidence.told(110_000, 5_500), "older than what is known");
        assert!(evidence.told(110_000, 99_000));
        assert_eq!(evidence.produced_ms, 110_000, "never in the future");
    }

    #[test]
    fn what_was_produced_while_this_machine_was_suspended_is_not_from_its_end() {
        let mut evidence = Evidence::default();
        evidence.direct(100_000, pulse(5_000), Some(99_990));
        evidence.suspended(40_000);
        assert!(evidence.told(101_000, 30_000));
        assert_eq!(evidence.produced_ms, 100_000, "it was said while this clock stood still there");
        assert!(evidence.told(101_500, 46_200));
        assert_eq!(evidence.produced_ms, 101_200);
    }

    #[test]
    fn a_suspend_that_was_none_is_taken_back_unless_an_answer_came_since() {
        let mut evidence = Evidence::default();
        evidence.direct(100_000, pulse(5_000), Some(99_990));
        evidence.suspended(90_000);
        evidence.not_suspended();
        assert!(evidence.told(101_000, 6_000));
        assert_eq!(evidence.produced_ms, 101_000, "the wall clock was wrong, and nobody stood still");
        evidence.suspended(90_000);
        evidence.direct(110_000, pulse(15_000), Some(109_990));
        evidence.not_suspended();
        assert_eq!(evidence.date(112_000, 16_000), 111_000, "an anchor made since is right");
        evidence.suspended(12_000);
        evidence.direct(113_000, pulse(17_900), None);
        assert_eq!(
            evidence.produced_ms, 112_900,
            "what it says itself was said since, whichever clock was wrong"
        );
    }

    #[test]
    fn a_late_packet_does_not_anchor_but_an_answer_does() {
        let mut evidence = Evidence::default();
        evidence.direct(100_000, pulse(5_000), None);
        evidence.direct(120_000, pulse(6_000), None);
        assert_eq!(evidence.date(130_000, 7_000), 102_000, "the packet was 19 s on its way");
        evidence.direct(140_000, pulse(7_000), Some(139_999));
        assert_eq!(
            evidence.date(150_000, 8_000),
            141_000,
            "its clock stood still while its machine was suspended"
        );
    }
}
