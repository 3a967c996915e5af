//! Whatever can be held can be sent, read, edited and ended: sides of a partition that filled one record, united in any
//! order, through the shipped frames.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sessionmesh::core::causality::{Origin, Ver};
use sessionmesh::core::replica::{Change, EntrySink, Extent, PageOutcome, Refusal, WriteError};
use sessionmesh::core::session::{Field, Op, PRINCIPAL_KEY, State, Ttl};
use sessionmesh::core::time::Hlc;
use sessionmesh::core::wire::{Bases, EntryWriter, TellHeader, WIRE_NEWEST};
use sessionmesh_sim::{Life, change, id};

const WALL_MS: u64 = 1_800_000_000_000;
const MINUTE_MS: u64 = 60_000;
const TTL: Ttl = Ttl::Sliding(30 * MINUTE_MS);
const LIFE_MS: u64 = 12 * 3_600_000;

/// A cap of the record that each side fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cap {
    Fields,
    Bytes,
    Removals,
    /// Each write by another life.
    Origins,
}

const MOST_FIELDS: usize = 20;
const MOST_BYTES: usize = 2_000;

fn life(n: usize, page_bytes: usize) -> Life {
    let mut life = Life::new(Origin(1_000 + n as u128), WALL_MS);
    (life.limits.max_fields, life.limits.max_record_bytes) = (MOST_FIELDS, MOST_BYTES);
    life.limits.page_bytes = page_bytes;
    life
}

/// The sides, each having filled what it had of the session when it was cut off.
fn sides(cap: Cap, n: usize, page_bytes: usize) -> Vec<Life> {
    let mut first = life(0, page_bytes);
    first.create(id(1), &[("v", Some("1"))], TTL, LIFE_MS).expect("created");
    let mut sides: Vec<Life> = (1..=n).map(|n| life(n, page_bytes)).collect();
    for (at, side) in sides.iter_mut().enumerate() {
        side.pull(&mut first);
        fill(cap, at, side);
    }
    sides
}

fn fill(cap: Cap, at: usize, side: &mut Life) {
    let mut set = |key: &str, value: Option<&str>| side.set(id(1), key, value).expect("below every cap");
    match cap {
        Cap::Fields => (1..MOST_FIELDS).for_each(|n| _ = set(&format!("f{at}-{n}"), Some("x"))),
        Cap::Bytes => _ = set(&format!("b{at}"), Some(&"x".repeat(MOST_BYTES - 10))),
        Cap::Removals => (0..60).for_each(|n| {
            set(&format!("r{at}-{n}"), Some("x"));
            set(&format!("r{at}-{n}"), None);
        }),
        Cap::Origins => (0..8).for_each(|n| {
            // A new life for each write, as of a process that restarts again and again.
            side.set(id(1), &format!("o{at}-{n}"), Some("x")).expect("below every cap");
            let next = life(10_000 + 100 * at + n, 0).origin;
            side.partition.reincarnate(next);
            side.origin = next;
        }),
    }
}

/// What all sides together hold: the fields by key.
fn union(sides: &[Life]) -> BTreeMap<String, Option<Vec<u8>>> {
    let records = sides.iter().filter_map(|side| side.partition.get(id(1)));
    records
        .flat_map(|r| r.fields().map(|f| (f.key.to_owned(), f.value.map(<[u8]>::to_vec))).collect::<Vec<_>>())
        .collect()
}

fn held(life: &Life) -> BTreeMap<String, Option<Vec<u8>>> {
    union(std::slice::from_ref(life))
}

/// Two lives at once.
fn two(lives: &mut [Life], a: usize, b: usize) -> (&mut Life, &mut Life) {
    let (low, high) = lives.split_at_mut(a.max(b));
    if a < b { (&mut low[a], &mut high[0]) } else { (&mut high[0], &mut low[b]) }
}

/// An empty node gets the record by a page, one by a read-through answer, one by a push that it must refuse as a part or
/// take as a whole; all hold what the sender holds, and none refuses a frame.
fn ship(from: &mut Life) {
    let page_bytes = from.limits.page_bytes;
    let [mut paged, mut told, mut pushed] = [90, 91, 92].map(|n| life(n, page_bytes));
    for to in [&mut paged, &mut told, &mut pushed] {
        to.wall_ms = from.wall_ms;
    }
    paged.pull(from);
    told.take_tell(from.origin, &from.tell(id(1))).expect("an answer is taken");
    if let Some((frame, _)) = from.push(0) {
        pushed.take_push(from.origin, &frame).expect("a push is no offence");
    }
    pushed.pull(from);
    for to in [&paged, &told, &pushed] {
        assert_eq!(to.spelled(), from.spelled());
        assert_eq!(to.partition.check_index(), Ok(()));
    }
}

/// Everything a user or an operator may do to it.
fn use_it(life: &mut Life, cap: Cap) {
    life.wall_ms += 10 * MINUTE_MS;
    let over_fields = held(life).values().flatten().count() > MOST_FIELDS;
    let touched = life.edit(id(1), &Change::default()).expect("a touch is never refused");
    assert!(touched.wrote);
    let login = Change { fields: vec![(PRINCIPAL_KEY, Some(&[7; 600]))], ..Change::default() };
    life.edit(id(1), &login).expect("nor a log-in");
    let out = Change { fields: vec![(PRINCIPAL_KEY, None)], ..Change::default() };
    life.edit(id(1), &out).expect("nor a log-out");
    life.set(id(1), "v", Some("2")).expect("an overwrite as long as what was there");
    let one_more = life.set(id(1), "one more field", Some("x"));
    match cap {
        Cap::Bytes => assert!(matches!(one_more, Err(WriteError::TooLarge { .. })), "{one_more:?}"),
        _ if over_fields => {
            assert!(matches!(one_more, Err(WriteError::TooManyFields { .. })), "{one_more:?}")
        }
        _ => {}
    }
    let key = held(life).into_iter().find(|f| f.1.is_some() && f.0 != "v").map(|f| f.0);
    if let Some(key) = key {
        life.set(id(1), &key, None).expect("a removal is never refused");
    }
    ship(life);
    let cleared = Change { clear: true, ..change(&[("v", Some("3"))]) };
    life.edit(id(1), &cleared).expect("nor what clears it");
    assert_eq!(held(life).values().flatten().count(), 1);
    ship(life);
    life.destroy(id(1)).expect("nor its end");
    ship(life);
}

fn caps() -> impl Strategy<Value = Cap> {
    prop_oneof![Just(Cap::Fields), Just(Cap::Bytes), Just(Cap::Removals), Just(Cap::Origins)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    /// The table, cell by cell at random: a cap, so many sides, pages of any size, met in any order.
    #[test]
    fn what_full_sides_make_together_is_held_sent_edited_and_ended(
        cap in caps(),
        n in 2usize..13,
        page_bytes in prop_oneof![Just(1_024usize), Just(300), Just(256 * 1024)],
        meets in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 0..12),
    ) {
        let mut sides = sides(cap, n, page_bytes);
        let expected = union(&sides);
        let mut cursors = BTreeMap::new();
        for (a, b, push) in meets {
            let (a, b) = (a.index(n), b.index(n));
            if a == b {
                continue;
            }
            let (to, from) = two(&mut sides, a, b);
            let cursor = cursors.entry((a, b)).or_insert(0);
            match from.push(*cursor).filter(|_| push) {
                Some((frame, next)) => {
                    to.take_push(from.origin, &frame).expect("a push is no offence");
                    *cursor = next;
                }
                None => _ = to.pull(from),
            }
        }
        for at in 1..n {
            let (to, from) = two(&mut sides, 0, at);
            to.pull(from);
        }
        prop_assert_eq!(&held(&sides[0]), &expected);
        for at in 1..n {
            let (from, to) = two(&mut sides, 0, at);
            to.pull(from);
            prop_assert_eq!(from.spelled(), to.spelled());
        }
        ship(&mut sides[0]);
        use_it(&mut sides[0], cap);
    }
}

/// Removed fields do not count for ever: a session that had a thousand of them could remove and clear no more.
#[test]
fn removed_fields_have_no_number() {
    let mut one = Life::new(Origin(1), WALL_MS);
    one.create(id(1), &[("v", Some("1"))], TTL, LIFE_MS).expect("created");
    for n in 0..1_100 {
        let key = format!("k{n}");
        one.set(id(1), &key, Some("x")).expect("set");
        one.set(id(1), &key, None).expect("removed");
    }
    one.edit(id(1), &Change { clear: true, ..Change::default() }).expect("cleared");
    assert_eq!(held(&one).len(), 1_101, "the marks stay: a late set must not bring a field back");
}

/// Their keys count in bytes, so that they have a bound all the same; what removes is taken beyond it too.
#[test]
fn removed_fields_count_in_bytes_and_never_stop_a_removal() {
    let mut one = life(1, 1_024);
    one.create(id(1), &[("v", Some("1"))], TTL, LIFE_MS).expect("created");
    let key = |n: usize| format!("{n:0>100}");
    let full = (0..).find(|&n| {
        let set = one.set(id(1), &key(n), Some(""));
        set.is_err() || one.set(id(1), &key(n), None).is_err()
    });
    assert_eq!(full, Some(19), "19 keys of 100 bytes and one of 1: below 2,000 bytes");
    one.set(id(1), "v", Some("2")).expect("as long as before");
    one.set(id(1), "v", None).expect("a removal");
}

/// What an edit says twice counts as it says it last, in what it writes and against the caps.
#[test]
fn a_key_said_twice_counts_once_and_as_it_was_said_last() {
    let mut one = life(1, 1_024);
    let twice: Vec<(&str, Option<&str>)> = (0..2 * MOST_FIELDS).map(|_| ("v", Some("1"))).collect();
    one.create(id(1), &twice, TTL, LIFE_MS).expect("one field");
    one.edit(id(1), &change(&twice)).expect("one field");
    let large = "x".repeat(MOST_BYTES - 100);
    one.edit(id(1), &change(&[("v", Some(&large)), ("v", Some(&large))])).expect("one value");
    // A save that leaves out what is unchanged: the last word is the value that is there already.
    one.edit(id(1), &change(&[("v", Some("1"))])).expect("set");
    let back = Change { skip_unchanged: true, ..change(&[("v", Some("2")), ("v", Some("1"))]) };
    one.edit(id(1), &back).expect("skipped");
    assert_eq!(one.field(id(1), "v").as_deref(), Some("1"));
    // Set and removed: not there, whether or not it was before.
    one.edit(id(1), &change(&[("w", Some("1")), ("w", None)])).expect("taken");
    assert_eq!(one.field(id(1), "w"), None);
    one.create(id(2), &[("w", Some("1")), ("w", None)], TTL, LIFE_MS).expect("created");
    assert_eq!(one.field(id(2), "w"), None);
}

/// What one of many sides knows of the session: its birth, and a thousand fields, each set by a write of its own.
fn a_thousand_fields(first: &Life, side: u128) -> Vec<u8> {
    let keys: Vec<String> = (0..1_000).map(|n| format!("f{side}-{n:03}")).collect();
    let Some(State::Live(born)) = first.partition.get(id(1)).map(|record| record.state()) else {
        panic!("born")
    };
    let mut origins = first.partition.origins().to_vec();
    origins.push(Origin(100 + side));
    let mut live = born.clone();
    live.ops.extend((1..=1_000).map(|counter| Op {
        ver: Ver { hlc: Hlc::new(WALL_MS, counter as u16), origin: origins.len() as u32 - 1, counter },
        context: Vec::new(),
    }));
    let op = |n: usize| (born.ops.len() + n) as u32;
    live.fields.extend(keys.iter().enumerate().map(|(n, key)| Field { key, op: op(n), value: Some(b"x") }));
    live.fields.sort_by_key(|f| f.key);
    let bases = Bases { wall_ms: WALL_MS, counter: 0, version: WIRE_NEWEST };
    let mut writer = EntryWriter::new(bases, None);
    writer.entry(id(1), &State::Live(live), &origins);
    let (_, body) = writer.take();
    let header = TellHeader { request: 1, wall_ms: WALL_MS, sound: true, origins: writer.table() };
    header.encode(WIRE_NEWEST, &body)
}

/// A record that a merge made of more ops and fields than 16 bits count.
#[test]
fn seventy_sides_of_a_thousand_fields_are_one_record() {
    let mut first = Life::new(Origin(1), WALL_MS);
    first.create(id(1), &[("v", Some("1"))], TTL, LIFE_MS).expect("created");
    let mut sum = Life::new(Origin(2), WALL_MS);
    for side in 0..70 {
        sum.take_tell(first.origin, &a_thousand_fields(&first, side)).expect("taken");
    }
    let keys: BTreeSet<String> = held(&sum).into_keys().collect();
    assert_eq!(keys.len(), 70 * 1_000 + 1);
    sum.wall_ms += 10 * MINUTE_MS;
    assert!(sum.edit(id(1), &Change::default()).expect("a touch").wrote);
    sum.set(id(1), "f3-007", Some("y")).expect("an overwrite");
    sum.set(id(1), "f3-008", None).expect("a removal");
    assert!(matches!(sum.set(id(1), "new", Some("y")), Err(WriteError::TooManyFields { .. })));
    ship(&mut sum);
    assert_eq!(sum.field(id(1), "f3-007").as_deref(), Some("y"));
    sum.edit(id(1), &Change { clear: true, ..Change::default() }).expect("cleared");
    assert_eq!(held(&sum).values().flatten().count(), 0);
    sum.destroy(id(1)).expect("ended");
    ship(&mut sum);
}

/// What no frame could carry is not taken in, and named, for its node to end.
#[test]
fn a_union_beyond_every_frame_is_told() {
    let mut first = life(0, 1_024);
    first.create(id(1), &[("v", Some("1"))], TTL, LIFE_MS).expect("created");
    let [mut a, mut b] = [life(1, 1_024), life(2, 1_024)];
    let half = "x".repeat(a.limits.max_union_bytes() * 2 / 3);
    for (side, key) in [(&mut a, "a"), (&mut b, "b")] {
        side.pull(&mut first);
        side.limits.max_record_bytes = 1 << 30;
        side.set(id(1), key, Some(&half)).expect("set");
        side.limits.max_record_bytes = MOST_BYTES;
    }
    let before = a.spelled();
    let page = b.page_for(&a, &[]);
    let refused = a.take_page(b.origin, &page, &[]);
    assert!(matches!(refused, Err(Refusal::Overgrown { id: which, .. }) if which == id(1)), "{refused:?}");
    assert_eq!(a.spelled(), before);
    a.destroy(id(1)).expect("ended");
    b.pull(&mut a);
    assert!(!b.visible(id(1)) && !a.visible(id(1)));
    assert!(matches!(a.take_page(b.origin, &b.page_for(&a, &[]), &[]), Ok(PageOutcome::Adopted)));
}

/// A log-in gives the session a new id: a copy is as large as a merge has made what it copies, and no larger.
#[test]
fn a_copy_under_a_new_id_is_never_refused() {
    for cap in [Cap::Fields, Cap::Bytes] {
        let mut sides = sides(cap, 3, 1_024);
        for at in 1..3 {
            let (to, from) = two(&mut sides, 0, at);
            to.pull(from);
        }
        let life = &mut sides[0];
        let held = held(life);
        let copied = Extent::of(&life.partition.get(id(1)).expect("held"));
        let mut fields: Vec<(&str, Option<&[u8]>)> =
            held.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        fields.push((PRINCIPAL_KEY, Some(&[7; 600])));
        let copy = Change { fields: fields.clone(), copied, ..Change::default() };
        life.create_as(id(2), &copy, TTL, LIFE_MS).expect("a copy, and a log-in");
        fields.push(("one more", Some(b"x")));
        let larger = Change { fields, copied, ..Change::default() };
        let refused = life.create_as(id(3), &larger, TTL, LIFE_MS);
        assert!(
            matches!(refused, Err(WriteError::TooManyFields { .. } | WriteError::TooLarge { .. })),
            "{refused:?}"
        );
        let none = Change { copied: Extent::default(), ..copy };
        assert!(life.create_as(id(4), &none, TTL, LIFE_MS).is_err(), "no copy: the caps as they are");
    }
}
