//! The stored form of a session: one compact immutable buffer.
//!
//! Reading is a lookup and a reference count; a field is found by walking the buffer, never by building a map.
//! Layout, little-endian:
//!
//! ```text
//! live  kind u8=1 · flags u8 · u16 each: ops, fields, and the ops of birth, touch, ttl, high sliding, high absolute
//!       id 16 · u64 each: created, hard, touch, ttl, high sliding, high absolute (ms) · context bytes u32
//!       wide only: the upper u16 of each of the counts and ops above
//!       ops:     origin u32 · hlc u64 · counter u64
//!       context: op u16 (wide: u32) · n u8 · n × (short origin u32 · counter u64)
//!       fields:  op u16 (wide: u32) · key bytes u8 · value bytes u32 (all ones: removed) · key · value, sorted by key
//! flags bit 0: the ttl is absolute · 1: has a login · 2: is a revocation (`principal.rs`) · 3: wide, a merge of many
//!       sides made more ops or fields than 16 bits count · 4: has an end of its own (`ends.rs`)
//! dead  kind u8=2 · zeros 15 · id 16 · hard u64 · origin u32 · hlc u64 · counter u64
//! ```

use super::SessionId;
use super::ends::{ENDS_KEY, end_in};
use super::principal::{PRINCIPAL_KEY, REVOKED_KEY, is_reserved};
use super::state::{Birth, Dead, Field, Live, Mark, Op, State, Ttl, TtlReg, deadline_ms, stable_deadline_ms};
use crate::causality::Ver;
use crate::time::Hlc;

const LIVE: u8 = 1;
const DEAD: u8 = 2;
const ABSOLUTE: u8 = 1;
const LOGIN: u8 = 2;
const REVOCATION: u8 = 4;
const WIDE: u8 = 8;
const ENDS: u8 = 16;
/// Counts and ops in the head, from byte 2 on; of a wide record their upper halves lie behind the rest of the head.
const COUNTS: usize = 7;
const OPS_AT: usize = 2;
const FIELDS_AT: usize = 4;
const BIRTH_AT: usize = 6;
const TOUCH_AT: usize = 8;
const TTL_AT: usize = 10;
const SLIDING_AT: usize = 12;
const ABSOLUTE_AT: usize = 14;
const CONTEXT_LEN_AT: usize = 32 + 6 * 8;
const FIXED: usize = CONTEXT_LEN_AT + 4;
const OP: usize = 20;
const REMOVED: u32 = u32::MAX;
const NO_OP: u32 = u32::MAX;

/// A record as it lies in the store. Only ever made by [`encode`], so its lengths are trusted; a short
/// buffer reads as an empty record instead of panicking.
#[derive(Clone, Copy)]
pub struct Packed<'a>(&'a [u8]);

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

impl<'a> Packed<'a> {
    /// Reads `bytes`, which [`encode`] wrote.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Its size (bytes).
    pub fn bytes_len(&self) -> usize {
        self.0.len()
    }

    /// Whether this is a tombstone.
    pub fn is_dead(&self) -> bool {
        self.0.first() == Some(&DEAD)
    }

    /// Whose record this is.
    pub fn id(&self) -> SessionId {
        SessionId::from_bytes(self.0.get(16..32).and_then(|b| b.try_into().ok()).unwrap_or_default())
    }

    /// Wall time of creation (ms); 0 for a tombstone.
    pub fn created_ms(&self) -> u64 {
        if self.is_dead() { 0 } else { u64_at(self.0, 32) }
    }

    /// The hard deadline (ms).
    pub fn hard_ms(&self) -> u64 {
        u64_at(self.0, if self.is_dead() { 32 } else { 40 })
    }

    /// Wall time of the last touch (ms).
    pub fn touch_ms(&self) -> u64 {
        u64_at(self.0, 48)
    }

    /// The current time-to-live.
    pub fn ttl(&self) -> Ttl {
        let ms = u64_at(self.0, 56);
        if self.flag(ABSOLUTE) { Ttl::Absolute(ms) } else { Ttl::Sliding(ms) }
    }

    fn flag(&self, flag: u8) -> bool {
        self.0.get(1).is_some_and(|flags| flags & flag != 0)
    }

    /// Whether this is a revocation: a record that is nobody's session.
    pub fn is_revocation(&self) -> bool {
        self.flag(REVOCATION)
    }

    /// The bytes of the login, of a session or a revocation. A record without one is told by a flag.
    pub fn login_bytes(&self) -> Option<&'a [u8]> {
        self.reserved(LOGIN, PRINCIPAL_KEY)
    }

    /// The bytes of what makes this a revocation.
    pub fn revoked_bytes(&self) -> Option<&'a [u8]> {
        self.reserved(REVOCATION, REVOKED_KEY)
    }

    /// The value of a reserved field. Only one key of an application's sorts before those.
    pub fn reserved_field(&self, key: &str) -> Option<&'a [u8]> {
        self.fields().take_while(|f| f.key <= key).find(|f| f.key == key)?.value
    }

    fn reserved(&self, flag: u8, key: &str) -> Option<&'a [u8]> {
        if self.flag(flag) { self.reserved_field(key) } else { None }
    }

    /// The version of the creation; of the destroy, for a tombstone.
    pub fn birth_ver(&self) -> Ver {
        self.ver(if self.is_dead() { 0 } else { self.number(BIRTH_AT) })
    }

    /// The deadline past which no member can think the session alive (ms).
    pub fn stable_deadline_ms(&self) -> u64 {
        let high = |op_at, ms_at| self.op(op_at).map_or(0, |_| u64_at(self.0, ms_at));
        if mutant!(StableByCurrentTtl) {
            return self.deadline_ms();
        }
        stable_deadline_ms(self.hard_ms(), self.touch_ms(), high(SLIDING_AT, 64), high(ABSOLUTE_AT, 72))
    }

    /// When the session ends if nobody touches it (ms). Past it the session is invisible.
    pub fn deadline_ms(&self) -> u64 {
        deadline_ms(self.last_ms(), self.touch_ms(), self.ttl())
    }

    /// The end that an edit set (ms), if one did; of a record without one a flag says so.
    pub fn end_ms(&self) -> u64 {
        end_in(self.reserved(ENDS, ENDS_KEY))
    }

    /// When the session ends whatever happens (ms), as things are now: no touch moves this.
    pub fn last_ms(&self) -> u64 {
        self.hard_ms().min(self.end_ms())
    }

    /// Whether a reader at this wall time may see the session.
    pub fn visible(&self, wall_ms: u64) -> bool {
        let ends_ms =
            if mutant!(VisibleByHighestTtl) { self.stable_deadline_ms() } else { self.deadline_ms() };
        !self.is_dead() && wall_ms < ends_ms
    }

    /// A count or op of the head: its lower half lies at `at`.
    fn number(&self, at: usize) -> u32 {
        let low = u32::from(u16_at(self.0, at));
        if self.flag(WIDE) { low | u32::from(u16_at(self.0, FIXED + at - OPS_AT)) << 16 } else { low }
    }

    /// The op at `at`, unless there is none.
    fn op(&self, at: usize) -> Option<u32> {
        let none = if self.flag(WIDE) { NO_OP } else { u32::from(NO_OP as u16) };
        Some(self.number(at)).filter(|&op| op != none)
    }

    fn head_len(&self) -> usize {
        if self.flag(WIDE) { FIXED + 2 * COUNTS } else { FIXED }
    }

    fn op_count(&self) -> usize {
        if self.is_dead() { 1 } else { self.number(OPS_AT) as usize }
    }

    /// The version of the op at `op`.
    pub fn ver(&self, op: u32) -> Ver {
        let at = if self.is_dead() { 40 } else { self.head_len() + OP * op as usize };
        Ver { origin: u32_at(self.0, at), hlc: Hlc(u64_at(self.0, at + 4)), counter: u64_at(self.0, at + 12) }
    }

    /// Versions of all ops that still hold a component: the record's entries in the dot index.
    pub fn vers(&self) -> impl ExactSizeIterator<Item = Ver> + use<'a> {
        let this = *self;
        (0..this.op_count()).map(move |op| this.ver(op as u32))
    }

    fn fields_at(&self) -> usize {
        self.head_len() + OP * self.op_count() + u32_at(self.0, CONTEXT_LEN_AT) as usize
    }

    /// All fields, removed ones too, in key order.
    pub fn fields(&self) -> Fields<'a> {
        let left = if self.is_dead() { 0 } else { self.number(FIELDS_AT) };
        Fields { bytes: self.0, at: self.fields_at(), left, wide: self.flag(WIDE) }
    }

    /// The value of a field; `None` if it was never set or was removed.
    pub fn field(&self, key: &str) -> Option<&'a [u8]> {
        self.fields().find(|f| f.key == key).and_then(|f| f.value)
    }

    /// Unpacks for a join.
    pub fn state(&self) -> State<'a> {
        if self.is_dead() {
            return State::Dead(Dead { ver: self.ver(0), hard_ms: self.hard_ms() });
        }
        let mut ops: Vec<Op> = self.vers().map(|ver| Op { ver, context: Vec::new() }).collect();
        self.read_contexts(&mut ops);
        let op = |at| self.number(at);
        let high = |op_at, ms_at| self.op(op_at).map(|op| Mark { op, ms: u64_at(self.0, ms_at) });
        State::Live(Live {
            ops,
            birth: Some(Birth { op: op(BIRTH_AT), created_ms: self.created_ms(), hard_ms: self.hard_ms() }),
            touch: Some(Mark { op: op(TOUCH_AT), ms: self.touch_ms() }),
            ttl: Some(TtlReg { op: op(TTL_AT), ttl: self.ttl() }),
            high_sliding: high(SLIDING_AT, 64),
            high_absolute: high(ABSOLUTE_AT, 72),
            fields: self.fields().collect(),
        })
    }

    fn read_contexts(&self, ops: &mut [Op]) {
        let (mut at, end) = (self.head_len() + OP * self.op_count(), self.fields_at());
        while at + 3 <= end {
            let op = op_at(self.0, &mut at, self.flag(WIDE)) as usize;
            let n = self.0.get(at).copied().unwrap_or_default() as usize;
            let entries = (0..n).map(|i| (u32_at(self.0, at + 1 + 12 * i), u64_at(self.0, at + 5 + 12 * i)));
            if let Some(op) = ops.get_mut(op) {
                op.context = entries.collect();
            }
            at += 1 + 12 * n;
        }
    }
}

/// The op of a field or context at `at`, which is moved behind it.
fn op_at(bytes: &[u8], at: &mut usize, wide: bool) -> u32 {
    let begin = *at;
    *at += if wide { 4 } else { 2 };
    if wide { u32_at(bytes, begin) } else { u32::from(u16_at(bytes, begin)) }
}

/// Walks the fields of a record in key order.
pub struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u32,
    wide: bool,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        self.left = self.left.checked_sub(1)?;
        let mut at = self.at;
        let op = op_at(self.bytes, &mut at, self.wide);
        let key_len = *self.bytes.get(at)? as usize;
        let value_len = u32_at(self.bytes, at + 1);
        let key_at = at + 5;
        let value_at = key_at + key_len;
        let key = std::str::from_utf8(self.bytes.get(key_at..value_at)?).ok()?;
        let removed = value_len == REMOVED;
        let end = value_at + if removed { 0 } else { value_len as usize };
        let value = if removed { None } else { Some(self.bytes.get(value_at..end)?) };
        self.at = end;
        Some(Field { key, op, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

/// Packs a whole state into `out` (cleared first). A partial state cannot be stored: it returns `false`.
pub fn encode(id: SessionId, state: &State<'_>, out: &mut Vec<u8>) -> bool {
    out.clear();
    let live = match state {
        State::Live(live) => live,
        State::Dead(dead) => {
            encode_dead(id, dead, out);
            return true;
        }
    };
    let (Some(birth), Some(touch), Some(ttl)) = (live.birth, live.touch, live.ttl) else { return false };
    let (ttl_kind, ttl_ms) = match ttl.ttl {
        Ttl::Sliding(ms) => (0, ms),
        Ttl::Absolute(ms) => (ABSOLUTE, ms),
    };
    let reserved = live.fields.iter().take_while(|f| f.key <= REVOKED_KEY).filter(|f| is_reserved(f.key));
    let flags = reserved.filter(|f| f.value.is_some()).fold(ttl_kind, |flags, f| match f.key {
        PRINCIPAL_KEY => flags | LOGIN,
        REVOKED_KEY => flags | REVOCATION,
        ENDS_KEY => flags | ENDS,
        _ => flags,
    });
    // Of the numbers of 16 bits the last means "no op".
    let wide = live.ops.len().max(live.fields.len()) >= usize::from(u16::MAX);
    let context_head = if wide { 5 } else { 3 };
    let with_context = live.ops.iter().filter(|op| !op.context.is_empty());
    let context_bytes: usize = with_context.map(|op| context_head + 12 * op.context.len()).sum();
    out.extend_from_slice(&[LIVE, if wide { flags | WIDE } else { flags }]);
    let high = |mark: Option<Mark>| mark.unwrap_or(Mark { op: NO_OP, ms: 0 });
    let (sliding, absolute) = (high(live.high_sliding), high(live.high_absolute));
    let (ops, fields) = (live.ops.len() as u32, live.fields.len() as u32);
    let numbers = [ops, fields, birth.op, touch.op, ttl.op, sliding.op, absolute.op];
    numbers.iter().for_each(|n| out.extend_from_slice(&(*n as u16).to_le_bytes()));
    out.extend_from_slice(id.as_bytes());
    for n in [birth.created_ms, birth.hard_ms, touch.ms, ttl_ms, sliding.ms, absolute.ms] {
        out.extend_from_slice(&n.to_le_bytes());
    }
    out.extend_from_slice(&(context_bytes as u32).to_le_bytes());
    if wide {
        numbers.iter().for_each(|n| out.extend_from_slice(&((n >> 16) as u16).to_le_bytes()));
    }
    live.ops.iter().for_each(|op| encode_ver(&op.ver, out));
    encode_contexts(&live.ops, wide, out);
    live.fields.iter().for_each(|field| encode_field(field, wide, out));
    true
}

fn encode_dead(id: SessionId, dead: &Dead, out: &mut Vec<u8>) {
    out.push(DEAD);
    out.resize(16, 0);
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(&dead.hard_ms.to_le_bytes());
    encode_ver(&dead.ver, out);
}

fn encode_ver(ver: &Ver, out: &mut Vec<u8>) {
    out.extend_from_slice(&ver.origin.to_le_bytes());
    out.extend_from_slice(&ver.hlc.0.to_le_bytes());
    out.extend_from_slice(&ver.counter.to_le_bytes());
}

fn encode_op(op: u32, wide: bool, out: &mut Vec<u8>) {
    let bytes = op.to_le_bytes();
    out.extend_from_slice(if wide { &bytes } else { &bytes[..2] });
}

fn encode_contexts(ops: &[Op], wide: bool, out: &mut Vec<u8>) {
    for (ix, op) in ops.iter().enumerate().filter(|(_, op)| !op.context.is_empty()) {
        encode_op(ix as u32, wide, out);
        out.push(op.context.len() as u8);
        for (short, counter) in &op.context {
            out.extend_from_slice(&short.to_le_bytes());
            out.extend_from_slice(&counter.to_le_bytes());
        }
    }
}

fn encode_field(field: &Field<'_>, wide: bool, out: &mut Vec<u8>) {
    encode_op(field.op, wide, out);
    out.push(field.key.len() as u8);
    let value_len = field.value.map_or(REMOVED, |v| v.len() as u32);
    out.extend_from_slice(&value_len.to_le_bytes());
    out.extend_from_slice(field.key.as_bytes());
    out.extend_from_slice(field.value.unwrap_or_default());
}
