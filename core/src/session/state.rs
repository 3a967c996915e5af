//! The lattice element: one session's state, whole or partial (a delta is a partial state).
//!
//! `Live` is a product of total-order maxima; every `Dead` stands above every `Live` (ordinal sum), so a
//! destroy is absorbing. `docs/ALGORITHM.md` §2 has the proof; `join.rs` is the join.

use super::ends::end_of;
use crate::causality::Ver;

/// One write event as a session's record keeps it: its version and the conflict context it was made in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Version of everything this op wrote.
    pub ver: Ver,
    /// What the writer had seen of the fields it wrote from other origins: (short origin, highest counter).
    /// Labels overwrites; never decides a winner (`context.rs`).
    pub context: Vec<(u32, u64)>,
}

/// When an idle session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ttl {
    /// This long (ms) after the last touch.
    Sliding(u64),
    /// At this wall time (ms since the epoch), touched or not.
    Absolute(u64),
}

/// The longest ttl, or latest absolute deadline, kept (ms): the wire has signed numbers.
const MOST_TTL_MS: u64 = i64::MAX as u64;

impl Ttl {
    /// The same as far as any clock will ever tell, within what the wire can say.
    pub fn bounded(self) -> Self {
        match self {
            Self::Sliding(ms) => Self::Sliding(ms.min(MOST_TTL_MS)),
            Self::Absolute(ms) => Self::Absolute(ms.min(MOST_TTL_MS)),
        }
    }
}

/// The creation: immutable; of two births for one id the greater version wins (docs/ALGORITHM.md §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birth {
    /// Index of the op that created the session.
    pub op: u32,
    /// Wall time of creation (ms).
    pub created_ms: u64,
    /// The session ends here whatever happens (ms); nothing about it is kept much longer.
    pub hard_ms: u64,
}

/// A maximum over milliseconds with the op that reached it; ordered by (ms, origin, counter). Used for the last
/// touch and for the greatest ttl of each kind. Every maximum has a dot of its own, else a page could claim the
/// op that raised it without shipping the raise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Index of the op that wrote it.
    pub op: u32,
    /// The value (ms).
    pub ms: u64,
}

/// The time-to-live register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtlReg {
    /// Index of the op that set it.
    pub op: u32,
    /// The current value.
    pub ttl: Ttl,
}

/// One attribute: a last-writer-wins register. `None` means removed, which is kept so that it beats a late set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The attribute's name.
    pub key: &'a str,
    /// Index of the op that wrote it.
    pub op: u32,
    /// Its bytes.
    pub value: Option<&'a [u8]>,
}

/// A session that has not been destroyed, or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live<'a> {
    /// The ops the components below refer to.
    pub ops: Vec<Op>,
    /// Absent in a delta that does not carry it; always present in a stored record.
    pub birth: Option<Birth>,
    /// As `birth`.
    pub touch: Option<Mark>,
    /// As `birth`.
    pub ttl: Option<TtlReg>,
    /// Greatest sliding ttl ever merged. A shortened ttl must not make a session stable early (docs/ALGORITHM.md §6),
    /// so stability looks at this and at `high_absolute`, not at the current ttl.
    pub high_sliding: Option<Mark>,
    /// Latest absolute deadline ever merged.
    pub high_absolute: Option<Mark>,
    /// Sorted by key, each key once.
    pub fields: Vec<Field<'a>>,
}

/// A destroyed session: the top of the lattice. Ordered by (hard, origin, counter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dead {
    /// The destroy.
    pub ver: Ver,
    /// No copy of the session can be visible anywhere past this wall time (ms).
    pub hard_ms: u64,
}

/// One session's state, whole or partial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State<'a> {
    /// Not destroyed.
    Live(Live<'a>),
    /// Destroyed: beats everything live.
    Dead(Dead),
}

impl Live<'_> {
    /// When the session ends if nobody touches it again (ms); `None` for a partial state.
    pub fn deadline_ms(&self) -> Option<u64> {
        let (birth, touch, ttl) = (self.birth?, self.touch?, self.ttl?);
        Some(deadline_ms(birth.hard_ms.min(end_of(&self.fields)), touch.ms, ttl.ttl))
    }
}

/// The visible deadline: the ttl counted from the last touch, never past the hard one.
pub fn deadline_ms(hard_ms: u64, touch_ms: u64, ttl: Ttl) -> u64 {
    match ttl {
        Ttl::Sliding(ms) => touch_ms.saturating_add(ms).min(hard_ms),
        Ttl::Absolute(at) => at.min(hard_ms),
    }
}

/// The deadline stability looks at: no member can have thought the session alive past it (docs/ALGORITHM.md §6).
pub fn stable_deadline_ms(hard_ms: u64, touch_ms: u64, high_sliding_ms: u64, high_absolute_ms: u64) -> u64 {
    touch_ms.saturating_add(high_sliding_ms).max(high_absolute_ms).min(hard_ms)
}

impl<'a> Live<'a> {
    /// The part whose ops `wanted` accepts, with only the ops it still needs.
    pub fn restrict(&self, wanted: &dyn Fn(&Ver) -> bool) -> Live<'a> {
        let keep: Vec<bool> = self.ops.iter().map(|op| wanted(&op.ver)).collect();
        let mut moved = vec![u32::MAX; self.ops.len()];
        let mut ops = Vec::new();
        let mut place = |op: u32| -> Option<u32> {
            let at = op as usize;
            if !*keep.get(at)? {
                return None;
            }
            if moved[at] == u32::MAX {
                moved[at] = ops.len() as u32;
                ops.push(self.ops[at].clone());
            }
            Some(moved[at])
        };
        let mark = |mark: Option<Mark>, place: &mut dyn FnMut(u32) -> Option<u32>| {
            mark.and_then(|m| Some(Mark { op: place(m.op)?, ..m }))
        };
        // In the order of the join, so that a duplicate of what is held joins to exactly what is held.
        let birth = self.birth.and_then(|b| Some(Birth { op: place(b.op)?, ..b }));
        let touch = mark(self.touch, &mut place);
        let ttl = self.ttl.and_then(|t| Some(TtlReg { op: place(t.op)?, ..t }));
        let high_sliding = mark(self.high_sliding, &mut place);
        let high_absolute = mark(self.high_absolute, &mut place);
        let fields = self.fields.iter().filter_map(|f| Some(Field { op: place(f.op)?, ..*f })).collect();
        Live { ops, birth, touch, ttl, high_sliding, high_absolute, fields }
    }
}

/// The marks a ttl raises: (sliding, absolute).
pub fn high_marks(ttl: Ttl, op: u32) -> (Option<Mark>, Option<Mark>) {
    match ttl {
        Ttl::Sliding(ms) => (Some(Mark { op, ms }), None),
        Ttl::Absolute(ms) => (None, Some(Mark { op, ms })),
    }
}
