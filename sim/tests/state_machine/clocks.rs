//! Clocks that jump and processes that freeze: executions found by reading the node's state machine.

use sessionmesh::core::limits::Limits;
use sessionmesh::core::node::Input;
use sessionmesh::core::replica::{Change, Lookup, WriteError};
use sessionmesh::core::time::Now;
use sessionmesh_sim::World;

const HOUR_MS: i64 = 3_600_000;

fn shift(world: &mut World, at: usize, by_ms: i64) {
    if let Some(node) = world.nodes[at].as_mut() {
        node.offset_ms += by_ms;
    }
}

/// The wall clock of node 1 reads two hours ahead for a second. Its partitions once kept that reading as their
/// high-water mark: for two hours the node hid every session, dropped what was due meanwhile, and acknowledged
/// pushes that it did not store.
#[test]
fn a_wall_clock_that_jumped_and_came_back_hides_and_drops_nothing() {
    let mut world = World::new(31, 3);
    world.settle();
    let before = world.create(0, &[("user", "ada")]);
    world.settle();
    shift(&mut world, 1, 2 * HOUR_MS);
    world.run(1_200);
    shift(&mut world, 1, -2 * HOUR_MS);
    world.run(30_000);
    assert!(world.visible(1, before), "a live session is hidden");
    let after = world.create(0, &[("user", "bob")]);
    world.run(10_000);
    assert!(world.visible(1, after), "a session written since is not held");
    world.settle();
}

/// Nodes 0 and 1 are frozen together while node 2 takes a logout, and they cannot reach node 2 when they wake. A
/// round between the two proves nothing: both missed the same logout.
#[test]
fn two_that_were_frozen_together_do_not_open_each_others_fence() {
    let limits = Limits { partitions: 8, fence_timeout_ms: 60_000, ..Limits::default() };
    let mut world = World::with_limits(32, 3, limits);
    world.settle();
    let id = world.create(0, &[("user", "ada")]);
    world.settle();
    world.freeze(0, 8_000);
    world.freeze(1, 8_000);
    world.run(1_000);
    world.destroy(2, id);
    world.cut(&[2], &[0, 1]);
    world.run(12_000);
    assert!(
        !world.visible(0, id) && !world.visible(1, id),
        "a session is shown that was destroyed meanwhile"
    );
    world.heal();
    world.settle();
    assert!(!world.visible(0, id) && !world.visible(1, id));
}

/// The others can have given up whoever stood still for a probe and a window, and ended sessions without it.
#[test]
fn who_stood_still_as_long_as_a_death_takes_answers_nothing_from_before() {
    let earliest_ms = sessionmesh::core::membership::Config::default().earliest_death_ms();
    assert!(Limits::default().fence_after_ms <= earliest_ms);
    for still_ms in [1_050, earliest_ms, 2_000, 2_900] {
        let mut world = World::new(36, 3);
        world.settle();
        let id = world.create(0, &[("user", "ada")]);
        world.settle();
        world.freeze(1, still_ms);
        world.run(still_ms - 20);
        world.destroy(0, id);
        world.run(19);
        for _ in 0..200 {
            world.run(1);
            assert!(!world.visible(1, id), "still for {still_ms} ms");
            assert!(world.edit(1, id, &[("user", Some("eve"))]).is_err());
        }
        world.settle();
    }
}

/// Its first look at the clock was before the process stood still, its second comes under the lock.
#[test]
fn an_edit_that_waited_for_its_lock_while_the_process_stood_still_is_refused() {
    let mut world = World::new(37, 2);
    world.settle();
    let id = world.create(0, &[("user", "ada")]);
    world.settle();
    let (now, looks) = (world.now(1), std::cell::Cell::new(0));
    let clock = || {
        looks.set(looks.get() + 1);
        let later_ms = if looks.get() == 1 { 0 } else { 1_600 };
        Now { mono_ms: now.mono_ms + later_ms, wall_ms: now.wall_ms + later_ms }
    };
    let refused = world.replica(1).edit_at(id, clock, &Change::default());
    assert!(matches!(refused, Err(WriteError::NotServing(_))), "{refused:?}");
    assert!(world.replica(1).edit(id, now, &Change::default()).is_ok());
}

/// A machine is suspended: the monotonic clock stands still, the wall clock does not. No beat is missed.
#[test]
fn a_suspend_fences_although_no_beat_was_missed() {
    let mut world = World::new(33, 2);
    world.settle();
    world.cut(&[0], &[1]);
    shift(&mut world, 0, 20_000);
    world.run(500);
    assert!(!world.ready(0), "it may have missed logouts");
    world.heal();
    shift(&mut world, 0, -20_000);
    world.settle();
}

/// n0 logs out while n1 sleeps. Where n1's wall clock was wrong before, or is set meanwhile, it shows less than the sleep.
#[test]
fn a_suspend_fences_wherever_the_wall_clock_was_and_is_set() {
    // Off before the sleep, and set by so much during it (ms).
    for (off_ms, set_ms) in
        [(0, 0), (90_000, -90_000), (90_000, 0), (-90_000, 0), (-20_000, -20_000), (0, -90_000), (0, 90_000)]
    {
        let mut world = World::new(39, 3);
        world.settle();
        let id = world.create(0, &[("user", "ada")]);
        world.settle();
        shift(&mut world, 1, off_ms);
        world.run(5_000);
        assert!(world.visible(1, id), "off by {off_ms} ms");
        world.suspend(1, 10_000);
        world.run(5_000);
        shift(&mut world, 1, set_ms);
        world.destroy(0, id);
        world.cut(&[1], &[0, 2]);
        world.run(5_050);
        assert!(!world.visible(1, id), "off by {off_ms} ms, set by {set_ms} ms");
        assert!(world.edit(1, id, &[("user", Some("eve"))]).is_err());
        world.heal();
        shift(&mut world, 1, -off_ms - set_ms);
        world.settle();
        assert!(!world.visible(1, id));
    }
}

/// The node's task looks every half second, and a thread may read before it does.
#[test]
fn who_reads_before_the_node_has_looked_after_a_suspend_is_refused() {
    let mut world = World::new(40, 2);
    world.settle();
    let id = world.create(0, &[("user", "ada")]);
    world.settle();
    let (now, replica) = (world.now(1), world.replica(1));
    let after = |slept_ms: i64| Now { wall_ms: now.wall_ms.saturating_add_signed(slept_ms), ..now };
    for slept_ms in [1_100, 3_000, 40_000, -40_000] {
        assert!(matches!(replica.lookup(id, || after(slept_ms)), Lookup::Fenced), "{slept_ms} ms");
        let refused = replica.edit(id, after(slept_ms), &Change::default());
        assert!(matches!(refused, Err(WriteError::NotServing(_))), "{slept_ms} ms: {refused:?}");
    }
    for trimmed_ms in [0, 900, -900, -3_000] {
        assert!(matches!(replica.lookup(id, || after(trimmed_ms)), Lookup::Found(_)), "{trimmed_ms} ms");
    }
    let mut alone = World::new(41, 1);
    alone.run(1_000);
    let (id, now) = (alone.create(0, &[("user", "ada")]), alone.now(0));
    let later = Now { wall_ms: now.wall_ms + 40_000, ..now };
    let found = alone.replica(0).lookup(id, || later);
    assert!(matches!(found, Lookup::Found(_)), "nobody's logout can have been missed");
}

/// It has a session from before it stood still, and n0 has logged its user out since.
#[test]
fn a_joiner_that_stood_still_shows_nothing_before_it_has_joined() {
    for suspended in [false, true] {
        let mut world = World::new(42, 3);
        world.settle();
        let (ended, lives) = (world.create(0, &[("user", "ada")]), world.create(0, &[("user", "bob")]));
        world.settle();
        world.crash(1);
        world.start(1, true);
        world.input(1, Input::Hold(Some("held")));
        world.run(3_000);
        assert!(!world.ready(1) && world.visible(1, ended), "a joiner shows what it has");
        if suspended {
            world.suspend(1, 5_000)
        } else {
            world.freeze(1, 5_000)
        }
        world.run(4_000);
        world.destroy(0, ended);
        world.cut(&[1], &[0, 2]);
        world.run(1_100);
        for id in [ended, lives] {
            assert!(!world.visible(1, id), "suspended: {suspended}");
            assert!(world.edit(1, id, &[("user", Some("eve"))]).is_err(), "suspended: {suspended}");
        }
        world.heal();
        world.input(1, Input::Hold(None));
        world.settle();
        assert!(!world.visible(1, ended) && world.visible(1, lives));
    }
}

/// A joiner that reaches nobody yet is frozen for longer than `solo_after_ms`. The freeze is no answer of nobody.
#[test]
fn a_joiner_frozen_before_its_first_link_does_not_think_itself_alone() {
    let mut world = World::new(34, 2);
    world.settle();
    let id = world.create(0, &[("user", "ada")]);
    world.settle();
    world.cut(&[0], &[1]);
    world.run(4_000);
    world.crash(1);
    world.start(1, true);
    world.run(2_000);
    world.freeze(1, 20_000);
    world.run(21_000);
    assert!(!world.ready(1), "its first moment awake is not ten seconds of silence");
    world.heal();
    world.settle();
    assert!(world.visible(1, id));
}

/// A rule about freezes is only as good as the freeze: the simulator once woke a process whose clocks it changed, and
/// one that was frozen on a suspended machine.
#[test]
fn who_stands_still_in_the_simulator_does_nothing() {
    let mut world = World::new(38, 1);
    world.run(1_000);
    world.suspend(0, 5_000);
    world.freeze(0, 100);
    let handled = world.handled;
    world.run(200);
    world.drift_clock(0, 100);
    world.run(4_700);
    assert_eq!(world.handled, handled, "suspended");
    world.run(200);
    assert!(world.handled > handled);
    world.freeze(0, 1_000);
    let handled = world.handled;
    world.drift_clock(0, 0);
    world.run(500);
    world.suspend(0, 100);
    world.run(490);
    assert_eq!(world.handled, handled, "frozen, and its machine suspended for a moment");
    world.run(100);
    assert!(world.handled > handled);
}
