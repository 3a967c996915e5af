//! Round-trip times of one member: Jacobson's estimator (SIGCOMM 1988, RFC 6298), for timeouts that fit the line.

/// Smoothed round-trip time and its variation, in sixteenths of a millisecond; zero until a first sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rtt {
    srtt_16th: u32,
    var_16th: u32,
}

impl Rtt {
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
