//! A set of counters as sorted, disjoint, non-adjacent ranges: a version vector entry with gaps
//! (the form of Corrosion and DottedDB, as ranges instead of bitmaps).
//!
//! In steady state it is one range per origin; gaps appear when pages arrive out of order and close again.

/// So many ranges are inserted one by one.
const FEW: usize = 8;

/// Sorted disjoint inclusive ranges of counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet(Vec<(u64, u64)>);

impl RangeSet {
    /// The set holding `lo..=hi`; empty if `lo > hi`.
    pub fn from_range(lo: u64, hi: u64) -> Self {
        let mut set = Self::default();
        set.insert(lo, hi);
        set
    }

    /// Adds `lo..=hi`; nothing if `lo > hi`.
    pub fn insert(&mut self, lo: u64, hi: u64) {
        if lo > hi {
            return;
        }
        // Fast path: the newest range grows, as it does for every push in order.
        if let Some(last) = self.0.last_mut()
            && lo >= last.0
            && lo <= last.1.saturating_add(1)
        {
            last.1 = last.1.max(hi);
            return;
        }
        // All ranges that overlap or touch lo..=hi melt into one.
        let start = self.0.partition_point(|r| r.1.saturating_add(1) < lo);
        let end = self.0.partition_point(|r| r.0 <= hi.saturating_add(1));
        if start >= end {
            self.0.insert(start, (lo, hi));
            return;
        }
        let merged = (lo.min(self.0[start].0), hi.max(self.0[end - 1].1));
        self.0.splice(start..end, [merged]);
    }

    /// Adds all of `other`.
    pub fn union(&mut self, other: &RangeSet) {
        if other.0.len() <= FEW {
            return other.0.iter().for_each(|&(lo, hi)| self.insert(lo, hi));
        }
        // Many into many, one at a time, would move all that follow each time.
        let mut all: Vec<(u64, u64)> = std::mem::take(&mut self.0);
        all.extend_from_slice(&other.0);
        all.sort_unstable();
        all.into_iter().for_each(|(lo, hi)| self.insert(lo, hi));
    }

    /// Whether `counter` is in the set.
    pub fn contains(&self, counter: u64) -> bool {
        let at = self.0.partition_point(|r| r.1 < counter);
        self.0.get(at).is_some_and(|r| r.0 <= counter)
    }

    /// Whether all of `lo..=hi` is in the set.
    pub fn contains_range(&self, lo: u64, hi: u64) -> bool {
        let at = self.0.partition_point(|r| r.1 < lo);
        lo > hi || self.0.get(at).is_some_and(|r| r.0 <= lo && hi <= r.1)
    }

    /// What is here and not in `other`, as ranges in rising order.
    pub fn minus(&self, other: &RangeSet) -> RangeSet {
        let mut out = Vec::new();
        let mut theirs = other.0.iter().peekable();
        for &(mut lo, hi) in &self.0 {
            while let Some(&&(other_lo, other_hi)) = theirs.peek() {
                if other_hi < lo {
                    theirs.next();
                    continue;
                }
                if other_lo > hi {
                    break;
                }
                if other_lo > lo {
                    out.push((lo, other_lo - 1));
                }
                lo = other_hi.saturating_add(1);
                if other_hi >= hi {
                    break;
                }
                theirs.next();
            }
            if lo <= hi {
                out.push((lo, hi));
            }
        }
        RangeSet(out)
    }

    /// The set without everything from `counter` up.
    pub fn truncate_before(&mut self, counter: u64) {
        self.0.retain(|r| r.0 < counter);
        if let Some(last) = self.0.last_mut() {
            last.1 = last.1.min(counter.saturating_sub(1));
        }
    }

    /// Forgets the shortest ranges until at most `limit` remain, of equal ones the first; whether any was. Safe: only
    /// retransmission follows.
    pub fn cap(&mut self, limit: usize) -> bool {
        let excess = self.0.len().saturating_sub(limit);
        if excess == 0 {
            return false;
        }
        // In one go: a peer may make up thousands too many, again and again.
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_unstable_by_key(|&at| (self.0[at].1 - self.0[at].0, at));
        let mut goes = vec![false; self.0.len()];
        order[..excess].iter().for_each(|&at| goes[at] = true);
        let mut goes = goes.into_iter();
        self.0.retain(|_| !goes.next().unwrap_or(false));
        true
    }

    /// The end of the range that starts at or before `from`: how far the set is contiguous from there.
    pub fn contiguous_from(&self, from: u64) -> u64 {
        let at = self.0.partition_point(|r| r.1 < from);
        self.0.get(at).filter(|r| r.0 <= from).map_or(from.saturating_sub(1), |r| r.1)
    }

    /// The ranges in rising order.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The greatest counter, 0 if none.
    pub fn max(&self) -> u64 {
        self.0.last().map_or(0, |r| r.1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn build(ranges: &[(u64, u64)]) -> (RangeSet, BTreeSet<u64>) {
        let (mut set, mut model) = (RangeSet::default(), BTreeSet::new());
        for &(lo, len) in ranges {
            set.insert(lo, lo + len);
            model.extend(lo..=lo + len);
        }
        (set, model)
    }

    fn elements(set: &RangeSet) -> BTreeSet<u64> {
        set.ranges().iter().flat_map(|&(lo, hi)| lo..=hi).collect()
    }

    proptest! {
        #[test]
        fn behaves_as_a_set_of_counters(a in prop::collection::vec((1u64..60, 0u64..9), 0..12),
                                        b in prop::collection::vec((1u64..60, 0u64..9), 0..12), cut in 1u64..70) {
            let ((sa, ma), (sb, mb)) = (build(&a), build(&b));
            prop_assert_eq!(elements(&sa), ma.clone());
            prop_assert!(sa.ranges().windows(2).all(|w| w[0].1 + 1 < w[1].0), "ranges are disjoint and not adjacent");
            let mut union = sa.clone();
            union.union(&sb);
            prop_assert_eq!(elements(&union), ma.union(&mb).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(elements(&sa.minus(&sb)), ma.difference(&mb).copied().collect::<BTreeSet<_>>());
            let mut truncated = sa.clone();
            truncated.truncate_before(cut);
            prop_assert_eq!(elements(&truncated), ma.range(..cut).copied().collect::<BTreeSet<_>>());
            for c in 0..75 {
                prop_assert_eq!(sa.contains(c), ma.contains(&c));
                prop_assert_eq!(sa.contains_range(c, c + 3), (c..=c + 3).all(|x| ma.contains(&x)));
            }
        }

        #[test]
        fn union_is_a_join(a in prop::collection::vec((1u64..60, 0u64..9), 0..9),
                           b in prop::collection::vec((1u64..60, 0u64..9), 0..9),
                           c in prop::collection::vec((1u64..60, 0u64..9), 0..9)) {
            let (a, b, c) = (build(&a).0, build(&b).0, build(&c).0);
            let join = |x: &RangeSet, y: &RangeSet| { let mut z = x.clone(); z.union(y); z };
            prop_assert_eq!(join(&a, &b), join(&b, &a));
            prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
            prop_assert_eq!(join(&a, &a), a.clone());
            prop_assert!(a.minus(&join(&a, &b)).is_empty(), "monotone");
        }
    }

    #[test]
    fn forgetting_keeps_the_longest_ranges() {
        let (mut set, _) = build(&[(1, 0), (10, 5), (30, 1), (40, 9)]);
        set.cap(2);
        assert_eq!(set.ranges(), &[(10, 15), (40, 49)]);
        assert_eq!((set.contiguous_from(10), set.contiguous_from(11), set.contiguous_from(20)), (15, 15, 19));
    }
}
