//! Replicas whose records are carried by hand: each test says what arrives where, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use sessionmesh::core::causality::{Dot, Origin, origin_at};
use sessionmesh::core::limits::Limits;
use sessionmesh::core::replica::{Change, Gate, Happened, Lookup, Partition, Replica, Serving};
use sessionmesh::core::session::{Login, REVOKED_KEY, SessionId, State, Ttl};
use sessionmesh::core::time::Now;
use sessionmesh_sim::{EPOCH_MS, origin};

pub const HALF_HOUR: Ttl = Ttl::Sliding(1_800_000);
const DAY_MS: u64 = 24 * 3_600_000;

/// An id that no hand mints.
pub fn id(n: u64) -> SessionId {
    SessionId::from_bytes((u128::from(n) << 64 | 0xf0f0).to_be_bytes())
}

fn marker(p: &Partition, id: SessionId) -> Option<Dot> {
    let record = p.get(id).filter(|r| r.is_revocation())?;
    let ver = record.ver(record.fields().find(|f| f.key == REVOKED_KEY)?.op);
    Some(Dot { origin: origin_at(p.origins(), ver.origin), counter: ver.counter })
}

/// One node's replica, its clock in our hand.
pub struct Hand {
    pub replica: Replica,
    pub origin: Origin,
    pub now: Now,
    /// What watchers were told.
    pub events: Vec<Happened>,
    minted: u64,
}

impl Hand {
    pub fn new(letter: char) -> Self {
        let now = Now { wall_ms: EPOCH_MS, mono_ms: 0 };
        // A life of an hour, so that a test sees the end of a revocation.
        let limits = Limits { max_lifetime_ms: DAY_MS, ..Limits::default() };
        let replica = Replica::new(limits, origin(letter), u64::from(u32::from(letter)), now);
        replica.set_serving(Serving::Ready);
        Self { replica, origin: origin(letter), now, events: Vec::new(), minted: 0 }
    }

    pub fn three() -> [Self; 3] {
        ['A', 'B', 'C'].map(Self::new)
    }

    pub fn mint(&mut self) -> SessionId {
        self.minted += 1;
        let mixed =
            (self.origin.0 ^ u128::from(self.minted)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        SessionId::from_bytes(mixed.to_be_bytes())
    }

    pub fn create(&mut self, principal: &str) -> SessionId {
        let id = self.mint();
        let change = Change { principal: Some(Some(principal)), ..Change::default() };
        self.replica.create(id, self.now, &change, HALF_HOUR, self.now.wall_ms + DAY_MS).unwrap();
        self.end_due();
        id
    }

    /// Logs in or out, as far as the session is here.
    pub fn login(&mut self, id: SessionId, principal: Option<&str>) -> bool {
        let change = Change { principal: Some(principal), ..Change::default() };
        let done = self.replica.edit(id, self.now, &change).is_ok();
        self.end_due();
        done
    }

    /// The revocation's own id, and whom it ended here.
    pub fn revoke(&mut self, principal: &str, spared: Option<SessionId>) -> (SessionId, Vec<SessionId>) {
        let id = self.mint();
        let revoked = self.replica.revoke(principal, spared, id, self.now).unwrap();
        let of = |p: &Partition| {
            p.records().map(|r| r.id()).find(|id| marker(p, *id) == Some(revoked.written.dot))
        };
        // It may have taken an earlier one's place.
        let id = self.replica.shared(revoked.written.partition, of).unwrap();
        (id, revoked.ended)
    }

    /// The name of a revocation as it is here: the write of its marker.
    pub fn marker(&self, id: SessionId) -> Option<Dot> {
        self.replica.shared(id.partition(self.replica.limits().partitions), |p| marker(p, id))
    }

    /// A record as a broken peer might make it.
    pub fn forge(&mut self, n: u64, fields: &[(&str, &[u8])]) -> SessionId {
        let id = id(n);
        let fields = fields.iter().map(|(key, value)| (*key, Some(*value))).collect();
        let change = Change { fields, ..Change::default() };
        let (now, limits) = (self.now.wall_ms, self.replica.limits().clone());
        let counter = self.replica.counter();
        let stamper = sessionmesh::core::replica::Stamper {
            counter: &|| counter + 1_000_000 + n,
            clock: self.replica.clock(),
            limits: &limits,
            full: None,
        };
        let made = self.replica.locked(id.partition(limits.partitions), |p| {
            p.create(id, now, &change, HALF_HOUR, now + DAY_MS, &stamper)
        });
        made.unwrap();
        id
    }

    pub fn of(&self, principal: &str) -> Vec<SessionId> {
        let mut ids = self.replica.sessions_of(principal, || self.now);
        ids.sort_unstable();
        ids
    }

    pub fn visible(&self, id: SessionId) -> bool {
        matches!(self.replica.lookup(id, || self.now), Lookup::Found(_))
    }

    pub fn principal(&self, id: SessionId) -> Option<String> {
        let Lookup::Found(view) = self.replica.lookup(id, || self.now) else { return None };
        view.packed().login_bytes().and_then(Login::parse).map(|login| login.principal.to_owned())
    }

    /// What the node does after every input.
    pub fn end_due(&mut self) {
        let ended = self.replica.end_due(self.now, usize::MAX);
        self.events.extend(ended.into_iter().map(Happened::Destroyed));
    }

    /// Lets time pass and what it ends go.
    pub fn pass(&mut self, ms: u64) {
        self.now = Now { wall_ms: self.now.wall_ms + ms, mono_ms: self.now.mono_ms + ms };
        self.replica.beat(self.now);
        for ix in 0..self.replica.limits().partitions {
            let (limits, inc, now_ms) = (self.replica.limits(), BTreeMap::new(), self.now.wall_ms);
            self.replica.locked(ix, |p| p.reap((now_ms, now_ms), limits, &inc, usize::MAX, &mut self.events));
        }
    }

    #[track_caller]
    pub fn check(&self) {
        assert_eq!(self.replica.check_principals(), Ok(()));
    }

    pub fn ids(&self) -> BTreeSet<SessionId> {
        let of = |ix| self.replica.shared(ix, |p| p.records().map(|r| r.id()).collect::<Vec<_>>());
        (0..self.replica.limits().partitions).flat_map(of).collect()
    }
}

/// Carries one record as it is at `from`, if it is there; without its coverage.
pub fn give(from: &mut Hand, to: &mut Hand, id: SessionId) {
    let ix = id.partition(from.replica.limits().partitions);
    let (limits, inc) = (to.replica.limits().clone(), BTreeMap::new());
    let mut gate = Gate {
        wall_ms: to.now.wall_ms,
        ahead_ms: limits.max_drift_ms,
        limits: &limits,
        clock: to.replica.clock(),
        own_counter: u64::MAX,
        inc: &inc,
        held_bytes: 0,
        room: 0,
        events: Some(&mut to.events),
    };
    from.replica.shared(ix, |source| {
        let Some(record) = source.get(id) else { return };
        to.replica.locked(ix, |target| {
            let mut state = record.state();
            let mut moved = |at: &mut u32| *at = target.intern(origin_at(source.origins(), *at));
            match &mut state {
                State::Live(live) => live.ops.iter_mut().for_each(|op| moved(&mut op.ver.origin)),
                State::Dead(dead) => moved(&mut dead.ver.origin),
            }
            target.apply_entry(from.origin, &(id, state), &mut gate).unwrap();
        });
    });
    to.end_due();
}

/// Carries everything both ways until nothing changes.
pub fn give_all(hands: &mut [Hand; 3]) {
    loop {
        let before: Vec<_> = hands.iter().map(|hand| hand.replica.dump()).collect();
        for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 2), (2, 1), (1, 0)] {
            let (from, to) = two(hands, from, to);
            from.ids().into_iter().for_each(|id| give(from, to, id));
        }
        if hands.iter().zip(before).all(|(hand, before)| hand.replica.dump() == before) {
            return;
        }
    }
}

/// Two different hands.
pub fn two(hands: &mut [Hand; 3], a: usize, b: usize) -> (&mut Hand, &mut Hand) {
    let [a, b] = hands.get_disjoint_mut([a, b]).unwrap();
    (a, b)
}
