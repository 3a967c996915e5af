//! The network between simulated nodes: loss, delay, duplication, reordering, one-way cuts.

use std::collections::BTreeSet;

/// What the network does to frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Frames lost, of a thousand.
    pub drop_per_mille: u64,
    /// Frames delivered twice, of a thousand.
    pub duplicate_per_mille: u64,
    /// Shortest delay (ms).
    pub delay_min_ms: u64,
    /// Longest usual delay (ms); a spread means reordering.
    pub delay_max_ms: u64,
    /// Frames that arrive very late, of a thousand.
    pub late_per_mille: u64,
    /// How late those may be (ms).
    pub late_max_ms: u64,
    /// Frames in which one bit is flipped, of a thousand. Real links authenticate; this finds decoder bugs.
    pub flip_per_mille: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            drop_per_mille: 0,
            duplicate_per_mille: 0,
            delay_min_ms: 1,
            delay_max_ms: 5,
            late_per_mille: 0,
            late_max_ms: 0,
            flip_per_mille: 0,
        }
    }
}

impl Faults {
    /// 5 % loss, duplication, reordering, stragglers.
    pub fn hostile() -> Self {
        Self {
            drop_per_mille: 50,
            duplicate_per_mille: 30,
            delay_min_ms: 1,
            delay_max_ms: 60,
            late_per_mille: 5,
            late_max_ms: 60_000,
            flip_per_mille: 0,
        }
    }
}

/// Draws keyed by purpose, and the cuts in force.
pub struct Net {
    seed: u64,
    index: u64,
    /// The faults in force.
    pub faults: Faults,
    /// One-way cuts: (from, to).
    pub cuts: BTreeSet<(usize, usize)>,
}

impl Net {
    /// A network without faults.
    pub fn new(seed: u64) -> Self {
        Self { seed, index: 0, faults: Faults::default(), cuts: BTreeSet::new() }
    }

    fn draw(&self, purpose: u64, index: u64) -> u64 {
        mix(self.seed ^ mix(purpose) ^ mix(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// When copies of a frame sent now arrive, as delays (ms), and which bit of each is flipped, if any.
    pub fn carry(&mut self, from: usize, to: usize) -> Vec<(u64, Option<u64>)> {
        self.index += 1;
        if self.cuts.contains(&(from, to)) {
            return Vec::new();
        }
        let faults = self.faults;
        let base = self.index * 16;
        let chance = |purpose: u64, per_mille: u64| self.draw(purpose, base) % 1000 < per_mille;
        if chance(1, faults.drop_per_mille) {
            return Vec::new();
        }
        let copies = if chance(2, faults.duplicate_per_mille) { 2 } else { 1 };
        (0..copies)
            .map(|copy| {
                let spread = (faults.delay_max_ms - faults.delay_min_ms).max(1);
                let mut delay = faults.delay_min_ms + self.draw(3 + copy, base) % spread;
                if self.draw(5 + copy, base) % 1000 < faults.late_per_mille {
                    delay += self.draw(7 + copy, base) % faults.late_max_ms.max(1);
                }
                let flip = self.draw(9 + copy, base) % 1000 < faults.flip_per_mille;
                (delay, flip.then(|| self.draw(11 + copy, base)))
            })
            .collect()
    }
}

/// splitmix64's finaliser.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
