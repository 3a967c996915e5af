//! What others say: pulses, rumours, and what this node answers to them.

use super::message::{Message, Pulse, Rumour};
use super::roster::State;
use super::{Detector, Why};
use crate::causality::Origin;
use crate::limits::{MAX_INCARNATION, MAX_OWN_STEP, MAX_TOLD_STEP};

impl Detector {
    /// A link to a peer is up, or it spoke to us and is unknown.
    pub(super) fn contact(&mut self, now_ms: u64, peer: Origin) {
        match self.members.get_mut(&peer) {
            Some(member) => {
                member.evidence.contact(now_ms);
                self.weigh(now_ms, peer);
            }
            None if peer != self.own => _ = self.meet(now_ms, peer, State::Alive, Why::Spoke),
            None => {}
        }
    }

    /// A member spoke to this node; `asked_ms`: in answer to a ping that left then.
    pub(super) fn heard(&mut self, now_ms: u64, from: Origin, pulse: Pulse, asked_ms: Option<u64>) {
        if !self.members.contains_key(&from) {
            self.contact(now_ms, from);
        }
        let Some(member) = self.members.get_mut(&from) else { return };
        member.evidence.direct(now_ms, pulse, asked_ms);
        if pulse.incarnation > member.incarnation {
            member.told_ms = None;
        }
        self.incarnation_known(now_ms, from, pulse.incarnation);
        self.ask_whether_back(now_ms, from);
        self.weigh(now_ms, from);
    }

    /// A relay passes on that a member answered it, for a question of ours from `asked_ms`.
    pub(super) fn heard_through(&mut self, now_ms: u64, of: Origin, pulse: Pulse, asked_ms: u64) {
        let Some(member) = self.members.get_mut(&of) else { return };
        member.evidence.direct(now_ms, pulse, Some(asked_ms));
        self.incarnation_told(now_ms, of, pulse.incarnation);
        self.weigh(now_ms, of);
    }

    /// An incarnation of a member, of which the member is the source.
    pub(super) fn incarnation_known(&mut self, now_ms: u64, of: Origin, incarnation: u32) {
        let Some(member) = self.members.get_mut(&of) else { return };
        let reborn = match member.state {
            State::Dead => mutant!(DeadRevivedUnrefuted),
            State::Left => mutant!(LeftRevived),
            State::Alive | State::Suspect => false,
        };
        if incarnation <= member.incarnation && !reborn {
            return;
        }
        member.incarnation = member.incarnation.max(incarnation);
        let beat_ms = member.evidence.beat_ms;
        match member.state {
            State::Suspect => self.clear(now_ms, of, Why::Refuted),
            State::Dead => self.revive(now_ms, of),
            State::Alive => return,
            State::Left => {
                if mutant!(LeftRevived) {
                    self.enter(now_ms, of, State::Alive, Why::Refuted);
                }
                return;
            }
        }
        let pulse = Pulse { incarnation, beat_ms };
        self.spread(Rumour::Alive { subject: of, pulse }, None);
    }

    /// As [`Detector::incarnation_known`], by another's word.
    pub(super) fn incarnation_told(&mut self, now_ms: u64, of: Origin, incarnation: u32) {
        let Some(member) = self.members.get_mut(&of) else { return };
        if incarnation > member.incarnation.saturating_add(MAX_TOLD_STEP) {
            return;
        }
        if incarnation > member.incarnation {
            member.told_ms = Some(now_ms);
        }
        self.incarnation_known(now_ms, of, incarnation);
    }

    fn revive(&mut self, now_ms: u64, origin: Origin) {
        self.stats.revived += 1;
        self.enter(now_ms, origin, State::Alive, Why::Refuted);
        self.probe_all_dead(now_ms);
    }

    /// Clears a suspicion if something was produced since it began: the second witness speaks for the suspect.
    fn weigh(&mut self, now_ms: u64, origin: Origin) {
        let Some(member) = self.members.get(&origin) else { return };
        let produced_ms = member.evidence.produced_ms;
        if member.suspicion.as_ref().is_some_and(|s| produced_ms > s.began_ms) && !mutant!(EvidenceIgnored) {
            self.clear(now_ms, origin, Why::HeardSince);
            self.vouch(origin);
        }
    }

    fn clear(&mut self, now_ms: u64, origin: Origin, why: Why) {
        self.stats.cleared += 1;
        self.enter(now_ms, origin, State::Alive, why);
    }

    /// Tells a few what is known to be newest of a member that others may still suspect.
    pub(super) fn vouch(&mut self, of: Origin) {
        if let Some(pulse) = self.members.get(&of).and_then(|m| m.newest()) {
            self.spread(Rumour::Alive { subject: of, pulse }, None);
        }
    }

    pub(super) fn take_rumours(&mut self, now_ms: u64, from: Origin, rumours: Vec<Rumour>) {
        for rumour in rumours {
            match rumour {
                Rumour::Alive { subject, pulse } => self.told_alive(now_ms, subject, pulse),
                Rumour::Suspect { subject, incarnation, accuser, .. } if subject == self.own => {
                    self.refute(now_ms, incarnation, accuser, from);
                }
                Rumour::Suspect { subject, incarnation, accuser, began_beat_ms } => {
                    self.told_suspect(now_ms, subject, incarnation, (accuser, began_beat_ms));
                }
                Rumour::Left { subject, incarnation } => self.told_left(now_ms, from, subject, incarnation),
            }
        }
    }

    fn told_alive(&mut self, now_ms: u64, subject: Origin, pulse: Pulse) {
        let Some(member) = self.members.get_mut(&subject) else { return };
        member.evidence.told(now_ms, pulse.beat_ms);
        self.incarnation_told(now_ms, subject, pulse.incarnation);
        self.weigh(now_ms, subject);
    }

    /// This node is suspected: it alone may raise its incarnation.
    fn refute(&mut self, now_ms: u64, incarnation: u32, accuser: Origin, from: Origin) {
        if mutant!(RefutationIgnored) {
            return;
        }
        if mutant!(SelfSuspected) {
            self.meet(now_ms, self.own, State::Alive, Why::Spoke);
            return self.accused(now_ms, self.own, incarnation, (accuser, now_ms, 0), Why::Accused(accuser));
        }
        // Once a millisecond at most, so that nobody can use them up.
        let news = incarnation >= self.incarnation && self.risen_ms != Some(now_ms);
        if news {
            self.risen_ms = Some(now_ms);
            let near = incarnation - self.incarnation <= MAX_OWN_STEP;
            let last = if near { incarnation } else { self.incarnation };
            // Beyond the bound nobody could read what this node says.
            self.incarnation = last.saturating_add(1).min(MAX_INCARNATION);
            self.stats.refuted += 1;
            self.health.worse(1);
        }
        let alive = Rumour::Alive { subject: self.own, pulse: self.pulse(now_ms) };
        let accuser = Some(accuser).filter(|a| *a != from && self.members.contains_key(a));
        if news {
            self.spread(alive, accuser);
            self.urgent_to.push(from);
            return;
        }
        // All have been told; who has not heard it hears it now, and not the whole mesh each time.
        for to in [Some(from), accuser].into_iter().flatten() {
            self.send(now_ms, to, false, Message::Gossip { rumours: vec![alive] });
        }
    }

    pub(super) fn told_suspect(
        &mut self,
        now_ms: u64,
        subject: Origin,
        incarnation: u32,
        (accuser, began_beat_ms): (Origin, u64),
    ) {
        // Who is not a member here does not accuse here: a process that thawed accuses everybody.
        let living = |m: &&super::Member| m.state.is_living();
        let Some(began_ms) =
            self.members.get(&accuser).filter(living).map(|m| m.evidence.date(now_ms, began_beat_ms))
        else {
            return;
        };
        let Some(member) = self.members.get_mut(&subject).filter(|m| m.state.is_living()) else { return };
        if incarnation < member.incarnation && !mutant!(LowerIncarnationAccepted) {
            return self.contradict(subject, accuser, began_beat_ms);
        }
        if mutant!(ObserverRaisesIncarnation) {
            member.incarnation = incarnation + 1;
        }
        // The accuser has it from the suspect, which then refuted whatever was held against it here.
        self.incarnation_told(now_ms, subject, incarnation);
        let Some(member) = self.members.get_mut(&subject) else { return };
        if member.evidence.produced_ms > began_ms && !mutant!(EvidenceIgnored) {
            return self.contradict(subject, accuser, began_beat_ms);
        }
        let began = (accuser, began_ms, began_beat_ms);
        self.accused(now_ms, subject, incarnation, began, Why::Accused(accuser));
    }

    /// We know better than an accuser: it hears so, once for each of its suspicions.
    fn contradict(&mut self, subject: Origin, accuser: Origin, began_beat_ms: u64) {
        let Some(member) = self.members.get_mut(&subject) else { return };
        if member.contradicted.replace((accuser, began_beat_ms)) == Some((accuser, began_beat_ms)) {
            return;
        }
        if let Some(pulse) = member.newest() {
            self.urgent.push(Rumour::Alive { subject, pulse });
            self.urgent_to.push(accuser);
        }
    }
}
