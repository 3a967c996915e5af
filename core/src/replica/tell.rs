//! What watchers are told: from what a join found, and in the order of the record.
//!
//! An event is told while its partition is locked for the write that caused it, whether that was made here or came from a
//! peer. So nobody hears of one session in another order than it happened. The end of a session by a revocation is told
//! after the lock: nothing of a session comes after its end.

use super::partition::Partition;
use super::store::Replica;
use crate::causality::Origin;
use crate::marks::Mark;
use crate::session::{Findings, Live, SessionId, State, is_reserved};
use crate::time::Hlc;

/// Something watchers are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A session appeared here.
    Created(SessionId),
    /// Fields of a session changed here; none, if only its deadline did, or whose it is.
    Changed(SessionId, Vec<String>),
    /// A session was destroyed.
    Destroyed(SessionId),
    /// A session reached its deadline.
    Expired(SessionId),
    /// A session that had reached its deadline here is alive again: a touch of before then came in later.
    Returned(SessionId),
    /// Two concurrent writes met; one value was kept, one lost.
    Conflict(Box<ConflictEvent>),
}

/// A concurrent overwrite with both values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictEvent {
    /// The session.
    pub id: SessionId,
    /// The field.
    pub key: String,
    /// Who wrote the value kept, when, and the value (`None`: removed).
    pub kept: (Origin, Hlc, Option<Vec<u8>>),
    /// The same of the value lost.
    pub lost: (Origin, Hlc, Option<Vec<u8>>),
}

/// Who is told. Told under a partition's lock: it must neither wait nor read sessions.
pub trait Watchers: Send + Sync {
    /// Whether anybody listens: what nobody hears is not put together.
    fn any(&self) -> bool;
    /// Takes one event.
    fn tell(&self, event: Happened);
}

/// What watchers have been told of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Told {
    /// That it is here.
    #[default]
    Here,
    /// Nothing: it was over when it came.
    Nothing,
    /// That it has expired.
    Over,
}

impl Partition {
    /// Tells watchers, if there are any, and `out`, if somebody collects.
    pub(super) fn tell(&mut self, event: Happened, out: Option<&mut Vec<Happened>>) {
        match (self.watched, out) {
            (true, Some(out)) => {
                self.events.push(event.clone());
                out.push(event);
            }
            (true, None) => self.events.push(event),
            (false, Some(out)) => out.push(event),
            (false, None) => {}
        }
    }

    /// What watchers were told of a record.
    pub(super) fn told(&self, slot: u32) -> Told {
        let slot = &self.slots[slot as usize];
        match (slot.untold, slot.told_expired) {
            (true, _) => Told::Nothing,
            (_, true) => Told::Over,
            (false, false) => Told::Here,
        }
    }

    /// A record that came in whole. `back`: it had been here before, and was reaped.
    pub(super) fn tell_inserted(
        &mut self,
        (id, slot): (SessionId, u32),
        (wall_ms, back): (u64, bool),
        out: Option<&mut Vec<Happened>>,
    ) {
        let record = self.record(slot);
        let event = match () {
            () if record.is_dead() => Happened::Destroyed(id),
            // A revocation is nobody's session.
            () if record.is_revocation() => return,
            () if !record.visible(wall_ms) => return self.slots[slot as usize].untold = true,
            () if back => Happened::Returned(id),
            () => Happened::Created(id),
        };
        self.tell(event, out);
    }

    /// A record is shown: what was told of its end is over.
    pub(super) fn shown_again(&mut self, slot: u32) {
        let slot = &mut self.slots[slot as usize];
        slot.untold = false;
        if slot.told_expired {
            self.marks.hit(Mark::ExpiryUntold);
            slot.told_expired = false;
            self.counts.expired_retained = self.counts.expired_retained.saturating_sub(1);
        }
    }

    /// As [`Partition::shown_again`], and told, of a record that a clock set right shows again.
    pub(super) fn tell_shown_by_clock(&mut self, slot: u32, wall_ms: u64) {
        let (record, told) = (self.record(slot), self.told(slot));
        if told == Told::Here || record.is_revocation() || !record.visible(wall_ms) {
            return;
        }
        let id = record.id();
        self.shown_again(slot);
        let event = if told == Told::Over { Happened::Returned(id) } else { Happened::Created(id) };
        self.tell(event, None);
    }
}

impl Replica {
    /// Who is told from now on. Can be said once.
    pub fn set_watchers(&self, watchers: Box<dyn Watchers>) {
        // A second one is a mistake that costs events and nothing else.
        let _ = self.watchers.set(watchers);
    }

    /// Tells watchers what came to light outside a partition's lock.
    pub fn tell(&self, event: Happened) {
        if let Some(watchers) = self.watchers.get().filter(|watchers| watchers.any()) {
            watchers.tell(event);
        }
    }
}

/// What a join that made `joined` of `old` means to a watcher who was told so much.
pub(super) fn changed(
    id: SessionId,
    (old, joined): (&State<'_>, &State<'_>),
    findings: &Findings<'_>,
    (told, wall_ms): (Told, u64),
) -> Option<Happened> {
    let (old, joined) = match (old, joined) {
        (State::Live(old), State::Live(joined)) => (old, joined),
        (State::Live(_), State::Dead(_)) => return Some(Happened::Destroyed(id)),
        (State::Dead(_), _) => return None,
    };
    let visible = ends_ms(joined) > wall_ms;
    match told {
        Told::Nothing => visible.then_some(Happened::Created(id)),
        Told::Over => visible.then_some(Happened::Returned(id)),
        Told::Here if findings.changed.is_empty() && ends_ms(old) == ends_ms(joined) => None,
        Told::Here => {
            let keys = findings.changed.iter().filter(|key| !is_reserved(key));
            Some(Happened::Changed(id, keys.map(|key| (*key).to_owned()).collect()))
        }
    }
}

fn ends_ms(live: &Live<'_>) -> u64 {
    live.deadline_ms().unwrap_or(0)
}
