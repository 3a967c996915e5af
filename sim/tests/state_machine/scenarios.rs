//! The nasty stories of docs/SCENARIOS.md, "Which rule is exercised where", that are cheap in virtual time, one
//! directed test each, and what reading the code in search of more has found.

use sessionmesh::core::causality::{Origin, Ver, short_origin};
use sessionmesh::core::limits::{Limits, MAX_CONTEXT};
use sessionmesh::core::node::Input;
use sessionmesh::core::replica::{EntrySink, PageOutcome, Refusal, WriteError};
use sessionmesh::core::session::{Birth, Field, Live, Mark, Op, SessionId, State, Ttl, TtlReg};
use sessionmesh::core::time::Hlc;
use sessionmesh::core::wire::{Bases, EntryReader, EntryWriter, Message, PageHeader, decode};
use sessionmesh_sim::{EPOCH_MS, Faults, Life, World, id, origin};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const HALF_HOUR: Ttl = Ttl::Sliding(30 * MINUTE_MS);

fn life(letter: char) -> Life {
    Life::new(origin(letter), EPOCH_MS)
}

fn born(life: &mut Life, id: SessionId, value: &str) {
    assert!(life.create(id, &[("f", Some(value))], HALF_HOUR, 20 * HOUR_MS).is_ok());
}

fn held(world: &World, at: usize, id: SessionId) -> bool {
    let partition = id.partition(world.limits.partitions);
    world.replica(at).shared(partition, |p| p.get(id).is_some())
}

// ----- the list -------------------------------------------------------------------------------------------------

/// (1) B's clock is slow; B overwrites what it has read of A; C writes concurrently in between. Every order of merging
/// must end alike, and the overwritten value must not return.
#[test]
fn s01_a_cycle_of_clock_and_causality_ends_alike_in_every_order() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut lives = ['A', 'B', 'C'].map(life);
        born(&mut lives[0], id(1), "0");
        for (at, skew) in [(1, -20_000i64), (2, -10_000)] {
            let [a, rest @ ..] = &mut lives;
            rest[at - 1].pull(a);
            rest[at - 1].wall_ms = EPOCH_MS.saturating_add_signed(skew);
        }
        let mut set = |at: usize, value| assert!(lives[at].set(id(1), "f", Some(value)).is_ok());
        set(0, "x");
        set(2, "z");
        let [a, b, _] = &mut lives;
        b.pull(a);
        assert!(b.set(id(1), "f", Some("y")).is_ok());
        let mut reader = life('R');
        for at in order {
            reader.pull(&mut lives[at]);
        }
        assert_eq!(reader.field(id(1), "f").as_deref(), Some("y"), "order {order:?}");
    }
}

/// (2) Logout on A while B updates the same session in a partition; the heal goes through a relay only.
#[test]
fn s02_a_logout_beats_an_update_through_a_relay_whichever_arrives_first() {
    for first in [0, 1] {
        let (mut a, mut b, mut relay) = (life('A'), life('B'), life('C'));
        born(&mut a, id(1), "1");
        b.pull(&mut a);
        relay.pull(&mut a);
        assert!(a.destroy(id(1)).is_ok());
        assert!(b.set(id(1), "f", Some("2")).is_ok());
        let sources = if first == 0 { [&mut a, &mut b] } else { [&mut b, &mut a] };
        sources.into_iter().for_each(|source| _ = relay.pull(source));
        a.pull(&mut relay);
        b.pull(&mut relay);
        assert!(!a.visible(id(1)) && !b.visible(id(1)) && !relay.visible(id(1)));
        assert_eq!(a.spelled(), b.spelled());
    }
}

/// (4) A node paused since before the logout returns just before, and just after, the tombstone's end.
#[test]
fn s04_a_late_returner_resurrects_nothing_before_or_after_the_tombstones_end() {
    let (mut a, mut late) = (life('A'), life('L'));
    born(&mut a, id(1), "1");
    late.pull(&mut a);
    assert!(a.destroy(id(1)).is_ok());
    let hard_ms = EPOCH_MS + 20 * HOUR_MS;
    for (now_ms, kept) in [(hard_ms - 1_000, true), (hard_ms + 2 * a.limits.max_drift_ms + 10_000, false)] {
        a.wall_ms = now_ms;
        a.reap();
        assert_eq!(a.partition.get(id(1)).is_some(), kept);
        // The returner's clock lags as far as honest clocks may.
        late.wall_ms = now_ms - a.limits.max_drift_ms;
        a.pull(&mut late);
        assert!(!a.visible(id(1)));
    }
    assert!(a.partition.get(id(1)).is_none(), "past its hard deadline it is not even taken in");
    late.wall_ms = hard_ms + 1;
    assert!(!late.visible(id(1)));
    // Nor by a node that has never heard of either.
    let mut fresh = Life::new(origin('Z'), hard_ms);
    fresh.pull(&mut late);
    assert!(fresh.partition.get(id(1)).is_none() && fresh.partition.covers(origin('A'), 1));
}

/// (5) A partition longer than the idle ttl, users active on both sides: nobody may be logged out, nor at the heal.
#[test]
fn s05_nobody_is_logged_out_by_a_partition_or_its_heal() {
    let mut world = World::new(5, 4);
    world.settle();
    let ids: Vec<_> = (0..8).map(|_| world.create(0, &[("f", "1")])).collect();
    world.settle();
    world.cut(&[0, 1], &[2, 3]);
    for _ in 0..14 {
        world.run(5 * MINUTE_MS);
        for (n, &id) in ids.iter().enumerate() {
            assert!(world.edit(n % 4, id, &[("f", Some("2"))]).is_ok(), "session {n} at its sticky node");
        }
    }
    world.heal();
    for _ in 0..50 {
        world.run(200);
        assert!((0..8).all(|n| world.visible(n % 4, ids[n])));
    }
    world.settle();
    assert!(ids.iter().all(|&id| (0..4).all(|at| world.visible(at, id))));
}

/// (10) A and C never reach each other; B carries everything, logouts too.
#[test]
fn s10_a_relay_carries_everything_between_two_that_never_meet() {
    let mut world = World::new(10, 3);
    world.settle();
    world.cut(&[0], &[2]);
    let (stays, goes) = (world.create(0, &[("f", "1")]), world.create(2, &[("f", "1")]));
    world.run(10_000);
    assert!(world.visible(2, stays) && world.visible(0, goes));
    world.destroy(0, goes);
    world.run(10_000);
    assert!(!world.visible(2, goes) && !world.visible(1, goes));
}

/// (11) An origin silent for longer than anything lives is pruned everywhere, at different times, and writes again.
#[test]
fn s11_an_origin_idle_beyond_the_longest_life_writes_again() {
    let limits = Limits { partitions: 2, max_lifetime_ms: HOUR_MS, ..Limits::default() };
    let mut world = World::with_limits(11, 3, limits);
    world.settle();
    let write = |world: &mut World, at| {
        let id = world.fresh_id();
        assert!(world.create_with(at, id, &[("f", "1")], HALF_HOUR, HOUR_MS).is_ok());
        id
    };
    (0..10).for_each(|n| _ = write(&mut world, n % 3));
    world.run(2 * HOUR_MS);
    for at in 0..3 {
        let left = (0..2).map(|ix| world.replica(at).shared(ix, |p| p.coverage().count())).sum::<usize>();
        assert_eq!((left, world.dump(at).len()), (0, 0), "node {at} has forgotten everything");
    }
    let ids: Vec<_> = (0..10).map(|n| write(&mut world, n % 3)).collect();
    world.settle();
    assert!(ids.iter().all(|&id| (0..3).all(|at| world.visible(at, id))));
}

/// (13) A clock an hour ahead creates sessions; another is at the end of time. Neither may poison a healthy clock.
#[test]
fn s13_stamps_from_the_future_are_refused_and_do_not_poison_the_clock() {
    for ahead_ms in [HOUR_MS, (1 << 48) - 2 - EPOCH_MS] {
        let (mut a, mut fast) = (life('A'), life('F'));
        fast.wall_ms += ahead_ms;
        born(&mut fast, id(1), "1");
        let (push, _) = fast.push(0).expect("something to push");
        let refused = a.take_push(fast.origin, &push);
        assert!(matches!(refused, Err(Refusal::ClockAhead { .. })), "{refused:?}");
        assert_eq!((a.clock.latest(), a.partition.coverage().count()), (Hlc(0), 0));
        assert!(!a.visible(id(1)));
        assert_eq!(a.partition.counts().refused_drift, 1);
    }
}

/// (14) Pages and pushes arrive a quarter of an hour late, twice, and in any order.
#[test]
fn s14_late_doubled_and_reordered_frames_change_nothing() {
    let (mut a, mut b) = (life('A'), life('B'));
    b.limits.page_bytes = 300;
    let (mut pages, mut pushes, mut cursor) = (Vec::new(), Vec::new(), 0);
    for n in 0..30 {
        born(&mut b, id(n), "1");
        // Some are destroyed by then.
        let _ = b.set(id(n / 2), "f", Some("2"));
        if n % 7 == 3 {
            assert!(b.destroy(id(n)).is_ok());
        }
        pages.push(b.page_for(&a, &[]));
        let (push, hi) = b.push(cursor).expect("something to push");
        cursor = hi;
        pushes.push(push);
    }
    [&mut a, &mut b].into_iter().for_each(|l| l.wall_ms += 15 * MINUTE_MS);
    for n in (0..30).rev().chain([3, 3, 17]) {
        assert!(a.take_push(b.origin, &pushes[n]).is_ok());
        assert!(a.take_page(b.origin, &pages[(n * 11) % 30], &[]).is_ok());
    }
    a.pull(&mut b);
    assert_eq!(a.spelled(), b.spelled());
    assert_eq!(a.partition.check_index(), Ok(()));
}

/// (18) A joiner's source dies in the middle; writes go on; sessions are destroyed.
#[test]
fn s18_a_joiner_survives_its_sources_death_writes_and_logouts() {
    let limits =
        Limits { partitions: 4, page_bytes: 1_024, max_lifetime_ms: 24 * HOUR_MS, ..Limits::default() };
    let mut world = World::with_limits(18, 3, limits);
    world.settle();
    let ids: Vec<_> = (0..400).map(|n| world.create(n % 3, &[("f", "1")])).collect();
    world.settle();
    world.net.faults = Faults { delay_min_ms: 20, delay_max_ms: 60, ..Faults::default() };
    world.add_host();
    world.start(3, true);
    for step in 0..20 {
        world.run(50);
        assert!(world.edit(1, ids[step * 3 + 1], &[("f", Some("2"))]).is_ok());
        world.destroy(1, ids[step * 3 + 2]);
        assert!(!world.ready(3) || world.dump(3).len() >= 400, "ready with a part only");
        if step == 6 {
            world.crash(0);
        }
    }
    world.settle();
    for step in 0..20 {
        assert_eq!(world.field(3, ids[step * 3 + 1], "f").as_deref(), Some("2"));
        assert!(!world.visible(3, ids[step * 3 + 2]));
    }
    assert_eq!(world.dump(3).len(), 400);
}

/// (21) The same unknown session is destroyed blind on two nodes.
#[test]
fn s21_two_blind_destroys_become_one_tombstone() {
    let (mut a, mut b) = (life('A'), life('B'));
    b.wall_ms += 3_000;
    assert!(a.destroy(id(1)).is_ok() && b.destroy(id(1)).is_ok());
    let again = b.destroy(id(1)).expect("destroyed already");
    assert!(!again.wrote, "twice on one node is one");
    a.pull(&mut b);
    b.pull(&mut a);
    assert_eq!(a.spelled(), b.spelled());
    assert!(a.spelled()[&id(1)][0].contains("(B1"), "the one kept longer");
}

/// (22) An update after idle expiry, on a node that still retains the payload: not found, and not a revival.
#[test]
fn s22_an_update_after_expiry_is_absent_and_revives_nothing() {
    let mut a = life('A');
    a.inc.insert(origin('M'), 0);
    born(&mut a, id(1), "1");
    a.wall_ms += 31 * MINUTE_MS;
    assert!(a.partition.get(id(1)).is_some());
    assert_eq!(a.set(id(1), "f", Some("2")), Err(WriteError::Absent));
    assert!(!a.visible(id(1)));
    assert_eq!(a.counter(), 1, "no dot was spent");
}

/// (23) Touches exactly at the deadline, on two nodes whose clocks differ.
#[test]
fn s23_a_touch_counts_until_the_deadline_by_the_clock_of_its_own_node() {
    let (mut a, mut b) = (life('A'), life('B'));
    born(&mut a, id(1), "1");
    b.pull(&mut a);
    let deadline_ms = EPOCH_MS + 30 * MINUTE_MS;
    a.wall_ms = deadline_ms;
    assert_eq!(a.set(id(1), "f", Some("a")), Err(WriteError::Absent));
    b.wall_ms = deadline_ms - 1;
    assert!(b.set(id(1), "f", Some("b")).is_ok());
    a.pull(&mut b);
    assert_eq!(a.field(id(1), "f").as_deref(), Some("b"), "it was alive where it was touched");
}

/// A page of a head that has neither claims nor freshness, which claims these numbers: no type would hold them.
fn claiming(bare: &PageHeader, numbers: &[u64]) -> Vec<u8> {
    let mut frame = bare.encode(2, 0, &[]);
    // Two empty lists end it.
    frame.truncate(frame.len() - 2);
    frame.push(0x90 | numbers.len() as u8);
    numbers.iter().for_each(|number| frame.extend([&[0xcf][..], &number.to_be_bytes()].concat()));
    frame.push(0x90);
    frame
}

/// (24) Frames that decode and claim absurd things: refused by name, nothing adopted, no panic.
#[test]
fn s24_absurd_claims_are_refused_and_never_panic() {
    let mut b = life('B');
    born(&mut b, id(1), "1");
    let asker = life('A');
    let honest = b.page_for(&asker, &[]);
    let Ok(Message::Page(page)) = decode(&honest) else { panic!("an honest page decodes") };
    let bare = PageHeader { claims: Vec::new(), inc: Vec::new(), ..page.header };
    let absurd = [
        // Origin index, ranges, gap and length of each, until.
        vec![0, 1, 1, 5, u64::MAX],
        vec![0, 1, u64::MAX, 0, 9],
        vec![0, 1, 0, 0, 9],
        vec![0, 1, 1, 1 << 41, 9],
        vec![0, 300, 1, 1],
        vec![0, 2, 1, 1, u64::MAX, 1, 9],
        vec![7, 1, 1, 1, 9],
        vec![0, 1, 1],
    ];
    for (n, claims) in absurd.into_iter().enumerate() {
        let mut world = World::with_limits(24, 2, Limits { partitions: 1, ..Limits::default() });
        world.settle();
        let peer = world.origin(1);
        let frame = claiming(&bare, &claims);
        world.input(0, Input::Frame { peer, bytes: &frame });
        assert_eq!(decode(&frame).is_ok(), n == 0, "{:?}", decode(&frame));
        let mut a = life('A');
        if let Ok(Message::Page(_)) = decode(&frame) {
            // The partition itself, with the claim as current as can be.
            let current = PageHeader { nonce: a.partition.nonce(), ..bare.clone() };
            let _ = a.take_page(b.origin, &claiming(&current, &claims), &[]);
        }
        a.reap();
        a.partition.prune(a.wall_ms, &a.limits);
        let _ = a.partition.cov_hash(a.wall_ms, &a.limits);
        let _ = b.page_for(&a, &[]);
        world.settle();
    }
}

/// (24) Ten thousand origins, as a month of a large mesh in a crash loop leaves behind: more than any table had room
/// for, so no page of theirs could be read any more, by anybody.
#[test]
fn s24_ten_thousand_origins_are_carried() {
    let (mut a, mut b) = (life('A'), life('B'));
    for n in 1..=10_000u64 {
        let mut one = Life::new(Origin(u128::from(n) << 64 | 1), EPOCH_MS);
        born(&mut one, id(n), "1");
        let (push, _) = one.push(0).expect("something to push");
        assert_eq!(b.take_push(one.origin, &push), Ok(true));
    }
    // Most are superseded by one destroy each, which leaves their claims without a record.
    for n in 1..=9_990 {
        assert!(b.destroy(id(n)).is_ok());
    }
    a.pull(&mut b);
    assert_eq!(a.partition.coverage().count(), 10_001);
    assert_eq!(a.spelled(), b.spelled());
}

// ----- found by reading -----------------------------------------------------------------------------------------

/// "Never expires" was asked for as the greatest number there is. On the wire it came out as -1, every peer refused the
/// frame and closed the link, and so it went for as long as the session lived.
#[test]
fn r01_the_longest_ttl_there_is_can_be_replicated() {
    for ttl in [Ttl::Sliding(u64::MAX), Ttl::Absolute(u64::MAX)] {
        let mut world = World::new(31, 2);
        world.settle();
        let id = world.fresh_id();
        assert!(world.create_with(0, id, &[("f", "1")], ttl, HOUR_MS).is_ok());
        let other = world.create(0, &[("f", "1")]);
        assert!(world.set_ttl(0, other, ttl).is_ok());
        world.settle();
        assert!(world.visible(1, id) && world.visible(1, other));
        assert_eq!(world.nodes[1].as_ref().map(|n| n.warnings.len()), Some(0));
        let again = world.set_ttl(0, id, ttl);
        assert!(again.is_ok_and(|w| !w.wrote), "unchanged, though it was clamped");
    }
}

/// A page's budget began anew with every range of every origin, and at least one record was sent for each: a page of
/// many origins' large records outgrew the largest frame, and its asker closed the link, for ever.
#[test]
fn r02_a_page_of_many_origins_fits_a_frame() {
    let (mut a, mut b) = (life('A'), life('B'));
    let large = "v".repeat(200_000);
    for letter in 'C'..='M' {
        let mut one = life(letter);
        born(&mut one, id(u64::from(u32::from(letter))), &large);
        b.pull(&mut one);
    }
    let page = b.page_for(&a, &[]);
    assert!(page.len() <= b.limits.page_bytes + 210_000, "{} bytes", page.len());
    a.pull(&mut b);
    assert_eq!(a.spelled(), b.spelled());
}

/// Forced entries are outside the budget (docs/ALGORITHM.md §4), and up to 1,024 of them were all answered in one page,
/// however large.
#[test]
fn r03_a_page_of_many_forced_sessions_fits_a_frame() {
    let (mut a, mut b) = (life('A'), life('B'));
    let large = "v".repeat(20_000);
    (0..200).for_each(|n| born(&mut b, id(n), &large));
    a.pull(&mut b);
    [&mut a, &mut b].into_iter().for_each(|l| l.wall_ms += 20 * MINUTE_MS);
    (0..200).for_each(|n| assert!(b.set(id(n), "g", Some("2")).is_ok()));
    [&mut a, &mut b].into_iter().for_each(|l| l.wall_ms += 12 * MINUTE_MS);
    a.partition.refresh(&[(b.origin, EPOCH_MS + HOUR_MS)]);
    a.reap();
    assert!(a.partition.get(id(0)).is_none());
    let parts = b.page_for(&a, &[]);
    let Ok(PageOutcome::More(need)) = a.take_page(b.origin, &parts, &[]) else {
        panic!("parts need the whole")
    };
    let page = b.page_for(&a, &need);
    assert!(page.len() <= b.limits.max_frame_bytes(), "{} bytes for {} sessions", page.len(), need.len());
    a.pull(&mut b);
    assert_eq!(a.spelled(), b.spelled());
}

/// The name of nobody, all zeros, marks a vacant place in the origin table; an entry written by it shared that place
/// with the next origin to come.
#[test]
fn r04_an_entry_by_the_origin_of_all_zeros_is_refused() {
    let (mut a, mut b, mut nobody) = (life('A'), life('B'), Life::new(Origin(0), EPOCH_MS));
    born(&mut nobody, id(1), "1");
    born(&mut b, id(2), "1");
    let page = nobody.page_for(&a, &[]);
    let refused = a.take_page(origin('C'), &page, &[]);
    assert!(matches!(refused, Err(Refusal::Malformed(_))), "{refused:?}");
    a.pull(&mut b);
    assert_eq!(a.partition.check_index(), Ok(()));
}

/// Each side of an audit left out sessions near their end by its own clock: in a busy mesh some session always lay
/// between the two clocks, and operators were told of differences that were none.
#[test]
fn r05_an_audit_of_a_healthy_mesh_with_skewed_clocks_finds_nothing() {
    let mut world = World::new(35, 2);
    world.nodes[1].as_mut().expect("up").offset_ms = 4_000;
    world.settle();
    for _ in 0..400 {
        let id = world.fresh_id();
        assert!(world.create_with(0, id, &[("f", "1")], Ttl::Sliding(10 * MINUTE_MS), HOUR_MS).is_ok());
        world.run(1_000);
    }
    world.run(10 * MINUTE_MS);
    for at in 0..2 {
        let node = world.nodes[at].as_ref().expect("up");
        assert_eq!(node.node.stats().audit_diffs, 0, "node {at}: {:?}", node.warnings);
    }
}

/// A record with as many fields as a configuration may allow, each written by its own op with a full context: its list
/// of numbers was longer than what a reader accepted.
#[test]
fn r06_the_largest_record_a_configuration_allows_can_be_read() {
    let table: Vec<Origin> = ('A'..='Z').map(origin).collect();
    let keys: Vec<String> = (0..11_000).map(|n| format!("k{n:05}")).collect();
    let context: Vec<(u32, u64)> = (1..=MAX_CONTEXT).map(|n| (short_origin(table[n]), n as u64)).collect();
    let op = |counter| Op {
        ver: Ver { hlc: Hlc::from_ms(EPOCH_MS), origin: 0, counter },
        context: context.clone(),
    };
    let mark = Some(Mark { op: 0, ms: EPOCH_MS });
    let state = State::Live(Live {
        ops: (1..=11_000).map(op).collect(),
        birth: Some(Birth { op: 0, created_ms: EPOCH_MS, hard_ms: EPOCH_MS + HOUR_MS }),
        touch: mark,
        ttl: Some(TtlReg { op: 0, ttl: HALF_HOUR }),
        high_sliding: mark,
        high_absolute: None,
        fields: keys
            .iter()
            .enumerate()
            .map(|(n, key)| Field { key, op: n as u32, value: Some(b"v") })
            .collect(),
    });
    let bases = Bases { wall_ms: EPOCH_MS, counter: 11_000, version: 2 };
    let mut writer = EntryWriter::new(bases, None);
    writer.entry(id(1), &state, &table);
    let (n, body) = writer.take();
    let header = PageHeader {
        round: 1,
        partition: 0,
        nonce: (1, 1),
        epoch: 1,
        wall_ms: EPOCH_MS,
        complete: true,
        source: true,
        base_counter: 11_000,
        origins: writer.table(),
        claims: vec![],
        inc: vec![],
    };
    let frame = header.encode(2, n, &body);
    let page = match decode(&frame) {
        Ok(Message::Page(page)) => page,
        Ok(_) => panic!("not a page"),
        Err(error) => panic!("{error}"),
    };
    let reader = EntryReader { bases, origins: &page.header.origins };
    assert_eq!(reader.resolve(&page.entries[0], &mut |_| 0), Ok(state));
}

/// Which members exist was spread by pages to one partition only; over "equal" answers, which are most, it was lost: a
/// node could find a session stable without a member it had only heard of.
#[test]
fn r07_a_member_heard_of_in_a_page_counts_for_every_partition() {
    let mut world = World::new(37, 2);
    world.settle();
    let far = origin('F');
    let ix = 3;
    world.replica(1).locked(ix, |p| p.refresh(&[(far, 1)]));
    let in_partition = (0..).map(id).find(|id| id.partition(8) == ix).expect("some id lies there");
    // Node 0 must ask for the partition, so its push is lost.
    world.net.cuts.insert((1, 0));
    assert!(world.create_with(1, in_partition, &[("f", "1")], HALF_HOUR, HOUR_MS).is_ok());
    world.net.cuts.clear();
    world.settle();
    let session = world.create(0, &[("f", "1")]);
    world.settle();
    assert_ne!(session.partition(8), ix);
    world.run(40 * MINUTE_MS);
    assert!(held(&world, 0, session), "{:?} may hold it alive", far);
}
