//! Flap damping, after the route-flap damping of RFC 2439: a member that dies and returns again and again is not
//! trusted as a source until it has been calm for a while. It stays a member all the time.

/// A penalty that halves over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flap {
    penalty_milli: u32,
    at_ms: u64,
    damped: bool,
}

/// No penalty grows beyond this many deaths: the longest damping is then about four half-lives.
const MOST_MILLI: u32 = 12_000;

impl Flap {
    fn decayed(&self, now_ms: u64, half_life_ms: u64) -> u32 {
        let halves = now_ms.saturating_sub(self.at_ms) as f64 / half_life_ms.max(1) as f64;
        (f64::from(self.penalty_milli) * (-halves).exp2()) as u32
    }

    pub(super) fn died(&mut self, now_ms: u64, half_life_ms: u64, limit_milli: u32) {
        self.penalty_milli = (self.decayed(now_ms, half_life_ms) + 1_000).min(MOST_MILLI);
        self.at_ms = now_ms;
        self.damped |= self.penalty_milli >= limit_milli;
    }

    /// Whether the member counts as flapping now.
    pub(super) fn is_damped(&mut self, now_ms: u64, half_life_ms: u64, limit_milli: u32) -> bool {
        self.damped = self.damped && self.decayed(now_ms, half_life_ms) >= limit_milli / 3;
        self.damped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_deaths_in_a_minute_damp_and_two_minutes_of_calm_forgive() {
        let mut flap = Flap::default();
        let damped = |flap: &mut Flap, at| flap.is_damped(at, 60_000, 2_500);
        for at in [0, 10_000] {
            flap.died(at, 60_000, 2_500);
            assert!(!damped(&mut flap, at));
        }
        flap.died(20_000, 60_000, 2_500);
        assert!(damped(&mut flap, 20_000) && damped(&mut flap, 100_000) && !damped(&mut flap, 150_000));
        assert!(!damped(&mut flap, 20_000), "forgiven is forgiven");
    }
}
