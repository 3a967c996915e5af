//! How often a measured time fell into which range: what a scrape calls a histogram. The bounds are fixed by whoever
//! measures, so that all nodes' counts can be added up.

/// Most bounds of one histogram.
pub const MOST_BOUNDS: usize = 16;

/// Times of one process applying what came in (s): microseconds for a push, milliseconds for a full page.
pub const APPLY_BOUNDS_S: &[f64] =
    &[0.000_025, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5];
/// Times of one way and back between nodes (s): loopback to another continent.
pub const NETWORK_BOUNDS_S: &[f64] =
    &[0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
/// Times of a round of anti-entropy (s): a digest and its answer, up to the fetching of everything.
pub const ROUND_BOUNDS_S: &[f64] =
    &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Counts per range, their sum, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Histogram {
    bounds_s: &'static [f64],
    counts: [u64; MOST_BOUNDS + 1],
    sum_s: f64,
}

impl Histogram {
    /// An empty one. Bounds past [`MOST_BOUNDS`] are left out; the last range has no upper end.
    pub fn new(bounds_s: &'static [f64]) -> Self {
        let bounds_s = bounds_s.get(..MOST_BOUNDS).unwrap_or(bounds_s);
        Self { bounds_s, counts: [0; MOST_BOUNDS + 1], sum_s: 0.0 }
    }

    /// Counts one time (s).
    pub fn observe(&mut self, s: f64) {
        let at = self.bounds_s.iter().position(|bound| s <= *bound).unwrap_or(self.bounds_s.len());
        self.counts[at] += 1;
        self.sum_s += s;
    }

    /// Counts one time (ms).
    pub fn observe_ms(&mut self, ms: u64) {
        self.observe(ms as f64 / 1_000.0);
    }

    /// Upper bound (s, the last one infinite) and count of each range.
    pub fn ranges(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.bounds_s.iter().copied().chain([f64::INFINITY]).zip(self.counts)
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all times counted (s).
    pub fn sum_s(&self) -> f64 {
        self.sum_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_first_range_that_holds_it() {
        let mut h = Histogram::new(&[0.001, 0.01]);
        [0.000_5, 0.001, 0.005, 7.0].into_iter().for_each(|s| h.observe(s));
        h.observe_ms(10);
        let ranges: Vec<(f64, u64)> = h.ranges().collect();
        assert_eq!(ranges, [(0.001, 2), (0.01, 2), (f64::INFINITY, 1)]);
        assert_eq!(h.count(), 5);
        assert!((h.sum_s() - 7.016_5).abs() < 1e-9);
    }
}
