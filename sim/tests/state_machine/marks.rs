//! Marks are hit where the rare thing happens, and a quiet mesh hits none that should worry anybody.

use std::collections::BTreeSet;

use sessionmesh::core::limits::Limits;
use sessionmesh::core::marks::Mark;
use sessionmesh::core::node::Input;
use sessionmesh::core::replica::Change;
use sessionmesh::core::session::Ttl;
use sessionmesh_sim::World;

const HOUR_MS: i64 = 3_600_000;

/// What nobody may see in a mesh that has clocks, links and peers as they should be.
const SCARY: [Mark; 26] = [
    Mark::FrameShort,
    Mark::FrameVersion,
    Mark::UnknownKindIgnored,
    Mark::FrameBody,
    Mark::PeerClockRefused,
    Mark::EntryClockAhead,
    Mark::OwnOriginImpostor,
    Mark::EntryMalformed,
    Mark::EntryInWrongPartition,
    Mark::LifetimeBeyondMaximum,
    Mark::HardMemoryLimit,
    Mark::PushLost,
    Mark::PushAckStale,
    Mark::NewLifeClone,
    Mark::NewLifeImpostor,
    Mark::NewLifeJump,
    Mark::SuspendNoticed,
    Mark::ClockRefuted,
    Mark::FenceClosed,
    Mark::AuditDiff,
    Mark::LiarNamed,
    Mark::RevivedMarked,
    Mark::EqualVersionDiffers,
    Mark::SecondBirth,
    Mark::RoundTimeout,
    Mark::RoundLinkDown,
];

fn hit(world: &World) -> BTreeSet<Mark> {
    let nodes = world.nodes.iter().flatten();
    nodes.flat_map(|n| Mark::all_in(n.node.hit_marks())).collect()
}

#[track_caller]
fn expect(world: &World, wanted: &[Mark]) {
    let hit = hit(world);
    let missing: Vec<&str> = wanted.iter().filter(|m| !hit.contains(m)).map(|m| m.name()).collect();
    let names: Vec<&str> = hit.iter().map(|m| m.name()).collect();
    assert!(missing.is_empty(), "{missing:?} not hit; {names:?} were");
}

#[test]
fn a_quiet_mesh_is_not_alarming() {
    let mut world = World::new(1, 3);
    world.settle();
    for at in 0..3 {
        let id = world.create(at, &[("user", "ada"), ("cart", "1")]);
        world.run(200);
        assert!(world.edit((at + 1) % 3, id, &[("cart", Some("2"))]).is_ok());
    }
    world.settle();
    world.run(120_000);
    let alarming: Vec<&str> = hit(&world).iter().filter(|m| SCARY.contains(m)).map(|m| m.name()).collect();
    assert!(alarming.is_empty(), "{alarming:?}");
    expect(&world, &[Mark::FoundedTogether, Mark::RoundEqual]);
}

#[test]
fn a_partition_leaves_its_marks() {
    let mut world = World::new(2, 3);
    world.settle();
    let id = world.create(0, &[("user", "ada")]);
    world.settle();
    world.cut(&[0], &[1, 2]);
    assert!(world.edit(0, id, &[("user", Some("eve"))]).is_ok());
    assert!(world.edit(1, id, &[("user", Some("bob"))]).is_ok());
    let unseen = world.fresh_id();
    world.destroy(1, unseen);
    world.run(10_000);
    world.heal();
    world.settle();
    expect(
        &world,
        &[
            Mark::ConflictLabelled,
            Mark::BlindDestroy,
            Mark::DeadForUnknown,
            Mark::RoundUnequal,
            Mark::EditWithoutTouch,
        ],
    );
}

#[test]
fn clocks_and_freezes_leave_their_marks() {
    let mut world = World::new(3, 3);
    world.settle();
    world.freeze(1, 8_000);
    world.run(20_000);
    expect(&world, &[Mark::FenceClosed, Mark::FenceOpenedByRound]);
    let shift = |world: &mut World, by_ms: i64| {
        if let Some(node) = world.nodes[2].as_mut() {
            node.offset_ms += by_ms;
        }
    };
    shift(&mut world, HOUR_MS);
    world.run(5_000);
    expect(&world, &[Mark::WallJumpForward, Mark::ClockRefuted]);
    shift(&mut world, -HOUR_MS);
    world.settle();
    world.crash(2);
    world.hosts[2].offset_ms += HOUR_MS;
    world.start(2, true);
    world.run(5_000);
    expect(&world, &[Mark::PeerClockRefused]);
    shift(&mut world, -HOUR_MS);
    world.settle();
    expect(&world, &[Mark::WallJumpBackward, Mark::ClockAdopted, Mark::NewLifeJump, Mark::GoneMarkSet]);
}

#[test]
fn a_joiner_that_verifies_and_one_that_is_alone() {
    let mut world = World::new(4, 2);
    world.settle();
    for _ in 0..20 {
        world.create(0, &[("user", "ada")]);
    }
    world.settle();
    world.crash(1);
    world.start(1, true);
    world.settle();
    expect(&world, &[Mark::VerifiedJoin, Mark::RoundWindowFull]);
    let mut alone = World::new(5, 1);
    alone.settle();
    expect(&alone, &[Mark::Solo]);
    alone.input(0, Input::Ask { token: 1, id: sessionmesh_sim::id(9) });
    expect(&alone, &[Mark::AskNobodyLinked]);
}

#[test]
fn what_ends_and_what_is_refused_leaves_its_marks() {
    let mut world = World::with_limits(6, 2, Limits { partitions: 8, max_fields: 2, ..Limits::default() });
    world.settle();
    let id = world.fresh_id();
    assert!(world.create_with(0, id, &[("a", "1")], Ttl::Sliding(60_000), 3_600_000).is_ok());
    assert!(world.create_with(0, id, &[], Ttl::Sliding(60_000), 3_600_000).is_err());
    assert!(world.edit(0, id, &[("a", None)]).is_ok());
    assert!(world.edit(0, id, &[("a", Some("1")), ("b", Some("1")), ("c", Some("1"))]).is_err());
    assert!(world.set_ttl(0, id, Ttl::Sliding(10_000)).is_ok());
    let now = world.now(0);
    let same = Change { skip_unchanged: true, ..Change::default() };
    assert!(world.replica(0).edit(id, now, &same).is_ok_and(|w| !w.wrote));
    world.settle();
    world.run(120_000);
    assert!(world.dump(0).is_empty(), "reaped");
    expect(
        &world,
        &[
            Mark::IdTaken,
            Mark::RemovalKept,
            Mark::FieldLimitRefused,
            Mark::TtlShortened,
            Mark::EditSkipped,
            Mark::ExpiredRetained,
            Mark::ReapedStable,
        ],
    );
}

/// A reader that holds a record makes the next write of it move.
#[test]
fn a_held_record_moves_when_it_is_written() {
    let mut world = World::new(7, 1);
    world.settle();
    let id = world.create(0, &[("user", "ada")]);
    // From here on the record keeps its size: one op for the birth, one for the field.
    assert!(world.edit(0, id, &[("user", Some("eve"))]).is_ok());
    let held = world.lookup(0, id);
    assert!(world.edit(0, id, &[("user", Some("bob"))]).is_ok());
    drop(held);
    expect(&world, &[Mark::ArenaMoved, Mark::ArenaPinned]);
}

#[test]
fn strange_frames_are_told_apart() {
    let mut world = World::new(8, 2);
    world.settle();
    let peer = world.origin(0);
    for bytes in [&[2, 99][..], &[2, 1, 0xc1], &[], &[99, 1, 0]] {
        world.input(1, Input::Frame { peer, bytes });
        world.run(5_000);
    }
    world.input(1, Input::Frame { peer: sessionmesh_sim::origin('Q'), bytes: &[] });
    expect(
        &world,
        &[
            Mark::UnknownKindIgnored,
            Mark::FrameBody,
            Mark::FrameShort,
            Mark::FrameVersion,
            Mark::FrameWithoutLink,
        ],
    );
}
