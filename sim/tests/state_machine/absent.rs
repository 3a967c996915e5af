//! Who is waited for, how long, and what a return afterwards brings: `docs/ALGORITHM.md` §6 and §8.

use sessionmesh::core::causality::Origin;
use sessionmesh::core::limits::Limits;
use sessionmesh::core::membership::Listed;
use sessionmesh::core::node::{GONE_FACT, Input};
use sessionmesh::core::replica::Change;
use sessionmesh::core::session::{PRINCIPAL_KEY, SessionId};
use sessionmesh_sim::World;

const MINUTE_MS: u64 = 60_000;

fn mesh(n: usize, seed: u64) -> World {
    let limits = Limits {
        partitions: 8,
        max_lifetime_ms: 24 * 60 * MINUTE_MS,
        expire_wait_ms: 10 * MINUTE_MS,
        audit_interval_ms: u64::MAX / 4,
        ..Limits::default()
    };
    let mut world = World::with_limits(seed, n, limits);
    world.settle();
    world
}

fn held(world: &World, at: usize, id: SessionId) -> bool {
    world.replica(at).shared(id.partition(world.limits.partitions), |p| p.get(id).is_some())
}

fn counts(world: &World, at: usize) -> sessionmesh::core::replica::Counts {
    world.replica(at).counts()
}

#[test]
fn a_made_up_member_holds_up_nothing_for_good() {
    let mut world = mesh(2, 1);
    let nobody = Origin(77);
    let listed = [Listed { origin: nobody, alive: true, left: false }];
    world.input(0, Input::Board(&listed));
    world.input(0, Input::Board(&[]));
    let fresh = |world: &World| {
        (0..2).any(|at| world.nodes[at].as_ref().is_some_and(|n| n.node.freshness().contains_key(&nobody)))
    };
    assert!(fresh(&world), "waited for at first: it may be a joiner");
    world.run(MINUTE_MS);
    assert!(world.nodes[0].as_ref().is_some_and(|n| n.node.missing().all(|m| m != nobody)), "nobody met it");
    world.run(25 * MINUTE_MS);
    assert!(!fresh(&world), "and then no more, on either node");
    let id = world.create(0, &[("f", "1")]);
    world.settle();
    world.run(32 * MINUTE_MS);
    assert!((0..2).all(|at| !held(&world, at, id)), "the end of a session waits for the two of them only");
}

#[test]
fn what_was_reaped_and_is_read_through_is_asked_for_from_the_others() {
    let mut world = mesh(3, 2);
    let id = world.create(0, &[("f", "old")]);
    world.settle();
    world.cut(&[2], &[0, 1]);
    world.run(5_000);
    let m = world.origin(2);
    world.run(28 * MINUTE_MS);
    assert!(world.edit(2, id, &[("g", Some("late"))]).is_ok());
    for at in 0..2 {
        world.input(at, Input::Gone(m));
    }
    while held(&world, 0, id) || held(&world, 1, id) {
        world.run(1_000);
    }
    // Linked again, and read through before any round has brought it.
    world.heal();
    let ix = id.partition(world.limits.partitions);
    world.input(0, Input::Ask { token: 9, id });
    let mut revived = false;
    for _ in 0..200 {
        world.run(10);
        revived |= world.replica(0).shared(ix, |p| p.has_revived());
    }
    assert!(revived && held(&world, 0, id), "came back, and was marked");
    assert_eq!(counts(&world, 0).returned, 1);
}

/// A log-in that was cleared here, and a member that is out of reach with the session as it was before.
#[test]
fn a_cleared_log_in_does_not_come_back_after_the_wait() {
    let mut world = mesh(2, 3);
    let id = world.create(0, &[("f", "1")]);
    let log_in = Change { principal: Some(Some("ada")), ..Change::default() };
    let now = world.now(0);
    assert!(world.replica(0).edit(id, now, &log_in).is_ok());
    world.input(0, Input::News);
    world.settle();
    world.cut(&[1], &[0]);
    world.run(MINUTE_MS);
    let log_out = Change { principal: Some(None), ..Change::default() };
    let now = world.now(0);
    assert!(world.replica(0).edit(id, now, &log_out).is_ok());
    // The user goes on beyond the cut.
    for _ in 0..4 {
        world.run(20 * MINUTE_MS);
        assert!(world.edit(1, id, &[("g", Some("on"))]).is_ok());
    }
    let here = counts(&world, 0);
    assert_eq!((here.stubs, here.expired_retained, here.reaped_unheard), (1, 0, 1), "{here:?}");
    world.heal();
    world.settle();
    world.run(MINUTE_MS);
    for at in 0..2 {
        assert_eq!(world.field(at, id, "f").as_deref(), Some("1"), "nobody active is logged out of n{at}");
        let ix = id.partition(world.limits.partitions);
        let login = world
            .replica(at)
            .shared(ix, |p| p.get(id).and_then(|r| r.field(PRINCIPAL_KEY).map(<[u8]>::to_vec)));
        assert_eq!(login, None, "the log-in stays cleared at n{at}");
    }
    assert_eq!((counts(&world, 0).stubs, counts(&world, 0).returned), (0, 1));
}

#[test]
fn an_expired_session_without_a_log_in_waits_for_the_bound_only() {
    let mut world = mesh(3, 4);
    let id = world.create(0, &[("f", "1")]);
    world.settle();
    world.cut(&[2], &[0, 1]);
    world.run(39 * MINUTE_MS);
    assert!(held(&world, 0, id) && held(&world, 1, id), "somebody may know more");
    world.run(3 * MINUTE_MS);
    assert!(!held(&world, 0, id) && !held(&world, 1, id));
    let missing: Vec<Origin> =
        world.nodes[0].as_ref().map(|n| n.node.missing().collect()).unwrap_or_default();
    assert_eq!(missing, [world.origin(2)], "and it is missing still");
}

#[test]
fn what_the_board_tells_of_the_forgotten_reaches_those_who_join_later() {
    let mut world = mesh(3, 5);
    let (c, b) = (world.origin(2), world.origin(1));
    world.cut(&[2], &[0, 1]);
    world.run(5_000);
    let text = format!("{:032x} nonsense", c.0);
    world.input(0, Input::Fact { of: b, key: GONE_FACT, value: &text });
    let node = &world.nodes[0].as_ref().expect("up").node;
    assert!(node.is_forgotten(c) && node.is_gone(c));
    assert_eq!((node.missing().count(), node.stats().forgotten), (0, 1));
    // Under its old life it is not linked any more, and it hears why.
    world.heal();
    world.settle();
    world.run(5_000);
    assert_ne!(world.origin(2), c, "it goes on under a new life");
    let linked = |at: usize| world.nodes[at].as_ref().map_or(0, |n| n.links().count());
    assert_eq!((0..3).map(linked).collect::<Vec<_>>(), [2, 2, 2]);
    // A second of those lives within ten seconds is not begun.
    let life = world.origin(2);
    world.input(2, Input::CalledGone { by: b });
    assert_eq!(world.origin(2), life);
}
