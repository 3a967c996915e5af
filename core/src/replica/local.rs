//! Local operations: create, edit, touch, destroy. One op is one dot on one session, atomically.

use super::ends::{check_ends, new_end, put_end};
use super::partition::{Partition, Recent};
use super::size::{Extent, check_create, check_edit};
use super::tell::{Happened, changed};
use crate::causality::{Dot, Origin, RangeSet, Ver, origin_at};
use crate::limits::Limits;
use crate::marks::Mark as Rare;
use crate::session::{
    Birth, Bound, Dead, Field, LOGIN_ID_KEY, Live, Login, Mark, Op, PRINCIPAL_KEY, Packed, SessionId, State,
    Ttl, TtlReg, asked, deadline_ms, encode, high_marks, is_moved, is_reserved, join,
};
use crate::time::{Hlc, HybridClock};

/// What a local op changes.
#[derive(Clone, Debug, Default)]
pub struct Change<'a> {
    /// Fields to set (`Some`) or remove (`None`). An explicit set always writes, even an equal value: to
    /// re-assert `admin = false` must beat an earlier concurrent write (docs/ALGORITHM.md §10).
    pub fields: Vec<(&'a str, Option<&'a [u8]>)>,
    /// Fields to remove only while they are still the write named: for adapters whose client saw a snapshot and
    /// must not remove what it never saw.
    pub remove_seen: Vec<(&'a str, Dot)>,
    /// Leave out fields whose value would not change: for adapters that save whole maps.
    pub skip_unchanged: bool,
    /// A new time-to-live. An unchanged one writes nothing: adapters of every kind say it again on every save.
    pub ttl: Option<Ttl>,
    /// How long the session may live from now on, at most, whatever its time-to-live. For edits: what bounds a new
    /// session is its hard end.
    pub bound: Bound,
    /// Log in as this principal, or out (`None`). A log-in says again what revocations it has seen, even if the
    /// session is the principal's already, unless `skip_unchanged`. Served by [`super::Replica`], which knows those.
    pub principal: Option<Option<&'a str>>,
    /// Which log-in a log-in is: 128 random bits.
    pub login_id: Option<SessionId>,
    /// Reserved fields to set as they are, or remove: for whoever copies or marks a session as a whole. Served as
    /// `principal` is.
    pub reserved: Vec<(&'a str, Option<&'a [u8]>)>,
    /// Remove every field present here that is not in `fields`, and log out if nobody logs in.
    pub clear: bool,
    /// Refuse a session that went on as another: [`WriteError::Moved`].
    pub unless_moved: bool,
    /// As `clear`, but whose session it is stays.
    pub clear_fields: bool,
    /// How large the session is that a new one is a copy of: a merge may have made it larger than any cap, and its user
    /// must be able to log in all the same.
    pub copied: Extent,
}

/// Where an op's stamp comes from: the node's counter and clock, taken inside the partition's lock so that
/// counters rise within a partition.
pub struct Stamper<'a> {
    /// Takes the next counter of this life.
    pub counter: &'a dyn Fn() -> u64,
    /// Gives stamps past everything observed.
    pub clock: &'a HybridClock,
    /// The node's limits.
    pub limits: &'a Limits,
    /// What is held (bytes), if that is so much that nothing may grow.
    pub full: Option<u64>,
}

/// A write that happened, or the dot that stands for a skipped one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub partition: u16,
    /// The write event a receipt waits for.
    pub dot: Dot,
    /// Its stamp.
    pub hlc: Hlc,
    /// Whether anything was written: a skipped edit names the current winner's dot.
    pub wrote: bool,
    /// When the session now ends (ms).
    pub deadline_ms: u64,
}

/// The write events behind a snapshot of a live session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The creation.
    pub birth: Dot,
    /// What wrote each field that is set, in key order.
    pub fields: Vec<Dot>,
}

/// Why a local operation was refused. Nothing was changed in any of these cases.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// No such session here: never created, expired, or destroyed.
    #[error("no such session")]
    Absent,
    /// The id has a slot already: live, expired but retained, or dead.
    #[error("the session id was used before")]
    IdTaken,
    /// A key is empty or too long.
    #[error("key of {bytes} bytes: must be 1 to {max}")]
    KeyLength {
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// Too many fields.
    #[error("{fields} fields: at most {max}")]
    TooManyFields {
        /// How many it would have been.
        fields: usize,
        /// The bound.
        max: usize,
    },
    /// The record would be too large.
    #[error("record of {bytes} bytes: at most {max} (max_record_bytes)")]
    TooLarge {
        /// Keys and values together.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// The session would end at once: a time of nothing, or a date that is over. To end one, destroy it.
    #[error("deadline {deadline_ms} ms is not in the future ({now_ms} ms)")]
    Expired {
        /// The requested deadline.
        deadline_ms: u64,
        /// The wall time.
        now_ms: u64,
    },
    /// What is left of the node's memory is kept for what matters more than this: [`Need`](super::Need).
    #[error(
        "memory limit reached: {bytes} bytes are held, and what is left of max_memory_bytes is for what matters more"
    )]
    MemoryFull {
        /// Bytes held now.
        bytes: u64,
    },
    /// A log-in went on as another session, and the edit would be lost on this one.
    #[error("the session went on as another by a log-in")]
    Moved,
    /// The session has had more keys than it can remember.
    #[error("{marks} names of keys in the session: at most {max}; a log-in begins anew")]
    TooManyKeys {
        /// How many it has had.
        marks: usize,
        /// The bound.
        max: usize,
    },
    /// Keys that begin with two zero bytes are the mesh's own.
    #[error("keys that begin with two zero bytes are reserved")]
    ReservedKey,
    /// A principal is empty or too long.
    #[error("principal of {bytes} bytes: must be 1 to {max}")]
    Principal {
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// The node does not serve yet: joining, or fenced after a freeze.
    #[error("the node is not serving: {0}")]
    NotServing(&'static str),
}

/// A touch is written only if it moves the deadline by this much (ms), the ttl's `touch_share`: keeps sliding expiry
/// from being the dominant traffic. Never under a second, unless that is half the ttl.
pub fn touch_quantum_ms(ttl: Ttl, touch_share: u64) -> u64 {
    match ttl {
        Ttl::Sliding(ms) => (ms / touch_share.max(1)).max(1_000).min(ms / 2 + 1),
        Ttl::Absolute(_) => u64::MAX,
    }
}

impl Partition {
    /// Creates a session. `hard_ms` is its last possible moment, already clamped to the cluster maximum.
    ///
    /// # Errors
    /// See [`WriteError`]; nothing changes then.
    pub fn create(
        &mut self,
        id: SessionId,
        wall_ms: u64,
        change: &Change<'_>,
        ttl: Ttl,
        hard_ms: u64,
        stamper: &Stamper<'_>,
    ) -> Result<Written, WriteError> {
        let (now_ms, ttl) = (self.clamp_wall(wall_ms), ttl.bounded());
        if self.find(id).is_some() {
            self.marks.hit(Rare::IdTaken);
            return Err(WriteError::IdTaken);
        }
        let mut fields = sorted_fields(change.fields.iter().copied(), 0);
        fields.retain(|f| f.value.is_some());
        check_create(&fields, change.copied, stamper.limits).inspect_err(|error| self.note_refused(error))?;
        let deadline_ms = deadline_ms(hard_ms, now_ms, ttl);
        if deadline_ms <= now_ms {
            self.marks.hit(Rare::BornExpired);
            return Err(WriteError::Expired { deadline_ms, now_ms });
        }
        // Nothing of a new session came before.
        let ver = self.stamp(now_ms, Hlc::default, stamper);
        let (high_sliding, high_absolute) = high_marks(ttl, 0);
        let live = Live {
            ops: vec![Op { ver, context: Vec::new() }],
            birth: Some(Birth { op: 0, created_ms: now_ms, hard_ms }),
            touch: Some(Mark { op: 0, ms: now_ms }),
            ttl: Some(TtlReg { op: 0, ttl }),
            high_sliding,
            high_absolute,
            fields,
        };
        let slot = self.store(id, None, &State::Live(live)).unwrap_or_default();
        self.own_op(ver, slot, (true, true), hard_ms);
        if !self.record(slot).is_revocation() {
            self.tell(Happened::Created(id), None);
        }
        Ok(self.written(ver, true, deadline_ms))
    }

    /// Changes fields and ttl of a visible session; touches it when that moves the deadline enough.
    ///
    /// # Errors
    /// [`WriteError::Absent`] if the session is not visible here, or a broken limit; nothing changes then.
    pub fn edit(
        &mut self,
        id: SessionId,
        wall_ms: u64,
        change: &Change<'_>,
        stamper: &Stamper<'_>,
    ) -> Result<Written, WriteError> {
        let now_ms = self.clamp_wall(wall_ms);
        let slot =
            self.find(id).filter(|&slot| !self.record(slot).is_revocation()).ok_or(WriteError::Absent)?;
        let packed = self.record(slot);
        if !packed.visible(now_ms) {
            self.marks.hit(Rare::EditOfExpired);
            return Err(WriteError::Absent);
        }
        if change.unless_moved && is_moved(&packed) {
            return Err(WriteError::Moved);
        }
        let (ttl, hard_ms) = (packed.ttl(), packed.hard_ms());
        let (new_ttl, end_ms) = asked(change.ttl.map(Ttl::bounded), change.bound, now_ms);
        check_ends(new_ttl, end_ms, now_ms).inspect_err(|_| self.marks.hit(Rare::BornExpired))?;
        let (new_ttl, end) = (new_ttl.filter(|&wanted| wanted != ttl), new_end(&packed, end_ms));
        let mut fields = changed_fields(&packed, change, &self.origins);
        put_end(&mut fields, end.as_ref());
        let touch = new_ttl.is_some()
            || !mutant!(EditsNeverTouch)
                && now_ms.saturating_sub(packed.touch_ms())
                    >= touch_quantum_ms(ttl, stamper.limits.touch_share);
        if fields.is_empty() && new_ttl.is_none() && !touch {
            self.marks.hit(Rare::EditSkipped);
            return Ok(self.skipped(&packed, &change.fields));
        }
        // A log-in is for the replica to refuse.
        let full = stamper.full.filter(|_| change.principal.is_none());
        check_edit(&packed, &fields, full, stamper.limits).inspect_err(|error| self.note_refused(error))?;
        self.note_edit(&packed, change, &fields, (now_ms, new_ttl, touch));
        let context = self.context(&packed, &fields);
        let newest = || packed.vers().map(|ver| ver.hlc).max().unwrap_or_default();
        let ver = self.stamp(now_ms, newest, stamper);
        let old = self.record(slot).state();
        let (high_sliding, high_absolute) = new_ttl.map(|ttl| high_marks(ttl, 0)).unwrap_or_default();
        let part = State::Live(Live {
            ops: vec![Op { ver, context }],
            birth: None,
            touch: touch.then_some(Mark { op: 0, ms: now_ms }),
            ttl: new_ttl.map(|ttl| TtlReg { op: 0, ttl }),
            high_sliding,
            high_absolute,
            fields,
        });
        let (joined, findings) = join(&old, &part, &self.origins, &|_| true);
        let told = (self.told(slot), now_ms);
        let event = self.watched.then(|| changed(id, (&old, &joined), &findings, told)).flatten();
        let deadline_ms = match &joined {
            State::Live(live) => live.deadline_ms().unwrap_or(hard_ms),
            State::Dead(dead) => dead.hard_ms,
        };
        let mut bytes = Vec::with_capacity(packed_len_hint(&joined));
        encode(id, &joined, &mut bytes);
        drop((old, joined));
        self.store_bytes(id, Some(slot), &bytes);
        self.own_op(ver, slot, (touch, new_ttl.is_some()), hard_ms);
        event.into_iter().for_each(|event| self.tell(event, None));
        Ok(self.written(ver, true, deadline_ms))
    }

    /// Destroys a session for good. One unknown here is destroyed *blind*, up to the cluster maximum lifetime:
    /// a logout at a node that never saw the session must still stick.
    ///
    /// # Errors
    /// [`WriteError::Absent`] if nothing is known of it here and `blind` is not set.
    pub fn destroy(
        &mut self,
        id: SessionId,
        wall_ms: u64,
        blind: bool,
        stamper: &Stamper<'_>,
    ) -> Result<Written, WriteError> {
        let now_ms = self.clamp_wall(wall_ms);
        let slot = self.find(id);
        let hard_ms = match slot.map(|slot| self.record(slot)) {
            Some(packed) if packed.is_revocation() => return Err(WriteError::Absent),
            Some(packed) if packed.is_dead() => {
                self.marks.hit(Rare::DestroyOfDead);
                return Ok(self.skipped(&packed, &[]));
            }
            Some(packed) => packed.hard_ms() + stamper.limits.skew_ms,
            None if blind => {
                self.marks.hit(Rare::BlindDestroy);
                let longest_ms =
                    if mutant!(BlindDestroyBrief) { 60_000 } else { stamper.limits.max_lifetime_ms };
                now_ms + longest_ms + stamper.limits.skew_ms
            }
            None => return Err(WriteError::Absent),
        };
        let written = self.bury(id, slot, (now_ms, hard_ms), stamper);
        if slot.is_none()
            && let Some(slot) = self.find(id)
        {
            self.set_blind(slot);
        }
        self.tell(Happened::Destroyed(id), None);
        Ok(written)
    }

    /// Ends a live session because it was revoked. Whoever asks for it tells watchers.
    ///
    /// # Errors
    /// [`WriteError::Absent`] if no live record is here.
    pub fn end(&mut self, id: SessionId, wall_ms: u64, stamper: &Stamper<'_>) -> Result<Written, WriteError> {
        let now_ms = self.clamp_wall(wall_ms);
        let slot = self.find(id).filter(|&slot| !self.record(slot).is_dead()).ok_or(WriteError::Absent)?;
        let hard_ms = self.record(slot).hard_ms() + stamper.limits.skew_ms;
        Ok(self.bury(id, Some(slot), (now_ms, hard_ms), stamper))
    }

    fn bury(
        &mut self,
        id: SessionId,
        slot: Option<u32>,
        (now_ms, hard_ms): (u64, u64),
        stamper: &Stamper<'_>,
    ) -> Written {
        // A tombstone stands above every live state, whatever its stamp.
        let ver = self.stamp(now_ms, Hlc::default, stamper);
        let slot = self.store(id, slot, &State::Dead(Dead { ver, hard_ms })).unwrap_or_default();
        self.revived.remove(&id);
        self.own_op(ver, slot, (false, false), hard_ms);
        self.written(ver, true, hard_ms)
    }

    /// The write events a live session stands on: for adapters that later change only what they saw.
    pub fn seen(&self, id: SessionId) -> Option<Seen> {
        let State::Live(live) = self.record(self.find(id)?).state() else { return None };
        let dot = |op: u32| live.ops.get(op as usize).map(|op| dot_of(&op.ver, &self.origins));
        let fields = live.fields.iter().filter(|f| f.value.is_some() && !is_reserved(f.key));
        Some(Seen { birth: dot(live.birth?.op)?, fields: fields.filter_map(|f| dot(f.op)).collect() })
    }

    pub(super) fn stamp(&self, now_ms: u64, newest: impl FnOnce() -> Hlc, stamper: &Stamper<'_>) -> Ver {
        let hlc = stamper.clock.tick_within(now_ms, stamper.limits.max_drift_ms, newest);
        if hlc.ms() > now_ms {
            // Only a carry leaves the logical count at zero past the wall clock.
            self.marks.hit(if hlc.logical() == 0 { Rare::HlcCarry } else { Rare::HlcAheadOfWall });
        }
        Ver { hlc, origin: self.own, counter: (stamper.counter)() }
    }

    fn note_refused(&self, error: &WriteError) {
        match error {
            WriteError::KeyLength { .. } => self.marks.hit(Rare::KeyLengthRefused),
            WriteError::TooManyFields { .. } => self.marks.hit(Rare::FieldLimitRefused),
            WriteError::TooLarge { .. } => self.marks.hit(Rare::RecordSizeRefused),
            _ => {}
        }
    }

    fn note_edit(
        &self,
        packed: &Packed<'_>,
        change: &Change<'_>,
        fields: &[Field<'_>],
        (now_ms, new_ttl, touch): (u64, Option<Ttl>, bool),
    ) {
        if !touch {
            self.marks.hit(Rare::EditWithoutTouch);
        }
        let ends = |ttl: Ttl| deadline_ms(packed.last_ms(), now_ms, ttl);
        if new_ttl.is_some_and(|ttl| ends(ttl) < ends(packed.ttl())) {
            self.marks.hit(Rare::TtlShortened);
        }
        if fields.iter().any(|f| f.value.is_none()) {
            self.marks.hit(Rare::RemovalKept);
        }
        let unseen = |f: &Field<'_>, wanted: &(&str, Dot)| {
            f.key == wanted.0 && f.value.is_some() && dot_of(&packed.ver(f.op), &self.origins) != wanted.1
        };
        if change.remove_seen.iter().any(|wanted| packed.fields().any(|f| unseen(&f, wanted))) {
            self.marks.hit(Rare::RemovalOfUnseen);
        }
    }

    pub(super) fn own_op(&mut self, ver: Ver, slot: u32, (touched, ttl): (bool, bool), hard_ms: u64) {
        // The claim of an own dot reaches back to the previous one here: the counters between belong to
        // other partitions.
        let range = RangeSet::from_range(self.first_unpruned(self.own_last + 1), ver.counter);
        if !mutant!(OwnWriteUncovered) {
            self.add_cover(self.own, &range, hard_ms);
        }
        self.own_last = ver.counter;
        self.remember(Recent { counter: ver.counter, hlc: ver.hlc, slot, touched, ttl });
    }

    pub(super) fn written(&self, ver: Ver, wrote: bool, deadline_ms: u64) -> Written {
        let dot = dot_of(&ver, &self.origins);
        Written { partition: self.ix, dot, hlc: ver.hlc, wrote, deadline_ms }
    }

    /// A skipped edit names the newest write among the fields it would have set (docs/ALGORITHM.md §10); one without
    /// fields, the record's newest.
    fn skipped(&self, packed: &Packed<'_>, fields: &[(&str, Option<&[u8]>)]) -> Written {
        let named = packed.fields().filter(|held| fields.iter().any(|f| f.0 == held.key));
        let newest = named.map(|held| packed.ver(held.op)).max_by(|a, b| a.cmp(b, &self.origins));
        let newest = newest.or_else(|| packed.vers().max_by(|a, b| a.cmp(b, &self.origins)));
        let ver = newest.unwrap_or(Ver { hlc: Hlc(0), origin: self.own, counter: self.own_last });
        let deadline_ms = if packed.is_dead() { packed.hard_ms() } else { packed.deadline_ms() };
        self.written(ver, false, deadline_ms)
    }
}

/// Whether two logins are of one principal, whatever they had seen.
fn same_principal(held: &[u8], new: &[u8]) -> bool {
    let principal = |bytes| Login::parse(bytes).map(|login| login.principal);
    principal(held).is_some() && principal(held) == principal(new)
}

fn dot_of(ver: &Ver, origins: &[Origin]) -> Dot {
    Dot { origin: origin_at(origins, ver.origin), counter: ver.counter }
}

fn packed_len_hint(state: &State<'_>) -> usize {
    match state {
        State::Live(live) => {
            120 + live.fields.iter().map(|f| 7 + f.key.len() + f.value.map_or(0, <[u8]>::len)).sum::<usize>()
        }
        State::Dead(_) => 64,
    }
}

/// The fields an edit writes, sorted by key, each key once. What it says twice counts as it says it last, before
/// anything else is asked: or a set that is skipped would leave standing the one it was to replace.
fn changed_fields<'a>(packed: &Packed<'a>, change: &Change<'a>, origins: &[Origin]) -> Vec<Field<'a>> {
    let mut fields = sorted_fields(change.fields.iter().copied(), 0);
    let clears = change.clear || change.clear_fields;
    let said: Vec<&str> = if clears { fields.iter().map(|f| f.key).collect() } else { Vec::new() };
    fields.retain(|f| match f.value {
        Some(_) if !change.skip_unchanged || mutant!(UnchangedSaveWrites) => true,
        Some(new) if f.key == PRINCIPAL_KEY => {
            packed.login_bytes().is_none_or(|held| !same_principal(held, new))
        }
        // To remove what is not there writes nothing: it would only be a removed field more.
        wanted => packed.field(f.key) != wanted,
    });
    if change.principal.flatten().is_some() && fields.iter().all(|f| f.key != PRINCIPAL_KEY) {
        // No log-in was made, so that there is nothing to be told apart from the one before.
        fields.retain(|f| f.key != LOGIN_ID_KEY);
    }
    let removal = |f: Field<'a>| (f.key, None);
    let mut removed: Vec<(&str, Option<&[u8]>)> = Vec::new();
    let present = || packed.fields().filter(|f| f.value.is_some());
    if !change.remove_seen.is_empty() {
        let seen = |f: &Field<'_>| {
            let dot = dot_of(&packed.ver(f.op), origins);
            change.remove_seen.iter().any(|r| r.0 == f.key && r.1 == dot)
        };
        removed.extend(present().filter(seen).map(removal));
    }
    if clears {
        // Of what is the mesh's own, only the log-in is the application's to end.
        let login = |key: &str| key == PRINCIPAL_KEY || key == LOGIN_ID_KEY;
        let spared = |key: &str| is_reserved(key) && (!login(key) || change.clear_fields);
        let cleared = present().filter(|f| said.binary_search(&f.key).is_err() && !spared(f.key));
        removed.extend(cleared.map(removal));
    }
    if removed.is_empty() {
        return fields;
    }
    sorted_fields(fields.iter().map(|f| (f.key, f.value)).chain(removed), 0)
}

/// Fields sorted by key, the last of equal keys winning.
fn sorted_fields<'a>(fields: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>, op: u32) -> Vec<Field<'a>> {
    let mut out: Vec<Field<'a>> = fields.map(|(key, value)| Field { key, op, value }).collect();
    out.reverse();
    out.sort_by_key(|f| f.key);
    out.dedup_by_key(|f| f.key);
    out
}
