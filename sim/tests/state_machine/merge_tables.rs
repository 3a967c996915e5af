//! Golden text of merges: left, right, what comes out, what watchers hear, which conflicts are told.
//!
//! A line is `component (writer+counter @stamp)`; `saw` lines are conflict contexts. Every table is merged both ways;
//! the result must be the same, only what *changed* differs, since that is told from the left side's view.

use sessionmesh::core::causality::{Origin, Ver, short_origin};
use sessionmesh::core::session::{
    Birth, Conflict, Dead, Field, Findings, Live, Mark, Op, State, Ttl, TtlReg, high_marks, join,
};
use sessionmesh::core::time::Hlc;
use sessionmesh_sim::{origin, spell};

/// A, B, C in an order that is not theirs: indices must not decide.
fn table() -> Vec<Origin> {
    ['C', 'A', 'B'].map(origin).to_vec()
}

fn ver(dot: &str, stamp_ms: u64) -> Ver {
    let (letter, counter) = dot.split_at(1);
    let origin = ["C", "A", "B"].iter().position(|l| *l == letter).expect("A, B or C") as u32;
    Ver { hlc: Hlc::from_ms(stamp_ms), origin, counter: counter.parse().expect("a counter") }
}

/// A live session born by the dot `A1` at stamp 1, onto which writes are joined as they would be by an edit.
#[derive(Clone)]
struct Built(State<'static>);

fn born(dot: &str, stamp_ms: u64, life_ms: u64) -> Built {
    let birth = Birth { op: 0, created_ms: stamp_ms, hard_ms: stamp_ms + life_ms };
    let ttl = Ttl::Sliding(100);
    let (high_sliding, high_absolute) = high_marks(ttl, 0);
    Built(State::Live(Live {
        ops: vec![Op { ver: ver(dot, stamp_ms), context: vec![] }],
        birth: Some(birth),
        touch: Some(Mark { op: 0, ms: stamp_ms }),
        ttl: Some(TtlReg { op: 0, ttl }),
        high_sliding,
        high_absolute,
        fields: vec![],
    }))
}

fn part(dot: &str, stamp_ms: u64, saw: &[&str], fill: impl FnOnce(&mut Live<'static>)) -> State<'static> {
    let context = saw.iter().map(|dot| ver(dot, 0));
    let context = context.map(|v| (short_origin(table()[v.origin as usize]), v.counter)).collect::<Vec<_>>();
    let mut live = Live { ops: vec![Op { ver: ver(dot, stamp_ms), context }], ..Live::default() };
    fill(&mut live);
    State::Live(live)
}

impl Built {
    fn and(&self, right: State<'static>) -> Built {
        Built(join(&self.0, &right, &table(), &|_| false).0)
    }

    fn set(
        &self,
        dot: &str,
        stamp_ms: u64,
        saw: &[&str],
        key: &'static str,
        value: Option<&'static str>,
    ) -> Built {
        let value = value.map(str::as_bytes);
        self.and(part(dot, stamp_ms, saw, |live| live.fields.push(Field { key, op: 0, value })))
    }

    fn ttl(&self, dot: &str, stamp_ms: u64, ttl: Ttl) -> Built {
        self.and(part(dot, stamp_ms, &[], |live| {
            live.ttl = Some(TtlReg { op: 0, ttl });
            (live.high_sliding, live.high_absolute) = high_marks(ttl, 0);
            live.touch = Some(Mark { op: 0, ms: stamp_ms });
        }))
    }

    fn dead(&self, dot: &str, stamp_ms: u64, hard_ms: u64) -> Built {
        self.and(State::Dead(Dead { ver: ver(dot, stamp_ms), hard_ms }))
    }
}

fn side(v: Ver, value: Option<&[u8]>) -> String {
    let letter = ["C", "A", "B"][v.origin as usize];
    format!("{letter}{} {}", v.counter, value.map_or("(removed)".into(), String::from_utf8_lossy))
}

fn told(findings: &Findings<'_>) -> String {
    let conflict = |c: &Conflict<'_>| {
        format!("{}: kept {}, lost {}", c.key, side(c.kept.0, c.kept.1), side(c.lost.0, c.lost.1))
    };
    let conflicts: Vec<String> = findings.conflicts.iter().map(conflict).collect();
    let mut text = format!("changed [{}] conflicts [{}]", findings.changed.join(" "), conflicts.join("; "));
    if findings.violations > 0 {
        text += &format!(" violations {}", findings.violations);
    }
    text
}

/// The whole table: both sides, the result, and what each side is told.
fn merged(left: &Built, right: &Built) -> String {
    let table = table();
    let (lr, to_left) = join(&left.0, &right.0, &table, &|_| false);
    let (rl, to_right) = join(&right.0, &left.0, &table, &|_| false);
    assert_eq!(spell(&lr, &table), spell(&rl, &table), "both ways alike");
    let block = |name: &str, lines: Vec<String>| format!("{name}\n  {}\n", lines.join("\n  "));
    [
        block("left", spell(&left.0, &table)),
        block("right", spell(&right.0, &table)),
        block("merged", spell(&lr, &table)),
        format!("left is told   {}\n", told(&to_left)),
        format!("right is told  {}\n", told(&to_right)),
    ]
    .concat()
}

#[test]
fn disjoint_fields_both_stay() {
    let base = born("A1", 1, 900);
    insta::assert_snapshot!(merged(&base.set("A2", 5, &[], "cart", Some("3")), &base.set("B1", 4, &["A1"], "lang", Some("fr"))), @r"
    left
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = 3 (A2 @5)
    right
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      lang = fr (B1 @4)
      B1 @4 saw A1
    merged
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = 3 (A2 @5)
      lang = fr (B1 @4)
      B1 @4 saw A1
    left is told   changed [lang] conflicts []
    right is told  changed [cart] conflicts []
    ");
}

#[test]
fn a_causal_overwrite_wins_without_a_conflict() {
    let first = born("A1", 1, 900).set("A2", 5, &[], "cart", Some("3"));
    insta::assert_snapshot!(merged(&first, &first.set("B1", 6, &["A2"], "cart", Some("4"))), @r"
    left
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = 3 (A2 @5)
    right
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = 4 (B1 @6)
      B1 @6 saw A2
    merged
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = 4 (B1 @6)
      B1 @6 saw A2
    left is told   changed [cart] conflicts []
    right is told  changed [] conflicts []
    ");
}

#[test]
fn of_two_concurrent_writes_the_later_stamp_wins_whichever_side_it_is_on() {
    let base = born("A1", 1, 900);
    let (early, late) =
        (base.set("B1", 5, &["A1"], "cart", Some("b")), base.set("A2", 6, &[], "cart", Some("a")));
    insta::assert_snapshot!(merged(&early, &late), @r"
    left
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = b (B1 @5)
      B1 @5 saw A1
    right
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = a (A2 @6)
    merged
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = a (A2 @6)
    left is told   changed [cart] conflicts [cart: kept A2 a, lost B1 b]
    right is told  changed [] conflicts [cart: kept A2 a, lost B1 b]
    ");
    let (early, late) =
        (base.set("A2", 5, &[], "cart", Some("a")), base.set("B1", 6, &["A1"], "cart", Some("b")));
    insta::assert_snapshot!(merged(&late, &early), @r"
    left
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = b (B1 @6)
      B1 @6 saw A1
    right
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = a (A2 @5)
    merged
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = b (B1 @6)
      B1 @6 saw A1
    left is told   changed [] conflicts [cart: kept B1 b, lost A2 a]
    right is told  changed [cart] conflicts [cart: kept B1 b, lost A2 a]
    ");
}

#[test]
fn at_equal_stamps_the_greater_origin_wins() {
    let base = born("A1", 1, 900);
    insta::assert_snapshot!(merged(&base.set("C1", 5, &["A1"], "cart", Some("c")), &base.set("B9", 5, &["A1"], "cart", Some("b"))), @r"
    left
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = c (C1 @5)
      C1 @5 saw A1
    right
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = b (B9 @5)
      B9 @5 saw A1
    merged
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = c (C1 @5)
      C1 @5 saw A1
    left is told   changed [] conflicts [cart: kept C1 c, lost B9 b]
    right is told  changed [cart] conflicts [cart: kept C1 c, lost B9 b]
    ");
}

#[test]
fn a_removal_is_a_write_like_any_other() {
    let base = born("A1", 1, 900).set("A2", 2, &[], "cart", Some("3"));
    insta::assert_snapshot!(merged(&base.set("B1", 6, &["A2"], "cart", None), &base.set("A3", 5, &[], "cart", Some("4"))), @r"
    left
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart (removed) (B1 @6)
      B1 @6 saw A2
    right
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = 4 (A3 @5)
    merged
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart (removed) (B1 @6)
      B1 @6 saw A2
    left is told   changed [] conflicts [cart: kept B1 (removed), lost A3 4]
    right is told  changed [cart] conflicts [cart: kept B1 (removed), lost A3 4]
    ");
    insta::assert_snapshot!(merged(&base.set("B1", 5, &["A2"], "cart", None), &base.set("A3", 6, &[], "cart", Some("4"))), @r"
    left
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart (removed) (B1 @5)
      B1 @5 saw A2
    right
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = 4 (A3 @6)
    merged
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = 4 (A3 @6)
    left is told   changed [cart] conflicts [cart: kept A3 4, lost B1 (removed)]
    right is told  changed [] conflicts [cart: kept A3 4, lost B1 (removed)]
    ");
}

#[test]
fn the_removal_of_what_the_left_never_had_changes_nothing_there() {
    let base = born("A1", 1, 900);
    insta::assert_snapshot!(merged(&base, &base.set("B1", 5, &["A1"], "cart", Some("3")).set("B2", 6, &["A1"], "cart", None)), @r"
    left
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
    right
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart (removed) (B2 @6)
      B2 @6 saw A1
    merged
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart (removed) (B2 @6)
      B2 @6 saw A1
    left is told   changed [] conflicts []
    right is told  changed [] conflicts []
    ");
}

#[test]
fn dead_beats_live_however_late_the_live_write_is() {
    let base = born("A1", 1, 900);
    insta::assert_snapshot!(merged(&base.dead("A2", 2, 950), &base.set("B1", 800, &["A1"], "cart", Some("late"))), @r"
    left
      dead until 950 (A2 @2)
    right
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = late (B1 @800)
      B1 @800 saw A1
    merged
      dead until 950 (A2 @2)
    left is told   changed [] conflicts []
    right is told  changed [] conflicts []
    ");
}

#[test]
fn of_two_tombstones_the_longer_kept_wins() {
    let base = born("A1", 1, 900);
    insta::assert_snapshot!(merged(&base.dead("A2", 8, 906), &base.dead("B1", 7, 999)), @r"
    left
      dead until 906 (A2 @8)
    right
      dead until 999 (B1 @7)
    merged
      dead until 999 (B1 @7)
    left is told   changed [] conflicts []
    right is told  changed [] conflicts []
    ");
}

#[test]
fn a_shortened_ttl_keeps_its_high_water_mark() {
    let base = born("A1", 1, 900);
    insta::assert_snapshot!(merged(&base.ttl("A2", 5, Ttl::Sliding(500)), &base.ttl("B1", 6, Ttl::Sliding(50))), @r"
    left
      born 1 to 901 (A1 @1)
      touched 5 (A2 @5)
      ttl sliding 500 (A2 @5)
      high sliding 500 (A2 @5)
    right
      born 1 to 901 (A1 @1)
      touched 6 (B1 @6)
      ttl sliding 50 (B1 @6)
      high sliding 100 (A1 @1)
    merged
      born 1 to 901 (A1 @1)
      touched 6 (B1 @6)
      ttl sliding 50 (B1 @6)
      high sliding 500 (A2 @5)
    left is told   changed [] conflicts []
    right is told  changed [] conflicts []
    ");
}

#[test]
fn ttls_of_both_kinds_keep_a_mark_each() {
    let base = born("A1", 1, 900);
    insta::assert_snapshot!(merged(&base.ttl("A2", 5, Ttl::Absolute(800)), &base.ttl("B1", 6, Ttl::Sliding(150))), @r"
    left
      born 1 to 901 (A1 @1)
      touched 5 (A2 @5)
      ttl absolute 800 (A2 @5)
      high sliding 100 (A1 @1)
      high absolute 800 (A2 @5)
    right
      born 1 to 901 (A1 @1)
      touched 6 (B1 @6)
      ttl sliding 150 (B1 @6)
      high sliding 150 (B1 @6)
    merged
      born 1 to 901 (A1 @1)
      touched 6 (B1 @6)
      ttl sliding 150 (B1 @6)
      high sliding 150 (B1 @6)
      high absolute 800 (A2 @5)
    left is told   changed [] conflicts []
    right is told  changed [] conflicts []
    ");
}

#[test]
fn touches_take_the_latest_time_whatever_the_stamps_say() {
    let base = born("A1", 1, 900);
    let touch =
        |dot: &str, stamp, ms| base.and(part(dot, stamp, &[], |l| l.touch = Some(Mark { op: 0, ms })));
    insta::assert_snapshot!(merged(&touch("A2", 70, 60), &touch("B1", 65, 68)), @r"
    left
      born 1 to 901 (A1 @1)
      touched 60 (A2 @70)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
    right
      born 1 to 901 (A1 @1)
      touched 68 (B1 @65)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
    merged
      born 1 to 901 (A1 @1)
      touched 68 (B1 @65)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
    left is told   changed [] conflicts []
    right is told  changed [] conflicts []
    ");
}

#[test]
fn of_two_births_the_greater_wins_as_one_and_a_violation_is_counted() {
    insta::assert_snapshot!(merged(&born("A1", 1, 900), &born("B1", 3, 500)), @r"
    left
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
    right
      born 3 to 503 (B1 @3)
      touched 3 (B1 @3)
      ttl sliding 100 (B1 @3)
      high sliding 100 (B1 @3)
    merged
      born 3 to 503 (B1 @3)
      touched 3 (B1 @3)
      ttl sliding 100 (B1 @3)
      high sliding 100 (B1 @3)
    left is told   changed [] conflicts [] violations 1
    right is told  changed [] conflicts [] violations 1
    ");
}

#[test]
fn one_version_with_two_contents_converges_on_the_larger_bytes() {
    let base = born("A1", 1, 900);
    insta::assert_snapshot!(merged(&base.set("B1", 5, &["A1"], "cart", Some("no")), &base.set("B1", 5, &["A1"], "cart", Some("yes"))), @r"
    left
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = no (B1 @5)
      B1 @5 saw A1
    right
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = yes (B1 @5)
      B1 @5 saw A1
    merged
      born 1 to 901 (A1 @1)
      touched 1 (A1 @1)
      ttl sliding 100 (A1 @1)
      high sliding 100 (A1 @1)
      cart = yes (B1 @5)
      B1 @5 saw A1
    left is told   changed [cart] conflicts [] violations 1
    right is told  changed [] conflicts [] violations 1
    ");
}
