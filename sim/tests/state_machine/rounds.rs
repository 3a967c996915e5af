//! Rounds that bring nothing end, and rounds acknowledge what they should: after a life's coverage was pruned, too.

use sessionmesh::core::session::Ttl;
use sessionmesh::core::wire::{Message, decode};
use sessionmesh_sim::{EPOCH_MS, Life, World, id, origin};

const HALF_HOUR: Ttl = Ttl::Sliding(30 * 60_000);
const HOUR_MS: u64 = 3_600_000;

fn life(letter: char) -> Life {
    Life::new(origin(letter), EPOCH_MS)
}

fn born(life: &mut Life, n: u64) {
    assert!(life.create(id(n), &[("f", Some("1"))], HALF_HOUR, HOUR_MS).is_ok());
}

fn push(from: &mut Life, cursor: u64, to: &mut [&mut Life]) -> u64 {
    let (frame, cursor) = from.push(cursor).expect("something to push");
    to.iter_mut().for_each(|l| assert_eq!(l.take_push(from.origin, &frame), Ok(true)));
    cursor
}

/// Everybody has forgotten a life that wrote nothing for long. Then it writes again, from its last counter on: what came
/// before was never covered again, so that nobody covered its writes without a gap, and rounds acknowledged none.
#[test]
fn a_life_that_was_forgotten_is_acknowledged_again() {
    let (mut m, mut a, mut b) = (life('M'), life('A'), life('B'));
    m.skip_counters(6);
    born(&mut m, 1);
    let cursor = push(&mut m, 0, &mut [&mut a, &mut b]);
    assert_eq!(a.partition.covered_up_to(m.origin), m.partition.own_last());
    let later_ms = EPOCH_MS + HOUR_MS + m.limits.prune_after_ms() + 2_000;
    for life in [&mut m, &mut a] {
        life.wall_ms = later_ms;
        life.reap();
        life.partition.prune(life.wall_ms, &life.limits);
        assert_eq!(life.partition.coverage().count(), 0);
    }
    // The clock of one is behind: it has not forgotten yet.
    b.wall_ms = later_ms - 50_000;
    m.skip_counters(3);
    born(&mut m, 2);
    push(&mut m, cursor, &mut [&mut a, &mut b]);
    for peer in [&a, &b] {
        assert_eq!(peer.partition.covered_up_to(m.origin), m.partition.own_last());
    }
    // One who was away gets it by a round, from either.
    let mut late = life('C');
    late.wall_ms = later_ms;
    late.pull(&mut a);
    assert_eq!(late.partition.covered_up_to(m.origin), m.partition.own_last());
    let hash = |l: &Life| l.partition.cov_hash(later_ms, &l.limits);
    assert_eq!([hash(&m); 2], [hash(&a), hash(&b)], "nothing is left to ask for");
}

fn claimed(push: Option<(Vec<u8>, u64)>) -> Option<(u64, u64)> {
    let (frame, _) = push?;
    let Ok(Message::Push(push)) = decode(&frame) else { panic!("not a push") };
    Some((push.parts[0].lo, push.parts[0].hi))
}

/// A claim reaches back over what is over and over nothing else: not to before what is remembered, not twice.
#[test]
fn a_claim_reaches_back_over_what_was_pruned_once() {
    let mut m = life('M');
    born(&mut m, 1);
    assert_eq!(claimed(m.push(0)), Some((1, 1)));
    m.wall_ms = EPOCH_MS + HOUR_MS + m.limits.prune_after_ms() - 2_000;
    m.reap();
    m.partition.prune(m.wall_ms, &m.limits);
    m.skip_counters(5);
    born(&mut m, 2);
    assert_eq!(claimed(m.push(1)), Some((2, 7)), "too early to be over");
    born(&mut m, 3);
    m.wall_ms += 2 * HOUR_MS;
    m.reap();
    m.partition.prune(m.wall_ms, &m.limits);
    born(&mut m, 4);
    assert_eq!((claimed(m.push(8)), claimed(m.push(9))), (Some((1, 9)), None));
    born(&mut m, 5);
    assert_eq!(claimed(m.push(9)), Some((10, 10)));
}

/// Whether a life is about to be forgotten does not depend on what is held of it: of two nodes one has collected the
/// tombstone, the other not yet.
#[test]
fn a_fading_life_fades_for_whoever_still_holds_something_of_it() {
    let (mut m, mut a) = (life('M'), life('A'));
    born(&mut m, 1);
    assert!(m.destroy(id(1)).is_ok());
    a.pull(&mut m);
    let hard_ms = m.partition.get(id(1)).expect("a tombstone").hard_ms();
    let fades_ms = hard_ms + m.limits.prune_after_ms() - 2 * m.limits.max_drift_ms;
    m.wall_ms = fades_ms;
    m.reap();
    // Its thread has not come to reaping: the tombstone is still here.
    a.wall_ms = fades_ms;
    assert!(m.partition.get(id(1)).is_none() && a.partition.get(id(1)).is_some());
    let hash = |l: &Life| l.partition.cov_hash(fades_ms, &l.limits);
    assert_eq!(hash(&a), hash(&m));
}

/// A clock 50 s behind judges later which lives are about to be forgotten: for that long the others found it unequal, at
/// every look, and asked again at once, since its answer said something, which they knew.
#[test]
fn clocks_apart_ask_no_more_often_than_clocks_together() {
    let rounds = |behind_ms: i64| {
        let mut world = World::new(81, 3);
        world.nodes[2].as_mut().expect("up").offset_ms = -behind_ms;
        world.settle();
        let id = world.fresh_id();
        assert!(world.create_with(1, id, &[("f", "1")], HALF_HOUR, 60_000).is_ok());
        world.run(2_000);
        world.destroy(1, id);
        world.run(600_000);
        let stats = |at: usize| world.nodes[at].as_ref().expect("up").node.stats();
        (0..3)
            .map(|at| stats(at).rounds_equal + stats(at).rounds_pulled + stats(at).rounds_failed)
            .sum::<u64>()
    };
    let (together, apart) = (rounds(0), rounds(50_000));
    assert!(apart <= together * 11 / 10, "{apart} rounds with clocks apart, {together} without");
}

/// Entries of a clock too far ahead are refused, and come again with every round until time makes them acceptable: less
/// and less often, while nothing else comes along.
#[test]
fn what_is_refused_is_not_asked_for_again_at_once() {
    let mut world = World::new(82, 3);
    world.settle();
    let before = world.sent.0;
    let id = world.create(0, &[("f", "1")]);
    world.settle();
    // A stamp 70 s ahead: the clock that made it is right again at once.
    let now = world.now(0);
    world.replica(0).clock().observe(sessionmesh::core::time::Hlc::from_ms(now.wall_ms + 75_000));
    for n in 0..50 {
        assert!(world.edit(0, id, &[("f", Some(&n.to_string()))]).is_ok());
        world.run(20);
    }
    world.run(9_000);
    let stats = |world: &World, at: usize| world.nodes[at].as_ref().expect("up").node.stats();
    let rounds = |world: &World| (0..3).map(|at| stats(world, at).rounds_pulled).sum::<u64>();
    let (early, bytes) = (rounds(&world), world.sent.0 - before);
    assert!(early <= 60, "{early} rounds that were refused within 10 s, {bytes} bytes");
    // In the end it is acceptable, and accepted.
    world.run(90_000);
    assert_eq!(world.field(1, id, "f").as_deref(), Some("49"));
    assert!(world.converged());
}
