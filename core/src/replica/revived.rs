//! What was reaped here and comes back (docs/ALGORITHM.md §6), and what is kept of a session whose end was not waited
//! out.
//!
//! A record whose birth is covered and that is not here was reaped. When it comes in again, by whatever message, the
//! copy may be older than what was reaped while its dots are covered, so that nobody would ever send the difference:
//! every member that can be asked is asked for its copy. A **stub** is what is left of a session that was reaped
//! without a member's word and had carried something of the mesh's own: `docs/ALGORITHM.md` §6.

use std::collections::{BTreeMap, BTreeSet};

use super::partition::Partition;
use super::reap::GONE;
use super::remote::Gate;
use crate::causality::{Origin, origin_at};
use crate::marks::Mark;
use crate::session::{SessionId, State, is_reserved};

/// A session that came back, and whose word it waits for.
#[derive(Clone, Debug, Default)]
pub(super) struct Revived {
    /// Members that were not asked yet.
    pub waiting: BTreeSet<Origin>,
    /// They are not waited for beyond this wall time (ms).
    pub until_ms: u64,
}

impl Partition {
    /// Whether what a live state brings was held here once and is not any more: its birth is covered.
    pub(super) fn was_reaped(&self, state: &State<'_>) -> bool {
        let State::Live(live) = state else { return false };
        let born = live.birth.and_then(|birth| live.ops.get(birth.op as usize));
        born.is_some_and(|op| {
            self.known.get(op.ver.origin as usize).is_some_and(|known| known.cov.contains(op.ver.counter))
        })
    }

    /// A session that was reaped here came back from one peer: every other member is asked too before it may be
    /// reaped again, since the peer's copy may be older than what was reaped. Those that are gone will never answer.
    pub(super) fn mark_revived(&mut self, id: SessionId, from: Origin, gate: &Gate<'_>) {
        if mutant!(RevivedByForceOnly) {
            return;
        }
        let own = origin_at(&self.origins, self.own);
        let known = self.inc.iter().chain(gate.inc).map(|(m, _)| *m).filter(|&m| m != from && m != own);
        let gone =
            |m: &Origin| [self.inc.get(m), gate.inc.get(m)].into_iter().flatten().any(|v| v & GONE != 0);
        let waiting: BTreeSet<Origin> = known.filter(|m| !gone(m)).collect();
        self.marks.hit(Mark::RevivedMarked);
        let until_ms = gate.wall_ms.saturating_add(gate.limits.expire_wait_ms);
        self.revived.insert(id, Revived { waiting, until_ms });
        self.confirm_revived(id, from);
        if self.get(id).is_some_and(|record| record.visible(gate.wall_ms)) {
            self.counts.returned += 1;
        }
    }

    /// Records that `peer` was asked about a revived session and had nothing newer.
    pub(super) fn confirm_revived(&mut self, id: SessionId, peer: Origin) {
        if let Some(revived) = self.revived.get_mut(&id) {
            revived.waiting.remove(&peer);
            if revived.waiting.is_empty() {
                self.marks.hit(Mark::RevivedConfirmed);
                self.revived.remove(&id);
            }
        }
    }

    /// A revived session waits for every member's word: not for that of a life that is over, which will never give
    /// it, and for nobody longer than `expire_wait_ms`.
    pub(super) fn wait_for_nobody_gone(&mut self, now_ms: u64, inc: &BTreeMap<Origin, u64>) {
        // What is known of it in this partition alone would come back once the mark has served its time.
        let is_gone = |m: &Origin| inc.get(m).is_some_and(|v| v & GONE != 0);
        self.inc.retain(|member, value| *value & GONE != 0 || !is_gone(member));
        if self.revived.is_empty() {
            return;
        }
        let own = &self.inc;
        let gone = |m: &Origin| [own.get(m), inc.get(m)].into_iter().flatten().any(|v| v & GONE != 0);
        self.revived.retain(|_, revived| {
            revived.waiting.retain(|member| !gone(member));
            !revived.waiting.is_empty() && (now_ms < revived.until_ms || mutant!(RevivedWaitsForEver))
        });
    }

    /// Revived sessions that still wait for this peer's word.
    pub fn revived_waiting_for(&self, peer: Origin) -> Vec<SessionId> {
        self.revived.iter().filter(|(_, r)| r.waiting.contains(&peer)).map(|(id, _)| *id).collect()
    }

    /// Whether any revived session waits.
    pub fn has_revived(&self) -> bool {
        !self.revived.is_empty()
    }

    /// Whether a revived session waits for the word of somebody of whom `linked` is true: then this partition is no
    /// source for a joiner. Nobody knows when one that is out of reach will answer, and a joiner must not wait so long.
    pub fn revived_waits_for_any(&self, linked: &dyn Fn(Origin) -> bool) -> bool {
        let open = |r: &Revived| r.waiting.iter().any(|&member| linked(member));
        self.revived.values().any(|r| open(r) || mutant!(RevivedMissingBarJoiners))
    }

    /// Reaps an expired session that somebody out of reach may know more of. What nobody may bring back stays to the
    /// hard deadline: a log-in that was cleared, the mark of a rotation. Whether it went altogether.
    pub(super) fn reap_unheard(&mut self, slot: u32) -> bool {
        let record = self.record(slot);
        if !record.fields().any(|field| is_reserved(field.key)) || mutant!(StubsDropped) {
            self.drop_slot(slot);
            return true;
        }
        if self.slots[slot as usize].stub {
            return false;
        }
        let (id, mut bytes) = (record.id(), Vec::new());
        let State::Live(mut live) = record.state() else { return false };
        live.fields.retain(|field| is_reserved(field.key));
        let used: BTreeSet<u32> = used_ops(&live);
        let ops = live.ops.iter().enumerate().filter(|(at, _)| used.contains(&(*at as u32)));
        let kept: Vec<_> = ops.map(|(_, op)| op.ver).collect();
        let stub = State::Live(live.restrict(&|ver| kept.iter().any(|kept| kept.same_dot(ver))));
        if !crate::session::encode(id, &stub, &mut bytes) {
            return false;
        }
        self.store_bytes(id, Some(slot), &bytes);
        self.set_stub(slot, true);
        false
    }

    /// A stub is whole again, or begins to be one.
    pub(super) fn set_stub(&mut self, slot: u32, stub: bool) {
        if self.slots[slot as usize].stub != stub {
            self.count(slot, -1);
            self.slots[slot as usize].stub = stub;
            self.count(slot, 1);
        }
    }

    /// Forgets a member of whom nobody knows more than the name of its life.
    pub fn forget_nobody(&mut self, member: Origin) {
        if self.inc.get(&member) == Some(&0) {
            self.inc.remove(&member);
        }
    }
}

fn used_ops(live: &crate::session::Live<'_>) -> BTreeSet<u32> {
    let marks = [live.touch, live.high_sliding, live.high_absolute].into_iter().flatten().map(|m| m.op);
    let fields = live.fields.iter().map(|field| field.op);
    let registers = live.birth.map(|b| b.op).into_iter().chain(live.ttl.map(|t| t.op));
    registers.chain(marks).chain(fields).collect()
}
