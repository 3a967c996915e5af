//! What a joiner may say of itself: whom it waits for, what it has verified, and what it lacks.

use std::cell::Cell;

use sessionmesh::core::causality::Origin;
use sessionmesh::core::limits::Limits;
use sessionmesh::core::node::Input;
use sessionmesh::core::replica::{Change, Replica, Serving, WriteError};
use sessionmesh::core::session::{SessionId, Ttl};
use sessionmesh::core::time::Now;
use sessionmesh::core::wire::{
    Audit, AuditDiff, AuditSum, Compare, Compared, Digest, ExactSum, Message, Purpose, Sums, Verdicts,
    decode, encode,
};
use sessionmesh_sim::{EPOCH_MS, Life, World, id, origin};

const SESSIONS: usize = 80;
const MINUTE_MS: u64 = 60_000;
const ADOPTED: &str = "every partition adopted and verified";

fn limits() -> Limits {
    Limits { partitions: 8, page_bytes: 2_048, ..Limits::default() }
}

/// Node 0 holds everything and the others are new: they are in the middle of learning it when this returns.
fn half_joined(seed: u64, joiners: &[usize]) -> (World, Vec<SessionId>) {
    let mut world = World::with_limits(seed, 4, limits());
    world.settle();
    (1..4).for_each(|at| _ = world.crash(at));
    world.run(10_000);
    let big = "x".repeat(900);
    let ids = (0..SESSIONS).map(|_| world.create(0, &[("b", &big)])).collect();
    world.run(2_000);
    world.net.faults.bandwidth_bytes = 15_000;
    joiners.iter().for_each(|&at| world.start(at, true));
    for _ in 0..600 {
        world.run(20);
        let held = |at: &usize| world.replica(*at).counts().sessions;
        if joiners.iter().all(|at| (20..60).contains(&held(at))) {
            return (world, ids);
        }
    }
    panic!(
        "the joiners never held a part: {:?}",
        joiners.iter().map(|at| said(&world, *at)).collect::<Vec<_>>()
    );
}

fn said(world: &World, at: usize) -> String {
    world.nodes[at].as_ref().map(|n| n.node.phase_reason().to_owned()).unwrap_or_default()
}

/// The member they learn from is out of reach for half a minute, in the middle.
#[test]
fn joiners_wait_for_the_member_they_learnt_from_and_say_so() {
    for joiners in [&[1][..], &[1, 2]] {
        let (mut world, ids) = half_joined(61, joiners);
        let source = world.origin(0).to_string();
        world.cut(&[0], &[1, 2, 3]);
        world.net.faults.bandwidth_bytes = 0;
        world.run(30_000);
        for &at in joiners {
            assert!(!world.ready(at), "node {at}: {}", said(&world, at));
            assert!(said(&world, at).starts_with(&format!("waiting for {source}")), "{}", said(&world, at));
        }
        world.heal();
        world.settle();
        for &at in joiners {
            assert_eq!(said(&world, at), ADOPTED);
            assert!(ids.iter().all(|id| world.visible(at, *id)));
        }
    }
}

/// It stays away. The joiners serve at last, and neither of them, nor whoever learns from them, says that it has all.
#[test]
fn past_the_bound_what_is_not_known_is_said_and_passed_on() {
    let (mut world, _) = half_joined(62, &[1, 2]);
    world.cut(&[0], &[1, 2, 3]);
    world.net.faults.bandwidth_bytes = 0;
    world.run(50_000);
    assert!(!world.ready(1) && !world.ready(2), "within source_wait_ms");
    world.run(30_000);
    world.start(3, true);
    world.run(30_000);
    for at in 1..4 {
        assert!(world.ready(at), "node {at}: {}", said(&world, at));
        assert!(said(&world, at).starts_with("incomplete: "), "node {at}: {}", said(&world, at));
    }
    world.heal();
    world.settle();
    world.run(30_000);
    (1..4)
        .for_each(|at| assert_eq!(said(&world, at), ADOPTED, "node {at} has found a member that holds all"));
}

/// It comes back under its own name with nothing: nobody waits for what is gone, and nobody calls the rest the whole.
#[test]
fn what_a_dead_member_alone_held_is_missed_and_not_called_adopted() {
    let (mut world, ids) = half_joined(63, &[1]);
    let old = world.crash(0);
    world.net.faults.bandwidth_bytes = 0;
    world.run(2_000);
    world.start(0, true);
    old.into_iter().for_each(|old| world.announce_gone(1, old));
    world.run(30_000);
    world.start(3, true);
    world.run(30_000);
    assert!(ids.iter().any(|id| !world.visible(1, *id)), "some are lost");
    for at in [0, 1, 3] {
        assert!(world.ready(at), "node {at}: {}", said(&world, at));
        assert!(said(&world, at).starts_with("incomplete: "), "node {at}: {}", said(&world, at));
    }
}

/// It thaws after a freeze and trusts itself no more: that does not make it one who was joining too.
#[test]
fn nobody_founds_a_mesh_with_a_source_that_is_fenced() {
    let (mut world, ids) = half_joined(64, &[1]);
    world.freeze(0, 5_000);
    world.net.faults.bandwidth_bytes = 0;
    world.run(60_000);
    assert_eq!(said(&world, 1), ADOPTED);
    assert!(ids.iter().all(|id| world.visible(1, *id)));
}

/// The wait begins with the loss, not with the process; and somebody did answer.
#[test]
fn alone_is_said_of_whoever_never_met_anyone() {
    let mut world = World::with_limits(65, 2, Limits { settle_ms: 60_000, ..limits() });
    (0..2).for_each(|at| _ = world.crash(at));
    world.start(0, true);
    world.start(1, true);
    world.run(1_000);
    let met = world.nodes[1].as_ref().is_some_and(|n| n.links().count() == 1);
    assert!(met && !world.ready(1), "linked, and not ready yet");
    world.crash(0);
    world.run(10_500);
    assert!(!world.ready(1), "ten seconds from the start, and not from the loss");
    world.run(30_000);
    assert!(world.ready(1));
    assert!(said(&world, 1).starts_with("alone: whoever answered was lost"), "{}", said(&world, 1));
}

// ----- what is compared -----------------------------------------------------------------------------------------

const WALL_MS: u64 = EPOCH_MS;

fn pair(ttl: Ttl) -> (Life, Life) {
    let (mut a, mut b) = (Life::new(origin('A'), EPOCH_MS), Life::new(origin('B'), EPOCH_MS));
    assert!(a.create(id(1), &[("f", Some("1")), ("g", Some("\0removed"))], ttl, 20 * 60 * MINUTE_MS).is_ok());
    b.pull(&mut a);
    (a, b)
}

fn exact(life: &Life, margin_ms: u64) -> Option<u64> {
    life.partition.exact_sum(life.wall_ms, margin_ms)
}

#[test]
fn equal_replicas_sum_alike_and_every_session_counts_until_its_end() {
    for ttl in [Ttl::Sliding(30 * MINUTE_MS), Ttl::Sliding(20_000), Ttl::Absolute(EPOCH_MS + 15_000)] {
        let (mut a, b) = pair(ttl);
        assert!(exact(&a, 0).is_some());
        assert_eq!(exact(&a, 0), exact(&b, 0));
        assert_ne!(exact(&a, 0), exact(&Life::new(origin('C'), EPOCH_MS), 0), "{ttl:?} is summed");
        assert!(a.set(id(1), "g", None).is_ok());
        let (removed, set) = (exact(&a, 0), exact(&b, 0));
        assert_ne!(removed, set);
    }
}

/// Bucket sums tell a difference in one component while others are news.
#[test]
fn equal_versions_with_unequal_values_differ_whatever_the_coverage_is() {
    let (mut a, b) = pair(Ttl::Sliding(30 * MINUTE_MS));
    let before = a.partition.sift(WALL_MS, 0, 7, 256);
    assert_eq!(before, b.partition.sift(WALL_MS, 0, 7, 256));
    assert!(a.set(id(1), "h", Some("news")).is_ok());
    let after = a.partition.sift(WALL_MS, 0, 7, 256);
    let apart = before.sums.iter().zip(&after.sums).filter(|(b, a)| b != a).count();
    assert_eq!(apart, 1, "one field is news, and the others stay comparable");
}

// ----- older nodes ----------------------------------------------------------------------------------------------

/// An older node reads a comparison as the audit it knows, and gets the answer it knows.
#[test]
fn older_nodes_read_the_first_value_only() {
    let (request, wall_ms) = (Purpose::from_number(17), 5);
    let sum = AuditSum { partition: 3, coverage: u64::MAX, sum: 9 };
    let audit = Message::Audit(Audit { request, wall_ms, sums: vec![sum] });
    let sums = Sums::Partitions(vec![ExactSum { audit: sum, exact: 4 }]);
    let compare = Message::Compare(Compare { request, wall_ms, margin_ms: 1, sums });
    for version in [1, 2] {
        let (old, new) = (encode(version, &audit), encode(version, &compare));
        assert!(new.starts_with(&old), "an audit with something behind it");
        assert_eq!(decode(&new), Ok(compare.clone()));
        assert_eq!(decode(&old), Ok(audit.clone()));
        let diff = AuditDiff { request, partitions: vec![3] }.encode(version);
        let verdicts = Verdicts::new(&[0, 2]);
        let compared = Message::Compared(Compared { request, partitions: vec![3], verdicts });
        assert!(encode(version, &compared).starts_with(&diff));
        assert_eq!(decode(&encode(version, &compared)), Ok(compared));
    }
    let digest = Digest { round: 8, root: 1, wall_ms: 5, want_inc: true, ready: false, incomplete: false };
    let marked = Digest { incomplete: true, ..digest.clone() };
    assert!(marked.encode(2).starts_with(&digest.encode(2)), "a digest with something behind it");
    for digest in [digest, marked] {
        assert_eq!(decode(&digest.encode(2)), Ok(Message::Digest(digest)));
    }
}

/// A member of an older version answers a comparison with the partitions that differ, and no more.
#[test]
fn a_joiner_takes_an_older_member_at_its_word() {
    let mut world = World::with_limits(66, 2, limits());
    world.settle();
    world.create(0, &[("user", "ada")]);
    world.settle();
    world.crash(1);
    world.run(10_000);
    world.tamper = Some(|_, frame| match decode(&frame) {
        Ok(Message::Compared(Compared { request, partitions, .. })) => {
            AuditDiff { request, partitions }.encode(2)
        }
        _ => frame,
    });
    world.start(1, true);
    world.run(10_000);
    assert_eq!(said(&world, 1), ADOPTED);
}

/// A thread looked at the fence, was frozen with its process on the way to the lock, and wrote: to a session that was
/// logged out elsewhere meanwhile, say.
#[test]
fn an_edit_looks_at_the_fence_when_it_holds_the_lock() {
    let at = |mono_ms| Now { mono_ms, wall_ms: EPOCH_MS + mono_ms };
    let replica = Replica::new(limits(), origin('A'), 7, at(60_000));
    replica.set_serving(Serving::Ready);
    replica.beat(at(60_000));
    let ttl = Ttl::Sliding(30 * MINUTE_MS);
    assert!(replica.create(id(1), at(60_000), &Change::default(), ttl, EPOCH_MS * 2).is_ok());
    let change = Change { fields: vec![("f", Some(b"1"))], ..Change::default() };
    let looks = Cell::new(0);
    let frozen_on_the_way = || at([60_001, 90_000][looks.replace(1)]);
    let refused = replica.edit_at(id(1), frozen_on_the_way, &change);
    assert!(matches!(refused, Err(WriteError::NotServing(_))), "{refused:?}");
    assert!(replica.edit(id(1), at(60_002), &change).is_ok());
}

/// Answers that fit no question are no answers, and no reason to trust anything.
#[test]
fn made_up_verdicts_verify_nothing() {
    let mut world = World::with_limits(67, 2, limits());
    world.settle();
    let peer: Origin = world.origin(1);
    for verdicts in [&[][..], &[9; 300], &[2; 256], &[1]] {
        for request in [0, 1, 1 << 16, u64::MAX] {
            let answer = Compared {
                request: Purpose::from_number(request),
                partitions: vec![4_000],
                verdicts: Verdicts::new(verdicts),
            }
            .encode(2);
            world.input(0, Input::Frame { peer, bytes: &answer });
        }
    }
    world.settle();
}
