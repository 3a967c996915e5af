//! One partition of one life, driven by hand: for exact interleavings of pushes and pages.
//!
//! Everything that crosses between two lives goes through the shipped frames, encoded and decoded. There is one
//! partition, so every session id fits.

use std::cell::Cell;
use std::collections::BTreeMap;

use sessionmesh::core::causality::Origin;
use sessionmesh::core::limits::{Limits, MAX_BARE_TOTAL};
use sessionmesh::core::replica::{
    Change, Entry, EntrySink, Gate, Happened, PageIn, PageOutcome, Partition, Refusal, Stamper, WriteError,
    Written,
};
use sessionmesh::core::session::{SessionId, Ttl};
use sessionmesh::core::time::HybridClock;
use sessionmesh::core::wire::{
    Bases, EntryReader, EntryWriter, Message, PageHeader, PushHeader, TellHeader, WIRE_NEWEST, WireEntry,
    decode, encode_push_part,
};

use crate::spell::spell;

/// One partition and what its node would hold for it.
pub struct Life {
    /// The shipped partition.
    pub partition: Partition,
    /// Its life.
    pub origin: Origin,
    /// Its hybrid clock.
    pub clock: HybridClock,
    /// Its settings.
    pub limits: Limits,
    /// Its wall clock (ms), which the test turns.
    pub wall_ms: u64,
    /// Events since the test last took them.
    pub events: Vec<Happened>,
    /// The node's freshness vector.
    pub inc: BTreeMap<Origin, u64>,
    /// The wire version it speaks.
    pub version: u16,
    counter: Cell<u64>,
}

/// A session id from a number.
pub fn id(n: u64) -> SessionId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    SessionId::from_bytes(bytes)
}

/// A change that sets and removes fields.
pub fn change<'a>(fields: &[(&'a str, Option<&'a str>)]) -> Change<'a> {
    Change { fields: fields.iter().map(|(k, v)| (*k, v.map(str::as_bytes))).collect(), ..Change::default() }
}

impl Life {
    /// An empty partition of this life, its wall clock at `wall_ms`.
    pub fn new(origin: Origin, wall_ms: u64) -> Self {
        let limits = Limits { partitions: 1, max_lifetime_ms: 24 * 3_600_000, ..Limits::default() };
        Self {
            partition: Partition::new(0, origin, 7),
            origin,
            clock: HybridClock::default(),
            limits,
            wall_ms,
            events: Vec::new(),
            inc: BTreeMap::new(),
            version: WIRE_NEWEST,
            counter: Cell::new(0),
        }
    }

    /// Counters taken so far.
    pub fn counter(&self) -> u64 {
        self.counter.get()
    }

    /// Takes counters away, as writes to other partitions would.
    pub fn skip_counters(&self, n: u64) {
        self.counter.set(self.counter.get() + n);
    }

    fn write<T>(&mut self, f: impl FnOnce(&mut Partition, u64, &Stamper<'_>) -> T) -> T {
        let (counter, clock) = (&self.counter, &self.clock);
        let stamper = Stamper {
            counter: &|| {
                counter.set(counter.get() + 1);
                counter.get()
            },
            clock,
            limits: &self.limits,
            full: None,
        };
        f(&mut self.partition, self.wall_ms, &stamper)
    }

    /// Creates a session that may live `life_ms`.
    ///
    /// # Errors
    /// As the product's.
    pub fn create(
        &mut self,
        id: SessionId,
        fields: &[(&str, Option<&str>)],
        ttl: Ttl,
        life_ms: u64,
    ) -> Result<Written, WriteError> {
        self.create_as(id, &change(fields), ttl, life_ms)
    }

    /// Creates a session of what a change says.
    ///
    /// # Errors
    /// As the product's.
    pub fn create_as(
        &mut self,
        id: SessionId,
        change: &Change<'_>,
        ttl: Ttl,
        life_ms: u64,
    ) -> Result<Written, WriteError> {
        self.write(|p, wall_ms, stamper| p.create(id, wall_ms, change, ttl, wall_ms + life_ms, stamper))
    }

    /// Changes a session.
    ///
    /// # Errors
    /// As the product's.
    pub fn edit(&mut self, id: SessionId, change: &Change<'_>) -> Result<Written, WriteError> {
        self.write(|p, wall_ms, stamper| p.edit(id, wall_ms, change, stamper))
    }

    /// Sets or removes one field.
    ///
    /// # Errors
    /// As the product's.
    pub fn set(&mut self, id: SessionId, key: &str, value: Option<&str>) -> Result<Written, WriteError> {
        self.edit(id, &change(&[(key, value)]))
    }

    /// Destroys a session, blind if need be.
    ///
    /// # Errors
    /// As the product's.
    pub fn destroy(&mut self, id: SessionId) -> Result<Written, WriteError> {
        self.write(|p, wall_ms, stamper| p.destroy(id, wall_ms, true, stamper))
    }

    /// Reaps with the freshness held.
    pub fn reap(&mut self) {
        self.partition.reap(
            (self.wall_ms, self.wall_ms),
            &self.limits,
            &self.inc,
            usize::MAX,
            &mut self.events,
        );
    }

    /// A field of a visible session.
    pub fn field(&self, id: SessionId, key: &str) -> Option<String> {
        let record = self.partition.get(id).filter(|r| r.visible(self.wall_ms))?;
        record.field(key).map(|v| String::from_utf8_lossy(v).into_owned())
    }

    /// Whether the session is shown.
    pub fn visible(&self, id: SessionId) -> bool {
        self.partition.get(id).is_some_and(|r| r.visible(self.wall_ms))
    }

    /// Every session, spelled out.
    pub fn spelled(&self) -> BTreeMap<SessionId, Vec<String>> {
        let origins = self.partition.origins();
        self.partition.records().map(|r| (r.id(), spell(&r.state(), origins))).collect()
    }

    /// The push for a peer with this cursor, and its new cursor.
    pub fn push(&mut self, cursor: u64) -> Option<(Vec<u8>, u64)> {
        let base_counter = self.counter();
        let bases = Bases { wall_ms: self.wall_ms, counter: base_counter, version: self.version };
        let mut writer = EntryWriter::new(bases, Some(self.origin));
        let push = self.partition.build_push(cursor, self.limits.page_bytes, &mut writer)?;
        let (n, entries) = writer.take();
        let mut part = Vec::new();
        encode_push_part(base_counter, 0, (push.lo, push.hi), n, &entries, &mut part);
        let (until_ms, origins) = (push.until_ms, writer.table());
        let header = PushHeader { seq: 1, wall_ms: self.wall_ms, base_counter, until_ms, origins };
        Some((header.encode(self.version, 1, &part), push.hi))
    }

    /// Takes in a push; whether its claim was adopted.
    ///
    /// # Errors
    /// As the product's.
    ///
    /// # Panics
    /// If the frame is no push: a mistake in the test.
    pub fn take_push(&mut self, from: Origin, frame: &[u8]) -> Result<bool, Refusal> {
        let Ok(Message::Push(push)) = decode(frame) else { panic!("not a push: {:?}", decode(frame)) };
        let header = &push.header;
        let part = &push.parts[0];
        let entries = self.resolve(push.bases(), &header.origins_with(from), &part.entries)?;
        self.admit(|p, gate| p.apply_push(from, (part.lo, part.hi, header.until_ms), &entries, gate))
    }

    fn resolve<'a>(
        &mut self,
        bases: Bases,
        origins: &[Origin],
        entries: &[WireEntry<'a>],
    ) -> Result<Vec<Entry<'a>>, Refusal> {
        let reader = EntryReader { bases, origins };
        let resolve = |entry: &WireEntry<'a>, p: &mut Partition| {
            let state =
                reader.resolve_within(entry, &mut |o| p.admit_origin(o)).map_err(Refusal::Malformed)?;
            Ok((entry.id, state))
        };
        entries.iter().map(|entry| resolve(entry, &mut self.partition)).collect()
    }

    fn admit<T>(&mut self, f: impl FnOnce(&mut Partition, &mut Gate<'_>) -> T) -> T {
        let mut gate = Gate {
            wall_ms: self.wall_ms,
            ahead_ms: self.limits.max_drift_ms,
            limits: &self.limits,
            clock: &self.clock,
            own_counter: self.counter.get(),
            inc: &self.inc,
            held_bytes: 0,
            room: MAX_BARE_TOTAL,
            events: Some(&mut self.events),
        };
        f(&mut self.partition, &mut gate)
    }

    /// The page that answers what `asker` would ask now.
    pub fn page_for(&mut self, asker: &Life, force: &[SessionId]) -> Vec<u8> {
        let base_counter = self.counter();
        let bases = Bases { wall_ms: self.wall_ms, counter: base_counter, version: self.version };
        let mut writer = EntryWriter::new(bases, None);
        let base = asker.partition.base_for(self.origin);
        let out = self.partition.build_page(&base, force, self.wall_ms, &self.limits, &mut writer);
        let (n, body) = writer.take();
        let mut inc = self.inc.clone();
        out.inc.iter().for_each(|(m, wall)| _ = inc.insert(*m, *wall));
        let header = PageHeader {
            round: 1,
            partition: 0,
            nonce: asker.partition.nonce(),
            epoch: out.epoch,
            wall_ms: self.wall_ms,
            complete: out.complete,
            source: true,
            base_counter,
            origins: writer.table(),
            claims: out.claims,
            inc: inc.into_iter().collect(),
        };
        header.encode(self.version, n, &body)
    }

    /// Takes in a page that answered a request which forced these sessions.
    ///
    /// # Errors
    /// As the product's.
    ///
    /// # Panics
    /// If the frame is no page: a mistake in the test.
    pub fn take_page(
        &mut self,
        from: Origin,
        frame: &[u8],
        forced: &[SessionId],
    ) -> Result<PageOutcome, Refusal> {
        let Ok(Message::Page(page)) = decode(frame) else { panic!("not a page: {:?}", decode(frame)) };
        let header = &page.header;
        let entries = self.resolve(page.bases(), &header.origins, &page.entries)?;
        let mut inc = header.inc.clone();
        inc.push((from, header.wall_ms));
        let page = PageIn {
            from,
            epoch: header.epoch,
            current: header.nonce == self.partition.nonce(),
            entries,
            claims: header.claims.clone(),
            complete: header.complete,
            inc,
            forced,
        };
        self.admit(|p, gate| p.apply_page(page, gate))
    }

    /// The answer to who asks for one session.
    pub fn tell(&self, id: SessionId) -> Vec<u8> {
        let bases = Bases { wall_ms: self.wall_ms, counter: 0, version: self.version };
        let mut writer = EntryWriter::new(bases, None);
        if let Some(record) = self.partition.get(id) {
            writer.entry(id, &record.state(), self.partition.origins());
        }
        let (_, body) = writer.take();
        let header = TellHeader { request: 1, wall_ms: self.wall_ms, sound: true, origins: writer.table() };
        header.encode(self.version, &body)
    }

    /// Takes in such an answer.
    ///
    /// # Errors
    /// As the product's.
    ///
    /// # Panics
    /// If the frame is none: a mistake in the test.
    pub fn take_tell(&mut self, from: Origin, frame: &[u8]) -> Result<(), Refusal> {
        let Ok(Message::Tell(tell)) = decode(frame) else { panic!("no answer: {:?}", decode(frame)) };
        let entries = self.resolve(tell.bases(), &tell.header.origins, tell.entry.as_slice())?;
        self.admit(|p, gate| entries.iter().try_for_each(|entry| p.apply_entry(from, entry, gate)))
    }

    /// A whole round: asks until everything of `from` is adopted. Returns the number of pages.
    ///
    /// # Panics
    /// If that takes more than 1,000 pages, or a page is refused.
    pub fn pull(&mut self, from: &mut Life) -> usize {
        let mut force = self.partition.revived_waiting_for(from.origin);
        for pages in 1..1_000 {
            let frame = from.page_for(self, &force);
            match self.take_page(from.origin, &frame, &force) {
                Ok(PageOutcome::Adopted) => return pages,
                Ok(PageOutcome::More(need)) => force = need,
                other => panic!("a pull ended with {other:?}"),
            }
            force.extend(self.partition.revived_waiting_for(from.origin));
        }
        panic!("a round that never ends");
    }
}
