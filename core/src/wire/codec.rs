//! Frames: `version u8 · kind u8 · one MessagePack value`. Every message has golden bytes in `sim/tests/state_machine/golden.rs`.
//!
//! Decoding is bounded before it allocates: the frame's length by the transport, every list by the number of
//! elements it may have or, where a merge has no such number, by the frame it came in (an element takes a byte at
//! least); nesting by the fixed shapes (no recursive type exists here).

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::Serialize;
use serde_bytes::Bytes;

use super::entry::WireEntry;
use super::message::{Message, PageHeader, PushHeader, SyncItem, WIRE_NEWEST, WIRE_OLDEST};
use crate::causality::{Origin, RangeSet};
use crate::limits::{MAX_CLAIM_SPAN, MAX_COUNTER, MAX_FORCED, MAX_RANGES};

const DIGEST: u8 = 1;
const EQUAL: u8 = 2;
const UNEQUAL: u8 = 3;
const SYNC: u8 = 4;
const PAGE: u8 = 5;
const ADOPTED: u8 = 6;
const PUSH: u8 = 7;
const PUSH_ACK: u8 = 8;
const ASK: u8 = 9;
const TELL: u8 = 10;
const AUDIT: u8 = 11;
const AUDIT_DIFF: u8 = 12;

/// Why a frame could not be read. Nothing was changed; the link is closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than the two bytes every frame starts with.
    #[error("a frame of {0} bytes")]
    Short(usize),
    /// A wire version this code does not speak.
    #[error("wire version {0}: this node speaks {WIRE_OLDEST} to {WIRE_NEWEST}")]
    Version(u8),
    /// A message kind this version does not have.
    #[error("unknown message kind {0}")]
    Kind(u8),
    /// The body is not what the kind promises.
    #[error("message kind {kind}: {why}")]
    Body {
        /// The kind.
        kind: u8,
        /// What is wrong with it.
        why: String,
    },
}

/// A push: its head and a part for each partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushFrame<'a> {
    /// The head.
    pub header: PushHeader,
    /// The wire version of the entries.
    pub version: u16,
    /// The parts.
    pub parts: Vec<PushPart<'a>>,
}

/// One partition's share of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushPart<'a> {
    /// Which.
    pub partition: u16,
    /// First own counter claimed.
    pub lo: u64,
    /// Last own counter claimed.
    pub hi: u64,
    /// The entries.
    pub entries: Vec<WireEntry<'a>>,
}

/// A page: its head and its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageFrame<'a> {
    /// The head.
    pub header: PageHeader,
    /// The wire version of the entries.
    pub version: u16,
    /// The entries.
    pub entries: Vec<WireEntry<'a>>,
}

/// The head of a push part on the wire: partition, last counter minus base, length of the claim.
type PartHead = (u16, i64, u64);

fn frame(version: u16, kind: u8, body: &impl Serialize) -> Vec<u8> {
    let mut out = vec![version as u8, kind];
    // Writing to memory fails only for types that cannot be encoded, which these are not.
    let _ = rmp_serde::encode::write(&mut out, body);
    out
}

/// A frame with a second value, which nodes that know of none do not read.
fn with_second(mut frame: Vec<u8>, body: &impl Serialize) -> Vec<u8> {
    // As in `frame`.
    let _ = rmp_serde::encode::write(&mut frame, body);
    frame
}

/// Adds to a digest or the answer to one that its sender knows of something it may lack. Older nodes do not read it;
/// they are told that the sender is not ready, which keeps them from taking it for a source.
pub fn mark_incomplete(frame: Vec<u8>, incomplete: bool) -> Vec<u8> {
    if incomplete { with_second(frame, &(true,)) } else { frame }
}

/// Whether a digest or the answer to one is marked so; `None` of any other frame.
pub fn is_marked_incomplete(frame: &[u8]) -> Option<bool> {
    let [_, DIGEST | EQUAL | UNEQUAL, body @ ..] = frame else { return None };
    let read = read_both::<de::IgnoredAny, (bool,)>(body).ok()?;
    Some(read.1.is_some_and(|second| second.0))
}

/// Encodes a message without entries. Pushes, pages and answers with an entry have builders of their own, since
/// their entries are written while the partition is locked.
pub fn encode(version: u16, message: &Message<'_>) -> Vec<u8> {
    match message {
        Message::Digest { round, root, wall_ms, want_inc, ready } => {
            frame(version, DIGEST, &(round, root, wall_ms, want_inc, ready))
        }
        Message::Equal { round, wall_ms, ready, inc } => frame(version, EQUAL, &(round, wall_ms, ready, inc)),
        Message::Unequal { round, wall_ms, ready, inc, hashes } => {
            frame(version, UNEQUAL, &(round, wall_ms, ready, inc, Bytes::new(hashes)))
        }
        Message::Sync { round, wall_ms, origins, items } => {
            frame(version, SYNC, &(round, wall_ms, origins, items))
        }
        Message::Adopted { upto } => frame(version, ADOPTED, &(upto,)),
        Message::PushAck { seq, refused } => frame(version, PUSH_ACK, &(seq, refused)),
        Message::Ask { request, id } => frame(version, ASK, &(request, id)),
        Message::Tell { request, wall_ms, origins, entry: _ } => {
            encode_tell(version, *request, *wall_ms, origins, &[])
        }
        Message::Audit { request, wall_ms, sums } => frame(version, AUDIT, &(request, wall_ms, sums)),
        Message::AuditDiff { request, partitions } => frame(version, AUDIT_DIFF, &(request, partitions)),
        Message::Compare { request, wall_ms, sums, margin_ms, exact } => {
            with_second(frame(version, AUDIT, &(request, wall_ms, sums)), &(margin_ms, exact))
        }
        Message::Compared { request, partitions, verdicts } => {
            with_second(frame(version, AUDIT_DIFF, &(request, partitions)), &(Bytes::new(verdicts),))
        }
        Message::Page(page) => encode_page(version, &page.header, 0, &[]),
        Message::Push(push) => encode_push(version, &push.header, 0, &[]),
    }
}

/// A frame whose value is a list: a head, then `n` elements that are already encoded.
fn list_frame(version: u16, kind: u8, head: &impl Serialize, n: u32, elements: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(elements.len() + 96);
    out.extend([version as u8, kind]);
    write_list(head, n, elements, &mut out);
    out
}

fn write_list(head: &impl Serialize, n: u32, elements: &[u8], out: &mut Vec<u8>) {
    match n + 1 {
        len @ 0..16 => out.push(0x90 | len as u8),
        len @ 16..0x1_0000 => out.extend([&[0xdc][..], &(len as u16).to_be_bytes()].concat()),
        len => out.extend([&[0xdd][..], &len.to_be_bytes()].concat()),
    }
    // Writing to memory fails only for types that cannot be encoded, which these are not.
    let _ = rmp_serde::encode::write(out, head);
    out.extend_from_slice(elements);
}

/// A push frame from its head and its `n` encoded parts.
pub fn encode_push(version: u16, header: &PushHeader, n: u32, parts: &[u8]) -> Vec<u8> {
    list_frame(version, PUSH, header, n, parts)
}

/// One push part from its claim and its `n` encoded entries.
pub fn encode_push_part(
    base: u64,
    partition: u16,
    (lo, hi): (u64, u64),
    n: u32,
    entries: &[u8],
    out: &mut Vec<u8>,
) {
    let head: PartHead = (partition, hi.wrapping_sub(base) as i64, hi - lo);
    write_list(&head, n, entries, out);
}

/// A page frame from its head and its `n` encoded entries.
pub fn encode_page(version: u16, header: &PageHeader, n: u32, entries: &[u8]) -> Vec<u8> {
    list_frame(version, PAGE, header, n, entries)
}

/// An answer to an `Ask`, with its encoded entry if there is one.
pub fn encode_tell(version: u16, request: u64, wall_ms: u64, origins: &[Origin], entry: &[u8]) -> Vec<u8> {
    list_frame(version, TELL, &(request, wall_ms, origins), u32::from(!entry.is_empty()), entry)
}

/// Decodes a frame.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode(bytes: &[u8]) -> Result<Message<'_>, DecodeError> {
    let [version, kind, body @ ..] = bytes else { return Err(DecodeError::Short(bytes.len())) };
    let (version, kind) = (*version, *kind);
    if !(WIRE_OLDEST..=WIRE_NEWEST).contains(&u16::from(version)) {
        return Err(DecodeError::Version(version));
    }
    if !(DIGEST..=AUDIT_DIFF).contains(&kind) {
        return Err(DecodeError::Kind(kind));
    }
    read_message(u16::from(version), kind, body).map_err(|why| DecodeError::Body { kind, why })
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    let mut de = rmp_serde::Deserializer::from_read_ref(body);
    // The deepest shape is a push's part's entry's list.
    de.set_max_depth(12);
    T::deserialize(&mut de).map_err(|e| e.to_string())
}

/// Reads the first value, and the second if there is one that can be read: what later versions may put there instead
/// is theirs.
fn read_both<'a, T: Deserialize<'a>, U: Deserialize<'a>>(body: &'a [u8]) -> Result<(T, Option<U>), String> {
    let mut de = rmp_serde::Deserializer::from_read_ref(body);
    de.set_max_depth(12);
    let first = T::deserialize(&mut de).map_err(|e| e.to_string())?;
    Ok((first, U::deserialize(&mut de).ok()))
}

fn read_message(version: u16, kind: u8, body: &[u8]) -> Result<Message<'_>, String> {
    Ok(match kind {
        DIGEST => {
            let (round, root, wall_ms, want_inc, ready) = read(body)?;
            Message::Digest { round, root, wall_ms, want_inc, ready }
        }
        EQUAL => {
            let (round, wall_ms, ready, Many(inc)) = read::<(_, _, _, Many<_, MOST>)>(body)?;
            Message::Equal { round, wall_ms, ready, inc }
        }
        UNEQUAL => {
            let (round, wall_ms, ready, Many(inc), hashes) = read::<(_, _, _, Many<_, MOST>, &Bytes)>(body)?;
            Message::Unequal { round, wall_ms, ready, inc, hashes }
        }
        SYNC => {
            let (round, wall_ms, Many(origins), Many(items)) =
                read::<(_, _, Many<Origin, MOST>, Many<BoundedItem, 4096>)>(body)?;
            Message::Sync { round, wall_ms, origins, items: items.into_iter().map(|i| i.0).collect() }
        }
        PAGE => Message::Page(read_page(version, body)?),
        ADOPTED => Message::Adopted { upto: read::<(Many<u64, MOST>,)>(body)?.0.0 },
        PUSH => Message::Push(read_push(version, body)?),
        PUSH_ACK => {
            let (seq, Many(refused)) = read::<(_, Many<u16, 4096>)>(body)?;
            Message::PushAck { seq, refused }
        }
        ASK => {
            let (request, id) = read(body)?;
            Message::Ask { request, id }
        }
        TELL => {
            let list: List<(u64, u64, Many<Origin, MOST>), WireEntry<'_>> = read(body)?;
            let (request, wall_ms, Many(origins)) = list.head;
            Message::Tell { request, wall_ms, origins, entry: list.rest.into_iter().next() }
        }
        AUDIT => {
            type Triples = Many<u64, { 3 * 4096 }>;
            let ((request, wall_ms, Many(sums)), second) =
                read_both::<(u64, u64, Triples), (u64, Triples)>(body)?;
            match second {
                Some((margin_ms, Many(exact))) => {
                    Message::Compare { request, wall_ms, sums, margin_ms, exact }
                }
                None => Message::Audit { request, wall_ms, sums },
            }
        }
        _ => {
            let ((request, Many(partitions)), second) = read_both::<(u64, Many<u16, 4096>), (&Bytes,)>(body)?;
            match second {
                Some((verdicts,)) => Message::Compared { request, partitions, verdicts },
                None => Message::AuditDiff { request, partitions },
            }
        }
    })
}

fn read_push(version: u16, body: &[u8]) -> Result<PushFrame<'_>, String> {
    type Head = (u64, u64, u64, u64, Many<Origin, MOST>);
    let list: List<Head, List<PartHead, WireEntry<'_>>> = read(body)?;
    let (seq, wall_ms, base_counter, until_min, Many(origins)) = list.head;
    let header = PushHeader { seq, wall_ms, base_counter, until_min, origins };
    let mut parts = Vec::with_capacity(list.rest.len());
    for part in list.rest {
        let (partition, since, span) = part.head;
        let hi = base_counter.wrapping_add_signed(since);
        let lo = hi.checked_sub(span).filter(|&lo| lo >= 1 && hi <= MAX_COUNTER && span <= MAX_CLAIM_SPAN);
        let lo = lo.ok_or_else(|| format!("an impossible claim: {span} counters up to {hi}"))?;
        parts.push(PushPart { partition, lo, hi, entries: part.rest });
    }
    Ok(PushFrame { header, version, parts })
}

fn read_page(version: u16, body: &[u8]) -> Result<PageFrame<'_>, String> {
    type Head = (
        u64,
        u16,
        (u32, u64),
        u32,
        u64,
        bool,
        bool,
        u64,
        Many<Origin, MOST>,
        Many<u64, MOST>,
        Many<(Origin, u64), MOST>,
    );
    let list: List<Head, WireEntry<'_>> = read(body)?;
    let (round, partition, nonce, epoch, wall_ms, complete, source, base_counter, origins, claims, inc) =
        list.head;
    let header = PageHeader {
        round,
        partition,
        nonce,
        epoch,
        wall_ms,
        complete,
        source,
        base_counter,
        origins: origins.0,
        claims: claims.0,
        inc: inc.0,
    };
    Ok(PageFrame { header, version, entries: list.rest })
}

/// A list whose first element is a head. Its length is bounded by the frame's: an element takes a byte at least,
/// and an entry 20.
struct List<H, T> {
    head: H,
    rest: Vec<T>,
}

impl<'de, H: Deserialize<'de>, T: Deserialize<'de>> Deserialize<'de> for List<H, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<H, T>(PhantomData<(H, T)>);
        impl<'de, H: Deserialize<'de>, T: Deserialize<'de>> Visitor<'de> for ListVisitor<H, T> {
            type Value = List<H, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a head and a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let head = seq.next_element()?.ok_or_else(|| de::Error::custom("a list without its head"))?;
                let mut rest = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(64));
                while let Some(element) = seq.next_element()? {
                    rest.push(element);
                }
                Ok(List { head, rest })
            }
        }
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

/// Of lists that a merge makes: bounded by the frame alone.
const MOST: usize = usize::MAX;

/// A list of at most `N` elements.
#[derive(Default)]
struct Many<T, const N: usize>(Vec<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Many<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded_seq(deserializer, N).map(Many)
    }
}

/// A [`SyncItem`] whose lists are bounded.
struct BoundedItem(SyncItem);

impl<'de> Deserialize<'de> for BoundedItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Item = (u16, (u32, u64), Many<u64, MOST>, Many<crate::session::SessionId, MAX_FORCED>, u64);
        let (partition, nonce, base, force, have) = Item::deserialize(deserializer)?;
        Ok(Self(SyncItem { partition, nonce, base: base.0, force: force.0, have }))
    }
}

/// Reads a list of at most `most` elements, never reserving for more than a few before they are there.
pub(super) fn bounded_seq<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    most: usize,
) -> Result<Vec<T>, D::Error> {
    struct SeqVisitor<T> {
        most: usize,
        of: PhantomData<T>,
    }
    impl<'de, T: Deserialize<'de>> Visitor<'de> for SeqVisitor<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {} elements", self.most)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut out = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(64));
            while let Some(element) = seq.next_element()? {
                if out.len() == self.most {
                    return Err(de::Error::invalid_length(self.most + 1, &self));
                }
                out.push(element);
            }
            Ok(out)
        }
    }
    deserializer.deserialize_seq(SeqVisitor { most, of: PhantomData })
}

/// Flattens coverage for the wire: per origin its index, number of ranges, then gap and length of each.
pub fn flatten_ranges(origin: u64, ranges: &RangeSet, out: &mut Vec<u64>) {
    out.extend([origin, ranges.ranges().len() as u64]);
    let mut end = 0;
    for &(lo, hi) in ranges.ranges() {
        out.extend([lo - end, hi - lo]);
        end = hi;
    }
}

/// Reads one origin's ranges back from a flat list; the second element is its origin index.
///
/// # Errors
/// What is impossible about it.
pub fn unflatten_ranges(ints: &mut impl Iterator<Item = u64>) -> Result<Option<(u64, RangeSet)>, String> {
    let Some(origin) = ints.next() else { return Ok(None) };
    let mut need = || ints.next().ok_or_else(|| "ranges cut short".to_owned());
    let n = need()?;
    // What is lacking can have a range more than both sides' together.
    let most = 2 * MAX_RANGES as u64 + 1;
    if n > most {
        return Err(format!("{n} ranges of one origin: at most {most}"));
    }
    let (mut ranges, mut end) = (RangeSet::default(), 0u64);
    for _ in 0..n {
        let lo = end.checked_add(need()?).ok_or("a range out of bounds")?;
        let hi = lo.checked_add(need()?).ok_or("a range out of bounds")?;
        if lo == 0 || hi > MAX_COUNTER || hi - lo > MAX_CLAIM_SPAN {
            return Err(format!("an impossible range {lo}..={hi}"));
        }
        ranges.insert(lo, hi);
        end = hi;
    }
    Ok(Some((origin, ranges)))
}
