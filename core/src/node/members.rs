//! Who is a member: the detector's inputs and outputs, and what its verdicts mean for replication.
//!
//! Members are whoever the detector believes alive or suspect. Suspects are asked last. A peer that came back is asked
//! for a round at once, and gets what it missed; the driver closes the link of one that died, which ends its rounds and
//! questions as any lost link does. Without a detector (tests of the data plane) the board's word is taken.

use std::collections::BTreeSet;

use rand::RngExt;

use super::{Class, Gravity, Node, Output};
use crate::causality::Origin;
use crate::membership::{self, Change, Detector, Listed, State};
use crate::time::Now;

impl Node {
    /// Starts the detector of a life; the board's list is fed to it again.
    pub(super) fn start_detector(&mut self, now: Now) {
        let Some(config) = self.membership.clone() else { return };
        let mut detector = Detector::new(self.origin, config, self.rng.random(), now.mono_ms);
        if let Some(past) = &self.detector {
            detector.count_on(past);
        }
        // Nothing is wrong with a list.
        let _ = detector.handle(now.mono_ms, membership::Input::Board(&self.listed));
        self.detector = Some(detector);
        self.pump_detector(now);
    }

    /// Gives the detector an input and carries out what it wants.
    pub(super) fn detect(&mut self, now: Now, input: membership::Input<'_>) {
        let Some(detector) = &mut self.detector else { return };
        if let Err(why) = detector.handle(now.mono_ms, input) {
            self.stats.refused += 1;
            let from = if let membership::Input::Packet { from, .. } = input { from } else { self.origin };
            self.warn_of(now, from, "a packet", format!("membership: ignored a packet: {why}"));
            self.fault(from, Gravity::Strange, format!("membership: {why}"));
        }
        self.pump_detector(now);
    }

    fn pump_detector(&mut self, now: Now) {
        while let Some(output) = self.detector.as_mut().and_then(Detector::poll) {
            match output {
                membership::Output::Send { to, reliable: false, bytes } => {
                    self.outputs.push_back(Output::Datagram { peer: to, packet: bytes });
                }
                membership::Output::Send { to, reliable: true, bytes } => {
                    if self.peers.contains_key(&to) {
                        self.send(to, Class::Control, bytes);
                    }
                }
                membership::Output::Changed(change) => self.member_changed(now, change),
                membership::Output::Publish { key, value } => {
                    self.outputs.push_back(Output::Publish { key, value });
                }
            }
        }
    }

    fn member_changed(&mut self, now: Now, change: Change) {
        let member = change.member;
        let known = if change.state.is_living() {
            self.enter_member(member);
            self.members.insert(member)
        } else {
            self.members.remove(&member);
            if change.state == State::Left {
                self.phase.sources.over(member);
            }
            false
        };
        if known && let Some(peer) = self.peers.get_mut(&member) {
            // Back from the dead with its link still up: what was on its way is lost.
            peer.out = None;
            peer.not_before_ms = now.mono_ms;
            self.want_round(member);
            self.pump_push(now, member);
        }
        self.outputs.push_back(Output::Member(change));
    }

    /// Counts a member for stability before its link is up: the end of an earlier life may be heard of first, and
    /// stability must not be vacuous about the memory that goes on (docs/ALGORITHM.md §6).
    fn enter_member(&mut self, member: Origin) {
        if self.absent.is_nobody(member) {
            return;
        }
        if !mutant!(LinkedPeerNotEntered) {
            self.inc.entry(member).or_insert(0);
        }
    }

    /// The board's list has changed.
    pub(super) fn board(&mut self, now: Now, listed: &[Listed]) {
        let here = listed.iter().any(|l| l.origin == self.origin);
        self.absent.on_board = (self.absent.on_board.0 || here, here);
        let own = |l: &Listed| l.origin == self.origin || self.past.contains(&l.origin);
        self.listed = listed.iter().copied().filter(|l| !own(l)).collect();
        if self.detector.is_some() {
            let listed = std::mem::take(&mut self.listed);
            self.detect(now, membership::Input::Board(&listed));
            self.listed = listed;
            return;
        }
        let alive = self.listed.iter().filter(|l| l.alive && !l.left).map(|l| l.origin);
        let alive: BTreeSet<Origin> = alive.collect();
        alive.iter().for_each(|&member| self.enter_member(member));
        self.members = alive;
    }

    /// Whether a peer is a good source now: neither suspected nor flapping.
    pub(super) fn is_sound(&mut self, now: Now, peer: Origin) -> bool {
        let Some(detector) = &mut self.detector else { return true };
        let suspect = detector.members().get(&peer).is_some_and(|m| m.state != State::Alive);
        !suspect && !detector.is_flapping(now.mono_ms, peer)
    }

    /// The failure detector, if there is one: its roster says what this node believes of each member.
    pub fn detector(&self) -> Option<&Detector> {
        self.detector.as_ref()
    }
}
