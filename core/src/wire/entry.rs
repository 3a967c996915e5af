//! One session's state on the wire: a positional array, short where it can be.
//!
//! ```text
//! live  [id, ops, fields, touch?, ttl?, birth?, highs?]      dead  [id, ops, hard ms after the frame's wall]
//! ops     flat: origin index, counter - base, stamp ms - wall, stamp logical, (v2) n, n × (short origin, counter)
//! fields  flat: key, op, value or nil (removed)
//! touch   [ms - wall, op]      ttl [kind, ms, op]      birth [created - wall, hard - created, op]
//! highs   [sliding ms, op, absolute ms, op], a missing one as -1, -1
//! ```

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq, Serializer};
use serde_bytes::Bytes;

use super::read::Element;
use super::table::OriginTable;
use crate::causality::{Origin, Ver, origin_at};
use crate::limits::{MAX_CONTEXT, MAX_COUNTER, MAX_KEY_BYTES};
use crate::replica::EntrySink;
use crate::session::{Birth, CUT, Dead, Field, Live, Mark, Op, SessionId, State, Ttl, TtlReg};
use crate::time::Hlc;

/// What numbers in entries are relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bases {
    /// The frame's wall time (ms).
    pub wall_ms: u64,
    /// The frame's base counter.
    pub counter: u64,
    /// The wire version.
    pub version: u16,
}

/// An entry as it lies in a frame: numbers still relative, origins still indices into the frame's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireEntry<'a> {
    /// The session.
    pub id: SessionId,
    ops: Vec<i64>,
    body: Body<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Body<'a> {
    Dead(i64),
    Live { fields: Vec<(&'a str, u32, Option<&'a [u8]>)>, tail: Tail },
}

/// touch, ttl, birth, highs.
type Tail = [Option<Vec<i64>>; 4];

/// Writes entries one after the other into a frame's body, collecting the origin table.
pub struct EntryWriter {
    bases: Bases,
    origins: OriginTable,
    /// Entry 0 of the table is the sender and is not listed.
    implied_first: bool,
    body: Vec<u8>,
    count: u32,
}

impl EntryWriter {
    /// A writer for a frame with these bases. With `implied` that origin is index 0 and stays off the wire.
    pub fn new(bases: Bases, implied: Option<Origin>) -> Self {
        let mut origins = OriginTable::default();
        implied.into_iter().for_each(|origin| _ = origins.index(origin));
        Self { bases, implied_first: implied.is_some(), origins, body: Vec::new(), count: 0 }
    }

    /// The index of an origin in the frame's table.
    pub fn origin(&mut self, origin: Origin) -> u64 {
        self.origins.index(origin)
    }

    /// The table as it is so far, for what else refers to it.
    pub(super) fn origins(&mut self) -> &mut OriginTable {
        &mut self.origins
    }

    /// The wire version that is written.
    pub(super) fn version(&self) -> u16 {
        self.bases.version
    }

    /// The table as it goes on the wire.
    pub fn table(&self) -> Vec<Origin> {
        self.origins.listed()[usize::from(self.implied_first)..].to_vec()
    }

    /// Takes the entries written so far and their number, leaving the table.
    pub fn take(&mut self) -> (u32, Vec<u8>) {
        (std::mem::take(&mut self.count), std::mem::take(&mut self.body))
    }

    fn flat_op(&mut self, op: &Op, origins: &[Origin], out: &mut Vec<i64>) {
        let stamp = op.ver.hlc;
        out.push(self.origin(origin_at(origins, op.ver.origin)) as i64);
        out.push(op.ver.counter.wrapping_sub(self.bases.counter) as i64);
        out.push(stamp.ms().wrapping_sub(self.bases.wall_ms) as i64);
        out.push(i64::from(stamp.logical()));
        if self.bases.version >= 2 {
            out.push(op.context.len() as i64);
            out.extend(op.context.iter().flat_map(|&(short, counter)| [i64::from(short), counter as i64]));
        }
    }
}

impl EntrySink for EntryWriter {
    fn entry(&mut self, id: SessionId, state: &State<'_>, origins: &[Origin]) -> usize {
        let mut ops = Vec::new();
        match state {
            State::Live(live) => live.ops.iter().for_each(|op| self.flat_op(op, origins, &mut ops)),
            State::Dead(dead) => {
                let op = Op { ver: dead.ver, context: Vec::new() };
                self.flat_op(&op, origins, &mut ops);
            }
        }
        let out = Outgoing { id, ops: &ops, state, wall_ms: self.bases.wall_ms };
        // Writing to memory fails only for types that cannot be encoded, which these are not.
        let _ = rmp_serde::encode::write(&mut self.body, &out);
        self.count += 1;
        self.body.len()
    }
}

struct Outgoing<'a, 'v> {
    id: SessionId,
    ops: &'a [i64],
    state: &'a State<'v>,
    wall_ms: u64,
}

impl Serialize for Outgoing<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let live = match self.state {
            State::Dead(dead) => {
                let mut seq = serializer.serialize_seq(Some(3))?;
                seq.serialize_element(&self.id)?;
                seq.serialize_element(self.ops)?;
                seq.serialize_element(&(dead.hard_ms.wrapping_sub(self.wall_ms) as i64))?;
                return seq.end();
            }
            State::Live(live) => live,
        };
        let tail = tail_of(live, self.wall_ms);
        let used = tail.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let mut seq = serializer.serialize_seq(Some(3 + used))?;
        seq.serialize_element(&self.id)?;
        seq.serialize_element(self.ops)?;
        seq.serialize_element(&FlatFields(&live.fields))?;
        for part in &tail[..used] {
            seq.serialize_element(part)?;
        }
        seq.end()
    }
}

fn tail_of(live: &Live<'_>, wall_ms: u64) -> Tail {
    let since = |ms: u64| ms.wrapping_sub(wall_ms) as i64;
    let high = |mark: Option<Mark>| mark.map_or([-1, -1], |m| [m.ms as i64, i64::from(m.op)]);
    let highs = [high(live.high_sliding), high(live.high_absolute)].concat();
    [
        live.touch.map(|t| vec![since(t.ms), i64::from(t.op)]),
        live.ttl.map(|t| match t.ttl {
            Ttl::Sliding(ms) => vec![0, ms as i64, i64::from(t.op)],
            Ttl::Absolute(ms) => vec![1, ms as i64, i64::from(t.op)],
        }),
        live.birth
            .map(|b| vec![since(b.created_ms), b.hard_ms.wrapping_sub(b.created_ms) as i64, i64::from(b.op)]),
        highs.iter().any(|&n| n != -1).then_some(highs),
    ]
}

struct FlatFields<'a, 'v>(&'a [Field<'v>]);

impl Serialize for FlatFields<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(3 * self.0.len()))?;
        for field in self.0 {
            seq.serialize_element(field.key)?;
            seq.serialize_element(&field.op)?;
            seq.serialize_element(&field.value.map(Bytes::new))?;
        }
        seq.end()
    }
}

/// As it came: what is written reads back to the same entry.
impl Serialize for WireEntry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (fields, tail) = match &self.body {
            Body::Dead(hard) => return (self.id, &self.ops, hard).serialize(serializer),
            Body::Live { fields, tail } => (fields, tail),
        };
        let used = tail.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let mut seq = serializer.serialize_seq(Some(3 + used))?;
        seq.serialize_element(&self.id)?;
        seq.serialize_element(&self.ops)?;
        seq.serialize_element(&FlatWire(fields))?;
        tail[..used].iter().try_for_each(|part| seq.serialize_element(part))?;
        seq.end()
    }
}

struct FlatWire<'e, 'a>(&'e [(&'a str, u32, Option<&'a [u8]>)]);

impl Serialize for FlatWire<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(3 * self.0.len()))?;
        for (key, op, value) in self.0 {
            seq.serialize_element(key)?;
            seq.serialize_element(op)?;
            seq.serialize_element(&value.map(Bytes::new))?;
        }
        seq.end()
    }
}

/// Entries as they came, one after the other.
pub(super) fn encode_entries(entries: &[WireEntry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to memory fails only for types that cannot be encoded, which these are not.
    entries.iter().for_each(|entry| _ = rmp_serde::encode::write(&mut out, entry));
    out
}

/// Resolves wire entries of one frame.
pub struct EntryReader<'t> {
    /// The frame's bases.
    pub bases: Bases,
    /// The frame's origin table, the implied sender included.
    pub origins: &'t [Origin],
}

impl EntryReader<'_> {
    /// The entry as a state whose origin indices `intern` has mapped to the receiving partition's table.
    ///
    /// # Errors
    /// What is impossible about it, in words.
    pub fn resolve<'a>(
        &self,
        entry: &WireEntry<'a>,
        intern: &mut dyn FnMut(Origin) -> u32,
    ) -> Result<State<'a>, &'static str> {
        self.resolve_within(entry, &mut |origin| Ok(intern(origin)))
    }

    /// As [`EntryReader::resolve`], where `intern` may have no room for an origin.
    ///
    /// # Errors
    /// What is impossible about the entry, or what `intern` says.
    pub fn resolve_within<'a>(
        &self,
        entry: &WireEntry<'a>,
        intern: &mut dyn FnMut(Origin) -> Result<u32, &'static str>,
    ) -> Result<State<'a>, &'static str> {
        let ops = self.ops(&entry.ops, intern)?;
        let (fields, tail) = match &entry.body {
            Body::Dead(hard) => {
                let [op] = ops.as_slice() else { return Err("a tombstone has one op") };
                let hard_ms = self.bases.wall_ms.wrapping_add_signed(*hard);
                return Ok(State::Dead(Dead { ver: op.ver, hard_ms }));
            }
            Body::Live { fields, tail } => (fields, tail),
        };
        let known = |op: i64| match u32::try_from(op) {
            Ok(op) if (op as usize) < ops.len() => Ok(op),
            _ => Err("an op index out of range"),
        };
        let mut out = Vec::with_capacity(fields.len());
        for &(key, op, value) in fields {
            if key.is_empty() || key.len() > MAX_KEY_BYTES {
                return Err("a key of impossible length");
            }
            if out.last().is_some_and(|last: &Field<'_>| last.key >= key) {
                return Err("keys out of order");
            }
            out.push(Field { key, op: known(i64::from(op))?, value });
        }
        let mut live = self.tail(tail, &known)?;
        live.fields = out;
        live.ops = ops;
        if self.bases.version < 2 && !mutant!(OldWireSawNothing) {
            leave_open(&mut live);
        }
        if live.ops.is_empty() {
            return Err("an entry without an op");
        }
        Ok(State::Live(live))
    }

    fn ops(
        &self,
        flat: &[i64],
        intern: &mut dyn FnMut(Origin) -> Result<u32, &'static str>,
    ) -> Result<Vec<Op>, &'static str> {
        let mut ints = flat.iter().copied();
        let mut ops = Vec::new();
        while let Some(origin) = ints.next() {
            let mut next = || ints.next().ok_or("an op cut short");
            let origin = usize::try_from(origin).ok().and_then(|ix| self.origins.get(ix));
            let origin = *origin.ok_or("an origin index out of range")?;
            if origin == Origin::default() {
                // A vacant place in the receiver's table bears this name.
                return Err("an op of nobody");
            }
            let origin = intern(origin)?;
            let counter = self.bases.counter.wrapping_add_signed(next()?);
            let ms = self.bases.wall_ms.wrapping_add_signed(next()?);
            let logical = u16::try_from(next()?).map_err(|_| "a stamp out of range")?;
            if counter == 0 || counter > MAX_COUNTER || ms >= 1 << 48 {
                return Err("a counter or stamp out of range");
            }
            let n = if self.bases.version >= 2 { next()? } else { 0 };
            if !(0..=MAX_CONTEXT as i64).contains(&n) {
                return Err("too long a conflict context");
            }
            let mut context = Vec::with_capacity(n as usize);
            for _ in 0..n {
                context.push((next()? as u32, next()? as u64));
            }
            ops.push(Op { ver: Ver { hlc: Hlc::new(ms, logical), origin, counter }, context });
        }
        Ok(ops)
    }

    fn tail<'a>(
        &self,
        tail: &Tail,
        known: &dyn Fn(i64) -> Result<u32, &'static str>,
    ) -> Result<Live<'a>, &'static str> {
        let [touch, ttl, birth, highs] = tail;
        let wall = |since: i64| self.bases.wall_ms.wrapping_add_signed(since);
        let mut live = Live::default();
        match touch.as_deref() {
            None => {}
            Some(&[since, op]) => live.touch = Some(Mark { op: known(op)?, ms: wall(since) }),
            Some(_) => return Err("a malformed touch"),
        }
        match ttl.as_deref() {
            None => {}
            Some(&[kind @ 0..=1, ms, op]) if ms >= 0 => {
                let ttl = if kind == 0 { Ttl::Sliding(ms as u64) } else { Ttl::Absolute(ms as u64) };
                live.ttl = Some(TtlReg { op: known(op)?, ttl });
            }
            Some(_) => return Err("a malformed ttl"),
        }
        match birth.as_deref() {
            None => {}
            Some(&[since, life, op]) if life >= 0 => {
                let created_ms = wall(since);
                let hard_ms = created_ms.saturating_add(life as u64);
                live.birth = Some(Birth { op: known(op)?, created_ms, hard_ms });
            }
            Some(_) => return Err("a malformed birth"),
        }
        let mark = |ms: i64, op: i64| match (ms, op) {
            (-1, -1) => Ok(None),
            (0.., _) => Ok(Some(Mark { op: known(op)?, ms: ms as u64 })),
            _ => Err("a malformed high-water mark"),
        };
        match highs.as_deref() {
            None => {}
            Some(&[sliding, sliding_op, absolute, absolute_op]) => {
                live.high_sliding = mark(sliding, sliding_op)?;
                live.high_absolute = mark(absolute, absolute_op)?;
            }
            Some(_) => return Err("malformed high-water marks"),
        }
        Ok(live)
    }
}

impl<'de> Element<'de> for WireEntry<'de> {
    fn next<A: SeqAccess<'de>>(_: u16, list: &mut A) -> Result<Option<Self>, A::Error> {
        list.next_element()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for WireEntry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;
        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = WireEntry<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a session entry")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let id = next(&mut seq)?;
                let ops = next::<Ints, A>(&mut seq)?.0;
                let mut body = next(&mut seq)?;
                if let Body::Live { tail, .. } = &mut body {
                    for part in tail {
                        match seq.next_element::<Option<Ints>>()? {
                            Some(read) => *part = read.map(|ints| ints.0),
                            None => break,
                        }
                    }
                }
                // Later versions may append; what is not understood is not an error.
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(WireEntry { id, ops, body })
            }
        }
        deserializer.deserialize_seq(EntryVisitor)
    }
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(seq: &mut A) -> Result<T, A::Error> {
    seq.next_element()?.ok_or_else(|| de::Error::custom("an entry cut short"))
}

/// A list of numbers, bounded by its frame: a number takes a byte at least. There is no count that honest peers keep
/// to, since a merge takes all that its sides wrote.
struct Ints(Vec<i64>);

impl<'de> Deserialize<'de> for Ints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::read::bounded_seq::<i64, D>(deserializer, usize::MAX).map(Ints)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Body<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BodyVisitor;
        impl<'de> Visitor<'de> for BodyVisitor {
            type Value = Body<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("fields or a hard deadline")
            }

            fn visit_i64<E: de::Error>(self, hard: i64) -> Result<Self::Value, E> {
                Ok(Body::Dead(hard))
            }

            fn visit_u64<E: de::Error>(self, hard: u64) -> Result<Self::Value, E> {
                i64::try_from(hard).map(Body::Dead).map_err(|_| de::Error::custom("a deadline out of range"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(3 * 64) / 3);
                while let Some(key) = seq.next_element::<&'de str>()? {
                    if mutant!(CodecBoundBelowUnion) && fields.len() == 64 {
                        return Err(de::Error::custom("too many fields"));
                    }
                    let op = next(&mut seq)?;
                    let value: Option<&'de Bytes> = next(&mut seq)?;
                    fields.push((key, op, value.map(|v| -> &'de [u8] { v })));
                }
                Ok(Body::Live { fields, tail: Tail::default() })
            }
        }
        deserializer.deserialize_any(BodyVisitor)
    }
}

/// The older wire leaves out what the writers of fields had seen: to take it for nothing would make conflicts. Only
/// the creation has seen nothing for sure.
fn leave_open(live: &mut Live<'_>) {
    let born = live.birth.map(|birth| birth.op);
    for op in live.fields.iter().map(|field| field.op).filter(|&op| Some(op) != born) {
        if let Some(op) = live.ops.get_mut(op as usize).filter(|op| op.context.is_empty()) {
            op.context.push(CUT);
        }
    }
}
