//! What replication costs on the wire: bytes and frames are exact in virtual time, so they are assertions.

use sessionmesh::core::limits::Limits;
use sessionmesh::core::node::Input;
use sessionmesh::core::replica::Change;
use sessionmesh::core::session::{SessionId, Ttl};
use sessionmesh_sim::World;
use sessionmesh_sim::world::Lie;

const HALF_HOUR: Ttl = Ttl::Sliding(1_800_000);
const DAY_MS: u64 = 24 * 3_600_000;

fn full_size() -> Limits {
    // No audit: it has its own test, and its random partitions would blur the figures.
    Limits { audit_interval_ms: u64::MAX / 4, ..Limits::default() }
}

/// 1 KiB in eight fields with names of four bytes.
fn kibibyte() -> Vec<(String, String)> {
    (0..8).map(|n| (format!("key{n}"), "v".repeat(124))).collect()
}

/// Spends counters, as the writes of a busy day would.
fn busy_day(world: &mut World, at: usize, ops: u64) {
    let throwaway = world.fresh_id();
    let (replica, now) = (world.replica(at), world.now(at));
    let change = Change { fields: vec![("n", Some(b"1"))], ..Change::default() };
    assert!(replica.create(throwaway, now, &change, HALF_HOUR, now.wall_ms + DAY_MS).is_ok());
    for _ in 1..ops {
        assert!(replica.edit(throwaway, now, &change).is_ok());
    }
    assert_eq!(replica.counter(), ops);
}

/// Two nodes that have each written much, and 50 sessions made on node 1, held by both.
fn two_busy_nodes() -> (World, Vec<SessionId>) {
    let mut world = World::with_limits(5, 2, full_size());
    busy_day(&mut world, 0, 150_000);
    busy_day(&mut world, 1, 120_000);
    world.settle();
    let fields = kibibyte();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let ids: Vec<SessionId> = (0..50).map(|_| world.fresh_id()).collect();
    for &id in &ids {
        assert!(world.create_with(1, id, &fields, HALF_HOUR, DAY_MS).is_ok());
        world.run(37);
    }
    world.settle();
    // Every partition has had an own write before, as it would have after thousands.
    for _ in 0..3_000 {
        world.create(0, &[("n", "1")]);
        world.run(3);
    }
    world.settle();
    (world, ids)
}

/// Bytes of the frames that a change of 20 bytes of each of these sessions sends at once.
fn cost_of_change(world: &mut World, ids: &[SessionId]) -> u64 {
    let (replica, now, before) = (world.replica(0), world.now(0), world.sent);
    for (n, id) in ids.iter().enumerate() {
        let value = format!("{n:020}");
        let change = Change { fields: vec![("key3", Some(value.as_bytes()))], ..Change::default() };
        assert!(replica.edit(*id, now, &change).is_ok());
    }
    world.input(0, Input::News);
    assert_eq!(world.sent.1 - before.1, 1, "one push, whatever the number of partitions");
    world.sent.0 - before.0
}

#[test]
fn a_change_of_20_bytes_costs_at_most_100_bytes_alone_and_75_in_company() {
    let (mut world, ids) = two_busy_nodes();
    let alone = cost_of_change(&mut world, &ids[..1]);
    world.run(1_000);
    let batched = cost_of_change(&mut world, &ids) as f64 / 50.0;
    world.run(300_000);
    let alone_touched = cost_of_change(&mut world, &ids[1..2]);
    world.run(1_000);
    let batched_touched = cost_of_change(&mut world, &ids) as f64 / 50.0;
    println!(
        "alone {alone} ({alone_touched} with a touch), of 50 {batched} ({batched_touched} with a touch)"
    );
    assert!(alone <= 100 && alone_touched <= 100, "{alone}, {alone_touched}");
    assert!(batched <= 75.0 && batched_touched <= 75.0, "{batched}, {batched_touched} bytes a change");
    world.settle();
}

/// Bytes and frames of a minute in which nothing happens, on five nodes that hold this many sessions.
fn idle_minute(sessions: usize) -> (u64, u64) {
    let mut world = World::with_limits(3, 5, full_size());
    world.settle();
    for _ in 0..sessions {
        let id = world.fresh_id();
        let now = world.now(0);
        let change = Change { fields: vec![("user", Some(b"ada"))], ..Change::default() };
        assert!(
            world.replica(0).create(id, now, &change, Ttl::Sliding(DAY_MS), now.wall_ms + DAY_MS).is_ok()
        );
    }
    world.input(0, Input::News);
    world.run(400_000);
    assert!(world.converged());
    assert_eq!(world.replica(4).counts().sessions, sessions as u64);
    let before = world.sent;
    world.run(60_000);
    (world.sent.0 - before.0, world.sent.1 - before.1)
}

#[test]
fn idle_traffic_does_not_depend_on_the_number_of_sessions() {
    let (bytes, frames) = idle_minute(0);
    println!(
        "idle: {:.1} bytes and {:.2} frames a node and second",
        bytes as f64 / 300.0,
        frames as f64 / 300.0
    );
    assert_eq!(idle_minute(1_000), (bytes, frames));
    assert_eq!(idle_minute(20_000), (bytes, frames));
}

/// An adapter saves the whole session map at the end of every request, changed or not.
#[test]
fn an_adapters_save_of_unchanged_values_sends_nothing() {
    let mut world = World::with_limits(4, 3, full_size());
    world.settle();
    let id = world.create(0, &[("user", "ada"), ("cart", "3")]);
    world.settle();
    let (replica, now, before) = (world.replica(1), world.now(1), world.sent);
    let fields: Vec<(&str, Option<&[u8]>)> = vec![("user", Some(b"ada")), ("cart", Some(b"3"))];
    let save = Change { fields, skip_unchanged: true, clear: true, ..Change::default() };
    let skipped = replica.edit(id, now, &save).expect("the session is there");
    world.input(1, Input::News);
    assert_eq!(world.sent, before, "not a byte");
    assert!(!skipped.wrote);
    // A plain set always writes (docs/ALGORITHM.md §10): the receipt names the dot of the winner, which others may
    // still lack.
    assert_eq!(skipped.dot.origin, world.origin(0));
    // An explicit set writes all the same.
    let set = Change { skip_unchanged: false, ..save };
    assert!(replica.edit(id, now, &set).expect("the session is there").wrote);
    world.input(1, Input::News);
    assert_eq!(world.sent.1 - before.1, 2, "one push to each peer");
}

/// A peer that claims what it does not send (a bug, bit rot, malice): vectors come out equal, contents do not.
#[test]
fn a_peer_that_claims_what_it_did_not_send_is_found_named_and_made_good() {
    let limits = Limits { partitions: 8, audit_interval_ms: 5_000, ..Limits::default() };
    let mut world = World::with_limits(11, 3, limits);
    world.settle();
    world.lies.insert(2, (Lie::PushWithoutEntries, Vec::new()));
    let id = world.create(2, &[("user", "ada")]);
    let liar = world.origin(2);
    world.run(3_000);
    world.lies.clear();
    assert!(!world.visible(0, id) && !world.visible(1, id), "nothing arrived");
    let counter = world.replica(2).counter();
    let partition = id.partition(world.limits.partitions);
    assert!(world.replica(0).shared(partition, |p| p.covers(liar, counter)), "and yet it is covered");
    world.run(200_000);
    for at in 0..2 {
        assert_eq!(world.field(at, id, "user").as_deref(), Some("ada"), "refetched on node {at}");
        let warnings = world.nodes[at].as_ref().map(|n| n.warnings.join("\n")).unwrap_or_default();
        assert!(
            warnings.contains(&format!("peer {liar}: claimed writes it never sent")),
            "node {at}: {warnings}"
        );
    }
    world.settle();
}
