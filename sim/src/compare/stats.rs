//! The few statistics the tables need.

use serde::Serialize;

/// The exact one-sided 95 % upper bound on the mean of a Poisson count of which `events` were seen: the mean at
/// which so few or fewer would be seen once in twenty times. 3.0 for none.
pub fn poisson_upper_95(events: u64) -> f64 {
    let (mut low, mut high) = (events as f64, events as f64 + 4.0 * (events as f64).sqrt() + 10.0);
    while high - low > 1e-9 * high {
        let middle = f64::midpoint(low, high);
        if chance_of_at_most(events, middle) > 0.05 {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// How likely a Poisson count of this mean is `events` at most.
fn chance_of_at_most(events: u64, mean: f64) -> f64 {
    // From the largest term down, so that no factor overflows: term(k - 1) = term(k) * k / mean.
    let ln_factorial: f64 = (1..=events).map(|k| (k as f64).ln()).sum();
    let mut term = (events as f64 * mean.ln() - mean - ln_factorial).exp();
    let mut sum = term;
    for k in (1..=events).rev() {
        term *= k as f64 / mean;
        sum += term;
    }
    sum
}

/// How long something took, over many times; some of which it did not happen at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    took_ms: Vec<u64>,
    never: usize,
}

impl Times {
    /// Takes in one; `None` if it did not happen within the time it was given.
    pub fn push(&mut self, took_ms: Option<u64>) {
        match took_ms {
            Some(took_ms) => self.took_ms.push(took_ms),
            None => self.never += 1,
        }
    }

    /// Takes in all of another.
    pub fn add(&mut self, other: &Self) {
        self.took_ms.extend(&other.took_ms);
        self.never += other.never;
    }

    /// In figures.
    pub fn summary(&self) -> Summary {
        let mut sorted = self.took_ms.clone();
        sorted.sort_unstable();
        let samples = sorted.len() + self.never;
        // The nearest rank; those that never happened come last.
        let at = |share: f64| sorted.get(((samples as f64 * share).ceil() as usize).max(1) - 1).copied();
        let mean = sorted.iter().sum::<u64>() as f64 / sorted.len().max(1) as f64;
        Summary {
            samples,
            never: self.never,
            mean_ms: (self.never == 0 && samples > 0).then_some(mean),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            max_ms: at(1.0),
        }
    }
}

/// Times in figures; `None` where it did not happen within the time it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How many times it was waited for.
    pub samples: usize,
    /// How many of those in vain.
    pub never: usize,
    /// The mean.
    pub mean_ms: Option<f64>,
    /// The middle one.
    pub p50_ms: Option<u64>,
    /// Of a hundred, ninety-nine took no longer.
    pub p99_ms: Option<u64>,
    /// The longest.
    pub max_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_that_of_the_tables() {
        // Half the 95 % quantile of chi-squared with 2 (events + 1) degrees of freedom.
        let table =
            [(0, 2.995_7), (1, 4.743_9), (2, 6.295_8), (5, 10.513_0), (10, 16.962_2), (100, 118.079_3)];
        for (events, bound) in table {
            assert!(
                (poisson_upper_95(events) - bound).abs() < 1e-3,
                "{events}: {}",
                poisson_upper_95(events)
            );
        }
        // Far out it is the normal bound, near enough.
        let far = poisson_upper_95(100_000);
        assert!((100_520.0..100_525.0).contains(&far), "{far}");
    }

    #[test]
    fn what_never_happened_takes_longest() {
        let mut times = Times::default();
        assert_eq!(times.summary(), Summary::default());
        (1..=99).for_each(|ms| times.push(Some(ms)));
        assert_eq!(times.summary().mean_ms, Some(50.0));
        times.push(None);
        let summary = times.summary();
        assert_eq!((summary.samples, summary.never, summary.mean_ms), (100, 1, None));
        assert_eq!((summary.p50_ms, summary.p99_ms, summary.max_ms), (Some(50), Some(99), None));
    }
}
