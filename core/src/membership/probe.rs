//! Probing: ping, ping again, ping through others, ping over the stream (SWIM §3.1, memberlist's TCP fallback).

use rand::RngExt;
use rand::seq::SliceRandom;

use super::message::{Message, Pulse};
use super::roster::State;
use super::suspicion::OwnCheck;
use super::{Detector, Why};
use crate::causality::Origin;
use crate::limits::{MAX_DEAD_BURST, MAX_PROBES, MAX_RELAYS};

/// How long the first answer of a member never measured is waited for (ms).
const UNKNOWN_MS: u64 = 150;
/// No first answer is waited for longer (ms), however slow a member was: a dead one must be noticed.
const MOST_MS: u64 = 1_000;
/// Pings of failed probes whose answers may still tell how slow a member is.
const LATE_PINGS: usize = 64;
/// Members that are quick again and measured at one time. More wait for the next.
const MOST_RETURNING: usize = 8;
/// All the dead are probed at most this often (ms), however many come back.
const BURST_GAP_MS: u64 = 500;

/// A ping of ours.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    to: Origin,
    seq: u16,
    left_ms: u64,
    /// How long this process had not run by then (ms).
    stalled_ms: u64,
    /// As a datagram: over a stream the time it takes to be resent would pass for a slow member.
    measures: bool,
}

/// A probe of ours.
pub(super) struct Probe {
    /// Its pings: an answer tells which it answers, so that every round trip is measured exactly (where TCP must leave
    /// repeated ones out). The first also names the probe to relays.
    pings: Vec<Sent>,
    target: Origin,
    began_ms: u64,
    /// How long the first answer is waited for; doubles with each further ping.
    direct_ms: u64,
    pub(super) next_ms: u64,
    pub(super) deadline_ms: u64,
    /// Who was asked to ping on our behalf and has neither relayed nor declined.
    asked: Vec<Origin>,
    /// Somebody who was asked said that it is there.
    nacked: bool,
}

/// A ping of ours on behalf of another.
pub(super) struct Relay {
    seq: u16,
    target: Origin,
    for_whom: Origin,
    their_seq: u16,
    /// When the asker is told that there was no answer; then when the answer is waited for no more.
    pub(super) next_ms: u64,
    pub(super) until_ms: u64,
    nacked: bool,
}

impl Detector {
    fn fresh_seq(&mut self) -> u16 {
        self.next_seq = self.next_seq.wrapping_add(1);
        self.next_seq
    }

    /// Probes whoever is next, in an order shuffled anew each time round.
    pub(super) fn probe_next(&mut self, now_ms: u64) {
        while !self.order.is_empty() {
            if self.next >= self.order.len() {
                self.next = 0;
                self.order.shuffle(&mut self.rng);
            }
            let target = self.order[self.next];
            match self.members.get_mut(&target) {
                Some(member) if member.state.is_living() => {
                    self.next += 1;
                    return self.begin_probe(now_ms, target);
                }
                member => {
                    if let Some(member) = member {
                        member.in_order = false;
                    }
                    self.order.swap_remove(self.next);
                }
            }
        }
    }

    /// Begins a probe of a living member.
    pub(super) fn begin_probe(&mut self, now_ms: u64, target: Origin) {
        let Some(member) = self.members.get(&target).filter(|m| m.state.is_living()) else { return };
        if self.probes.len() >= MAX_PROBES {
            return;
        }
        let direct_ms = self.direct_ms(member);
        let whole_ms = self.health.stretch(self.config.probe_timeout_ms.max(4 * direct_ms)) + self.lag.ms();
        let direct_ms = self.health.stretch(direct_ms);
        let seq = self.fresh_seq();
        self.stats.probes += 1;
        self.probes.push(Probe {
            pings: vec![self.sent(now_ms, target, seq, true)],
            target,
            began_ms: now_ms,
            direct_ms,
            next_ms: now_ms + direct_ms,
            deadline_ms: now_ms + whole_ms,
            asked: Vec::new(),
            nacked: false,
        });
        self.ping(now_ms, target, seq, false);
    }

    fn sent(&self, now_ms: u64, to: Origin, seq: u16, measures: bool) -> Sent {
        Sent { to, seq, left_ms: now_ms, stalled_ms: self.stalled_ms, measures }
    }

    /// How long the first answer of a member is waited for.
    fn direct_ms(&self, member: &super::Member) -> u64 {
        let (unknown_ms, lag_ms) = (UNKNOWN_MS.max(2 * self.lag.ms()), self.lag.ms());
        member.rtt.timeout_ms(self.config.direct_min_ms, unknown_ms).max(lag_ms).min(MOST_MS)
    }

    fn ping(&mut self, now_ms: u64, to: Origin, seq: u16, reliable: bool) {
        self.send_with_news(now_ms, to, reliable, |rumours| Message::Ping { seq, rumours });
    }

    /// A ping nobody waits for: to show oneself, and to ask the dead.
    pub(super) fn ping_once(&mut self, now_ms: u64, to: Origin) {
        let seq = self.fresh_seq();
        if self.members.get(&to).is_some_and(|m| !m.state.is_living()) {
            // Its answer shows what it says of itself, whatever others told.
            let sent = self.sent(now_ms, to, seq, false);
            self.await_late(sent);
        }
        self.ping(now_ms, to, seq, false);
    }

    /// Ends probes that are over and escalates those without an answer so far.
    pub(super) fn run_probes(&mut self, now_ms: u64) {
        let mut at = 0;
        while at < self.probes.len() {
            let probe = &mut self.probes[at];
            if now_ms >= probe.deadline_ms {
                let probe = self.probes.swap_remove(at);
                self.late.extend(&probe.pings);
                self.late.drain(..self.late.len().saturating_sub(LATE_PINGS));
                self.probe_failed(now_ms, &probe);
                continue;
            }
            if now_ms >= probe.next_ms {
                // Doubling: loss wants another try at once, a slow member wants fewer.
                probe.next_ms = now_ms + (probe.direct_ms << probe.pings.len().min(16));
                // One more try before others are troubled: under loss it spares most of them.
                let (target, second) = (probe.target, probe.pings.len() == 2);
                let seq = self.fresh_seq();
                let sent = self.sent(now_ms, target, seq, true);
                self.probes[at].pings.push(sent);
                self.ping(now_ms, target, seq, false);
                if second {
                    self.escalate(now_ms, at);
                }
            }
            at += 1;
        }
    }

    /// No answer to two pings: others try, and the stream does.
    fn escalate(&mut self, now_ms: u64, at: usize) {
        let Probe { target, ref pings, .. } = self.probes[at];
        let (seq, over_stream) = (pings[0].seq, self.fresh_seq());
        self.stats.probes_escalated += 1;
        let asked = self.some_living(self.config.indirect, |origin, member| {
            origin != target && member.state == State::Alive
        });
        for &relay in &asked {
            self.send(now_ms, relay, false, Message::PingReq { seq, target });
        }
        self.probes[at].asked = asked;
        let sent = self.sent(now_ms, target, over_stream, false);
        self.probes[at].pings.push(sent);
        self.ping(now_ms, target, over_stream, true);
    }

    fn probe_failed(&mut self, now_ms: u64, probe: &Probe) {
        self.stats.probes_failed += 1;
        if !probe.nacked && !probe.asked.is_empty() {
            // Not even those who were asked were heard: it may be this node that is deaf.
            self.health.worse(1);
        }
        let Some(member) = self.members.get_mut(&probe.target) else { return };
        if member.evidence.produced_ms > probe.began_ms && !mutant!(EvidenceIgnored) {
            // Its packets reach us though ours may not reach it: it lives.
            member.farewell_ms = None;
            return;
        }
        if member.farewell_ms.is_some_and(|told_ms| probe.began_ms >= told_ms) {
            return self.left_by_hearsay(now_ms, probe.target);
        }
        match (member.state, &mut member.suspicion) {
            (State::Suspect, Some(suspicion)) if probe.began_ms >= suspicion.began_ms => {
                suspicion.check = OwnCheck::Failed;
                self.judge_ms = now_ms;
                self.accuse(now_ms, probe.target);
            }
            (State::Suspect, Some(_)) => {}
            (State::Alive, _) => self.accuse(now_ms, probe.target),
            _ => {}
        }
    }

    /// An answer to a ping of ours, or of ours on another's behalf. Returns when that ping left.
    pub(super) fn answered(&mut self, now_ms: u64, from: Origin, seq: u16, pulse: Pulse) -> Option<u64> {
        let is_it = |sent: &Sent| sent.to == from && sent.seq == seq;
        if let Some(at) = self.probes.iter().position(|p| p.pings.iter().any(is_it)) {
            let probe = self.probes.swap_remove(at);
            self.health.better();
            return probe.pings.into_iter().find(is_it).map(|sent| self.measured(now_ms, sent));
        }
        if let Some(at) = self.late.iter().position(is_it) {
            // Too late for its probe, and not too late to learn from.
            let sent = self.late.swap_remove(at);
            return Some(self.measured(now_ms, sent));
        }
        if let Some(at) = self.relays.iter().position(|r| r.seq == seq && r.target == from) {
            let relay = self.relays.swap_remove(at);
            let message = Message::Relayed { seq: relay.their_seq, target: pulse };
            self.send(now_ms, relay.for_whom, false, message);
        }
        None
    }

    /// Learns from an answer how far away a member is. Returns when the ping left.
    fn measured(&mut self, now_ms: u64, sent: Sent) -> u64 {
        if sent.measures {
            let (stalled_ms, before_ms) = (self.stalled_ms - sent.stalled_ms, self.lag.ms());
            self.lag.answered(sent.to, (now_ms - sent.left_ms).saturating_sub(stalled_ms));
            if self.lag.ms() < before_ms {
                // Windows are shorter now.
                self.judge_ms = self.judge_ms.min(now_ms);
            }
        }
        // What left before this process stood still measures that.
        let measures = sent.measures && sent.left_ms >= self.stall_ms;
        if let Some(member) = self.members.get_mut(&sent.to).filter(|_| measures) {
            let (rtt_ms, least_ms) = (now_ms - sent.left_ms, self.config.probe_timeout_ms / 4);
            self.rtts.observe_ms(rtt_ms);
            if member.rtt.answered(now_ms, rtt_ms, self.config.direct_min_ms, least_ms) {
                self.measure_again(now_ms, sent.to);
            }
        }
        sent.left_ms
    }

    /// A ping that only measures: nobody is accused if it is not answered.
    fn measure_again(&mut self, now_ms: u64, of: Origin) {
        let seq = self.fresh_seq();
        let sent = self.sent(now_ms, of, seq, true);
        self.await_late(sent);
        self.ping(now_ms, of, seq, false);
    }

    /// Remembers a ping that no probe waits for, so that its answer is learnt from.
    fn await_late(&mut self, sent: Sent) {
        self.late.push(sent);
        self.late.drain(..self.late.len().saturating_sub(LATE_PINGS));
    }

    /// A member is about to be one of those who are asked now and then: when, if it is the first.
    pub(super) fn first_of_the_dead(&mut self, now_ms: u64) {
        if self.dead.is_empty() {
            self.next_dead_ms = now_ms + self.config.dead_probe_ms;
        }
    }

    /// Asks those who were slow and have answered quickly whether they are quick again: probes alone would take minutes in
    /// a large mesh, and a member that dies meanwhile would be waited for as a slow one.
    pub(super) fn measure_returning(&mut self, now_ms: u64) {
        let returns = |m: &super::Member| m.state == State::Alive && m.rtt.wants_another(now_ms);
        let returning = self.members.iter().filter(|(_, m)| returns(m)).map(|(origin, _)| *origin);
        let returning: Vec<Origin> = returning.take(MOST_RETURNING).collect();
        returning.into_iter().for_each(|origin| self.measure_again(now_ms, origin));
    }

    /// Pings on behalf of another.
    pub(super) fn relay(&mut self, now_ms: u64, for_whom: Origin, their_seq: u16, target: Origin) {
        let Some(member) = self.members.get(&target) else { return };
        if self.relays.len() >= MAX_RELAYS {
            return;
        }
        let direct_ms = self.direct_ms(member);
        let seq = self.fresh_seq();
        let (next_ms, until_ms) = (now_ms + direct_ms, now_ms + 2 * self.config.probe_timeout_ms);
        let nacked = false;
        self.relays.push(Relay { seq, target, for_whom, their_seq, next_ms, until_ms, nacked });
        self.ping(now_ms, target, seq, false);
    }

    pub(super) fn run_relays(&mut self, now_ms: u64) {
        let mut nacks = Vec::new();
        for relay in self.relays.iter_mut().filter(|r| now_ms >= r.next_ms && !r.nacked) {
            relay.nacked = true;
            relay.next_ms = relay.until_ms;
            nacks.push((relay.for_whom, relay.their_seq, relay.target, relay.seq));
        }
        for (to, their_seq, target, seq) in nacks {
            self.send(now_ms, to, false, Message::Nack { seq: their_seq });
            self.ping(now_ms, target, seq, false);
        }
        self.relays.retain(|r| now_ms < r.until_ms);
    }

    /// Somebody who was asked got an answer.
    pub(super) fn relayed(&mut self, now_ms: u64, from: Origin, seq: u16, pulse: Pulse) {
        let asked = |p: &Probe| p.pings[0].seq == seq && p.asked.contains(&from);
        let Some(at) = self.probes.iter().position(asked) else { return };
        let probe = self.probes.swap_remove(at);
        // Made for our question, and so no older than it; by the relay's word.
        self.heard_through(now_ms, probe.target, pulse, probe.began_ms);
        self.health.better();
    }

    pub(super) fn nacked(&mut self, from: Origin, seq: u16) {
        if let Some(probe) = self.probes.iter_mut().find(|p| p.pings[0].seq == seq) {
            probe.nacked |= probe.asked.contains(&from);
        }
    }

    /// One of the dead at a time: so that the end of a split is noticed soon, whoever's board is behind.
    pub(super) fn probe_a_dead(&mut self, now_ms: u64) {
        let from = Origin(self.rng.random());
        let next = self.dead.range(from..).next().or_else(|| self.dead.first()).copied();
        next.into_iter().for_each(|dead| self.ping_once(now_ms, dead));
    }

    /// One of the dead came back: more may have.
    pub(super) fn probe_all_dead(&mut self, now_ms: u64) {
        if now_ms < self.burst_ms + BURST_GAP_MS {
            return;
        }
        self.burst_ms = now_ms;
        let mut dead: Vec<Origin> = self.dead.iter().copied().collect();
        dead.shuffle(&mut self.rng);
        dead.truncate(MAX_DEAD_BURST);
        dead.into_iter().for_each(|dead| self.ping_once(now_ms, dead));
    }

    /// This node accuses a member.
    fn accuse(&mut self, now_ms: u64, subject: Origin) {
        let incarnation = self.members.get(&subject).map_or(0, |m| m.incarnation);
        let began = (self.own, now_ms, self.beat_at(now_ms));
        self.accused(now_ms, subject, incarnation, began, Why::ProbeFailed);
    }
}
