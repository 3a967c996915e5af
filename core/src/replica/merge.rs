//! An admitted entry meets what is held: the join, what watchers are told, and what is counted.

use super::partition::Partition;
use super::remote::{Gate, Refusal};
use super::tell::{ConflictEvent, Happened, changed};
use crate::causality::{Ver, origin_at};
use crate::limits::MAX_CONFLICT_EVENTS;
use crate::marks::Mark;
use crate::session::{Conflict, Findings, SessionId, State, encode, is_reserved, join};

impl Partition {
    /// Joins what came in with what is held. `back`: the session had been here before, and was reaped.
    pub(super) fn merge(
        &mut self,
        (id, slot): (SessionId, Option<u32>),
        state: &State<'_>,
        back: bool,
        gate: &mut Gate<'_>,
    ) -> Result<(), Refusal> {
        let Some(at) = slot else {
            if matches!(state, State::Dead(_)) {
                self.marks.hit(Mark::DeadForUnknown);
            }
            if let Some(slot) = self.store(id, None, state) {
                self.tell_inserted((id, slot), (gate.wall_ms, back), gate.events.as_deref_mut());
            }
            return Ok(());
        };
        let told = (self.told(at), gate.wall_ms);
        let heard = (self.watched || gate.events.is_some()) && !self.record(at).is_revocation();
        let mut bytes = Vec::new();
        let (events, beaten) = {
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
                let full = gate.limits.hard_memory() < gate.held_bytes;
                if full && len > self.record(at).bytes_len() && matches!(joined, State::Live(_)) {
                    self.marks.hit(Mark::HardMemoryLimit);
                    return Err(Refusal::MemoryFull);
                }
                events.extend(heard.then(|| changed(id, (&old, &joined), &findings, told)).flatten());
            }
            let shown = findings.conflicts.iter().filter(|c| heard && !is_reserved(c.key));
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
            if self.record(at).visible(gate.wall_ms) {
                self.shown_again(at);
            }
        }
        self.cover_beaten(at, &beaten);
        events.into_iter().for_each(|event| self.tell(event, gate.events.as_deref_mut()));
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
            self.cover_dot(ver);
            let known = &mut self.known[ver.origin as usize];
            known.until_ms = known.until_ms.max(hard_ms);
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
}
