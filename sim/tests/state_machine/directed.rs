//! One directed execution for each failure of the algorithm's drafts and each rule that came of one. Random
//! search hardly finds these; each test opens with the story of its bug.
//!
//! Some were found with partitions that are dropped and re-created (R copies of N). Partitions are never
//! dropped here; those tests cover what exists of them: own coverage that restarts, epochs in pages, kept tombstones.

use sessionmesh::core::causality::Origin;
use sessionmesh::core::limits::Limits;
use sessionmesh::core::node::Input;
use sessionmesh::core::replica::{Change, GONE, Lookup, PageOutcome, Stamper, WriteError};
use sessionmesh::core::session::{SessionId, Ttl};
use sessionmesh::core::time::Now;
use sessionmesh::core::wire::{Digest, Message, PageHeader, decode};
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

fn page_of(frame: &[u8]) -> PageHeader {
    match decode(frame) {
        Ok(Message::Page(page)) => page.header,
        other => panic!("not a page: {other:?}"),
    }
}

/// What `a` covers of `b`'s writes.
fn ranges_of(a: &Life, b: &Life) -> Vec<(u64, u64)> {
    let of = a.partition.coverage().find(|(origin, _)| *origin == b.origin);
    of.map(|(_, ranges)| ranges.ranges().to_vec()).unwrap_or_default()
}

/// Sessions that `a` has reaped (it knows of no other member) while `b` kept them alive by touches.
fn reaped_here_alive_there(n: u64) -> (Life, Life) {
    let (mut a, mut b) = (life('A'), life('B'));
    (0..n).for_each(|n| born(&mut b, id(n), "1"));
    a.pull(&mut b);
    at(20, &mut [&mut a, &mut b]);
    (0..n).for_each(|n| set(&mut b, id(n), "2"));
    at(31, &mut [&mut a, &mut b]);
    // The freshness that the pull brought is forgotten, so that the reaping is as rash as the bug needs.
    a.partition.refresh(&[(b.origin, EPOCH_MS + HOUR_MS)]);
    a.reap();
    assert!((0..n).all(|n| a.partition.get(id(n)).is_none()), "reaped");
    (a, b)
}

// ----- failures ----------------------------------------------------------------------------------------------

/// A page was adopted all or nothing, and a part for an unknown session made it nothing; the whole records asked
/// for counted against the budget, so the next page was cut before them: rounds that never progressed.
#[test]
fn parts_for_unknown_sessions_do_not_stop_a_round() {
    let (mut a, mut b) = reaped_here_alive_there(60);
    b.limits.page_bytes = 300;
    let pages = a.pull(&mut b);
    assert!((0..60).all(|n| a.field(id(n), "f").as_deref() == Some("2")));
    assert!(pages <= 60, "{pages} pages for 60 sessions of which four fit a page");
}

/// The other half. Claims are cut before the first part that could not be applied: a round that dies right after
/// such a page must not have claimed it, or nobody would send the session again.
#[test]
fn a_claim_stops_before_what_could_not_be_applied() {
    let (mut a, mut b) = reaped_here_alive_there(3);
    let frame = b.page_for(&a, &[]);
    let outcome = a.take_page(b.origin, &frame, &[]);
    assert!(matches!(outcome, Ok(PageOutcome::More(need)) if need.len() == 3));
    // The link dies, and with it the memory of what was to be forced.
    a.pull(&mut b);
    assert!((0..3).all(|n| a.field(id(n), "f").as_deref() == Some("2")));
}

/// After its partition was dropped and re-created, a node that wrote again claimed `1..=c` of its own origin,
/// though the old dots were gone. What exists here: an idle origin's own entry is pruned once all of it is over, for
/// anybody; only then may the next claim reach back over it.
#[test]
fn an_own_claim_reaches_back_only_over_what_is_over() {
    let mut a = life('A');
    born(&mut a, id(1), "1");
    at(3 * 24 * 60, &mut [&mut a]);
    a.reap();
    a.partition.prune(a.wall_ms, &a.limits);
    assert_eq!(a.partition.coverage().count(), 0, "nothing is left of a day ago");
    a.skip_counters(5);
    born(&mut a, id(2), "1");
    let claimed: Vec<_> = a.partition.coverage().map(|(_, r)| r.ranges().to_vec()).collect();
    assert_eq!(claimed, [vec![(1, 7)]], "what was before is over");
}

/// Page 1 claimed dots of which one was superseded by something on page 2; the sender crashed in between. Nobody
/// sent the superseded value to the claimer again, since it claimed the dot: f stayed empty with equal vectors.
#[test]
fn the_claims_of_a_round_that_dies_between_two_pages_count_nothing() {
    let (mut a, mut b, mut c) = (life('A'), life('B'), life('C'));
    assert!(b.create(id(1), &[], HALF_HOUR, HOUR_MS).is_ok());
    a.pull(&mut b);
    c.pull(&mut b);
    set(&mut b, id(1), "100");
    c.pull(&mut b);
    (2..20).for_each(|n| born(&mut b, id(n), "filler"));
    set(&mut b, id(1), "101");
    b.limits.page_bytes = 300;
    let first_page = b.page_for(&a, &[]);
    assert_eq!(a.take_page(b.origin, &first_page, &[]), Ok(PageOutcome::More(vec![])));
    // B crashes. What C holds is now the newest of the living.
    drop(b);
    a.pull(&mut c);
    assert_eq!(a.field(id(1), "f").as_deref(), Some("100"));
}

/// The same in a push: the op pushed is superseded before the push leaves. The push must carry what superseded it, or
/// its claim would be a lie towards a receiver that dies with us.
#[test]
fn a_push_carries_what_superseded_its_ops() {
    let (mut a, mut b, mut c) = (life('A'), life('B'), life('C'));
    born(&mut a, id(1), "0");
    b.pull(&mut a);
    c.pull(&mut a);
    let cursor = a.counter();
    set(&mut a, id(1), "mine");
    b.clock.observe(a.clock.latest());
    set(&mut b, id(1), "theirs");
    a.pull(&mut b);
    let (push, hi) = a.push(cursor).expect("something to push");
    assert_eq!((c.take_push(a.origin, &push), hi), (Ok(true), 2));
    assert_eq!(c.field(id(1), "f").as_deref(), Some("theirs"));
}

/// The same of marks: the op pushed raised the high-water mark of the ttl, and a *greater* mark with an earlier stamp
/// arrived before the push left. The push shipped the ttl without any mark: its receiver covered the op and held a
/// mark below it, so that it could reap a session another member still thought alive.
#[test]
fn a_push_carries_the_high_water_marks_that_superseded_its_own() {
    let (mut a, mut b, mut c) = (life('A'), life('B'), life('C'));
    born(&mut a, id(1), "0");
    b.pull(&mut a);
    c.pull(&mut a);
    let cursor = a.counter();
    let ttl = |minutes| Change { ttl: Some(Ttl::Sliding(minutes * MINUTE_MS)), ..Change::default() };
    assert!(b.edit(id(1), &ttl(120)).is_ok());
    a.wall_ms += 1_000;
    assert!(a.edit(id(1), &ttl(60)).is_ok());
    a.pull(&mut b);
    let (push, _) = a.push(cursor).expect("something to push");
    c.wall_ms += 1_000;
    assert_eq!(c.take_push(a.origin, &push), Ok(true));
    let stable = |l: &Life| l.partition.get(id(1)).map(|r| r.stable_deadline_ms());
    assert_eq!(stable(&c), stable(&a), "C covers A's op, so it holds a mark at least as high");
}

/// A node reaped an expired session but kept claiming its dots; a partitioned peer's late touch revived it from
/// a *stale copy*; the newer value, held by others, was never asked for again. So a session is reaped only when no
/// member can still extend it.
#[test]
fn an_expired_session_stays_until_no_member_can_extend_it() {
    let (mut a, mut m) = (life('A'), life('M'));
    born(&mut m, id(1), "old");
    a.pull(&mut m);
    set(&mut a, id(1), "new");
    at(29, &mut [&mut a, &mut m]);
    assert!(m.set(id(1), "g", Some("touch")).is_ok());
    at(40, &mut [&mut a, &mut m]);
    a.reap();
    assert!(!a.visible(id(1)), "expired here");
    a.pull(&mut m);
    assert_eq!(a.field(id(1), "f").as_deref(), Some("new"), "alive again, with the newer value");
    // Once M's state is incorporated past the deadline, nothing holds it.
    at(75, &mut [&mut a, &mut m]);
    a.pull(&mut m);
    a.reap();
    assert!(a.partition.get(id(1)).is_none());
}

/// A page computed against the base of a node's previous life arrived after its restart; adopting its claims
/// covered what the new life never received. Here the page claims a write without shipping it, since the previous life
/// held what superseded it; another node still has that write, and must be asked for it.
#[test]
fn an_answer_to_a_previous_life_is_joined_but_claims_nothing() {
    let [mut a, mut b, mut c, mut d, mut old] = ['A', 'B', 'C', 'D', 'O'].map(life);
    born(&mut b, id(1), "0");
    [&mut a, &mut c, &mut old].into_iter().for_each(|l| _ = l.pull(&mut b));
    set(&mut b, id(1), "of B");
    d.pull(&mut b);
    c.wall_ms += 1_000;
    set(&mut c, id(1), "of C");
    a.pull(&mut c);
    b.pull(&mut c);
    born(&mut b, id(2), "2");
    let late = b.page_for(&a, &[]);
    assert_eq!(page_of(&late).claims[0].1.ranges(), [(2, 3)], "one range of B");
    let mut reborn = Life::new(origin('Z'), EPOCH_MS);
    reborn.pull(&mut old);
    let outcome = reborn.take_page(b.origin, &late, &[]);
    assert!(reborn.visible(id(2)) && reborn.partition.covers(b.origin, 3), "the join is always safe");
    assert!(!reborn.partition.covers(b.origin, 2), "it has neither this write nor what superseded it");
    assert_eq!(outcome, Ok(PageOutcome::Stale));
    // B and C crash.
    reborn.pull(&mut d);
    assert_eq!(reborn.field(id(1), "f").as_deref(), Some("of B"));
}

/// The same within one process: a new life began (a jump of the clock) between the request and its answer. What the
/// answer holds is covered, since it is held; what it only claims is not.
#[test]
fn an_answer_from_before_a_new_life_claims_nothing() {
    let (mut a, mut b) = (life('A'), life('B'));
    born(&mut b, id(1), "1");
    a.pull(&mut b);
    set(&mut b, id(1), "superseded");
    set(&mut b, id(1), "3");
    let late = b.page_for(&a, &[]);
    a.partition.reincarnate(origin('Z'));
    let outcome = a.take_page(b.origin, &late, &[]);
    assert_eq!(ranges_of(&a, &b), [(1, 1), (3, 3)]);
    assert_eq!(outcome, Ok(PageOutcome::Stale));
    a.pull(&mut b);
    assert_eq!(ranges_of(&a, &b), [(1, 3)]);
}

/// A peer dropped and re-created its partition between two pages; its short "complete" page made the claims of
/// the first one count. What exists here: claims of an unfinished round are kept under the sender's epoch.
#[test]
fn claims_of_an_earlier_epoch_are_dropped() {
    let (mut a, mut b) = (life('A'), life('B'));
    born(&mut b, id(1), "1");
    set(&mut b, id(1), "superseded");
    set(&mut b, id(1), "3");
    (2..20).for_each(|n| born(&mut b, id(n), "1"));
    b.limits.page_bytes = 300;
    let first = b.page_for(&a, &[]);
    assert_eq!(a.take_page(b.origin, &first, &[]), Ok(PageOutcome::More(vec![])));
    let held = ranges_of(&a, &b);
    assert_eq!(held[0], (1, 1), "the second write lives in the claim only");
    let header =
        PageHeader { epoch: page_of(&first).epoch + 1, complete: true, claims: vec![], ..page_of(&first) };
    let empty = header.encode(2, 0, &[]);
    assert_eq!(a.take_page(b.origin, &empty, &[]), Ok(PageOutcome::Adopted));
    assert_eq!(ranges_of(&a, &b), held);
}

/// A hand-off dropped the tombstones with the partition, and a late copy showed a session this very node had seen
/// destroyed. What exists here: a new life keeps its records.
#[test]
fn a_new_life_keeps_its_tombstones() {
    let (mut a, mut b) = (life('A'), life('B'));
    born(&mut b, id(1), "1");
    a.pull(&mut b);
    assert!(a.destroy(id(1)).is_ok());
    a.partition.reincarnate(origin('Z'));
    set(&mut b, id(1), "late");
    a.pull(&mut b);
    assert!(!a.visible(id(1)));
    assert!(a.partition.get(id(1)).is_some_and(|r| r.is_dead()));
}

/// A vector entry was pruned by its time although records still carried its dots (they had come without a claim,
/// or reaping was stopped): the index lost them, and the origin's place went to another origin.
#[test]
fn an_origin_with_live_dots_is_never_pruned() {
    let (mut a, mut b, mut c) = (life('A'), life('B'), life('C'));
    born(&mut b, id(1), "1");
    a.pull(&mut b);
    // Reaping is stopped; pruning is not.
    at(4 * 24 * 60, &mut [&mut a, &mut c]);
    a.partition.prune(a.wall_ms, &a.limits);
    born(&mut c, id(2), "2");
    a.pull(&mut c);
    assert_eq!(a.partition.check_index(), Ok(()));
    assert!(a.spelled()[&id(1)][0].contains("(B1"), "{:?}", a.spelled()[&id(1)]);
    a.reap();
    a.partition.prune(a.wall_ms, &a.limits);
    assert!(!a.partition.origins().contains(&b.origin), "and goes once they have gone");
}

// ----- rules that came of one -------------------------------------------------------------------------------

fn held(world: &World, at: usize, id: SessionId) -> bool {
    let partition = id.partition(world.limits.partitions);
    world.replica(at).shared(partition, |p| p.get(id).is_some())
}

/// Freshness moved only in rounds that pulled something; a mesh without writes answered "equal" for ever and kept
/// every expired session until its hard deadline.
#[test]
fn an_idle_mesh_reaps_long_before_the_hard_deadline() {
    let mut world = World::new(1, 3);
    world.settle();
    let id = world.create(0, &[("f", "1")]);
    world.settle();
    world.run(32 * MINUTE_MS);
    assert!((0..3).all(|at| !held(&world, at, id)), "the deadline is 30 minutes, the hard one 24 hours");
}

/// A reaps f=new on a verdict that M is gone; M returns with a late touch and f=old; A revives f=old while claiming
/// f=new's dot, and nobody asks again: equal vectors, different values. So every member is asked for a revived session.
#[test]
fn a_revived_session_is_asked_for_from_every_member() {
    // Without the audit, which would repair it minutes later: this is about not needing it.
    let (mut world, id) = revived_from_a_stale_copy(u64::MAX / 4);
    world.run(30_000);
    assert_eq!(world.field(0, id, "f").as_deref(), Some("new"));
    // M asked A while A had nothing and claimed everything: a false verdict is what only the audit can heal.
    let (mut world, id) = revived_from_a_stale_copy(5_000);
    world.run(5 * MINUTE_MS);
    world.settle();
    assert!((0..3).all(|at| world.field(at, id, "f").as_deref() == Some("new")));
}

/// Node 2 was declared gone, is not, and has touched the session that node 0 has reaped and node 1 has not.
fn revived_from_a_stale_copy(audit_interval_ms: u64) -> (World, SessionId) {
    let limits = Limits { partitions: 8, max_lifetime_ms: DAY_MS, audit_interval_ms, ..Limits::default() };
    let mut world = World::with_limits(2, 3, limits);
    // B's clock is behind, so that B still holds what A has just reaped.
    world.nodes[1].as_mut().expect("up").offset_ms = -4_500;
    world.settle();
    let id = world.create(0, &[("f", "old")]);
    world.settle();
    world.cut(&[2], &[0, 1]);
    world.run(5_000);
    assert!(world.edit(1, id, &[("f", Some("new"))]).is_ok());
    let m = world.origin(2);
    world.input(0, Input::Gone(m));
    world.input(1, Input::Gone(m));
    world.run(29 * MINUTE_MS);
    assert!(world.edit(2, id, &[("g", Some("late"))]).is_ok(), "M still thinks it alive");
    while held(&world, 0, id) {
        world.run(100);
    }
    assert!(held(&world, 1, id));
    world.heal();
    (world, id)
}

/// The other half: until the others have answered, the session is not reaped and its partition is no source.
#[test]
fn a_revived_session_is_neither_reaped_nor_served_to_joiners() {
    let (mut a, mut b) = reaped_here_alive_there(1);
    let c = life('C');
    a.partition.refresh(&[(c.origin, 0)]);
    a.inc.insert(c.origin, GONE - 1);
    a.pull(&mut b);
    assert!(a.partition.has_revived());
    assert_eq!(a.partition.revived_waiting_for(c.origin), [id(0)]);
    at(90, &mut [&mut a, &mut b]);
    a.partition.refresh(&[(b.origin, a.wall_ms)]);
    a.reap();
    assert!(a.partition.get(id(0)).is_some(), "expired, fresh, and yet kept");
}

/// Stability was vacuous about a joiner nobody had in its vector: it was handed a session, touched it, and the
/// others reaped it. A member is in the vector from the moment its link is up, and leaves it by a mark only.
#[test]
fn a_member_counts_from_its_link_on_and_goes_by_a_mark_only() {
    let mut world = World::new(3, 2);
    world.settle();
    world.add_host();
    world.net.cuts.extend([(2, 0), (2, 1)]);
    world.start(2, true);
    let joiner = world.origin(2);
    world.input(0, Input::LinkUp { peer: joiner, version: 2 });
    let node = world.nodes[0].as_ref().expect("up");
    assert_eq!(node.node.freshness().get(&joiner), Some(&0), "before a byte was sent");
    let id = world.create(0, &[("f", "1")]);
    world.run(40 * MINUTE_MS);
    assert!(held(&world, 0, id), "the silent joiner may hold it alive");
    world.input(0, Input::Gone(joiner));
    world.run(5_000);
    assert!(!held(&world, 0, id));
    // A late vector that still knows the joiner by a time does not bring it back, and the mark spreads.
    world.run(5_000);
    for at in 0..2 {
        let mark = world.nodes[at].as_ref().and_then(|n| n.node.freshness().get(&joiner).copied());
        assert!(mark.is_some_and(|m| m & GONE != 0), "node {at}: {mark:?}");
    }
}

/// A ttl of a minute, set after half an hour had been promised, made the session "stable" a minute later, while a
/// member that had not heard of it could still touch it.
#[test]
fn a_shortened_ttl_hides_at_once_but_is_not_stable_early() {
    let (mut a, mut m) = (life('A'), life('M'));
    born(&mut m, id(1), "1");
    a.pull(&mut m);
    assert!(a.edit(id(1), &Change { ttl: Some(Ttl::Sliding(MINUTE_MS)), ..Change::default() }).is_ok());
    at(10, &mut [&mut a, &mut m]);
    a.partition.refresh(&[(m.origin, a.wall_ms)]);
    a.reap();
    assert!(!a.visible(id(1)) && a.partition.get(id(1)).is_some());
    at(31, &mut [&mut a, &mut m]);
    a.partition.refresh(&[(m.origin, a.wall_ms)]);
    a.reap();
    assert!(a.partition.get(id(1)).is_none());
    assert_eq!(a.edit(id(1), &Change::default()), Err(WriteError::Absent));
}

/// An unchanged absolute deadline writes nothing: a framework sets it with every request.
#[test]
fn an_unchanged_absolute_deadline_writes_nothing() {
    let mut a = life('A');
    let until = Ttl::Absolute(EPOCH_MS + HOUR_MS);
    assert!(a.create(id(1), &[], until, 20 * HOUR_MS).is_ok());
    at(30, &mut [&mut a]);
    let again = a.edit(id(1), &Change { ttl: Some(until), ..Change::default() });
    assert!(again.is_ok_and(|w| !w.wrote));
}

/// Nodes prune an origin at different times: one that has just pruned it took its claims again from one that had
/// not, for ever. Near its pruning an origin is neither claimed, nor taken, nor hashed.
#[test]
fn a_pruned_origin_does_not_come_back_from_a_peer_that_prunes_later() {
    let (mut a, mut b, mut c, mut m) = (life('A'), life('B'), life('C'), life('M'));
    born(&mut m, id(1), "1");
    [&mut a, &mut b, &mut c].into_iter().for_each(|l| _ = l.pull(&mut m));
    let until_ms = EPOCH_MS + 20 * HOUR_MS;
    a.wall_ms = until_ms + a.limits.prune_after_ms() + 1;
    b.wall_ms = a.wall_ms - a.limits.max_drift_ms;
    a.reap();
    b.reap();
    a.partition.prune(a.wall_ms, &a.limits);
    b.partition.prune(b.wall_ms, &b.limits);
    assert_eq!((a.partition.coverage().count(), b.partition.coverage().count()), (0, 1));
    let hash = |l: &Life| l.partition.cov_hash(l.wall_ms, &l.limits);
    assert_eq!(hash(&a), hash(&b), "nothing to talk about");
    a.pull(&mut b);
    assert_eq!(a.partition.coverage().count(), 0);
    // A page that was under way for longer still claims it: the taker looks too.
    c.wall_ms = until_ms;
    let under_way = c.page_for(&a, &[]);
    assert!(!page_of(&under_way).claims.is_empty());
    assert_eq!(a.take_page(c.origin, &under_way, &[]), Ok(PageOutcome::Adopted));
    assert_eq!(a.partition.coverage().count(), 0);
}

/// A thread read the clock, stalled, and took the lock after a page had been built: its touch, timed before the
/// page, was not in it, though the page promised everything up to its own time.
#[test]
fn a_stalled_writer_uses_the_time_of_the_page_it_missed() {
    let (mut a, mut b) = (life('A'), life('B'));
    born(&mut a, id(1), "1");
    at(31, &mut [&mut a, &mut b]);
    let _ = a.page_for(&b, &[]);
    at(29, &mut [&mut a]);
    assert_eq!(a.set(id(1), "f", Some("late")), Err(WriteError::Absent));
    b.pull(&mut a);
}

/// The same over an "equal" answer: it promises everything up to its time too, so it must raise the same mark.
#[test]
fn an_equal_answer_also_holds_writers_to_its_time() {
    let mut world = World::new(4, 2);
    world.settle();
    let id = world.create(0, &[("f", "1")]);
    world.settle();
    let stalled = world.now(0);
    let later = 31 * MINUTE_MS;
    let answered = Now { wall_ms: stalled.wall_ms + later, mono_ms: stalled.mono_ms + later };
    let (peer, node) = (world.origin(1), world.nodes[0].as_mut().expect("up"));
    let (wall_ms, want_inc, ready) = (answered.wall_ms, true, true);
    let digest = Digest { round: 9, root: 0, wall_ms, want_inc, ready, incomplete: false };
    node.node.handle(answered, Input::Frame { peer, bytes: &digest.encode(2) });
    let change = Change { fields: vec![("f", Some(b"late"))], ..Change::default() };
    let ix = id.partition(world.limits.partitions);
    let written = node.replica.locked(ix, |p| {
        let stamper = Stamper {
            counter: &|| 1_000,
            clock: node.replica.clock(),
            limits: node.replica.limits(),
            full: None,
        };
        p.edit(id, stalled.wall_ms, &change, &stamper)
    });
    assert_eq!(written, Err(WriteError::Absent));
}

/// Skew was checked in the handshake only; a clock that ran away afterwards poisoned expiry for everybody.
#[test]
fn a_clock_that_runs_away_adopts_nothing_and_is_told_loudly() {
    let mut world = World::new(5, 2);
    world.settle();
    // No jump, just a bad clock: 80 s in 400.
    world.drift_clock(1, 200_000);
    world.run(400_000);
    world.drift_clock(1, 0);
    let id = world.create(1, &[("f", "1")]);
    world.run(10_000);
    assert!(!world.visible(0, id));
    for at in 0..2 {
        let warnings = world.nodes[at].as_ref().map(|n| n.warnings.join("\n")).unwrap_or_default();
        assert!(warnings.contains("this one (max_drift_ms"), "node {at}: {warnings}");
    }
    world.drift_clock(1, -200_000);
    world.run(400_000);
    world.drift_clock(1, 0);
    world.run(2 * MINUTE_MS);
    world.settle();
    assert!(world.visible(0, id), "and heals by itself");
}

/// A clock far *behind* writes stamps that no drift bound refuses; what gives it away is the wall time that every
/// message which moves data carries.
#[test]
fn a_push_from_a_clock_far_behind_is_refused() {
    let mut world = World::new(13, 2);
    world.settle();
    let peer = world.origin(1);
    let some = (0..).map(id).find(|id| id.partition(8) == 0).expect("some id lies in partition 0");
    for (behind_ms, taken) in [(61_000, false), (59_000, true)] {
        let mut slow = Life::new(peer, EPOCH_MS + world.time_ms - behind_ms);
        born(&mut slow, some, "1");
        let (push, _) = slow.push(0).expect("something to push");
        world.input(0, Input::LinkUp { peer, version: 2 });
        world.input(0, Input::Frame { peer, bytes: &push });
        assert_eq!(world.visible(0, some), taken, "{behind_ms} ms behind");
    }
}

/// A jump of the clock began a new life with empty coverage: what nobody else held yet stayed on this node for ever,
/// under equal vectors. Coverage is kept now, and only a step that was believed begins a life.
#[test]
fn writes_nobody_else_held_survive_a_jump_of_the_clock() {
    let mut world = World::new(6, 3);
    world.settle();
    let common = world.create(0, &[("f", "1")]);
    world.settle();
    world.cut(&[2], &[0, 1]);
    world.run(5_000);
    let before = world.origin(2);
    world.nodes[2].as_mut().expect("up").offset_ms = 90_000;
    world.run(11 * MINUTE_MS);
    let only = world.create(2, &[("f", "mine")]);
    assert!(world.edit(2, common, &[("f", Some("2"))]).is_ok());
    assert_eq!(world.origin(2), before, "a step ends no life");
    world.nodes[2].as_mut().expect("up").offset_ms = 0;
    world.run(1_000);
    world.heal();
    world.run(5_000);
    assert_ne!(world.origin(2), before, "a new life");
    world.run(3 * MINUTE_MS);
    world.settle();
    assert!((0..3).all(|at| world.visible(at, only)));
    assert!((0..3).all(|at| world.field(at, common, "f").as_deref() == Some("2")));
    // And the life that is over does not hold up reaping.
    world.run(35 * MINUTE_MS);
    assert!((0..3).all(|at| !held(&world, at, common)));
}

/// Somebody else writes under this node's own origin (a restored snapshot, a cloned machine). Counters
/// would be used twice, so this node must not go on under that name.
#[test]
fn an_impostor_of_ones_own_origin_forces_a_new_life() {
    let mut world = World::new(7, 2);
    world.settle();
    let (mine, peer) = (world.origin(0), world.origin(1));
    let mut clone = Life::new(mine, EPOCH_MS + world.time_ms);
    clone.skip_counters(1_000);
    let stolen = (0..).map(id).find(|id| id.partition(8) == 0).expect("some id lies in partition 0");
    born(&mut clone, stolen, "1");
    let mut relay = Life::new(peer, EPOCH_MS + world.time_ms);
    relay.pull(&mut clone);
    assert!(relay.set(stolen, "f", Some("2")).is_ok());
    let page = relay.page_for(&life('N'), &[]);
    world.input(0, Input::Frame { peer, bytes: &page });
    assert_ne!(world.origin(0), mine);
    world.settle();
    let id = world.create(0, &[("f", "1")]);
    world.settle();
    assert!(world.visible(1, id));
}

/// The driver sees another live process with this node's name on the board.
#[test]
fn a_clone_on_the_board_forces_a_new_life_that_keeps_the_data() {
    let mut world = World::new(8, 2);
    world.settle();
    let id = world.create(0, &[("f", "1")]);
    let before = world.origin(0);
    world.input(0, Input::Clone);
    assert_ne!(world.origin(0), before);
    assert!(world.edit(0, id, &[("f", Some("2"))]).is_ok());
    world.settle();
    assert_eq!(world.field(1, id, "f").as_deref(), Some("2"));
}

/// A logout at a node that never saw the session must stick when the session arrives later.
#[test]
fn a_blind_destroy_sticks() {
    let (mut a, mut b) = (life('A'), life('B'));
    born(&mut b, id(1), "1");
    assert!(a.destroy(id(1)).is_ok());
    a.pull(&mut b);
    assert!(!a.visible(id(1)));
    b.pull(&mut a);
    assert!(!b.visible(id(1)));
}

/// `create_with_id` on a slot that only *looked* free gave a session two births.
#[test]
fn an_id_is_taken_while_live_retained_or_dead() {
    let mut a = life('A');
    a.inc.insert(origin('M'), 0);
    (1..=3).for_each(|n| born(&mut a, id(n), "1"));
    assert!(a.destroy(id(2)).is_ok());
    let again = |a: &mut Life, n| a.create(id(n), &[], HALF_HOUR, HOUR_MS).map(|_| ());
    assert_eq!((again(&mut a, 1), again(&mut a, 2)), (Err(WriteError::IdTaken), Err(WriteError::IdTaken)));
    at(40, &mut [&mut a]);
    a.reap();
    assert!(!a.visible(id(3)));
    assert_eq!(again(&mut a, 3), Err(WriteError::IdTaken), "expired, but retained for M");
}

/// Skipping unchanged values everywhere made a re-asserted `admin = false` lose to an earlier concurrent write.
#[test]
fn an_explicit_set_of_the_same_value_beats_an_earlier_concurrent_write() {
    let (mut a, mut b) = (life('A'), life('B'));
    born(&mut a, id(1), "false");
    b.pull(&mut a);
    b.wall_ms += 1_000;
    set(&mut b, id(1), "true");
    a.wall_ms += 2_000;
    set(&mut a, id(1), "false");
    b.wall_ms += 1_000;
    a.pull(&mut b);
    b.pull(&mut a);
    assert_eq!((a.field(id(1), "f"), b.field(id(1), "f")), (Some("false".into()), Some("false".into())));
}

/// A push that was received but not *adopted* counted as a copy.
#[test]
fn a_copy_is_told_only_once_the_dot_is_adopted() {
    let mut world = World::new(9, 3);
    world.settle();
    world.cut(&[2], &[0, 1]);
    world.run(5_000);
    let id = world.fresh_id();
    let written = world.create_with(0, id, &[("f", "1")], HALF_HOUR, DAY_MS).expect("created");
    let told = |world: &World, by: Origin| {
        let node = world.nodes[0].as_ref().expect("up");
        node.adopted.get(&(by, written.partition)).is_some_and(|r| r.contains(written.dot.counter))
    };
    let (near, far) = (world.origin(1), world.origin(2));
    assert!(!told(&world, near), "sent is not adopted");
    world.run(1_000);
    assert!(told(&world, near) && !told(&world, far));
    world.heal();
    world.settle();
    world.run(5_000);
    assert!(told(&world, far), "by a round");
}

/// The same with a part the receiver could not apply: acknowledged, not adopted, and repaired by a round.
#[test]
fn a_push_of_a_part_of_an_unknown_session_is_not_adopted() {
    let (mut a, mut b) = (life('A'), life('B'));
    born(&mut a, id(1), "1");
    let cursor = a.counter();
    set(&mut a, id(1), "2");
    let (push, _) = a.push(cursor).expect("something to push");
    assert_eq!(b.take_push(a.origin, &push), Ok(false));
    assert!(!b.partition.covers(a.origin, 2) && b.partition.get(id(1)).is_none());
    b.pull(&mut a);
    assert_eq!(b.field(id(1), "f").as_deref(), Some("2"));
}

/// "No such session" from a node that had not fetched it yet logged users out of a mesh that knew them.
#[test]
fn absent_unknown_and_fenced_are_three_answers() {
    let mut world = World::new(10, 2);
    world.settle();
    let id = world.create(0, &[("f", "1")]);
    let nobody = world.fresh_id();
    world.settle();
    assert!(matches!(world.lookup(0, nobody), Lookup::Absent));
    world.crash(1);
    world.net.cuts.extend([(0, 1), (1, 0)]);
    world.start(1, true);
    assert!(matches!(world.lookup(1, id), Lookup::NotYetKnown));
    world.heal();
    world.settle();
    assert!(matches!(world.lookup(1, id), Lookup::Found(_)));
    // Frozen: the beat is old, and the first reader after the thaw must not be answered from before it.
    world.freeze(1, 8_000);
    world.run(7_900);
    assert!(matches!(world.lookup(1, id), Lookup::Fenced));
    let now = world.now(1);
    assert!(matches!(world.replica(1).edit(id, now, &Change::default()), Err(WriteError::NotServing(_))));
    world.settle();
    assert!(matches!(world.lookup(1, id), Lookup::Found(_)));
}

/// Queues per peer grew with the writes while one peer was slow. One push is unacknowledged at most;
/// what gathers behind it is a set of partitions.
#[test]
fn a_slow_peer_has_one_push_on_its_way_and_no_queue() {
    let mut world = World::new(11, 2);
    world.settle();
    // Acknowledgements are lost, the link stands.
    world.net.cuts.insert((1, 0));
    let sent = |world: &World| world.nodes[0].as_ref().map_or(0, |n| n.node.stats().pushes);
    let before = sent(&world);
    let ids: Vec<_> = (0..200).map(|_| world.create(0, &[("f", "1")])).collect();
    assert_eq!(sent(&world) - before, 1);
    let backlog: Vec<_> = world.nodes[0].as_ref().map(|n| n.node.backlog().collect()).unwrap_or_default();
    assert_eq!(backlog, [(world.origin(1), 8, true)], "eight partitions, whatever the number of writes");
    world.net.cuts.clear();
    world.settle();
    assert!(ids.iter().all(|&id| world.visible(1, id)));
}

/// A session read through from a peer enters by join, with its stamps observed, and claims nothing: covered is what
/// it holds, not what its writer wrote before.
#[test]
fn a_session_read_through_is_joined_and_covers_what_it_holds() {
    let mut world = World::new(12, 2);
    world.settle();
    world.tamper = Some(|_, frame| match decode(&frame) {
        // Neither pushes nor rounds get through: only the question.
        Ok(Message::Ask(_) | Message::Tell(_)) => frame,
        _ => vec![2, 99],
    });
    let id = world.create(0, &[("f", "1")]);
    assert!(world.edit(0, id, &[("f", Some("superseded"))]).is_ok());
    assert!(world.edit(0, id, &[("f", Some("3"))]).is_ok());
    world.input(1, Input::Ask { token: 7, id });
    world.run(100);
    assert_eq!(world.nodes[1].as_ref().map(|n| n.asked.clone()), Some(vec![(7, true, 0)]));
    assert_eq!(world.field(1, id, "f").as_deref(), Some("3"));
    let ix = id.partition(world.limits.partitions);
    let zero = world.origin(0);
    let covered = [1, 2, 3].map(|counter| world.replica(1).shared(ix, |p| p.covers(zero, counter)));
    assert_eq!(covered, [true, false, true]);
    assert!(world.replica(1).clock().latest() >= world.replica(0).clock().latest());
}
