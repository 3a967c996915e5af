//! Looking up ops by dot, in records of a few and of tens of thousands.

use crate::causality::Ver;

/// Below so many comparisons a walk is faster than sorting.
const FEW: usize = 4_096;

/// The ops of one record by dot: sorted when that pays, on the first look.
#[derive(Clone, Debug, Default)]
pub struct Dots(Option<Vec<(u32, u64, u32)>>);

impl Dots {
    /// Where `ver` stands among `vers`. About `asked` questions will come.
    pub fn find(
        &mut self,
        ver: &Ver,
        asked: usize,
        vers: impl ExactSizeIterator<Item = Ver>,
    ) -> Option<usize> {
        if self.0.is_none() && vers.len().saturating_mul(asked) <= FEW {
            return vers.into_iter().position(|held| held.same_dot(ver));
        }
        let sorted = self.0.get_or_insert_with(|| {
            let mut all: Vec<_> = vers.enumerate().map(|(n, v)| (v.origin, v.counter, n as u32)).collect();
            all.sort_unstable();
            all
        });
        // Of equal dots the first, as a walk would find it.
        let at = sorted.partition_point(|held| (held.0, held.1) < (ver.origin, ver.counter));
        let held = sorted.get(at).filter(|held| (held.0, held.1) == (ver.origin, ver.counter))?;
        Some(held.2 as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Hlc;

    #[test]
    fn a_sorted_look_finds_what_a_walk_finds() {
        let ver = |n: u64| Ver { origin: (n % 3) as u32, counter: n * 7 % 101, hlc: Hlc(n) };
        let vers: Vec<Ver> = (0..200).map(ver).collect();
        let (mut walked, mut sorted) = (Dots::default(), Dots::default());
        for n in 0..300 {
            let wanted = ver(n);
            let walk = walked.find(&wanted, 1, vers.iter().copied());
            assert_eq!(sorted.find(&wanted, 1_000, vers.iter().copied()), walk, "{n}");
        }
    }
}
