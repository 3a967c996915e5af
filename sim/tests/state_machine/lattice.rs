//! The laws of the session join, on arbitrary states and on states that histories reach; and the naive merge rule
//! that breaks them, kept so that nobody simplifies the join into it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sessionmesh::core::causality::{Origin, Ver, short_origin};
use sessionmesh::core::replica::{Change, EntrySink};
use sessionmesh::core::session::{
    Birth, Bound, CUT, Dead, Field, Live, Mark, Op, Packed, SessionId, State, Ttl, TtlReg, encode, join,
};
use sessionmesh::core::time::Hlc;
use sessionmesh::core::wire::{Bases, EntryReader, EntryWriter, Message, PageHeader, decode};
use sessionmesh_sim::{Life, id, origin, spell};

const WALL_MS: u64 = 1_800_000_000_000;
const KEYS: [&str; 4] = ["cart", "lang", "seen", "user"];
const VALUES: [Option<&[u8]>; 4] = [None, Some(b""), Some(b"x"), Some(b"yy")];

fn cases(n: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(n) }
}

fn origins() -> Vec<Origin> {
    // Not in rising order: local indices must not decide anything.
    ['B', 'C', 'A'].map(origin).to_vec()
}

/// A dot's stamp is a function of the dot, as it is in life; few stamps, so that origins must break ties.
fn ver(origin: u32, counter: u64) -> Ver {
    Ver { origin, counter, hlc: Hlc::new(WALL_MS + counter / 2, (counter % 2) as u16) }
}

/// What the writer of a dot had seen: a function of the dot, lost on the way if the frame had wire version 1.
fn context(ver: Ver, over_v1: bool) -> Vec<(u32, u64)> {
    let other = short_origin(origins()[(ver.origin as usize + 1) % 3]);
    if over_v1 || ver.counter.is_multiple_of(3) { Vec::new() } else { vec![(other, ver.counter - 1)] }
}

/// Components by number of their dot; assembled into a state in whatever order they come.
#[derive(Clone, Debug)]
struct Parts {
    birth: Option<(u32, u64, u64)>,
    touch: Option<(u32, u64, u64)>,
    ttl: Option<(u32, u64, Ttl)>,
    high_sliding: Option<(u32, u64, u64)>,
    high_absolute: Option<(u32, u64, u64)>,
    fields: BTreeMap<usize, (u32, u64, usize)>,
    over_v1: bool,
}

fn assemble(parts: &Parts) -> State<'static> {
    let mut ops: Vec<Op> = Vec::new();
    let mut op = |origin: u32, counter: u64| -> u32 {
        let ver = ver(origin, counter);
        let found = ops.iter().position(|op| op.ver.same_dot(&ver));
        found.unwrap_or_else(|| {
            ops.push(Op { ver, context: context(ver, parts.over_v1) });
            ops.len() - 1
        }) as u32
    };
    let mut live = Live::default();
    for (&key, &(o, c, value)) in &parts.fields {
        live.fields.push(Field { key: KEYS[key], op: op(o, c), value: VALUES[value] });
    }
    live.high_absolute = parts.high_absolute.map(|(o, c, ms)| Mark { op: op(o, c), ms });
    live.high_sliding = parts.high_sliding.map(|(o, c, ms)| Mark { op: op(o, c), ms });
    live.ttl = parts.ttl.map(|(o, c, ttl)| TtlReg { op: op(o, c), ttl });
    live.touch = parts.touch.map(|(o, c, ms)| Mark { op: op(o, c), ms: WALL_MS + ms });
    live.birth = parts.birth.map(|(o, c, life)| Birth {
        op: op(o, c),
        created_ms: WALL_MS + c,
        hard_ms: WALL_MS + c + 1_000 * life,
    });
    live.ops = ops;
    State::Live(live)
}

fn any_ttl() -> impl Strategy<Value = Ttl> {
    (0u64..3, any::<bool>())
        .prop_map(|(ms, sliding)| if sliding { Ttl::Sliding(ms) } else { Ttl::Absolute(ms) })
}

fn any_live(over_v1: bool) -> impl Strategy<Value = State<'static>> {
    let dot = || (0u32..3, 1u64..5);
    let mark = || prop::option::of((dot(), 0u64..3).prop_map(|((o, c), n)| (o, c, n)));
    let ttl = prop::option::of((dot(), any_ttl()).prop_map(|((o, c), ttl)| (o, c, ttl)));
    let field = (dot(), 0usize..4).prop_map(|((o, c), v)| (o, c, v));
    let fields = prop::collection::btree_map(0usize..4, field, 0..5);
    (mark(), mark(), ttl, mark(), mark(), fields).prop_map(
        move |(birth, touch, ttl, high_sliding, high_absolute, fields)| {
            assemble(&Parts { birth, touch, ttl, high_sliding, high_absolute, fields, over_v1 })
        },
    )
}

/// Any state at all, partial ones and ones that only origin reuse could make included.
fn any_state() -> impl Strategy<Value = State<'static>> {
    any_state_of(false)
}

fn any_state_of(over_v1: bool) -> impl Strategy<Value = State<'static>> {
    let dead = (0u32..3, 1u64..5, 0u64..3)
        .prop_map(|(o, c, n)| State::Dead(Dead { ver: ver(o, c), hard_ms: WALL_MS + n }));
    prop_oneof![6 => any_live(over_v1), 1 => dead]
}

fn joined<'a>(a: &State<'a>, b: &State<'a>) -> State<'a> {
    join(a, b, &origins(), &|_| false).0
}

fn spelled(state: &State<'_>) -> Vec<String> {
    spell(state, &origins())
}

fn unlabelled(state: &State<'_>) -> Vec<String> {
    spelled(state).into_iter().filter(|line| !line.contains(" saw ")).collect()
}

/// Component-wise order: `a` lies below `b` if joining it changes nothing.
fn below(a: &State<'_>, b: &State<'_>) -> bool {
    spelled(&joined(a, b)) == spelled(b)
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn the_join_is_commutative_associative_idempotent_and_monotone(
        a in any_state(), b in any_state(), c in any_state()
    ) {
        prop_assert_eq!(spelled(&joined(&a, &b)), spelled(&joined(&b, &a)), "commutative");
        let (left, right) = (joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
        prop_assert_eq!(spelled(&left), spelled(&right), "associative");
        prop_assert_eq!(spelled(&joined(&a, &a)), spelled(&a), "idempotent");
        prop_assert!(below(&a, &joined(&a, &b)), "an upper bound of what went in");
        prop_assert!(below(&joined(&a, &b), &joined(&joined(&a, &c), &b)), "monotone");
    }

    /// A frame of wire version 1 loses contexts. They are labels outside the lattice: which of two copies of one op
    /// keeps its label may depend on the order, what the session holds may not.
    #[test]
    fn lost_contexts_change_nothing_but_labels(
        a in any_state_of(true), b in any_state_of(false), c in any_state_of(true)
    ) {
        let (left, right) = (joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
        prop_assert_eq!(unlabelled(&left), unlabelled(&right));
        prop_assert_eq!(unlabelled(&joined(&a, &b)), unlabelled(&joined(&b, &a)));
    }

    #[test]
    fn joining_what_is_there_already_changes_not_even_the_order_of_ops(a in any_state(), b in any_state()) {
        let ab = joined(&a, &b);
        prop_assert_eq!(joined(&ab, &b), ab.clone(), "a duplicate must look like one: no event, no rewrite");
        if let State::Live(live) = &ab {
            prop_assert_eq!(State::Live(live.restrict(&|_| true)), ab.clone(), "restrict keeps the order");
        }
    }

    #[test]
    fn dead_absorbs_everything_live(a in any_live(false), o in 0u32..3, c in 1u64..5) {
        let dead = State::Dead(Dead { ver: ver(o, c), hard_ms: WALL_MS });
        prop_assert_eq!(joined(&a, &dead), dead.clone());
        prop_assert_eq!(joined(&dead, &a), dead);
    }

    #[test]
    fn a_restriction_lies_below_and_the_two_halves_make_the_whole(a in any_live(false), cut in 0u64..5) {
        let State::Live(live) = &a else { return Ok(()) };
        let (old, new) = (
            State::Live(live.restrict(&|v| v.counter <= cut)), State::Live(live.restrict(&|v| v.counter > cut)),
        );
        prop_assert!(below(&old, &a));
        prop_assert_eq!(spelled(&joined(&old, &new)), spelled(&a));
    }

    #[test]
    fn a_whole_state_survives_packing(a in any_state()) {
        let mut bytes = Vec::new();
        let whole = match &a {
            State::Dead(_) => true,
            State::Live(l) => l.birth.is_some() && l.touch.is_some() && l.ttl.is_some(),
        };
        prop_assert_eq!(encode(id(9), &a, &mut bytes), whole, "only whole states are stored");
        if whole {
            prop_assert_eq!(Packed::new(&bytes).id(), id(9));
            prop_assert_eq!(Packed::new(&bytes).state(), a);
        }
    }

    #[test]
    fn a_state_survives_the_wire(
        a in any_state(), version in 1u16..=2, skew in -60_000i64..60_000, counter in 0u64..1 << 40
    ) {
        if let State::Live(l) = &a { prop_assume!(!l.ops.is_empty()); }
        let bases = Bases { wall_ms: WALL_MS.saturating_add_signed(skew), counter, version };
        let back = over_the_wire(&a, bases, |state| spelled(&state));
        let mut expected = a.clone();
        if let (1, State::Live(live)) = (version, &mut expected) {
            // What the writers of fields had seen is not known; a creation saw nothing.
            let fields: Vec<u32> = live.fields.iter().map(|f| f.op).collect();
            let born = live.birth.map(|b| b.op);
            for (at, op) in live.ops.iter_mut().enumerate() {
                let open = fields.contains(&(at as u32)) && born != Some(at as u32);
                op.context = if open { vec![CUT] } else { vec![] };
            }
        }
        prop_assert_eq!(back, spelled(&expected));
    }
}

fn over_the_wire<T>(state: &State<'_>, bases: Bases, f: impl FnOnce(State<'_>) -> T) -> T {
    let mut writer = EntryWriter::new(bases, None);
    writer.entry(id(1), state, &origins());
    let (n, body) = writer.take();
    let header = PageHeader {
        round: 1,
        partition: 0,
        nonce: (1, 0),
        epoch: 1,
        wall_ms: bases.wall_ms,
        complete: true,
        source: true,
        base_counter: bases.counter,
        origins: writer.table(),
        claims: Vec::new(),
        inc: Vec::new(),
    };
    let frame = header.encode(bases.version, n, &body);
    let Ok(Message::Page(page)) = decode(&frame) else { panic!("{:?}", decode(&frame)) };
    assert_eq!(page.entries[0].id, id(1));
    let reader = EntryReader { bases, origins: &page.header.origins };
    // The receiver's table is another one than the sender's.
    let table = origins();
    let mut intern = |o: Origin| table.iter().position(|&t| t == o).unwrap_or(0) as u32;
    f(reader.resolve(&page.entries[0], &mut intern).expect("an honest entry resolves"))
}

// ----- states that histories reach: deltas by dot ---------------------------------------------------------------

/// One write of a history: who, and what it writes (the first one also creates).
type Write = (u32, Option<u64>, Option<Ttl>, BTreeMap<usize, usize>);

fn any_history() -> impl Strategy<Value = Vec<Write>> {
    let fields = prop::collection::btree_map(0usize..4, 0usize..4, 0..3);
    let write = (0u32..3, prop::option::of(0u64..5), prop::option::of(any_ttl()), fields);
    prop::collection::vec(write, 1..8)
}

/// The delta of the n-th write: its components all carry its one dot.
fn delta_of(n: usize, (o, touch, ttl, fields): &Write) -> State<'static> {
    let (o, c) = (*o, n as u64 + 1);
    let (first, ttl) = (n == 0, ttl.or((n == 0).then_some(Ttl::Sliding(1))));
    let high = |sliding| {
        ttl.and_then(|t| match t {
            Ttl::Sliding(ms) if sliding => Some((o, c, ms)),
            Ttl::Absolute(ms) if !sliding => Some((o, c, ms)),
            _ => None,
        })
    };
    assemble(&Parts {
        birth: first.then_some((o, c, 9)),
        touch: touch.or(first.then_some(0)).map(|ms| (o, c, ms)),
        ttl: ttl.map(|ttl| (o, c, ttl)),
        high_sliding: high(true),
        high_absolute: high(false),
        fields: fields.iter().map(|(&k, &v)| (k, (o, c, v))).collect(),
        over_v1: false,
    })
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn a_delta_brings_what_the_whole_state_would(
        history in any_history(), mine in any::<u8>(), theirs in any::<u8>()
    ) {
        let deltas: Vec<_> = history.iter().enumerate().map(|(n, w)| delta_of(n, w)).collect();
        let part = |mask: u8| deltas.iter().enumerate().filter(move |(n, _)| *n == 0 || mask >> n & 1 == 1);
        let merged = |mask: u8| part(mask).fold(deltas[0].clone(), |sum, (_, d)| joined(&sum, d));
        let (x, y) = (merged(mine), merged(theirs));
        let State::Live(live) = &y else { return Ok(()) };
        // The counter alone names the write here, so this is "dots the asker's vector does not cover".
        let lacking = |v: &Ver| !part(mine).any(|(n, _)| n as u64 + 1 == v.counter);
        let delta = State::Live(live.restrict(&lacking));
        prop_assert_eq!(spelled(&joined(&x, &delta)), spelled(&joined(&x, &y)));
    }
}

// ----- the same over two real partitions ------------------------------------------------------------------------

#[derive(Clone, Debug)]
enum Step {
    Create(bool, u64),
    Set(bool, u64, usize, usize),
    Ttl(bool, u64, u64),
    Bound(bool, u64, u64),
    Destroy(bool, u64),
    Push(bool),
    Pull(bool),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (who, sid) = (any::<bool>, || 0u64..6);
    let step = prop_oneof![
        3 => (who(), sid()).prop_map(|(w, s)| Step::Create(w, s)),
        8 => (who(), sid(), 0usize..4, 0usize..4).prop_map(|(w, s, k, v)| Step::Set(w, s, k, v)),
        2 => (who(), sid(), 1u64..4).prop_map(|(w, s, t)| Step::Ttl(w, s, t)),
        2 => (who(), sid(), 1u64..16).prop_map(|(w, s, t)| Step::Bound(w, s, t)),
        1 => (who(), sid()).prop_map(|(w, s)| Step::Destroy(w, s)),
        2 => who().prop_map(Step::Push),
        1 => who().prop_map(Step::Pull),
        2 => (1u64..400_000).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..60)
}

fn two_lives(steps: &[Step]) -> [Life; 2] {
    let mut lives = [Life::new(origin('A'), WALL_MS), Life::new(origin('B'), WALL_MS - 3_000)];
    let mut cursors = [0, 0];
    for life in &mut lives {
        life.limits.page_bytes = 300;
    }
    for step in steps {
        // A refused write is part of a random history.
        match *step {
            Step::Create(w, s) => {
                // One id is born once: a second birth (docs/ALGORITHM.md §5) has its own table in merge_tables.rs.
                let (x, y) = two(&mut lives, w);
                if y.partition.get(id(s)).is_none() {
                    let _ = x.create(id(s), &[("cart", Some("new"))], Ttl::Sliding(900_000), 3_600_000);
                }
            }
            Step::Set(w, s, k, v) => {
                let fields = vec![(KEYS[k], VALUES[v])];
                let _ = two(&mut lives, w).0.edit(id(s), &Change { fields, ..Change::default() });
            }
            Step::Ttl(w, s, t) => {
                let ttl = if t == 3 { Ttl::Absolute(WALL_MS + 1_000_000) } else { Ttl::Sliding(t * 500_000) };
                let _ = two(&mut lives, w).0.edit(id(s), &Change { ttl: Some(ttl), ..Change::default() });
            }
            Step::Bound(w, s, t) => {
                let bound = Bound { within_ms: t * 300_000, ..Bound::default() };
                let _ = two(&mut lives, w).0.edit(id(s), &Change { bound, ..Change::default() });
            }
            Step::Destroy(w, s) => _ = two(&mut lives, w).0.destroy(id(s)),
            Step::Push(w) => {
                let (x, y) = two(&mut lives, w);
                if let Some((frame, cursor)) = x.push(cursors[usize::from(w)]) {
                    cursors[usize::from(w)] = cursor;
                    assert!(y.take_push(x.origin, &frame).is_ok());
                }
            }
            Step::Pull(w) => {
                let (x, y) = two(&mut lives, w);
                x.pull(y);
            }
            Step::Pass(ms) => lives.iter_mut().for_each(|l| l.wall_ms += ms),
        }
    }
    lives
}

/// The life a step is about, and the other.
fn two(lives: &mut [Life; 2], first: bool) -> (&mut Life, &mut Life) {
    let [a, b] = lives;
    if first { (a, b) } else { (b, a) }
}

/// Joins what two partitions hold, session by session, with origins spelled alike.
fn full_join(a: &Life, b: &Life) -> BTreeMap<SessionId, Vec<String>> {
    let mut table = a.partition.origins().to_vec();
    table.extend_from_slice(b.partition.origins());
    let shift = a.partition.origins().len() as u32;
    // Equal origins must have equal indices, or one dot would look like two.
    let same = |ix: u32| table.iter().position(|o| *o == table[ix as usize]).unwrap_or(0) as u32;
    let mut out: BTreeMap<SessionId, State<'_>> = BTreeMap::new();
    for (life, by) in [(a, 0), (b, shift)] {
        for record in life.partition.records() {
            let mut state = record.state();
            match &mut state {
                State::Live(live) => {
                    live.ops.iter_mut().for_each(|op| op.ver.origin = same(op.ver.origin + by))
                }
                State::Dead(dead) => dead.ver.origin = same(dead.ver.origin + by),
            }
            let sum = match out.remove(&record.id()) {
                Some(held) => join(&held, &state, &table, &|_| false).0,
                None => state,
            };
            out.insert(record.id(), sum);
        }
    }
    out.into_iter().map(|(id, state)| (id, spell(&state, &table))).collect()
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn a_page_for_the_others_base_equals_the_join_of_everything(steps in steps()) {
        let [mut a, mut b] = two_lives(&steps);
        let expected = full_join(&a, &b);
        a.pull(&mut b);
        prop_assert_eq!(&a.spelled(), &expected);
        b.pull(&mut a);
        prop_assert_eq!(&b.spelled(), &expected);
        prop_assert_eq!(a.partition.check_index(), Ok(()));
        prop_assert_eq!(b.partition.check_index(), Ok(()));
        let hash = |l: &Life| l.partition.cov_hash(WALL_MS, &l.limits);
        prop_assert_eq!(hash(&a), hash(&b), "equal coverage");
        prop_assert_eq!(a.partition.audit_sum(WALL_MS, &a.limits), b.partition.audit_sum(WALL_MS, &b.limits));
        prop_assert_eq!(a.partition.exact_sum(WALL_MS, 0), b.partition.exact_sum(WALL_MS, 0));
    }
}

// ----- the naive rule -------------------------------------------------------------------------------------------

/// A record under the naive rule: a vector over A, B, C, a wall time, a value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Naive {
    vector: [u64; 3],
    wall: u64,
    value: &'static str,
}

/// "The dominating vector wins, else the later wall clock; vectors merge": what one writes first.
fn naive(a: &Naive, b: &Naive) -> Naive {
    let dominates = |x: &Naive, y: &Naive| x.vector.iter().zip(&y.vector).all(|(x, y)| x >= y);
    let winner = match (dominates(a, b), dominates(b, a)) {
        (true, _) => a,
        (_, true) => b,
        _ if a.wall >= b.wall => a,
        _ => b,
    };
    Naive { vector: std::array::from_fn(|i| a.vector[i].max(b.vector[i])), ..winner.clone() }
}

/// docs/ALGORITHM.md, "Why version vectors do not pick winners": B's clock is slow. `y` was written after reading `x`;
/// `z` is concurrent with both. By causality x < y, by the clock y < z < x: a cycle, which no order contains.
#[test]
fn the_naive_rule_diverges_under_equal_vectors_and_resurrects_an_overwritten_value() {
    let x = Naive { vector: [1, 0, 0], wall: 30, value: "x" };
    let y = Naive { vector: [1, 1, 0], wall: 10, value: "y" };
    let z = Naive { vector: [0, 0, 1], wall: 20, value: "z" };
    let one = naive(&naive(&x, &y), &z);
    let other = naive(&naive(&x, &z), &y);
    assert_eq!(one.vector, other.vector, "equal vectors: nobody will ever ask again");
    assert_eq!(
        (one.value, other.value),
        ("z", "x"),
        "yet different values, and x, which y overwrote, is back"
    );
}

/// The same three writes under our join: B's stamp was advanced past A's when it read `x`, so stamp order extends
/// causality, and every order of merging ends alike.
#[test]
fn our_join_ends_alike_in_every_order_and_never_resurrects() {
    let table = ['A', 'B', 'C'].map(origin);
    let clock_of_b = sessionmesh::core::time::HybridClock::default();
    clock_of_b.observe(Hlc::from_ms(30));
    let write = |origin: u32, hlc: Hlc, value: &'static [u8], context: Vec<(u32, u64)>| {
        State::Live(Live {
            ops: vec![Op { ver: Ver { hlc, origin, counter: 1 }, context }],
            fields: vec![Field { key: "f", op: 0, value: Some(value) }],
            ..Live::default()
        })
    };
    let x = write(0, Hlc::from_ms(30), b"x", vec![]);
    let y = write(1, clock_of_b.tick(10), b"y", vec![(short_origin(table[0]), 1)]);
    let z = write(2, Hlc::from_ms(20), b"z", vec![]);
    for [p, q, r] in [[&x, &y, &z], [&x, &z, &y], [&y, &x, &z], [&y, &z, &x], [&z, &x, &y], [&z, &y, &x]] {
        let join = |a: &State<'static>, b: &State<'static>| join(a, b, &table, &|_| false).0;
        for all in [join(&join(p, q), r), join(p, &join(q, r))] {
            let spelled = spell(&all, &table);
            assert_eq!(spelled, ["f = y (B1 @30.1)", "B1 @30.1 saw A1"]);
        }
    }
}
