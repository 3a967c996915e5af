//! Round-trip times of one member: Jacobson's estimator (SIGCOMM 1988, RFC 6298), for timeouts that fit the line.
//!
//! A process that stands still for a second answers everything that waited for it a second late: that says nothing of the
//! line, and would make a real death seconds later, in a large mesh for minutes. But an overloaded member answers late as
//! well, and who does not believe it at once accuses it, and loads it more. So a late answer is believed, and the member
//! asked once more at once: if that is answered as quickly as ever, what was known before the late ones holds again.
//!
//! A member that was slow for good and is quick again would be waited for as long as before for dozens of samples: each
//! moves the estimate by an eighth, and a great step down first *widens* the variation. So once it answers quickly it is
//! asked at every interval, and after a few such answers the estimate begins anew.

/// So many late answers in a row, each apart from the others, are how it is now.
const FOR_GOOD: u32 = 8;
/// So many quick answers in a row, each apart from the others, are how it is now.
const QUICK_AGAIN: u32 = 4;
/// Answers count as quick if they took at most this share of what is usual: one divided by it.
const QUICK_SHARE: u64 = 2;
/// Quick answers this far apart (ms) count each: closer ones may be of one good moment.
const QUICK_APART_MS: u64 = 150;
/// What waited for a process that stood still is answered within so long (ms): it counts once.
const AT_ONCE_MS: u64 = 300;

/// Smoothed round-trip time and its variation, in sixteenths of a millisecond; zero until a first sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rtt {
    srtt_16th: u32,
    var_16th: u32,
    /// The two as they were before late answers came, and how many have.
    before: Option<(u32, u32)>,
    late: u32,
    /// When the last of those came (ms).
    late_ms: u64,
    /// How many quick answers of a member that was slow have come in a row, when the last did, and how long the slowest
    /// of them took (ms).
    quick: u32,
    quick_ms: u64,
    quick_most_ms: u64,
}

impl Rtt {
    /// An answer has come now, after so long. A late one took longer than was to be waited for, which is `least_ms` at least,
    /// or `min_ms` while nothing is known. Returns whether it is the first that is late: asked again, the member shows
    /// whether it is slow or stood still.
    pub fn answered(&mut self, now_ms: u64, rtt_ms: u64, min_ms: u64, least_ms: u64) -> bool {
        let (srtt_16th, var_16th) = self.before.unwrap_or((self.srtt_16th, self.var_16th));
        let calm = Self { srtt_16th, var_16th, ..Self::default() };
        let usual_ms = if srtt_16th == 0 { min_ms } else { calm.timeout_ms(min_ms, 0).max(least_ms) };
        if rtt_ms <= usual_ms {
            if self.before.is_some() {
                *self = calm;
            }
            self.sample(rtt_ms);
            self.quick_again(now_ms, rtt_ms, least_ms);
            return false;
        }
        self.quick = 0;
        let first = self.before.is_none();
        if first || now_ms >= self.late_ms + AT_ONCE_MS {
            (self.late, self.late_ms) = (self.late + 1, now_ms);
        }
        self.before = (self.late < FOR_GOOD).then_some((srtt_16th, var_16th));
        if self.before.is_none() {
            self.late = 0;
        }
        self.sample(rtt_ms);
        first
    }

    /// Counts quick answers of a member that is waited for longer than `least_ms`; with enough of them it is slow no more.
    fn quick_again(&mut self, now_ms: u64, rtt_ms: u64, least_ms: u64) {
        let is_quick = 16 * QUICK_SHARE * rtt_ms <= u64::from(self.srtt_16th);
        if !is_quick || self.timeout_ms(0, 0) <= least_ms || mutant!(SlowForEver) {
            self.quick = 0;
            return;
        }
        if self.quick > 0 && now_ms < self.quick_ms + QUICK_APART_MS {
            return;
        }
        let most_ms = if self.quick == 0 { rtt_ms } else { self.quick_most_ms.max(rtt_ms) };
        (self.quick, self.quick_ms, self.quick_most_ms) = (self.quick + 1, now_ms, most_ms);
        if self.quick == QUICK_AGAIN {
            *self = Self::default();
            self.sample(most_ms);
        }
    }

    /// Whether it was slow and has begun to answer quickly: asked now, it may show that it is quick again.
    pub(super) fn wants_another(&self, now_ms: u64) -> bool {
        self.quick > 0 && now_ms >= self.quick_ms + QUICK_APART_MS
    }

    /// Takes a sample.
    pub fn sample(&mut self, rtt_ms: u64) {
        let rtt = u32::try_from(rtt_ms.min(60_000) * 16).unwrap_or(u32::MAX);
        if self.srtt_16th == 0 {
            (self.srtt_16th, self.var_16th) = (rtt.max(1), rtt / 2);
        } else {
            let off = rtt.abs_diff(self.srtt_16th);
            self.var_16th = (3 * self.var_16th + off) / 4;
            self.srtt_16th = ((7 * self.srtt_16th + rtt) / 8).max(1);
        }
    }

    /// The smoothed round-trip time (ms); `None` until there was a sample.
    pub fn smoothed_ms(&self) -> Option<f64> {
        (self.srtt_16th > 0).then(|| f64::from(self.srtt_16th) / 16.0)
    }

    /// How long to wait for an answer: `srtt + 4 · rttvar`, at least `min_ms`; `unknown_ms` before any sample.
    pub fn timeout_ms(&self, min_ms: u64, unknown_ms: u64) -> u64 {
        if self.srtt_16th == 0 {
            return unknown_ms;
        }
        u64::from((self.srtt_16th + 4 * self.var_16th).div_ceil(16)).max(min_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stall_taught_is_forgotten_at_the_next_quick_answer_and_a_slow_line_stays_slow() {
        let mut rtt = Rtt::default();
        (0..50).for_each(|n| assert!(!rtt.answered(n, 1, 40, 100)));
        let calm = rtt;
        assert!(rtt.answered(1_000, 1_000, 40, 100), "ask again");
        assert!((1..20).all(|n| !rtt.answered(1_000, 1_000 - 40 * n, 40, 0)), "it is asked already");
        assert!(rtt.timeout_ms(40, 150) > 1_000, "it may be overloaded");
        assert!(!rtt.answered(1_001, 1, 40, 100));
        assert_eq!((rtt.timeout_ms(40, 150), rtt.smoothed_ms()), (40, calm.smoothed_ms()));
        (0..20).for_each(|n| _ = rtt.answered(2_000 + n * 400, 300, 40, 100));
        rtt.answered(20_000, 1, 40, 100);
        assert!(rtt.timeout_ms(40, 150) > 200, "one quick answer of a slow member");
        let mut fresh = Rtt::default();
        assert!(fresh.answered(1_000, 900, 40, 100) && !fresh.answered(1_002, 2, 40, 100));
        assert_eq!(fresh.timeout_ms(40, 150), 40);
    }

    #[test]
    fn who_was_slow_for_long_is_quick_again_after_a_few_quick_answers_apart_from_each_other() {
        let slow = || {
            let mut rtt = Rtt::default();
            (0..40).for_each(|n| _ = rtt.answered(n * 400, 900, 40, 100));
            rtt
        };
        let mut rtt = slow();
        (0..20).for_each(|n| _ = rtt.answered(20_000 + n, 2, 40, 100));
        assert!(rtt.timeout_ms(40, 150) > 100 && rtt.wants_another(20_250), "all of one moment");
        let mut rtt = slow();
        for n in 0..4 {
            assert!(rtt.timeout_ms(40, 150) > 500, "{n} are not enough");
            rtt.answered(20_000 + n * 250, 2 + n, 40, 100);
        }
        assert_eq!((rtt.timeout_ms(40, 150), rtt.wants_another(30_000)), (40, false));
        let mut rtt = slow();
        for n in 0..12 {
            rtt.answered(20_000 + n * 250, if n % 3 == 2 { 900 } else { 2 }, 40, 100);
            assert!(rtt.timeout_ms(40, 150) > 500, "quick now and then");
        }
    }

    #[test]
    fn the_timeout_follows_the_line() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.timeout_ms(40, 150), 150);
        (0..50).for_each(|_| rtt.sample(80));
        assert!((80..=90).contains(&rtt.timeout_ms(40, 150)));
        (0..50).for_each(|_| rtt.sample(1));
        assert_eq!(rtt.timeout_ms(40, 150), 40);
        rtt.sample(1_000);
        assert!(rtt.timeout_ms(40, 150) > 900, "a surprise widens it at once");
    }
}
