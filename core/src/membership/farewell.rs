//! Who left, and who says so.
//!
//! A goodbye is the member's own word: said by itself, or written by it on the board, it is final. Told by another it is a
//! rumour: it is passed on at once, and the member is asked. If it answers, it has not left; a member that is leaving says so
//! in every answer. Only its silence makes the rumour true, and should it answer later all the same, it is back. So nobody
//! is taken out of the mesh by what another says of it, and a real goodbye takes a probe longer.

use super::message::{Pulse, Rumour};
use super::roster::State;
use super::{Detector, Why};
use crate::causality::Origin;
use crate::limits::FAREWELL_PAUSE_MS;

impl Detector {
    /// Somebody tells that a member has left: itself, or another.
    pub(super) fn told_left(&mut self, now_ms: u64, from: Origin, subject: Origin, incarnation: u32) {
        let Some(member) = self.members.get_mut(&subject) else { return };
        let news = Rumour::Left { subject, incarnation };
        if from == subject {
            if member.state != State::Left || member.by_hearsay {
                self.over(now_ms, subject, Why::Goodbye);
                self.spread(news, None);
            }
            return;
        }
        match member.state {
            State::Left => {}
            // It is silent anyway.
            State::Dead => {
                self.left_by_hearsay(now_ms, subject);
                self.spread(news, None);
            }
            State::Alive | State::Suspect => {
                let lately = member.farewell_asked_ms.is_some_and(|at_ms| now_ms < at_ms + FAREWELL_PAUSE_MS);
                if member.farewell_ms.is_some() || lately {
                    return;
                }
                (member.farewell_ms, member.farewell_asked_ms) = (Some(now_ms), Some(now_ms));
                self.begin_probe(now_ms, subject);
                self.spread(news, None);
            }
        }
    }

    /// A member that is said to have left does not answer.
    pub(super) fn left_by_hearsay(&mut self, now_ms: u64, origin: Origin) {
        self.enter(now_ms, origin, State::Left, Why::Hearsay);
        if let Some(member) = self.members.get_mut(&origin) {
            member.by_hearsay = true;
            // Asked now and then, as the dead are: of two that take each other for gone neither would speak first.
            self.first_of_the_dead(now_ms);
            self.dead.insert(origin);
        }
    }

    /// A member has answered a ping of ours that left at `asked_ms`: what it says of itself is so, and it is there.
    pub(super) fn answered_for_itself(&mut self, now_ms: u64, origin: Origin, pulse: Pulse, asked_ms: u64) {
        let Some(member) = self.members.get_mut(&origin) else { return };
        if pulse.incarnation < member.incarnation && member.told_ms.is_some_and(|told_ms| asked_ms >= told_ms)
        {
            // It never was that: it could not refute what is held against it beyond.
            (member.incarnation, member.told_ms) = (pulse.incarnation, None);
        }
        if member.farewell_ms.is_some_and(|told_ms| asked_ms >= told_ms) {
            member.farewell_ms = None;
            self.vouch(origin);
        } else if member.state == State::Left && member.by_hearsay && asked_ms >= member.since_ms {
            self.enter(now_ms, origin, State::Alive, Why::Spoke);
        }
    }

    /// One that left by another's word speaks: its last packets may be on their way, so that it is asked.
    pub(super) fn ask_whether_back(&mut self, now_ms: u64, origin: Origin) {
        let Some(member) = self.members.get_mut(&origin).filter(|m| m.by_hearsay) else { return };
        if member.farewell_asked_ms.is_none_or(|at_ms| now_ms >= at_ms + FAREWELL_PAUSE_MS / 10) {
            member.farewell_asked_ms = Some(now_ms);
            self.ping_once(now_ms, origin);
        }
    }
}
