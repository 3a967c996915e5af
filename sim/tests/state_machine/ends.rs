//! The end that an edit set: it meets other edits as any register does, hides at once, and lets nothing go that another
//! member may still think alive.

use sessionmesh::core::limits::Limits;
use sessionmesh::core::replica::{Change, Replica, Serving, WriteError};
use sessionmesh::core::session::{Bound, NEVER_MS, Ttl};
use sessionmesh::core::time::Now;
use sessionmesh_sim::origin;
use sessionmesh_sim::{Life, change, id};

const MINUTE_MS: u64 = 60_000;
const WALL_MS: u64 = 1_800_000_000_000;

/// Two lives that hold a session of half an hour's idle time and two hours at most.
fn both() -> [Life; 2] {
    let [mut a, mut b] = ['A', 'B'].map(|letter| Life::new(origin(letter), WALL_MS));
    a.create(id(1), &[("f", Some("1"))], Ttl::Sliding(30 * MINUTE_MS), 120 * MINUTE_MS).expect("created");
    b.pull(&mut a);
    [a, b]
}

fn idle(minutes: u64) -> Change<'static> {
    Change { ttl: Some(Ttl::Sliding(minutes * MINUTE_MS)), ..Change::default() }
}

fn bound(minutes: u64) -> Change<'static> {
    Change { bound: Bound { within_ms: minutes * MINUTE_MS, ..Bound::default() }, ..Change::default() }
}

fn ends(life: &Life) -> u64 {
    (life.partition.get(id(1)).expect("it is held").deadline_ms() - WALL_MS) / MINUTE_MS
}

fn meet([a, b]: &mut [Life; 2]) {
    a.pull(b);
    b.pull(a);
    assert_eq!(a.spelled(), b.spelled());
}

fn pass(lives: &mut [Life; 2], minutes: u64) {
    lives.iter_mut().for_each(|life| life.wall_ms += minutes * MINUTE_MS);
}

#[test]
fn an_idle_time_and_a_bound_that_meet_both_stand() {
    let mut lives = both();
    assert_eq!(lives[0].edit(id(1), &idle(60)).map(|w| w.wrote), Ok(true));
    assert_eq!(lives[1].edit(id(1), &bound(20)).map(|w| w.wrote), Ok(true));
    meet(&mut lives);
    assert_eq!(lives.each_ref().map(ends), [20, 20]);
    // Lifted, the idle time is what the other side made it.
    lives[0].edit(id(1), &bound(1_000)).expect("lifted up to the hard end");
    meet(&mut lives);
    assert_eq!(lives.each_ref().map(ends), [60, 60]);
}

#[test]
fn of_two_bounds_the_later_one_stands_and_a_push_carries_it() {
    let mut lives = both();
    lives[0].edit(id(1), &bound(10)).expect("bounded");
    lives[1].wall_ms += 1_000;
    lives[1].edit(id(1), &bound(20)).expect("bounded");
    let (push, _) = lives[1].push(0).expect("something to push");
    let from = lives[1].origin;
    lives[0].take_push(from, &push).expect("taken in");
    assert_eq!(ends(&lives[0]), 20);
    meet(&mut lives);
}

#[test]
fn what_a_bound_ends_here_is_kept_while_another_member_may_have_lifted_it() {
    let mut lives = both();
    lives[0].inc.insert(lives[1].origin, 0);
    lives[0].edit(id(1), &bound(5)).expect("bounded");
    meet(&mut lives);
    pass(&mut lives, 4);
    lives[1].edit(id(1), &bound(60)).expect("lifted");
    pass(&mut lives, 2);
    let [a, b] = &mut lives;
    a.reap();
    assert!(!a.visible(id(1)) && a.partition.get(id(1)).is_some(), "hidden at once, and not let go");
    a.pull(b);
    assert!(a.visible(id(1)), "lifted here too");
    assert_eq!(a.field(id(1), "f").as_deref(), Some("1"));
    // Past what any member can think, it goes.
    pass(&mut lives, 130);
    let [a, b] = &mut lives;
    a.pull(b);
    a.reap();
    assert!(a.partition.get(id(1)).is_none());
}

#[test]
fn without_an_idle_time_a_bound_is_a_date_in_the_time_to_live_as_well() {
    let [mut a, _] = both();
    let after = Change { ttl: Some(Ttl::Sliding(NEVER_MS)), ..bound(10) };
    a.edit(id(1), &after).expect("bounded");
    let held = a.partition.get(id(1)).expect("held");
    assert_eq!(held.ttl(), Ttl::Absolute(WALL_MS + 10 * MINUTE_MS));
    assert_eq!(
        held.stable_deadline_ms(),
        WALL_MS + 30 * MINUTE_MS,
        "what it was before is still waited for, and no longer"
    );
}

#[test]
fn a_bound_that_is_there_already_writes_nothing_and_a_clear_takes_none_away() {
    let [mut a, _] = both();
    a.edit(id(1), &bound(10)).expect("bounded");
    assert_eq!(a.edit(id(1), &bound(10)).map(|w| w.wrote), Ok(false));
    for clear in [
        Change { clear: true, ..change(&[("g", Some("2"))]) },
        Change { clear_fields: true, ..change(&[("h", Some("3"))]) },
    ] {
        a.edit(id(1), &clear).expect("cleared");
        assert_eq!(ends(&a), 10);
    }
    assert_eq!((a.field(id(1), "g"), a.field(id(1), "h").as_deref()), (None, Some("3")));
}

#[test]
fn what_would_end_it_at_once_is_refused_and_changes_nothing() {
    let [mut a, _] = both();
    let before = a.spelled();
    let over = Change { ttl: Some(Ttl::Absolute(WALL_MS)), ..change(&[("f", Some("2"))]) };
    for change in [idle(0), bound(0), over] {
        let refused = a.edit(id(1), &change);
        assert!(matches!(refused, Err(WriteError::Expired { .. })), "{refused:?}");
        assert_eq!(a.spelled(), before);
    }
}

#[test]
fn a_date_that_one_of_two_clocks_calls_over_is_neither_taken_nor_called_over() {
    let at = |minutes: i64, mono_ms: u64| Now {
        wall_ms: WALL_MS.saturating_add_signed(minutes * MINUTE_MS as i64),
        mono_ms,
    };
    let replica = Replica::new(Limits::default(), origin('A'), 7, at(0, 0));
    replica.set_serving(Serving::Ready);
    let ttl = Ttl::Sliding(60 * MINUTE_MS);
    replica.create(id(1), at(0, 0), &Change::default(), ttl, u64::MAX).expect("created");
    let until =
        |minutes: i64| Change { ttl: Some(Ttl::Absolute(at(minutes, 0).wall_ms)), ..Change::default() };
    // The clock steps forward, and back: nobody has said yet which is right.
    for (stepped, date) in [(20, 10), (-20, -10)] {
        let refused = replica.edit(id(1), at(stepped, 1), &until(date));
        assert!(matches!(refused, Err(WriteError::NotServing(_))), "{refused:?}");
        assert!(replica.edit(id(1), at(stepped, 1), &until(30)).is_ok(), "over by neither");
        replica.edit(id(1), at(0, 2), &Change { ttl: Some(ttl), ..Change::default() }).expect("as it was");
    }
}
