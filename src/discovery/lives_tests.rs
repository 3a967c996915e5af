//! Which life stands for a name, and when one is over.

use super::*;

const ROUND_MS: u64 = 1_000;

fn seen(generation: u64, origin: u128, heartbeat: u64, live: bool) -> Sighting {
    Sighting { origin: Origin(origin), generation, heartbeat, live, left: false }
}

/// Looks once a round at what `at` shows; which origin stood when, and which lives ended when.
fn watch(
    lives: &mut Namesakes,
    rounds: std::ops::Range<u64>,
    at: impl Fn(u64) -> Vec<Sighting>,
) -> (Vec<u128>, Vec<(u64, u128)>) {
    let (mut shown, mut ends) = (Vec::new(), Vec::new());
    for round in rounds {
        let (seen, mut ended) = (at(round), Vec::new());
        let chosen = lives.look(round * ROUND_MS, ROUND_MS, &seen, &mut ended);
        shown.push(chosen.map_or(0, |index| seen[index].origin.0));
        ends.extend(ended.into_iter().map(|(origin, _)| (round, origin.0)));
    }
    (shown, ends)
}

#[test]
fn a_life_that_beats_for_five_rounds_ends_the_silent_one_whatever_the_generations() {
    for (old, new) in [(1, 2), (2, 1)] {
        let mut lives = Namesakes::default();
        // The old one beats for ten rounds, is echoed for three, and is believed for five more.
        let (shown, ends) = watch(&mut lives, 0..40, |round| {
            let mut all = vec![seen(old, 11, 100 + round.min(13), round < 18)];
            all.extend((round >= 11).then(|| seen(new, 22, round, round > 11)));
            all
        });
        assert_eq!(ends, [(18, 11)], "generations {old} and {new}");
        assert_eq!(shown[10], 11);
        assert!(shown[15..].iter().all(|origin| *origin == 22), "{shown:?}");
    }
}

#[test]
fn the_echo_of_a_greater_generation_never_ends_the_living_life() {
    let mut lives = Namesakes::default();
    // Both are news to this node: one lives, the other is echoed for four rounds and once more after a heal.
    let (shown, ends) = watch(&mut lives, 0..60, |round| {
        let echo = 100 + round.min(4) + u64::from(round > 30);
        vec![seen(9, 99, echo, round < 10 || (31..38).contains(&round)), seen(3, 33, 10 * round, true)]
    });
    assert_eq!(ends, [(9, 99)]);
    assert!(shown[7..].iter().all(|origin| *origin == 33), "{shown:?}");
}

#[test]
fn of_two_that_live_neither_ends_and_the_one_shown_stays() {
    let mut lives = Namesakes::default();
    let (shown, ends) = watch(&mut lives, 0..60, |round| {
        let mut both = vec![seen(1, 11, round, true)];
        both.extend((round >= 5).then(|| seen(2, 22, round, true)));
        both
    });
    assert_eq!((shown, ends), (vec![11; 60], vec![]));
}

#[test]
fn a_goodbye_counts_whoever_else_is_listed() {
    for (leaving, other) in [(1, 2), (2, 1)] {
        let mut lives = Namesakes::default();
        let (shown, ends) = watch(&mut lives, 0..40, |round| {
            let goodbye = Sighting { left: round >= 20, ..seen(leaving, 11, round.min(20), round < 27) };
            vec![goodbye, seen(other, 22, 7, round < 8)]
        });
        // The living one ended the silent one, then said goodbye.
        assert_eq!(ends, [(5, 22), (20, 11)]);
        assert!(shown[10..].iter().all(|origin| *origin == 11));
    }
    let mut lives = Namesakes::default();
    let (_, ends) = watch(&mut lives, 0..3, |round| {
        vec![Sighting { left: round >= 1, ..seen(1, 11, 1, true) }, seen(2, 22, 7, true)]
    });
    assert_eq!(ends, [(1, 11)], "although the other one was shown");
}

#[test]
fn a_crash_loop_is_ended_as_a_whole_by_the_life_that_stays() {
    let mut lives = Namesakes::default();
    let (_, ends) = watch(&mut lives, 0..60, |round| {
        let life = (round / 4).min(8);
        vec![seen(life, u128::from(life) + 1, round, true)]
    });
    let each_once: Vec<_> = (1..=8).map(|origin| (37, origin)).collect();
    assert_eq!(ends, each_once);
}

#[test]
fn lives_are_bounded() {
    let mut lives = Namesakes::default();
    watch(&mut lives, 0..500, |round| vec![seen(round, u128::from(round), 1, true)]);
    assert!(lives.lives.len() <= LIVES);
}
