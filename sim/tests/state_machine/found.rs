//! What the simulator's random runs have found in the core, shrunk to one directed execution each. Each test opens with
//! the story of its bug.

use sessionmesh::core::limits::{Limits, MAX_RANGES};
use sessionmesh::core::marks::Mark;
use sessionmesh::core::node::Input;
use sessionmesh::core::replica::{Change, EntrySink, PageOutcome};
use sessionmesh::core::session::{SessionId, State, Ttl};
use sessionmesh::core::wire::{AuditDiff, Digest, EntryWriter, Message, Purpose, decode, encode_push_part};
use sessionmesh_sim::{EPOCH_MS, Life, World, id, origin};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
const HALF_HOUR: Ttl = Ttl::Sliding(30 * MINUTE_MS);

fn life(letter: char) -> Life {
    Life::new(origin(letter), EPOCH_MS)
}

fn born(life: &mut Life, id: SessionId, value: &str) {
    assert!(life.create(id, &[("f", Some(value))], HALF_HOUR, 20 * HOUR_MS).is_ok());
}

fn set(life: &mut Life, id: SessionId, value: &str) {
    assert!(life.set(id, "f", Some(value)).is_ok());
}

fn at(minutes: u64, lives: &mut [&mut Life]) {
    lives.iter_mut().for_each(|l| l.wall_ms = EPOCH_MS + minutes * MINUTE_MS);
}

fn ttl(minutes: u64) -> Change<'static> {
    Change { ttl: Some(Ttl::Sliding(minutes * MINUTE_MS)), ..Change::default() }
}

fn push(life: &mut Life, cursor: u64) -> Vec<u8> {
    life.push(cursor).expect("something to push").0
}

fn hash(life: &Life) -> u64 {
    life.partition.cov_hash(life.wall_ms, &life.limits)
}

/// An id of partition `ix` of eight.
fn id_in(ix: u16) -> SessionId {
    (0..).map(id).find(|id| id.partition(8) == ix).expect("there is one in every partition")
}

/// A push that keeps its claims and loses its entries.
fn hollow(frame: &[u8]) -> Vec<u8> {
    let Ok(Message::Push(push)) = decode(frame) else { panic!("not a push") };
    let mut parts = Vec::new();
    for part in &push.parts {
        encode_push_part(push.header.base_counter, part.partition, (part.lo, part.hi), 0, &[], &mut parts);
    }
    push.header.encode(push.version, push.parts.len() as u32, &parts)
}

fn pulled(world: &World) -> u64 {
    world.nodes.iter().flatten().map(|n| n.node.stats().rounds_pulled).sum()
}

// ----- a held dot is covered ------------------------------------------------------------------------------------

/// B held W's write from a push that it could not adopt (another part of it was of an unknown session), so that it did
/// not cover it. It covered the older write of A which that one had superseded. A page of B claimed A's write, whose
/// dot was in no index any more, and did not ship W's, which was not covered: C covered a write whose effect it never
/// got. Then W died, and B and C stayed different under equal coverage.
#[test]
fn what_a_push_brought_is_shipped_though_the_push_was_not_adopted() {
    let [mut a, mut b, mut c, mut w] = ['A', 'B', 'C', 'W'].map(life);
    born(&mut a, id(1), "0");
    [&mut b, &mut c, &mut w].into_iter().for_each(|l| _ = l.pull(&mut a));
    set(&mut a, id(1), "old");
    b.pull(&mut a);
    born(&mut w, id(9), "unknown to B");
    let cursor = w.counter();
    set(&mut w, id(9), "a part");
    w.wall_ms += 1_000;
    set(&mut w, id(1), "new");
    assert_eq!(b.take_push(w.origin, &push(&mut w, cursor)), Ok(false));
    assert_eq!(b.field(id(1), "f").as_deref(), Some("new"));
    // A and W crash.
    drop((a, w));
    c.pull(&mut b);
    assert_eq!(hash(&b), hash(&c));
    assert_eq!(b.spelled(), c.spelled());
}

/// A held what the first page of a round had brought, and its sender died before the second: nobody that was left
/// covered those dots, so no page ever carried them, and A alone went on showing the sessions.
#[test]
fn what_half_a_round_brought_is_shipped_after_its_sender_died() {
    let [mut a, mut b, mut c] = ['A', 'B', 'C'].map(life);
    (1..20).for_each(|n| born(&mut b, id(n), "1"));
    b.limits.page_bytes = 300;
    let first = b.page_for(&a, &[]);
    assert_eq!(a.take_page(b.origin, &first, &[]), Ok(PageOutcome::More(vec![])));
    drop(b);
    c.pull(&mut a);
    assert!(c.visible(id(1)), "the first of its sessions");
    assert_eq!(hash(&a), hash(&c));
    assert_eq!(a.spelled(), c.spelled());
}

/// A node in the middle of taking in a partition has a range for every dot it holds, so a page for it may claim as many
/// as it holds sessions, and one more. A page is cut at the number of ranges a node remembers.
#[test]
fn a_page_claims_no_more_ranges_than_are_remembered() {
    let (mut a, mut b) = (life('A'), life('B'));
    b.limits.page_bytes = 16 << 20;
    for n in 0..MAX_RANGES as u64 + 100 {
        born(&mut b, id(n), "1");
        b.skip_counters(1);
    }
    b.skip_counters(1);
    born(&mut b, id(1 << 40), "last");
    let whole = b.page_for(&a, &[]);
    // An answer that is no longer current: its entries count, its claims do not.
    a.partition.reincarnate(origin('Z'));
    assert_eq!(a.take_page(b.origin, &whole, &[]), Ok(PageOutcome::Stale));
    assert_eq!(a.partition.coverage().map(|(_, r)| r.ranges().len()).sum::<usize>(), MAX_RANGES);
    let rest = b.page_for(&a, &[]);
    let Ok(Message::Page(page)) = decode(&rest) else { panic!("not a page") };
    assert_eq!((page.header.claims[0].1.ranges().len(), page.header.complete), (MAX_RANGES, false));
    assert!(a.pull(&mut b) <= 3);
    assert_eq!(hash(&a), hash(&b));
}

// ----- pushes ---------------------------------------------------------------------------------------------------

/// The high-water mark that superseded a pushed op's own was shipped without the rest of what its op wrote. That op's
/// dot is covered where it arrives; its field had been superseded by a third write, which was not in the push: the
/// receiver covered a field's write and held nothing of that field, and whoever still held it did not send it.
#[test]
fn a_push_that_carries_anothers_op_carries_the_whole_session() {
    let [mut a, mut b, mut c, mut d] = ['A', 'B', 'C', 'D'].map(life);
    born(&mut a, id(1), "0");
    [&mut b, &mut c].into_iter().for_each(|l| _ = l.pull(&mut a));
    let both = Change { fields: vec![("g", Some(b"1"))], ..ttl(120) };
    assert!(b.edit(id(1), &both).is_ok());
    d.pull(&mut b);
    assert!(b.set(id(1), "g", Some("2")).is_ok());
    a.wall_ms += 1_000;
    let cursor = a.counter();
    assert!(a.edit(id(1), &ttl(60)).is_ok());
    a.pull(&mut b);
    assert_eq!(c.take_push(a.origin, &push(&mut a, cursor)), Ok(true));
    // A and B crash.
    c.pull(&mut d);
    assert_eq!(c.field(id(1), "g").as_deref(), Some("2"));
    assert_eq!(a.spelled(), c.spelled());
}

/// The same with an earlier op of the pusher's own, whose push was lost.
#[test]
fn a_push_that_carries_an_earlier_own_op_carries_the_whole_session() {
    let [mut a, mut c, mut d] = ['A', 'C', 'D'].map(life);
    born(&mut a, id(1), "0");
    c.pull(&mut a);
    let both = Change { fields: vec![("g", Some(b"1"))], ..ttl(120) };
    assert!(a.edit(id(1), &both).is_ok());
    d.pull(&mut a);
    assert!(a.set(id(1), "g", Some("2")).is_ok());
    let cursor = a.counter();
    a.wall_ms += 1_000;
    assert!(a.edit(id(1), &ttl(60)).is_ok());
    assert_eq!(c.take_push(a.origin, &push(&mut a, cursor)), Ok(true));
    drop(a);
    c.pull(&mut d);
    assert_eq!(c.field(id(1), "g").as_deref(), Some("2"));
}

/// A session was reaped before a slow peer had been sent its last write, and its slot was given to a session of another
/// node. The push had an entry for it without a single op, which its receiver took for an attack: it closed the link.
#[test]
fn a_push_leaves_out_a_write_whose_slot_has_another_session() {
    let [mut a, mut c, mut m] = ['A', 'C', 'M'].map(life);
    assert!(m.create(id(2), &[("f", Some("1"))], Ttl::Sliding(10 * HOUR_MS), 20 * HOUR_MS).is_ok());
    a.wall_ms += 1_000;
    born(&mut a, id(1), "1");
    let cursor = a.counter();
    set(&mut a, id(1), "2");
    at(40, &mut [&mut a, &mut c, &mut m]);
    a.reap();
    a.pull(&mut m);
    assert!(a.partition.get(id(1)).is_none() && a.visible(id(2)));
    assert_eq!(c.take_push(a.origin, &push(&mut a, cursor)), Ok(true));
    assert!(c.partition.covers(a.origin, 2));
}

/// A push names one time after which nothing in it matters, the latest of all its partitions. Receivers took it for each
/// of them. The writer let go of a short session's partition after minutes and they would after a day: their hashes
/// differed with nothing to exchange, they ran a round every 100 ms, and then its entry came back from them.
#[test]
fn lifetimes_that_share_a_push_end_each_at_its_time() {
    let mut world = World::new(21, 3);
    world.settle();
    let (brief, long) = (id_in(1), id_in(6));
    let now = world.now(0);
    let some = Change { fields: vec![("f", Some(b"1"))], ..Change::default() };
    for (id, life_ms) in [(brief, MINUTE_MS), (long, DAY_MS)] {
        assert!(world.replica(0).create(id, now, &some, Ttl::Sliding(DAY_MS), now.wall_ms + life_ms).is_ok());
    }
    let before = world.sent.1;
    world.input(0, Input::News);
    assert_eq!(world.sent.1 - before, 2, "one push to each peer");
    world.run(2 * MINUTE_MS);
    let before = pulled(&world);
    world.run(6 * MINUTE_MS);
    assert_eq!(pulled(&world), before, "rounds that found hashes unequal");
    for ix in 0..8 {
        let hash = |at| world.replica(at).shared(ix, |p| p.cov_hash(world.now(at).wall_ms, &world.limits));
        assert!((1..3).all(|at| hash(at) == hash(0)), "partition {ix}");
    }
    let left: Vec<usize> = (0..3).map(|at| world.replica(at).shared(1, |p| p.coverage().count())).collect();
    assert_eq!(left, [0, 0, 0], "and the writer is forgotten where only the short session was");
}

/// A push took the lowest partition with news first. On a loaded node that one had news again before the push was
/// acknowledged, and the highest partitions were never pushed.
#[test]
fn no_partition_is_kept_from_pushes_by_a_busier_one() {
    // Rounds, which would repair it, are hours away; a push holds one partition.
    let limits = Limits { partitions: 8, sync_interval_ms: HOUR_MS, page_bytes: 16, ..Limits::default() };
    let mut world = World::with_limits(22, 2, limits);
    world.settle();
    let (busy, quiet) = (id_in(0), id_in(7));
    for id in [busy, quiet] {
        assert!(world.create_with(0, id, &[("f", "0")], HALF_HOUR, DAY_MS).is_ok());
    }
    world.settle();
    for n in 0..100 {
        let value = format!("{n}");
        assert!(world.edit(0, busy, &[("f", Some(&value))]).is_ok());
        if n == 0 {
            assert!(world.edit(0, quiet, &[("f", Some("1"))]).is_ok());
        }
        world.run(1);
    }
    assert_eq!(world.field(1, quiet, "f").as_deref(), Some("1"));
}

// ----- rounds and audits ----------------------------------------------------------------------------------------

/// Two nodes whose hashes differ with nothing to exchange (then: because they disagreed on when an origin is over) asked
/// each other again after 100 ms, for as long as that lasted.
#[test]
fn a_round_that_brought_nothing_waits_before_the_next() {
    let mut world = World::new(23, 2);
    world.settle();
    world.tamper = Some(|_, frame| match decode(&frame) {
        Ok(Message::Digest(digest)) => Digest { root: !digest.root, ..digest }.encode(2),
        _ => frame,
    });
    world.run(5_000);
    let before = pulled(&world);
    world.run(MINUTE_MS);
    let rounds = pulled(&world) - before;
    assert!(
        (60..=130).contains(&rounds),
        "{rounds} rounds of two nodes in a minute, meant to be one a second"
    );
}

/// An audit found a difference while another round was under way, and forgot it: the next look at that partition with
/// that peer came hours later (one of 256 partitions a minute, with one of the peers).
#[test]
fn an_audit_difference_found_during_a_round_is_fetched_after_it() {
    // No audit by itself.
    let limits = Limits { partitions: 8, audit_interval_ms: u64::MAX / 4, ..Limits::default() };
    let mut world = World::with_limits(24, 2, limits);
    world.settle();
    world.tamper =
        Some(|_, frame| if matches!(decode(&frame), Ok(Message::Push(_))) { hollow(&frame) } else { frame });
    let id = world.create(1, &[("user", "ada")]);
    let (peer, partition) = (world.origin(1), id.partition(8));
    world.run(3_000);
    world.tamper = None;
    assert!(world.replica(0).shared(partition, |p| p.covers(peer, 1)) && !world.visible(0, id));
    // Node 0 waits for an answer to its digest.
    world.net.cuts.insert((1, 0));
    world.run(1_500);
    let found = AuditDiff { request: Purpose::Routine, partitions: vec![partition] }.encode(2);
    world.input(0, Input::Frame { peer, bytes: &found });
    let hit =
        world.nodes[0].as_ref().map(|n| Mark::all_in(n.node.hit_marks()).any(|m| m == Mark::AuditDiffLeft));
    assert_eq!(hit, Some(true), "a round is under way");
    world.net.cuts.clear();
    world.run(5_000);
    assert_eq!(world.field(0, id, "user").as_deref(), Some("ada"));
}

/// A destroy of a session the receiver had never seen was claimed and not sent. Sums went over live sessions only, so no
/// audit saw it, and a late copy of the session would have been shown for good.
#[test]
fn an_audit_sees_a_destroy_that_was_claimed_and_not_sent() {
    let (mut a, mut b) = (life('A'), life('B'));
    born(&mut a, id(1), "1");
    assert!(a.destroy(id(1)).is_ok());
    assert_eq!(b.take_push(a.origin, &hollow(&push(&mut a, 0))), Ok(true));
    assert_eq!(hash(&a), hash(&b));
    assert_ne!(sum(&a), sum(&b));
}

/// The same of a touch: the session would have expired on one node and gone on on the other.
#[test]
fn an_audit_sees_a_touch_that_was_claimed_and_not_sent() {
    let (mut a, mut b) = (life('A'), life('B'));
    born(&mut a, id(1), "1");
    b.pull(&mut a);
    assert_eq!(sum(&a), sum(&b));
    let cursor = a.counter();
    at(10, &mut [&mut a, &mut b]);
    assert!(a.edit(id(1), &Change::default()).is_ok_and(|w| w.wrote));
    assert_eq!(b.take_push(a.origin, &hollow(&push(&mut a, cursor))), Ok(true));
    assert_eq!(hash(&a), hash(&b));
    assert_ne!(sum(&a), sum(&b));
}

/// And of a high-water mark: with a lower one the session is reaped while another member may still extend it.
#[test]
fn an_audit_sees_a_high_water_mark_that_is_missing() {
    let (mut a, mut b) = (life('A'), life('B'));
    born(&mut a, id(1), "1");
    assert!(a.edit(id(1), &ttl(120)).is_ok() && a.edit(id(1), &ttl(60)).is_ok());
    b.pull(&mut a);
    assert_eq!(sum(&a), sum(&b));
    let mut c = life('C');
    let page = without_mark(&mut a, &c);
    assert_eq!(c.take_page(a.origin, &page, &[]), Ok(PageOutcome::Adopted));
    assert_eq!((c.field(id(1), "f"), hash(&c)), (a.field(id(1), "f"), hash(&a)));
    assert_ne!(sum(&a), sum(&c));
}

fn sum(life: &Life) -> Option<u64> {
    let sum = life.partition.audit_sum(life.wall_ms, &life.limits);
    assert!(sum.is_some(), "evidence");
    sum
}

/// The page for `asker` without the op that raised the highest ttl of its only session.
fn without_mark(life: &mut Life, asker: &Life) -> Vec<u8> {
    let whole = life.page_for(asker, &[]);
    let Ok(Message::Page(page)) = decode(&whole) else { panic!("not a page") };
    let record = life.partition.get(id(1)).expect("held");
    let State::Live(live) = record.state() else { panic!("dead") };
    let raised = live.high_sliding.map(|mark| live.ops[mark.op as usize].ver).expect("a mark");
    let mut writer = EntryWriter::new(page.bases(), None);
    writer.entry(id(1), &State::Live(live.restrict(&|ver| !ver.same_dot(&raised))), life.partition.origins());
    let (n, body) = writer.take();
    page.header.encode(page.version, n, &body)
}
