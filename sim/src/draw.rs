//! Keyed randomness: every draw is a hash of (seed, purpose, who, index), never the next number of a sequence.
//!
//! Leaving one event out of a run therefore never shifts the draws of another: that is what makes shrinking work.

/// splitmix64's finaliser (Steele, Lea, Flood 2014).
pub fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A source of keyed draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw(u64);

impl Draw {
    /// Draws of this seed.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x005e_5510_4d65_5348))
    }

    /// Draws for one purpose, by its name.
    pub fn of(self, purpose: &str) -> Self {
        Self(mix(self.0 ^ xxhash_rust::xxh3::xxh3_64(purpose.as_bytes())))
    }

    /// The draw of this index.
    pub fn at(self, index: u64) -> u64 {
        mix(self.0 ^ mix(index))
    }

    /// Draws within this index.
    pub fn within(self, index: u64) -> Self {
        Self(self.at(index))
    }

    /// Whether something that happens this often, of a thousand, happens at this index.
    pub fn chance(self, index: u64, per_mille: u64) -> bool {
        per_mille > 0 && self.at(index) % 1_000 < per_mille
    }

    /// A number of `lo..=hi`.
    pub fn range(self, index: u64, lo: u64, hi: u64) -> u64 {
        lo + self.at(index) % (hi.saturating_sub(lo) + 1)
    }

    /// One of `items`.
    pub fn pick<T: Copy>(self, index: u64, items: &[T]) -> T {
        items[(self.at(index) % items.len() as u64) as usize]
    }
}

/// A 128-bit hash rolled over everything that happens in a run: two runs that differ anywhere differ here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceHash(u64, u64);

impl TraceHash {
    /// Takes in one happening.
    pub fn absorb(&mut self, words: [u64; 4]) {
        for word in words {
            self.0 = mix(self.0 ^ word);
            self.1 = mix(self.1.rotate_left(23) ^ word.wrapping_mul(0xd6e8_feb8_6659_fd93));
        }
    }
}

impl std::fmt::Display for TraceHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}{:016x}", self.0, self.1)
    }
}
