//! What an overwrite is called: causal, a conflict, or not known. A conflict that is told must be one, however many lives
//! have written the field, and what cannot be told must not be called one.

use sessionmesh::core::causality::Ver;
use sessionmesh::core::limits::MAX_CONTEXT;
use sessionmesh::core::replica::{Change, Happened};
use sessionmesh::core::session::{CUT, Op, Saw, Ttl, context_of, is_cut};
use sessionmesh::core::time::Hlc;
use sessionmesh_sim::{EPOCH_MS, Life, id, origin};

const HALF_HOUR: Ttl = Ttl::Sliding(30 * 60_000);
const DAY_MS: u64 = 20 * 3_600_000;

fn life(letter: char) -> Life {
    Life::new(origin(letter), EPOCH_MS)
}

fn born(life: &mut Life) {
    assert!(life.create(id(1), &[("f", Some("0")), ("g", Some("0"))], HALF_HOUR, DAY_MS).is_ok());
}

fn set(life: &mut Life, key: &str, value: &str) {
    assert!(life.set(id(1), key, Some(value)).is_ok_and(|written| written.wrote));
}

/// What a life has counted: conflicts, and overwrites of unknown label.
fn told(life: &Life) -> (u64, u64) {
    let counts = life.partition.counts();
    (counts.conflicts, counts.unlabelled)
}

fn conflicts_shown(life: &Life) -> usize {
    life.events.iter().filter(|e| matches!(e, Happened::Conflict(_))).count()
}

/// Lives that write one field in turn, each having read the one before; the last one's record.
fn chain(letters: std::ops::RangeInclusive<char>, first: &mut Life) -> Life {
    let mut last = life(*letters.start());
    last.pull(first);
    set(&mut last, "f", "chain");
    for letter in letters.skip(1) {
        let mut next = life(letter);
        next.pull(&mut last);
        set(&mut next, "f", &format!("by {letter}"));
        last = next;
    }
    last
}

/// What is replaced comes first in a context: after twenty lives the write before the last is still known to be seen.
/// Sorted by counters, the lives that wrote most pushed out the one that mattered.
#[test]
fn what_was_read_and_overwritten_is_no_conflict_after_twenty_lives() {
    let mut first = life('A');
    // The first life has written the most by far.
    first.skip_counters(10_000);
    born(&mut first);
    let mut last = chain('B'..='T', &mut first);
    let mut reader = life('U');
    reader.pull(&mut last);
    for letter in 'V'..='Z' {
        let mut next = life(letter);
        next.pull(&mut last);
        set(&mut next, "f", &format!("by {letter}"));
        reader.pull(&mut next);
        last = next;
    }
    assert_eq!(told(&reader), (0, 0), "every write had been read before the next");
}

/// A context that was cut does not know who is not in it.
#[test]
fn an_overwrite_by_who_may_have_seen_it_is_not_known() {
    let mut first = life('A');
    born(&mut first);
    // The laggard still holds what the first life wrote, when eleven others have overwritten one another.
    let mut laggard = life('Z');
    laggard.pull(&mut first);
    let mut last = chain('B'..='L', &mut first);
    laggard.pull(&mut last);
    assert_eq!(told(&laggard), (0, 1), "neither causal nor a conflict");
    assert_eq!(laggard.field(id(1), "f").as_deref(), Some("by L"));
    assert_eq!(conflicts_shown(&laggard), 0);
}

/// The same with few lives: nothing was cut, so that everything is known.
#[test]
fn few_lives_know_what_they_have_seen() {
    let mut first = life('A');
    born(&mut first);
    let mut laggard = life('Z');
    laggard.pull(&mut first);
    let mut last = chain('B'..='F', &mut first);
    laggard.pull(&mut last);
    assert_eq!(told(&laggard), (0, 0));
    // And one that had seen none of it is a conflict.
    let mut apart = life('Y');
    apart.pull(&mut first);
    set(&mut apart, "f", "apart");
    apart.pull(&mut last);
    assert_eq!(told(&apart), (1, 0));
}

/// A conflict is told where the winner was written, too, though nothing changes there; and once, whoever brings the
/// loser again.
#[test]
fn a_conflict_is_told_once_on_both_sides() {
    let (mut a, mut b, mut c) = (life('A'), life('B'), life('C'));
    born(&mut a);
    b.pull(&mut a);
    c.pull(&mut a);
    set(&mut a, "f", "loses");
    b.wall_ms += 5;
    set(&mut b, "f", "wins");
    c.pull(&mut a);
    b.pull(&mut a);
    assert_eq!((told(&b), conflicts_shown(&b)), ((1, 0), 1), "the winner's node");
    // C still holds the loser, and brings it once more, as a part and whole.
    b.pull(&mut c);
    let page = c.page_for(&b, &[id(1)]);
    assert!(b.take_page(c.origin, &page, &[id(1)]).is_ok());
    assert_eq!((told(&b), conflicts_shown(&b)), ((1, 0), 1));
    a.pull(&mut b);
    assert_eq!((told(&a), conflicts_shown(&a)), ((1, 0), 1), "the loser's node");
}

/// Who saw a conflict and writes on has seen the loser as well, though the record holds nothing of it any more.
#[test]
fn whoever_saw_the_loser_is_in_no_conflict_with_it() {
    let (mut a, mut b, mut c) = (life('A'), life('B'), life('C'));
    born(&mut a);
    b.pull(&mut a);
    set(&mut b, "g", "so that it is known");
    a.pull(&mut b);
    set(&mut a, "f", "loses");
    b.wall_ms += 5;
    set(&mut b, "f", "wins");
    c.pull(&mut a);
    b.pull(&mut a);
    set(&mut b, "f", "after both");
    c.pull(&mut b);
    assert_eq!(told(&c), (0, 0), "it was told where the two met");
}

/// An edit of one field says nothing about another: what was overwritten there is another write's to know.
#[test]
fn each_field_has_a_history_of_its_own() {
    let mut first = life('A');
    born(&mut first);
    let mut reader = life('Z');
    reader.pull(&mut first);
    let mut last = chain('B'..='P', &mut first);
    // The other field was written once, by the first life.
    set(&mut last, "g", "1");
    reader.pull(&mut last);
    let (conflicts, unlabelled) = told(&reader);
    assert_eq!((conflicts, unlabelled), (0, 1), "of `f`; that `g` was seen is certain");
}

/// Wire version 1 tells no contexts: whether its writers had seen what they overwrite is not known.
#[test]
fn overwrites_by_the_older_wire_are_not_known() {
    let (mut old, mut new, mut third, mut laggard) = (life('A'), life('B'), life('C'), life('D'));
    old.version = 1;
    born(&mut new);
    laggard.pull(&mut new);
    old.pull(&mut new);
    set(&mut old, "f", "by the older");
    new.pull(&mut old);
    assert_eq!((told(&new), conflicts_shown(&new)), ((0, 1), 0));
    // What follows such a write knows no more than it.
    third.pull(&mut new);
    set(&mut third, "f", "after it");
    laggard.pull(&mut third);
    assert_eq!((told(&laggard), conflicts_shown(&laggard)), ((0, 1), 0));
}

/// A context of as many entries as fit may have been cut, by this version or one before, which did not say so.
#[test]
fn a_full_context_counts_as_cut() {
    let op = |n: u32| Op {
        ver: Ver { hlc: Hlc::from_ms(9), origin: 0, counter: 9 },
        context: (1..=n).map(|short| (short, 5)).collect(),
    };
    let other = |counter| Ver { hlc: Hlc::from_ms(1), origin: 7, counter };
    let most = MAX_CONTEXT as u32;
    assert_eq!(op(most - 1).saw(&other(1), 99), Saw::No, "all of it is there");
    assert_eq!(op(most).saw(&other(1), 99), Saw::Unknown);
    assert_eq!(op(most).saw(&other(5), 3), Saw::Yes);
    assert_eq!(op(most).saw(&other(6), 3), Saw::No, "who is named is known");
    assert_eq!(op(most).saw(&Ver { origin: 0, ..other(8) }, 1), Saw::Yes, "its own life");
    let open = Op { context: vec![CUT], ..op(0) };
    assert_eq!((open.saw(&other(1), 0), open.saw(&other(0), 0)), (Saw::Unknown, Saw::Unknown));
}

/// What was cut stays cut, and what a life has written since is named by its newest write.
#[test]
fn contexts_inherit_and_never_become_whole_again() {
    let held = |_: u32, counter: u64| counter;
    let context = context_of(1, &[((2, 5), &[(1, 3), (3, 4)])], &held);
    assert_eq!(context, [(2, 5), (3, 4)], "its own life is left out");
    let newer =
        context_of(1, &[((2, 5), &[(3, 4)]), ((3, 9), &[])], &|short, n| if short == 2 { 8 } else { n });
    assert_eq!(newer, [(2, 8), (3, 9)]);
    let full: Vec<(u32, u64)> = (10..18).map(|n| (n, 1)).collect();
    let cut = context_of(1, &[((2, 5), &full)], &held);
    assert!(cut.len() == MAX_CONTEXT && cut[0] == (2, 5) && is_cut(&cut));
    let again = context_of(2, &[((1, 6), &cut)], &held);
    assert!(is_cut(&again) && again[0] == (1, 6));
    assert!(is_cut(&context_of(1, &[((2, 5), &[CUT])], &held)));
}

/// A new life of the same memory has seen what its earlier life wrote.
#[test]
fn a_new_life_has_seen_its_earlier_one() {
    let (mut a, mut b) = (life('A'), life('B'));
    born(&mut a);
    b.pull(&mut a);
    set(&mut a, "f", "before");
    b.pull(&mut a);
    for letter in 'C'..='P' {
        a.partition.reincarnate(origin(letter));
        a.origin = origin(letter);
        set(&mut a, "f", &format!("as {letter}"));
        b.pull(&mut a);
    }
    assert_eq!(told(&b), (0, 0));
    assert!(a.edit(id(1), &Change::default()).is_ok());
}
