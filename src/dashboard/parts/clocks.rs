//! Whose clock is wrong: that of the few who differ from what most agree on.

use super::others;
use crate::mesh::observe::{Gathered, MemberView};

/// What linked members' clocks say together, each as its distance from this node's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Clocks {
    /// No two are further apart than they may be.
    Agree,
    /// Most agree; how far this node is from them (ms), if it is, and who else is by how much.
    Odd { own_ms: Option<i64>, others: Vec<(String, i64)>, agree: usize, of: usize },
    /// There is no majority: everybody's distance from this node (ms).
    Undecided(Vec<(String, i64)>),
}

fn linked(seen: &Gathered) -> impl Iterator<Item = &MemberView> {
    others(seen).filter(|m| m.linked)
}

/// The middle of all clocks, as a distance from this node's (ms).
fn middle_ms(seen: &Gathered) -> i64 {
    let mut all: Vec<i64> = linked(seen).map(|m| m.wall_offset_ms).chain([0]).collect();
    all.sort_unstable();
    let at = all.len() / 2;
    if all.len().is_multiple_of(2) { i64::midpoint(all[at - 1], all[at]) } else { all[at] }
}

/// Which clocks are further than `apart_ms` from what most agree on.
pub(super) fn clocks(seen: &Gathered, apart_ms: u64) -> Clocks {
    let middle = middle_ms(seen);
    let off = |offset_ms: i64| Some(offset_ms - middle).filter(|off| off.unsigned_abs() > apart_ms);
    let of = linked(seen).count() + 1;
    let own_ms = off(0);
    let odd: Vec<(String, i64)> =
        linked(seen).filter_map(|m| Some((m.node.clone(), off(m.wall_offset_ms)?))).collect();
    let agree = of - odd.len() - usize::from(own_ms.is_some());
    // Of two, both may be near a middle that is nobody's.
    let far = linked(seen).filter(|m| m.wall_offset_ms.unsigned_abs() > apart_ms);
    let far: Vec<(String, i64)> = far.map(|m| (m.node.clone(), m.wall_offset_ms)).collect();
    match () {
        () if far.is_empty() && odd.is_empty() => Clocks::Agree,
        () if of > 2 && 2 * agree > of => Clocks::Odd { own_ms, others: odd, agree, of },
        () => Clocks::Undecided(far),
    }
}

/// How far this node's clock is from the middle of all (ms); of two nodes, from the other's.
pub(in crate::dashboard) fn off_majority_ms(seen: &Gathered) -> u64 {
    let of_two = linked(seen).next().filter(|_| linked(seen).count() == 1);
    of_two.map_or_else(|| middle_ms(seen), |m| m.wall_offset_ms).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::testkit::synthetic;

    /// As a node sees it whose peers' clocks are so far from its own (ms).
    fn with(offsets: &[i64]) -> Gathered {
        let mut seen = synthetic(offsets.len() + 1);
        for (member, offset) in seen.members[1..].iter_mut().zip(offsets) {
            member.wall_offset_ms = *offset;
        }
        seen
    }

    #[test]
    fn the_odd_one_out_is_named_by_all_and_by_itself() {
        let seen_by_others = clocks(&with(&[30_000, 1, -2, 0]), 15_000);
        let Clocks::Odd { own_ms, others, agree, of } = seen_by_others else { panic!("{seen_by_others:?}") };
        assert_eq!((own_ms, others, agree, of), (None, vec![("n1".to_owned(), 30_000)], 4, 5));
        let seen_by_itself = clocks(&with(&[-30_000, -29_999, -30_002, -30_000]), 15_000);
        let Clocks::Odd { own_ms, others, .. } = seen_by_itself else { panic!("{seen_by_itself:?}") };
        assert_eq!((own_ms, others), (Some(30_000), vec![]));
    }

    #[test]
    fn without_a_majority_nobody_is_blamed() {
        assert_eq!(clocks(&with(&[20_000]), 15_000), Clocks::Undecided(vec![("n1".into(), 20_000)]));
        let halves = clocks(&with(&[0, 40_000, 40_000]), 15_000);
        assert!(matches!(&halves, Clocks::Undecided(far) if far.len() == 2), "{halves:?}");
        assert_eq!(clocks(&with(&[10, -10, 3]), 15_000), Clocks::Agree);
    }

    #[test]
    fn the_metric_that_is_alerted_on_rises_at_the_odd_one_alone() {
        assert_eq!(off_majority_ms(&with(&[30_000, 1, -2, 0])), 0);
        assert_eq!(off_majority_ms(&with(&[-30_000, -29_999, -30_002, -30_000])), 30_000);
        assert_eq!(off_majority_ms(&with(&[20_000])), 20_000, "of two, each may be the one");
        assert_eq!(off_majority_ms(&with(&[])), 0);
    }
}
