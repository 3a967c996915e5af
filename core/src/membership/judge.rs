//! From suspicion to death: both witnesses are heard here.

use rand::RngExt;

use super::message::Rumour;
use super::roster::State;
use super::suspicion::{OwnCheck, Suspicion, min_window_ms};
use super::{Detector, Listed, Why};
use crate::causality::Origin;

/// How long whoever is gone is kept once the board has forgotten it (ms).
const KEEP_LEFT_MS: u64 = 60_000;

impl Detector {
    /// A member is accused, by this node or by another. Begins a suspicion or joins it.
    pub(super) fn accused(
        &mut self,
        now_ms: u64,
        subject: Origin,
        incarnation: u32,
        (accuser, began_ms, began_beat_ms): (Origin, u64, u64),
        why: Why,
    ) {
        let check = if accuser == self.own {
            OwnCheck::Failed
        } else {
            // Spread out, so that the first to reach the suspect can spare the others the trouble.
            let spread_ms = min_window_ms(&self.config, self.living + 1) / 2;
            OwnCheck::Due(now_ms + self.rng.random_range(0..=spread_ms.max(1)))
        };
        let enough = self.config.confirmations + 1;
        let Some(member) = self.members.get_mut(&subject) else { return };
        if member.farewell_ms.is_some() {
            // It is being asked whether it left, and its silence will be the answer to that.
            return;
        }
        let news = match &mut member.suspicion {
            Some(suspicion) => suspicion.join(accuser) && suspicion.votes() <= enough,
            None => {
                member.suspicion = Some(Suspicion::new(began_ms, incarnation, accuser, check));
                self.stats.suspicions += 1;
                self.enter(now_ms, subject, State::Suspect, why);
                true
            }
        };
        self.judge_ms = now_ms;
        if news {
            self.spread(Rumour::Suspect { subject, incarnation, accuser, began_beat_ms }, None);
        }
    }

    /// Looks at every suspicion: begins own checks that are due, and declares dead whom both witnesses give up.
    pub(super) fn judge(&mut self, now_ms: u64) {
        // What it said since may lie in a socket here.
        let (mut next_ms, lag_ms) = (u64::MAX, self.lag.ms());
        let (mut check, mut dead) = (Vec::new(), Vec::new());
        for &origin in &self.suspects {
            let Some(member) = self.members.get_mut(&origin) else { continue };
            let Some(suspicion) = &mut member.suspicion else { continue };
            let closes_ms = suspicion.closes_ms(&self.config, self.living + 1) + lag_ms;
            match suspicion.check {
                OwnCheck::Due(at_ms) if now_ms >= at_ms && !mutant!(OwnCheckSpared) => {
                    suspicion.check = OwnCheck::Running;
                    check.push(origin);
                }
                OwnCheck::Due(at_ms) if !mutant!(OwnCheckSpared) => next_ms = next_ms.min(at_ms),
                // Its end asks for another look.
                OwnCheck::Running => {}
                OwnCheck::Due(_) | OwnCheck::Failed if now_ms >= closes_ms => {
                    dead.push((origin, now_ms - suspicion.began_ms));
                }
                OwnCheck::Due(_) | OwnCheck::Failed => next_ms = next_ms.min(closes_ms),
            }
        }
        self.judge_ms = next_ms;
        for origin in check {
            let before = self.probes.len();
            self.begin_probe(now_ms, origin);
            if self.probes.len() == before {
                // Too many at once: later.
                self.retry_check(now_ms, origin);
            }
        }
        dead.into_iter().for_each(|(origin, silent_ms)| self.declare_dead(now_ms, origin, silent_ms));
    }

    fn retry_check(&mut self, now_ms: u64, origin: Origin) {
        let at_ms = now_ms + self.config.probe_timeout_ms / 2;
        if let Some(suspicion) = self.members.get_mut(&origin).and_then(|m| m.suspicion.as_mut()) {
            suspicion.check = OwnCheck::Due(at_ms);
            self.judge_ms = self.judge_ms.min(at_ms);
        }
    }

    fn declare_dead(&mut self, now_ms: u64, origin: Origin, silent_ms: u64) {
        if self.members.get(&origin).is_some_and(|m| m.farewell_ms.is_some()) {
            return self.left_by_hearsay(now_ms, origin);
        }
        self.stats.deaths += 1;
        let (half_life_ms, limit_milli) = (self.config.flap_half_life_ms, self.config.flap_limit_milli);
        if let Some(member) = self.members.get_mut(&origin) {
            member.flap.died(now_ms, half_life_ms, limit_milli);
        }
        self.first_of_the_dead(now_ms);
        self.enter(now_ms, origin, State::Dead, Why::Silent(silent_ms));
    }

    /// A life is over for good.
    pub(super) fn over(&mut self, now_ms: u64, origin: Origin, why: Why) {
        let Some(member) = self.members.get_mut(&origin) else { return };
        if member.state != State::Left || member.by_hearsay {
            self.enter(now_ms, origin, State::Left, why);
        }
    }

    /// The board's list: who exists. Whether they live is judged here.
    pub(super) fn listed(&mut self, now_ms: u64, listed: &[Listed]) {
        let before: Vec<Origin> = self.members.iter().filter(|(_, m)| m.listed).map(|(o, _)| *o).collect();
        let own = self.own;
        for entry in listed.iter().filter(|e| e.origin != own) {
            let origin = entry.origin;
            if !self.members.contains_key(&origin) {
                let met = match (entry.left, entry.alive) {
                    (true, _) => self.meet(now_ms, origin, State::Left, Why::Goodbye),
                    (false, true) => self.meet(now_ms, origin, State::Alive, Why::Listed),
                    // New, or dead since before we came: nothing is known of it until it speaks or the board believes
                    // in it.
                    (false, false) => false,
                };
                if !met {
                    continue;
                }
            }
            // What the board has said all along is older than the end it was told of: it takes seconds to miss a heart.
            let is_news = |m: &super::Member| m.why == Why::Superseded && !m.listed_alive;
            if entry.alive && self.members.get(&origin).is_some_and(is_news) {
                // The process that had taken its name is gone, and it is still there.
                self.enter(now_ms, origin, State::Alive, Why::Listed);
            }
            if entry.left {
                self.over(now_ms, origin, Why::Goodbye);
            } else if !entry.alive {
                // The board has heard no heartbeat of it for long: a reason to ask it now.
                self.doubt(now_ms, origin);
            }
            if let Some(member) = self.members.get_mut(&origin) {
                (member.listed, member.listed_alive) = (true, entry.alive);
            }
        }
        for origin in before {
            if !listed.iter().any(|e| e.origin == origin) {
                if let Some(member) = self.members.get_mut(&origin) {
                    (member.listed, member.listed_alive) = (false, false);
                }
                self.doubt(now_ms, origin);
            }
        }
    }

    /// Probes a member of which nothing was heard lately.
    fn doubt(&mut self, now_ms: u64, origin: Origin) {
        let lately_ms = now_ms.saturating_sub(2 * self.config.probe_timeout_ms);
        let heard_lately = |m: &super::Member| m.evidence.produced_ms > lately_ms;
        if self.members.get(&origin).is_some_and(|m| m.state == State::Alive && !heard_lately(m)) {
            self.begin_probe(now_ms, origin);
        }
    }

    /// Forgets whoever is over and listed no more: the gone at once, the dead after a while.
    pub(super) fn forget_dead(&mut self, now_ms: u64) {
        let keep_ms = self.config.dead_keep_ms;
        let is_over = |m: &super::Member| match m.state {
            State::Dead => now_ms >= m.since_ms + keep_ms,
            // Its last packets are still on their way.
            State::Left => now_ms >= m.since_ms + KEEP_LEFT_MS,
            State::Alive | State::Suspect => false,
        };
        let before = self.members.len();
        self.members.retain(|_, member| member.listed || !is_over(member));
        if self.members.len() < before {
            let members = &self.members;
            self.dead.retain(|origin| members.contains_key(origin));
            self.forget_places();
        }
    }
}
