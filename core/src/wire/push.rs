//! Fresh local writes, sent as soon as they are made: acknowledged by a [`PushAck`](super::PushAck).
//!
//! `[[seq, wall_ms, base_counter, until_min, origins], part, ...]`, each part
//! `[[partition, last counter - base, counters before the last], entry, ...]`; entries as `entry.rs` has them. `until_min`
//! is in minutes after `wall_ms`, rounded up.

use serde::de::SeqAccess;

use super::entry::{Bases, WireEntry, encode_entries};
use super::fault::BodyFault;
use super::read::{Fields, List, MOST, Many, next, read_list};
use super::write::{list_frame, write_list};
use crate::causality::Origin;
use crate::frame::Kind;
use crate::limits::{MAX_CLAIM_SPAN, MAX_COUNTER};

/// The unit in which it is told until when writes matter (ms).
const MINUTE_MS: u64 = 60_000;

/// The head of a push; parts follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushHeader {
    /// Echoed by the acknowledgement.
    pub seq: u64,
    /// The sender's wall time (ms): skew is checked on every message that moves data (docs/ALGORITHM.md §7).
    pub wall_ms: u64,
    /// What counters in the frame are relative to.
    pub base_counter: u64,
    /// Latest hard deadline of what the claimed ops wrote (wall ms): rounded up to whole minutes after `wall_ms`.
    pub until_ms: u64,
    /// Origins the entries refer to; the sender itself is index 0 and not listed.
    pub origins: Vec<Origin>,
}

/// A push: its head and a part for each partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push<'a> {
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

impl PushHeader {
    /// The frame for a peer that speaks `version`, with `n` parts that [`encode_push_part`] has made.
    pub fn encode(&self, version: u16, n: u32, parts: &[u8]) -> Vec<u8> {
        let Self { seq, wall_ms, base_counter, until_ms, origins } = self;
        let until_min = until_ms.saturating_sub(*wall_ms).div_ceil(MINUTE_MS);
        list_frame(version, Kind::Push, &(seq, wall_ms, base_counter, until_min, origins), n, parts)
    }

    /// The table of origins, as indices mean them: the sender first.
    pub fn origins_with(&self, sender: Origin) -> Vec<Origin> {
        [sender].into_iter().chain(self.origins.iter().copied()).collect()
    }
}

/// One part from its claim and its `n` encoded entries.
pub fn encode_push_part(
    base_counter: u64,
    partition: u16,
    (lo, hi): (u64, u64),
    n: u32,
    entries: &[u8],
    out: &mut Vec<u8>,
) {
    let head = (partition, hi.wrapping_sub(base_counter) as i64, hi - lo);
    write_list(&head, n, entries, out);
}

impl<'a> Push<'a> {
    /// The frame, its entries as they came.
    pub fn encode(&self) -> Vec<u8> {
        let mut parts = Vec::new();
        for part in &self.parts {
            let (n, entries) = (part.entries.len() as u32, encode_entries(&part.entries));
            let claim = (part.lo, part.hi);
            encode_push_part(self.header.base_counter, part.partition, claim, n, &entries, &mut parts);
        }
        self.header.encode(self.version, self.parts.len() as u32, &parts)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn decode(version: u16, body: &'a [u8]) -> Result<Self, BodyFault> {
        type Part<'a> = List<PartHead, WireEntry<'a>>;
        let List { head: header, rest } = read_list::<PushHeader, Part<'_>>(version, body)?;
        let mut parts = Vec::with_capacity(rest.len());
        for List { head: PartHead { partition, since, span }, rest: entries } in rest {
            let hi = header.base_counter.wrapping_add_signed(since);
            let lo = hi.checked_sub(span);
            let lo = lo.filter(|&lo| lo >= 1 && hi <= MAX_COUNTER && span <= MAX_CLAIM_SPAN);
            let lo = lo.ok_or(BodyFault::Claim { span, hi })?;
            parts.push(PushPart { partition, lo, hi, entries });
        }
        Ok(Self { header, version, parts })
    }

    /// What its entries' numbers are relative to.
    pub fn bases(&self) -> Bases {
        Bases { wall_ms: self.header.wall_ms, counter: self.header.base_counter, version: self.version }
    }
}

impl<'de> Fields<'de> for PushHeader {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        let (seq, wall_ms, base_counter) = (next(fields)?, next::<u64, A>(fields)?, next(fields)?);
        let until_min: u64 = next(fields)?;
        let until_ms = wall_ms.saturating_add(until_min.saturating_mul(MINUTE_MS));
        let origins = next::<Many<_, MOST>, A>(fields)?.0;
        Ok(Self { seq, wall_ms, base_counter, until_ms, origins })
    }
}

/// The head of a part on the wire.
struct PartHead {
    partition: u16,
    /// Last counter minus the frame's base.
    since: i64,
    /// Counters claimed before the last.
    span: u64,
}

impl<'de> Fields<'de> for PartHead {
    fn read<A: SeqAccess<'de>>(_: u16, fields: &mut A) -> Result<Self, A::Error> {
        Ok(Self { partition: next(fields)?, since: next(fields)?, span: next(fields)? })
    }
}
