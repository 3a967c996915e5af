//! The join of two states of one session: component-wise maximum over total orders.
//!
//! It is commutative, associative, idempotent and monotone (property tests in `sim/tests/state_machine/lattice.rs`); nothing
//! else decides acceptance of a write. Version vectors and contexts only *label* an overwrite as causal or
//! concurrent. The rule "a dominating vector wins, else the later wall clock" is not associative; the
//! counter-example is kept as a test of that rule, so that nobody simplifies this file into it.

use std::cmp::Ordering;

use super::context::Saw;
use super::dots::Dots;
use super::state::{Birth, Dead, Field, Live, Mark, Op, State, TtlReg};
use crate::causality::{Origin, Ver, origin_at, short_origin};

/// Two writes of one field of which neither writer had seen the other: one value was kept, one lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict<'a> {
    /// The field.
    pub key: &'a str,
    /// Version and value that won (`None`: a removal).
    pub kept: (Ver, Option<&'a [u8]>),
    /// Version and value that lost.
    pub lost: (Ver, Option<&'a [u8]>),
}

/// What a join found on its way, besides the joined state.
#[derive(Clone, Debug, Default)]
pub struct Findings<'a> {
    /// Keys whose value changed on the left side.
    pub changed: Vec<&'a str>,
    /// Concurrent overwrites, labelled by the ops' contexts.
    pub conflicts: Vec<Conflict<'a>>,
    /// Overwrites of which the winner's context cannot tell whether they are causal or concurrent.
    pub unlabelled: u32,
    /// What came in, lost a field, and was not told before, whether a conflict or of unknown label.
    pub beaten: Vec<Ver>,
    /// Equal versions with different contents, or a second birth: only origin reuse, a duplicated id or
    /// corruption can cause these. Replicas converge all the same.
    pub violations: u32,
    /// Whether one of the violations was a second birth.
    pub second_birth: bool,
    /// Whether a field fell to the greater origin, since the stamps were equal.
    pub tied: bool,
}

/// Joins `right` into `left`. `origins` resolves origin indices of both. `covered` tells whether a dot was
/// merged here before (a duplicate is no new conflict).
pub fn join<'a>(
    left: &State<'a>,
    right: &State<'a>,
    origins: &[Origin],
    covered: &dyn Fn(&Ver) -> bool,
) -> (State<'a>, Findings<'a>) {
    match (left, right) {
        (State::Live(a), State::Live(b)) => {
            let mut joiner = Joiner::new(a, b, origins, covered);
            let live = joiner.run();
            (State::Live(live), joiner.findings)
        }
        (State::Dead(a), State::Dead(b)) => {
            let order = a.hard_ms.cmp(&b.hard_ms).then_with(|| a.ver.cmp_dot(&b.ver, origins));
            (State::Dead(if order.is_lt() { *b } else { *a }), Findings::default())
        }
        (State::Live(live), State::Dead(dead))
            if mutant!(LaterWriteBeatsDestroy) && live.ops.iter().any(|op| op.ver.hlc > dead.ver.hlc) =>
        {
            (left.clone(), Findings::default())
        }
        (State::Dead(dead), State::Live(_)) | (State::Live(_), State::Dead(dead)) => {
            (State::Dead(Dead { ..*dead }), Findings::default())
        }
    }
}

/// Which of the two states a component came from.
#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

struct Joiner<'j, 'a> {
    sides: [&'j Live<'a>; 2],
    /// For each side, where its ops ended up in `ops`; `u32::MAX` while unused.
    moved: [Vec<u32>; 2],
    /// For each side, its ops by dot, if there are many.
    by_dot: [Dots; 2],
    ops: Vec<Op>,
    origins: &'j [Origin],
    covered: &'j dyn Fn(&Ver) -> bool,
    findings: Findings<'a>,
}

impl<'j, 'a> Joiner<'j, 'a> {
    fn new(
        a: &'j Live<'a>,
        b: &'j Live<'a>,
        origins: &'j [Origin],
        covered: &'j dyn Fn(&Ver) -> bool,
    ) -> Self {
        Self {
            sides: [a, b],
            moved: [vec![u32::MAX; a.ops.len()], vec![u32::MAX; b.ops.len()]],
            by_dot: [Dots::default(), Dots::default()],
            ops: Vec::with_capacity(a.ops.len() + b.ops.len()),
            origins,
            covered,
            findings: Findings::default(),
        }
    }

    fn run(&mut self) -> Live<'a> {
        let birth = self.birth();
        let touch = self.mark(|live| live.touch);
        let ttl = self.ttl();
        let high_sliding = self.mark(|live| live.high_sliding);
        let high_absolute = self.mark(|live| live.high_absolute);
        let fields = self.fields();
        Live { ops: std::mem::take(&mut self.ops), birth, touch, ttl, high_sliding, high_absolute, fields }
    }

    fn ver(&self, side: Side, op: u32) -> Ver {
        self.sides[side as usize].ops[op as usize].ver
    }

    /// The index in the joined op table of an op that survives.
    fn keep(&mut self, side: Side, op: u32) -> u32 {
        let known = self.moved[side as usize][op as usize];
        if known != u32::MAX {
            return known;
        }
        let ver = self.ver(side, op);
        // The other side may hold the same op: one write's components may survive on both.
        let other = 1 - side as usize;
        let vers = self.sides[other].ops.iter().map(|op| op.ver);
        let twin = self.by_dot[other].find(&ver, self.sides[side as usize].ops.len(), vers);
        let at = self.ops.len() as u32;
        self.ops.push(self.sides[side as usize].ops[op as usize].clone());
        self.moved[side as usize][op as usize] = at;
        if let Some(twin) = twin {
            self.moved[1 - side as usize][twin] = at;
        }
        at
    }

    fn birth(&mut self) -> Option<Birth> {
        let (a, b) = (self.sides[0].birth, self.sides[1].birth);
        let side = match (a, b) {
            (Some(a), Some(b)) => {
                let order = self.ver(Side::Left, a.op).cmp(&self.ver(Side::Right, b.op), self.origins);
                if order.is_ne() {
                    self.findings.violations += 1;
                    self.findings.second_birth = true;
                }
                let order = order.then((a.created_ms, a.hard_ms).cmp(&(b.created_ms, b.hard_ms)));
                if mutant!(SmallerBirthWins) { order.reverse() } else { order }
            }
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        let (side, birth) = pick(side, a, b)?;
        Some(Birth { op: self.keep(side, birth.op), ..birth })
    }

    fn mark(&mut self, of: impl Fn(&Live<'a>) -> Option<Mark>) -> Option<Mark> {
        let (a, b) = (of(self.sides[0]), of(self.sides[1]));
        let order = match (a, b) {
            (Some(_), Some(_)) if mutant!(TouchLastArrives) => Ordering::Less,
            (Some(a), Some(b)) => {
                let (va, vb) = (self.ver(Side::Left, a.op), self.ver(Side::Right, b.op));
                a.ms.cmp(&b.ms).then_with(|| va.cmp_dot(&vb, self.origins))
            }
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        let (side, mark) = pick(order, a, b)?;
        Some(Mark { op: self.keep(side, mark.op), ..mark })
    }

    fn ttl(&mut self) -> Option<TtlReg> {
        let (a, b) = (self.sides[0].ttl, self.sides[1].ttl);
        let order = match (a, b) {
            (Some(a), Some(b)) if mutant!(LongerTtlWins) && a.ttl != b.ttl => a.ttl.cmp(&b.ttl),
            (Some(a), Some(b)) => {
                let order = self.ver(Side::Left, a.op).cmp(&self.ver(Side::Right, b.op), self.origins);
                order.then(a.ttl.cmp(&b.ttl))
            }
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        let (side, ttl) = pick(order, a, b)?;
        Some(TtlReg { op: self.keep(side, ttl.op), ..ttl })
    }

    fn fields(&mut self) -> Vec<Field<'a>> {
        let [a, b] = self.sides;
        let mut out = Vec::with_capacity(a.fields.len() + b.fields.len());
        let (mut left, mut right) = (a.fields.iter().peekable(), b.fields.iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (Some(l), Some(r)) => l.key.cmp(r.key),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return out,
            };
            let (side, field) = match order {
                Ordering::Less => (Side::Left, left.next()),
                Ordering::Greater => (Side::Right, right.next()),
                Ordering::Equal => match (left.next(), right.next()) {
                    (Some(l), Some(r)) => self.same_key(l, r),
                    _ => return out,
                },
            };
            let Some(field) = field else { return out };
            // The removal of what was never here is kept, but nobody could see it change.
            if order.is_gt() && field.value.is_some() {
                self.findings.changed.push(field.key);
            }
            if mutant!(RemovalForgotten) && field.value.is_none() {
                continue;
            }
            let op = self.keep(side, field.op);
            out.push(Field { op, ..*field });
        }
    }

    /// Which of two registers of one field wins, noting conflicts on the way.
    fn same_key<'f>(&mut self, l: &'f Field<'a>, r: &'f Field<'a>) -> (Side, Option<&'f Field<'a>>) {
        let (vl, vr) = (self.ver(Side::Left, l.op), self.ver(Side::Right, r.op));
        self.findings.tied |= vl.hlc == vr.hlc && !vl.same_dot(&vr);
        let order = match vl.cmp(&vr, self.origins) {
            Ordering::Less if mutant!(TieKeepsHeld) && vl.hlc == vr.hlc => Ordering::Greater,
            order => order,
        };
        match order {
            Ordering::Equal => {
                if l.value == r.value {
                    return (Side::Left, Some(l));
                }
                // Only possible by origin reuse or corruption: the larger bytes win, so replicas converge.
                self.findings.violations += 1;
                if l.value >= r.value || mutant!(EqualVersionKeepsHeld) {
                    (Side::Left, Some(l))
                } else {
                    self.findings.changed.push(r.key);
                    (Side::Right, Some(r))
                }
            }
            Ordering::Less => {
                self.label((Side::Right, r), (Side::Left, l));
                if l.value != r.value {
                    self.findings.changed.push(r.key);
                }
                (Side::Right, Some(r))
            }
            Ordering::Greater => {
                if !(self.covered)(&vr) {
                    self.label((Side::Left, l), (Side::Right, r));
                }
                (Side::Left, Some(l))
            }
        }
    }

    fn label(&mut self, kept: (Side, &Field<'a>), lost: (Side, &Field<'a>)) {
        let (kept_ver, lost_ver) = (self.ver(kept.0, kept.1.op), self.ver(lost.0, lost.1.op));
        let lost_short = short_origin(origin_at(self.origins, lost_ver.origin));
        match self.sides[kept.0 as usize].ops[kept.1.op as usize].saw(&lost_ver, lost_short) {
            Saw::Yes => return,
            Saw::Unknown => self.findings.unlabelled += 1,
            Saw::No if mutant!(ConflictUnlabelled) => {}
            Saw::No => {
                let (key, kept, lost) = (kept.1.key, (kept_ver, kept.1.value), (lost_ver, lost.1.value));
                let (kept, lost) = if mutant!(ConflictSwapped) { (lost, kept) } else { (kept, lost) };
                self.findings.conflicts.push(Conflict { key, kept, lost });
            }
        }
        if matches!(lost.0, Side::Right) {
            self.findings.beaten.push(lost_ver);
        }
    }
}

fn pick<T>(order: Ordering, a: Option<T>, b: Option<T>) -> Option<(Side, T)> {
    if order.is_lt() { b.map(|b| (Side::Right, b)) } else { a.map(|a| (Side::Left, a)) }
}
