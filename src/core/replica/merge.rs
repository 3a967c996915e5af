//! An admitted entry meets what is held: the join, what watchers are told, and what is counted.

use super::partition::Partition;
use super::remote::{ConflictEvent, Gate, Happened, Refusal};
use crate::core::causality::{Ver, origin_at};
use crate::core::limits::{MAX_CONFLICT_EVENTS, MAX_RANGES};
use crate::core::marks::Mark;
use crate::core::session::{Conflict, Findings, SessionId, State, encode, is_reserved, join};

impl Partition {
    pub(super) fn merge(
        &mut self,
        id: SessionId,
        slot: Option<u32>,
        state: &State<'_>,
        gate: &mut Gate<'_>,
    ) -> Result<(), Refusal> {
        let Some(at) = slot else {
            if matches!(state, State::Dead(_)) {
                self.marks.hit(Mark::DeadForUnknown);
            }
            let slot = self.store(id, None, state);
            self.tell_inserted(id, state, slot, gate);
            return Ok(());
        };
        let was_visible = self.record(at).visible(gate.wall_ms);
        let told = gate.events.is_some() && !self.record(at).is_revocation();
        let mut bytes = Vec::new();
        let (mut events, beaten) = {
            let old = self.record(at).state();
            let covered =
                |ver: &Ver| self.known.get(ver.origin as usize).is_some_and(|k| k.cov.contains(ver.counter));
            let (joined, findings) = join(&old, state, &self.origins, &covered);
            self.note_findings(&findings);
            let mut events = Vec::new();
            if joined != old {
                if matches!(old, State::Dead(_)) {
                    self.marks.hit(Mark::DeadOutlived);
                }
                encode(id, &joined, &mut bytes);
                let (len, max) = (bytes.len(), gate.limits.max_union_bytes());
                if len > max && len > self.record(at).bytes_len() {
                    return Err(Refusal::Overgrown { id, bytes: len, max });
                }
                events.extend(told.then(|| changed_event(id, &old, &joined, &findings)).flatten());
            }
            let shown = findings.conflicts.iter().filter(|c| told && !is_reserved(c.key));
            events.extend(shown.take(MAX_CONFLICT_EVENTS).map(|c| self.conflict_event(id, c)));
            let Findings { conflicts, unlabelled, violations, beaten, .. } = findings;
            self.counts.conflicts += conflicts.len() as u64;
            self.counts.unlabelled += u64::from(unlabelled);
            self.counts.violations += u64::from(violations);
            (events, beaten)
        };
        if bytes.is_empty() {
            self.counts.redundant += 1;
        } else {
            self.counts.merged += 1;
            self.store_bytes(id, Some(at), &bytes);
            self.set_stub(at, false);
            if !was_visible && self.record(at).visible(gate.wall_ms) {
                self.untell_expired(at);
            }
        }
        self.cover_beaten(at, &beaten);
        if let Some(out) = &mut gate.events {
            out.append(&mut events);
        }
        Ok(())
    }

    /// A write that came in and lost is held by what beat it, so that it may be covered (`docs/ALGORITHM.md` §4): told
    /// once, it is not told again when another peer brings it.
    fn cover_beaten(&mut self, slot: u32, beaten: &[Ver]) {
        if beaten.is_empty() || mutant!(BeatenToldAgain) {
            return;
        }
        self.changed();
        let hard_ms = self.record(slot).hard_ms();
        for ver in beaten {
            let known = &mut self.known[ver.origin as usize];
            known.cov.insert(ver.counter, ver.counter);
            known.until_ms = known.until_ms.max(hard_ms);
            if known.cov.cap(MAX_RANGES) {
                self.marks.hit(Mark::CoverageForgotten);
            }
        }
    }

    fn note_findings(&self, findings: &Findings<'_>) {
        if !findings.conflicts.is_empty() {
            self.marks.hit(Mark::ConflictLabelled);
        }
        if findings.second_birth {
            self.marks.hit(Mark::SecondBirth);
        }
        if findings.violations > u32::from(findings.second_birth) {
            self.marks.hit(Mark::EqualVersionDiffers);
        }
        if findings.tied {
            self.marks.hit(Mark::TieByOrigin);
        }
    }

    fn conflict_event(&self, id: SessionId, c: &Conflict<'_>) -> Happened {
        let side = |(ver, value): (Ver, Option<&[u8]>)| {
            (origin_at(&self.origins, ver.origin), ver.hlc, value.map(<[u8]>::to_vec))
        };
        Happened::Conflict(Box::new(ConflictEvent {
            id,
            key: c.key.to_owned(),
            kept: side(c.kept),
            lost: side(c.lost),
        }))
    }

    fn tell_inserted(&self, id: SessionId, state: &State<'_>, slot: Option<u32>, gate: &mut Gate<'_>) {
        let (Some(slot), Some(out)) = (slot, &mut gate.events) else { return };
        match state {
            State::Dead(_) => out.push(Happened::Destroyed(id)),
            State::Live(_) if self.record(slot).is_revocation() => {}
            State::Live(_) if self.record(slot).visible(gate.wall_ms) => out.push(Happened::Created(id)),
            State::Live(_) => {}
        }
    }

    fn untell_expired(&mut self, slot: u32) {
        let slot = &mut self.slots[slot as usize];
        if slot.told_expired {
            self.marks.hit(Mark::ExpiryUntold);
            slot.told_expired = false;
            self.counts.expired_retained = self.counts.expired_retained.saturating_sub(1);
        }
    }
}

/// What watchers are told of a record that a join changed.
fn changed_event(
    id: SessionId,
    old: &State<'_>,
    joined: &State<'_>,
    findings: &Findings<'_>,
) -> Option<Happened> {
    match (old, joined) {
        (State::Live(_), State::Dead(_)) => Some(Happened::Destroyed(id)),
        (_, State::Live(_)) => {
            let keys = findings.changed.iter().filter(|k| !is_reserved(k));
            Some(Happened::Changed(id, keys.map(|k| (*k).to_owned()).collect()))
        }
        _ => None,
    }
}
