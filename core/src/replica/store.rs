//! All partitions of a node behind their locks: what embedders' threads and the node share.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::arena::Held;
use super::local::{Change, Stamper, WriteError, Written};
use super::memory::Need;
use super::partition::{Counts, Partition};
use super::principals::Principals;
use super::revoke::Made;
use super::tell::Watchers;
use crate::causality::Origin;
use crate::limits::Limits;
use crate::marks::{Mark, Marks};
use crate::session::{LOGIN_ID_KEY, PRINCIPAL_KEY, Packed, SessionId, Ttl, deadline_ms};
use crate::time::{HybridClock, Now};
use crate::wall::Wall;

/// Whether this node's answers can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Serving {
    /// Not all partitions are here yet: what is missing is not yet known, never absent.
    Joining = 0,
    /// Everything reachable is here.
    Ready = 1,
    /// The process was frozen; it may have missed logouts and waits for one full round.
    Fenced = 2,
}

impl Serving {
    /// The word operators see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Ready => "ready",
            Self::Fenced => "fenced",
        }
    }
}

/// What a read finds.
#[derive(Clone)]
pub enum Lookup {
    /// The session, as of now.
    Found(View),
    /// No such session: never created, expired, or destroyed.
    Absent,
    /// This node is still joining and does not have it; another may.
    NotYetKnown,
    /// This node was frozen and does not trust its memory yet.
    Fenced,
}

/// A snapshot of one session: a hold on its record, no copy of any value.
#[derive(Clone)]
pub struct View(Held);

impl View {
    /// The record.
    pub fn packed(&self) -> Packed<'_> {
        Packed::new(self.0.bytes())
    }
}

/// Why a session that one clock calls over and the other does not is neither shown nor written.
const CLOCK_IN_DOUBT: &str =
    "its wall clock stepped, and whether this session is over depends on which clock is right";

/// The partitions of one node, shared by its threads.
pub struct Replica {
    limits: Limits,
    key: u64,
    /// The life that writes here.
    own: Mutex<Origin>,
    partitions: Box<[RwLock<Partition>]>,
    clock: HybridClock,
    wall: Wall,
    counter: AtomicU64,
    /// One bit a partition: written locally since the node last looked.
    news: Box<[AtomicU64]>,
    serving: AtomicU8,
    last_beat_ms: AtomicU64,
    /// The node knows nobody else: no suspend can have made it miss anything.
    alone: AtomicBool,
    record_bytes: AtomicU64,
    /// Lives known, by partition, of which nothing is held.
    bare_origins: AtomicU64,
    /// What partitions hold, and the index of principals (bytes).
    held_bytes: AtomicU64,
    index_bytes: AtomicU64,
    blind: AtomicU64,
    pub(super) principals: Mutex<Principals>,
    /// Held while sessions that were due are ended: whoever finds none due waits until they have ended.
    pub(super) ending: Mutex<()>,
    pub(super) watchers: OnceLock<Box<dyn Watchers>>,
    /// Whether the index may know sessions to be ended: spares its lock on every input.
    any_due: AtomicBool,
    marks: Marks,
}

impl Replica {
    /// Empty partitions for the node life `own`; `key` keys the hash tables and log hashes.
    pub fn new(limits: Limits, own: Origin, key: u64, now: Now) -> Self {
        let partitions = (0..limits.partitions).map(|ix| RwLock::new(Partition::new(ix, own, key))).collect();
        let words = usize::from(limits.partitions).div_ceil(64);
        let partitions: Box<[RwLock<Partition>]> = partitions;
        let held = partitions.iter().map(|partition| partition.read().held_bytes()).sum();
        Self {
            key,
            own: Mutex::new(own),
            partitions,
            clock: HybridClock::default(),
            wall: Wall::new(limits.step_bound_ms(), now),
            counter: AtomicU64::new(0),
            news: (0..words).map(|_| AtomicU64::new(0)).collect(),
            serving: AtomicU8::new(Serving::Joining as u8),
            last_beat_ms: AtomicU64::new(now.mono_ms),
            alone: AtomicBool::new(true),
            record_bytes: AtomicU64::new(0),
            bare_origins: AtomicU64::new(u64::from(limits.partitions)),
            // Empty partitions are not nothing.
            held_bytes: AtomicU64::new(held),
            index_bytes: AtomicU64::new(0),
            blind: AtomicU64::new(0),
            principals: Mutex::default(),
            ending: Mutex::default(),
            watchers: OnceLock::new(),
            any_due: AtomicBool::new(false),
            marks: Marks::default(),
            limits,
        }
    }

    /// The limits this replica was made with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The key of hash tables and log hashes.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// The hybrid clock.
    pub fn clock(&self) -> &HybridClock {
        &self.clock
    }

    /// The wall clock that is believed. Times passed in may be the machine's or believed ones.
    pub fn wall(&self) -> &Wall {
        &self.wall
    }

    /// The last counter this life has taken.
    pub fn counter(&self) -> u64 {
        self.counter.load(Ordering::Acquire)
    }

    /// Reads a session. The clock is read *after* the lookup, so that a process frozen in between is fenced
    /// instead of answering from before its freeze.
    pub fn lookup(&self, id: SessionId, clock: impl FnOnce() -> Now) -> Lookup {
        self.lookup_with(id, clock, |_| ()).0
    }

    /// As [`Replica::lookup`], with what `see` finds under the same hold of the partition's lock.
    pub fn lookup_with<T>(
        &self,
        id: SessionId,
        clock: impl FnOnce() -> Now,
        see: impl FnOnce(&Partition) -> T,
    ) -> (Lookup, T) {
        let (held, high_wall_ms, seen) = {
            let partition = self.partition(id).read();
            (partition.hold(id), partition.high_wall_ms, see(&partition))
        };
        let raw = clock();
        let (now, disputed_ms) = (self.wall.believe(raw), self.wall.disputed_ms(raw));
        let serving = self.serving(raw);
        let shown = |view: &View, wall_ms: u64| view.packed().visible(wall_ms.max(high_wall_ms));
        let lookup = match held.map(View) {
            _ if serving == Serving::Fenced => Lookup::Fenced,
            // A revocation is nobody's session.
            Some(view) if view.packed().is_revocation() => Lookup::Absent,
            // Over by one clock and not by the other.
            Some(view) if disputed_ms.is_some_and(|ms| shown(&view, ms) != shown(&view, now.wall_ms)) => {
                Lookup::Fenced
            }
            Some(view) if shown(&view, now.wall_ms) => Lookup::Found(view),
            Some(_) => Lookup::Absent,
            None if serving == Serving::Joining => Lookup::NotYetKnown,
            None => Lookup::Absent,
        };
        (lookup, seen)
    }

    /// Creates a session; `hard_ms` is clamped to the cluster maximum lifetime.
    ///
    /// # Errors
    /// See [`WriteError`]; nothing changes then.
    pub fn create(
        &self,
        id: SessionId,
        now: Now,
        change: &Change<'_>,
        ttl: Ttl,
        hard_ms: u64,
    ) -> Result<Written, WriteError> {
        self.room_for(if logs_in(change) { Need::LogIn } else { Need::Session })?;
        let (raw, now) = (now, self.wall.believe(now));
        let hard_ms = hard_ms.min(now.wall_ms.saturating_add(self.limits.max_lifetime_ms));
        let ends_ms = deadline_ms(hard_ms, now.wall_ms, ttl.bounded());
        if ends_ms > now.wall_ms && self.wall.disputed_ms(raw).is_some_and(|ms| ends_ms <= ms) {
            return Err(WriteError::NotServing(CLOCK_IN_DOUBT));
        }
        let login = self.login(change, now)?;
        self.write(id, |partition, stamper| {
            let change = &with_login(change, login.as_ref());
            partition.create(id, now.wall_ms, change, ttl, hard_ms, stamper)
        })
    }

    /// Changes a visible session.
    ///
    /// # Errors
    /// See [`WriteError`]; nothing changes then.
    pub fn edit(&self, id: SessionId, now: Now, change: &Change<'_>) -> Result<Written, WriteError> {
        self.edit_at(id, || now, change)
    }

    /// As [`Replica::edit`]. The clock is read again under the partition's lock: a process that was frozen while it
    /// waited for it changes nothing.
    ///
    /// # Errors
    /// See [`WriteError`]; nothing changes then.
    pub fn edit_at(
        &self,
        id: SessionId,
        clock: impl Fn() -> Now,
        change: &Change<'_>,
    ) -> Result<Written, WriteError> {
        let login = self.login(change, self.wall.believe(self.unfenced(clock())?))?;
        self.write(id, |partition, stamper| {
            let raw = self.unfenced(clock())?;
            let (now, disputed_ms) = (self.wall.believe(raw), self.wall.disputed_ms(raw));
            let over_at = |wall_ms: u64| {
                change.dates_over(wall_ms) || partition.get(id).is_some_and(|held| !held.visible(wall_ms))
            };
            if disputed_ms.is_some_and(|ms| over_at(ms) != over_at(now.wall_ms)) {
                return Err(WriteError::NotServing(CLOCK_IN_DOUBT));
            }
            partition.edit(id, now.wall_ms, &with_login(change, login.as_ref()), stamper)
        })
    }

    fn unfenced(&self, now: Now) -> Result<Now, WriteError> {
        if self.serving(now) == Serving::Fenced {
            self.marks.hit(Mark::FencedEditRefused);
            return Err(WriteError::NotServing("fenced after a freeze"));
        }
        Ok(now)
    }

    /// Destroys a session for good; `blind` also one unknown here.
    ///
    /// # Errors
    /// [`WriteError::Absent`] if it is unknown and not `blind`; [`WriteError::MemoryFull`] if it is unknown and there is no
    /// memory for blind ends. One that is here is always ended.
    pub fn destroy(&self, id: SessionId, now: Now, blind: bool) -> Result<Written, WriteError> {
        let now = self.wall.believe(now);
        if blind && self.shared(id.partition(self.limits.partitions), |p| p.get(id).is_none()) {
            self.room_for(Need::Blind)?;
        }
        self.write(id, |partition, stamper| partition.destroy(id, now.wall_ms, blind, stamper))
    }

    /// As [`Replica::destroy`] of what is known here, and what was shown of it up to then: what `see` says of its
    /// partition, under one lock, so that no write falls in between.
    ///
    /// # Errors
    /// [`WriteError::Absent`] if nothing is known of it here.
    pub fn take<T>(
        &self,
        id: SessionId,
        now: Now,
        see: impl FnOnce(&Partition) -> T,
    ) -> Result<(Written, Option<(View, T)>), WriteError> {
        let (now, mut seen) = (self.wall.believe(now), None);
        let written = self.write(id, |partition, stamper| {
            let shown = partition.hold(id).map(View);
            seen = shown.filter(|view| !view.packed().is_dead()).map(|view| (view, see(partition)));
            partition.destroy(id, now.wall_ms, false, stamper)
        })?;
        Ok((written, seen.filter(|(view, _)| view.packed().visible(now.wall_ms))))
    }

    /// Ends a live session that cannot go on as it is.
    ///
    /// # Errors
    /// [`WriteError::Absent`] if no live record is here.
    pub fn end(&self, id: SessionId, now: Now) -> Result<Written, WriteError> {
        let now = self.wall.believe(now);
        self.write(id, |partition, stamper| partition.end(id, now.wall_ms, stamper))
    }

    pub(super) fn write(
        &self,
        id: SessionId,
        op: impl FnOnce(&mut Partition, &Stamper<'_>) -> Result<Written, WriteError>,
    ) -> Result<Written, WriteError> {
        let stamper = Stamper {
            counter: &|| self.counter.fetch_add(1, Ordering::AcqRel) + 1,
            clock: &self.clock,
            limits: &self.limits,
            full: self.is_full_for(Need::Growth).then(|| self.held_bytes()),
        };
        let ix = id.partition(self.limits.partitions);
        let written = self.locked(ix, |partition| op(partition, &stamper))?;
        if written.wrote {
            self.news[usize::from(ix) / 64].fetch_or(1 << (ix % 64), Ordering::AcqRel);
        }
        Ok(written)
    }

    /// Runs `f` with a partition locked exclusively, keeping the byte count in step.
    pub fn locked<T>(&self, ix: u16, f: impl FnOnce(&mut Partition) -> T) -> T {
        let mut partition = self.partitions[usize::from(ix)].write();
        let (before, bare) = (partition.reserved_bytes(), partition.bare_origins());
        let (held, blind) = (partition.held_bytes(), partition.blind);
        let watchers = self.watchers.get().filter(|watchers| watchers.any());
        partition.watched = watchers.is_some();
        let out = f(&mut partition);
        // Still under the lock: in the order in which it happened.
        for event in partition.events.drain(..) {
            if let Some(watchers) = watchers {
                watchers.tell(event);
            }
        }
        let notes = partition.take_notes();
        if !notes.is_empty() {
            let mut principals = self.principals.lock();
            principals.apply(notes);
            self.set_any_due(principals.has_due());
            self.index_bytes.store(principals.bytes(), Ordering::Relaxed);
        }
        let grown = partition.reserved_bytes().wrapping_sub(before);
        self.record_bytes.fetch_add(grown, Ordering::Relaxed);
        let more = (partition.bare_origins() as u64).wrapping_sub(bare as u64);
        self.bare_origins.fetch_add(more, Ordering::Relaxed);
        self.held_bytes.fetch_add(partition.held_bytes().wrapping_sub(held), Ordering::Relaxed);
        self.blind.fetch_add(partition.blind.wrapping_sub(blind), Ordering::Relaxed);
        out
    }

    /// Runs `f` with a partition locked shared.
    pub fn shared<T>(&self, ix: u16, f: impl FnOnce(&Partition) -> T) -> T {
        f(&self.partitions[usize::from(ix)].read())
    }

    pub(super) fn any_due(&self) -> bool {
        self.any_due.load(Ordering::Acquire)
    }

    /// To be called with the index locked, so that it says what the index says.
    pub(super) fn set_any_due(&self, any: bool) {
        self.any_due.store(any, Ordering::Release);
    }

    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    fn partition(&self, id: SessionId) -> &RwLock<Partition> {
        &self.partitions[usize::from(id.partition(self.limits.partitions))]
    }

    /// Takes the marks of partitions written locally since the last call.
    pub fn take_news(&self) -> impl Iterator<Item = u16> + '_ {
        self.news.iter().enumerate().flat_map(|(word, bits)| {
            let bits = bits.swap(0, Ordering::AcqRel);
            (0..64).filter(move |b| bits >> b & 1 == 1).map(move |b| (word * 64 + b) as u16)
        })
    }

    /// Whether answers can be trusted now. A silence of the beat is a freeze, and a step of the machine's wall clock may be
    /// a suspend, even before the node noticed.
    pub fn serving(&self, now: Now) -> Serving {
        match self.serving.load(Ordering::Acquire) {
            _ if self.is_silent(now) || self.has_slept(now) => Serving::Fenced,
            joining if joining == Serving::Joining as u8 => Serving::Joining,
            ready if ready == Serving::Ready as u8 => Serving::Ready,
            _ => Serving::Fenced,
        }
    }

    fn has_slept(&self, now: Now) -> bool {
        self.wall.has_slept(now, self.limits.fence_after_ms) && !self.alone.load(Ordering::Acquire)
    }

    /// Says whether the node knows nobody else.
    pub fn set_alone(&self, alone: bool) {
        self.alone.store(alone, Ordering::Release);
    }

    /// Whether the beat has been silent for longer than `fence_after_ms`: the process was frozen, or the node's task
    /// does not run. Then nobody passes on what is written here.
    pub fn is_silent(&self, now: Now) -> bool {
        now.mono_ms.saturating_sub(self.last_beat_ms.load(Ordering::Acquire)) > self.limits.fence_after_ms
    }

    /// Sets whether answers can be trusted; the node decides.
    pub fn set_serving(&self, serving: Serving) {
        self.serving.store(serving as u8, Ordering::Release);
    }

    /// Records a beat. After a long silence the node fences *first*, so that no reader sees a fresh beat with
    /// the fence still open.
    pub fn beat(&self, now: Now) {
        self.last_beat_ms.store(now.mono_ms, Ordering::Release);
    }

    /// When the last beat was (monotonic ms).
    pub fn last_beat_ms(&self) -> u64 {
        self.last_beat_ms.load(Ordering::Acquire)
    }

    /// Bytes of record storage reserved.
    pub fn record_bytes(&self) -> u64 {
        self.record_bytes.load(Ordering::Relaxed)
    }

    /// The life that writes here.
    pub(super) fn own_origin(&self) -> Origin {
        *self.own.lock()
    }

    /// A new life begins.
    pub(crate) fn set_own_origin(&self, own: Origin) {
        *self.own.lock() = own;
    }

    /// Bytes of all that is kept of what was written: records, their tables and indexes.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed) + self.index_bytes.load(Ordering::Relaxed)
    }

    /// Blind ends, and revocations of principals who were logged in nowhere, that were made here and are held.
    pub fn blind_held(&self) -> u64 {
        self.blind.load(Ordering::Relaxed)
    }

    /// Lives of which a partition knows no more than a claim, summed over partitions.
    pub fn bare_origins(&self) -> u64 {
        self.bare_origins.load(Ordering::Relaxed)
    }

    /// Adds everything that rarely happens here, and did, to `bits`: in this and in every partition.
    pub fn union_marks(&self, bits: &mut [u64; 2]) {
        self.marks.union_into(bits);
        self.partitions.iter().for_each(|partition| partition.read().union_marks(bits));
    }

    /// The newest counter of each origin held in any partition.
    pub fn newest_counters(&self) -> BTreeMap<Origin, u64> {
        let mut newest = BTreeMap::new();
        for partition in &self.partitions {
            for (origin, ranges) in partition.read().coverage() {
                let held = newest.entry(origin).or_insert(0);
                *held = ranges.max().max(*held);
            }
        }
        newest
    }

    /// Sums of the partitions' counts.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for partition in &self.partitions {
            let c = partition.read().counts();
            sum.sessions += c.sessions;
            sum.tombstones += c.tombstones;
            sum.revocations += c.revocations;
            sum.expired_retained += c.expired_retained;
            sum.stubs += c.stubs;
            sum.reaped_unheard += c.reaped_unheard;
            sum.returned += c.returned;
            sum.conflicts += c.conflicts;
            sum.unlabelled += c.unlabelled;
            sum.violations += c.violations;
            sum.refused_drift += c.refused_drift;
            sum.need_full += c.need_full;
            sum.merged += c.merged;
            sum.entries += c.entries;
            sum.redundant += c.redundant;
        }
        sum
    }
}

/// Whether a change makes somebody's session.
fn logs_in(change: &Change<'_>) -> bool {
    let copied = change.reserved.iter().any(|field| field.0 == PRINCIPAL_KEY && field.1.is_some());
    copied || change.principal.flatten().is_some()
}

/// A change with the reserved fields it writes. One without any is passed on as it is.
fn with_login<'a>(change: &'a Change<'a>, login: Option<&'a Made>) -> Cow<'a, Change<'a>> {
    if change.principal.is_none() && change.reserved.is_empty() {
        return Cow::Borrowed(change);
    }
    let mut change = change.clone();
    if change.principal.is_some() {
        change.fields.push((PRINCIPAL_KEY, login.map(|made| made.login.as_slice())));
        change.fields.push((LOGIN_ID_KEY, login.and_then(|made| made.which.as_deref())));
    }
    change.fields.extend(change.reserved.iter().copied());
    Cow::Owned(change)
}
