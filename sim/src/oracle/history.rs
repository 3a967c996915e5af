//! Every write of a run, and which machine's memory covers it.

use std::collections::BTreeMap;

use sessionmesh::core::causality::{Origin, RangeSet, Ver, origin_at};
use sessionmesh::core::replica::Written;
use sessionmesh::core::session::{Packed, SessionId, State, Ttl};

use super::logins::Logins;
use crate::world::{ClientOp, World};

/// Order of writes, spelled out: hybrid clock, origin, counter.
pub type Stamp = (u64, u128, u64);

/// What a write did to its session, as its writer's record showed right after it.
#[derive(Clone, Debug, Default)]
pub struct Effect {
    /// Created (ms) and hard deadline (ms).
    pub birth: Option<(u64, u64)>,
    /// Fields set or removed.
    pub fields: Vec<(String, Option<Vec<u8>>)>,
    /// The touch (ms).
    pub touch: Option<u64>,
    /// The time-to-live.
    pub ttl: Option<Ttl>,
    /// Destroyed, with the tombstone's hard deadline (ms).
    pub dead: Option<u64>,
}

/// One write.
#[derive(Clone, Debug)]
pub struct Op {
    /// Its number in the run.
    pub id: u64,
    /// The writer's machine.
    pub at: usize,
    /// The writer's life.
    pub life: Origin,
    /// Its counter.
    pub counter: u64,
    /// Its stamp.
    pub hlc: u64,
    /// When (virtual ms).
    pub time_ms: u64,
    /// When, by the writer's wall clock (ms).
    pub wall_ms: u64,
    /// The session's number.
    pub session: u64,
    /// What it did.
    pub effect: Effect,
    /// Whether it has had a second copy.
    pub acked: bool,
    /// Machines whose memory covers it now: one bit each.
    pub holders: u64,
    /// Numbers (indices) of writes of the same session the writer covered when it wrote.
    pub saw: Vec<u32>,
}

impl Op {
    /// Its place in the order of writes.
    pub fn stamp(&self) -> Stamp {
        (self.hlc, self.life.0, self.counter)
    }
}

/// One session.
#[derive(Clone, Debug)]
pub struct SessionOf {
    /// Its id.
    pub id: SessionId,
    /// Its partition.
    pub partition: u16,
    /// Its writes, by index, in the order they were made.
    pub ops: Vec<u32>,
}

/// One life of one machine's memory.
#[derive(Clone, Copy, Debug)]
pub struct LifeOf {
    /// Where it lives or lived.
    pub at: usize,
    /// Since when (virtual ms).
    pub since_ms: u64,
    /// When it ended (virtual ms).
    pub ended_ms: Option<u64>,
}

/// How coverage of a partition changed on a node.
#[derive(Clone, Debug, Default)]
pub struct CoverChange {
    /// Recorded writes newly covered.
    pub gained: Vec<u32>,
    /// Counters no longer covered.
    pub lost: Vec<(Origin, RangeSet)>,
}

type Cover = BTreeMap<Origin, RangeSet>;

/// Everything known.
#[derive(Default)]
pub struct History {
    /// All writes, in the order they were made.
    pub ops: Vec<Op>,
    by_dot: BTreeMap<(u16, u128, u64), u32>,
    by_op: BTreeMap<u64, u32>,
    /// Sessions by their number.
    pub sessions: BTreeMap<u64, SessionOf>,
    by_id: BTreeMap<SessionId, u64>,
    /// Lives by their origin.
    pub lives: BTreeMap<Origin, LifeOf>,
    /// Logins and revocations.
    pub logins: Logins,
    /// The latest wall time that the machines went by together, and when (virtual ms): the lower median of what they
    /// believed.
    pub agreed: (u64, u64),
    cover: Vec<Vec<Cover>>,
}

impl History {
    /// Looks at what the machines that run believe the time to be.
    pub(crate) fn note_clocks(&mut self, world: &World) {
        let mut clocks: Vec<u64> = world.up().into_iter().map(|at| world.now(at).wall_ms).collect();
        clocks.sort_unstable();
        let middle = clocks.len().checked_sub(1).map_or(0, |last| clocks[last / 2]);
        if middle > self.agreed.1 {
            self.agreed = (world.time_ms, middle);
        }
    }

    /// The number of a session.
    pub fn number_of(&self, id: SessionId) -> Option<u64> {
        self.by_id.get(&id).copied()
    }

    /// The index of a write by its dot.
    pub fn by_dot(&self, partition: u16, life: Origin, counter: u64) -> Option<u32> {
        self.by_dot.get(&(partition, life.0, counter)).copied()
    }

    /// The index of a write by its number.
    pub fn by_op(&self, op: u64) -> Option<u32> {
        self.by_op.get(&op).copied()
    }

    /// Whether a machine's memory covers a write.
    pub fn holds(&self, at: usize, op: u32) -> bool {
        self.ops[op as usize].holders >> at & 1 == 1
    }

    /// The writes of a session.
    pub fn ops_of(&self, session: u64) -> impl Iterator<Item = (u32, &Op)> + Clone {
        let ops = self.sessions.get(&session).map_or(&[][..], |s| &s.ops);
        ops.iter().map(|&ix| (ix, &self.ops[ix as usize]))
    }

    /// What a machine covers of a partition, as last seen.
    pub fn cover(&self, at: usize, partition: u16) -> Option<&Cover> {
        self.cover.get(at)?.get(usize::from(partition))
    }

    pub(crate) fn meet(&mut self, world: &World, session: u64) {
        self.sessions.entry(session).or_insert_with(|| {
            let id = world.session_id(session);
            self.by_id.insert(id, session);
            SessionOf { id, partition: id.partition(world.limits.partitions), ops: Vec::new() }
        });
    }

    pub(crate) fn started(&mut self, at: usize, life: Origin, since_ms: u64) {
        self.lives.insert(life, LifeOf { at, since_ms, ended_ms: None });
    }

    /// A machine's memory is gone; `over_ms` ends its life too.
    pub(crate) fn forget_memory(&mut self, at: usize, over_ms: u64) {
        if let Some(cover) = self.cover.get_mut(at) {
            cover.clear();
        }
        self.ops.iter_mut().for_each(|op| op.holders &= !(1 << at));
        self.end_life(at, over_ms);
    }

    pub(crate) fn end_life(&mut self, at: usize, over_ms: u64) {
        let living = self.lives.values_mut().filter(|l| l.at == at && l.ended_ms.is_none());
        living.for_each(|l| l.ended_ms = Some(over_ms));
    }

    /// Records a write that happened. Returns its index.
    pub(crate) fn wrote(
        &mut self,
        world: &World,
        at: usize,
        op: u64,
        asked: &ClientOp,
        written: &Written,
        wall_ms: u64,
    ) -> u32 {
        self.meet(world, asked.session);
        let session = &self.sessions[&asked.session];
        let (id, partition, life, counter) =
            (session.id, session.partition, written.dot.origin, written.dot.counter);
        let saw = session.ops.iter().copied().filter(|&ix| self.holds(at, ix)).collect();
        let own =
            |ver: &Ver, origins: &[Origin]| ver.counter == counter && origin_at(origins, ver.origin) == life;
        let effect = world.replica(at).shared(partition, |p| {
            p.get(id).map(|r| effect_of(&r, &|ver| own(ver, p.origins()))).unwrap_or_default()
        });
        let ix = self.ops.len() as u32;
        self.by_dot.insert((partition, life.0, counter), ix);
        self.by_op.insert(op, ix);
        self.ops.push(Op {
            id: op,
            at,
            life,
            counter,
            hlc: written.hlc.0,
            time_ms: world.time_ms,
            wall_ms,
            session: asked.session,
            effect,
            acked: false,
            holders: 0,
            saw,
        });
        if let Some(session) = self.sessions.get_mut(&asked.session) {
            session.ops.push(ix);
        }
        ix
    }

    pub(crate) fn acked(&mut self, op: u64) {
        if let Some(ix) = self.by_op(op) {
            self.ops[ix as usize].acked = true;
        }
    }

    /// Looks at a partition's coverage and tells how it changed since the last look.
    pub(crate) fn look(&mut self, world: &World, at: usize, partition: u16) -> CoverChange {
        if self.cover.len() <= at {
            self.cover.resize_with(at + 1, Vec::new);
        }
        let covers = &mut self.cover[at];
        covers.resize_with(usize::from(world.limits.partitions), Cover::new);
        let before = &mut covers[usize::from(partition)];
        let mut change = CoverChange::default();
        let mut gained: Vec<(Origin, RangeSet)> = Vec::new();
        world.replica(at).shared(partition, |p| {
            let mut seen = 0;
            for (origin, ranges) in p.coverage() {
                match before.get_mut(&origin) {
                    Some(held) if held == ranges => {}
                    Some(held) => {
                        let lost = held.minus(ranges);
                        if !lost.is_empty() {
                            change.lost.push((origin, lost));
                        }
                        gained.push((origin, ranges.minus(held)));
                        *held = ranges.clone();
                    }
                    None => {
                        gained.push((origin, ranges.clone()));
                        before.insert(origin, ranges.clone());
                    }
                }
                seen += 1;
            }
            if seen < before.len() {
                let now: Vec<Origin> = p.coverage().map(|(o, _)| o).collect();
                let over: Vec<Origin> = before.keys().copied().filter(|o| !now.contains(o)).collect();
                for origin in over {
                    change.lost.extend(before.remove(&origin).map(|ranges| (origin, ranges)));
                }
            }
        });
        self.note(at, partition, gained, &mut change);
        change
    }

    fn note(&mut self, at: usize, partition: u16, gained: Vec<(Origin, RangeSet)>, change: &mut CoverChange) {
        for (origin, ranges) in gained {
            for &(lo, hi) in ranges.ranges() {
                let dots = self.by_dot.range((partition, origin.0, lo)..=(partition, origin.0, hi));
                change.gained.extend(dots.map(|(_, ix)| *ix));
            }
        }
        for &ix in &change.gained {
            self.ops[ix as usize].holders |= 1 << at;
        }
        for (origin, ranges) in &change.lost {
            for &(lo, hi) in ranges.ranges() {
                let dots = self.by_dot.range((partition, origin.0, lo)..=(partition, origin.0, hi));
                let lost: Vec<u32> = dots.map(|(_, ix)| *ix).collect();
                lost.into_iter().for_each(|ix| self.ops[ix as usize].holders &= !(1 << at));
            }
        }
    }
}

fn effect_of(record: &Packed<'_>, own: &dyn Fn(&Ver) -> bool) -> Effect {
    let live = match record.state() {
        State::Dead(dead) => {
            return Effect { dead: own(&dead.ver).then_some(dead.hard_ms), ..Effect::default() };
        }
        State::Live(live) => live,
    };
    let by = |op: u32| live.ops.get(op as usize).is_some_and(|op| own(&op.ver));
    let fields = live.fields.iter().filter(|f| by(f.op));
    Effect {
        birth: live.birth.filter(|b| by(b.op)).map(|b| (b.created_ms, b.hard_ms)),
        touch: live.touch.filter(|t| by(t.op)).map(|t| t.ms),
        ttl: live.ttl.filter(|t| by(t.op)).map(|t| t.ttl),
        fields: fields.map(|f| (f.key.to_owned(), f.value.map(<[u8]>::to_vec))).collect(),
        dead: None,
    }
}
