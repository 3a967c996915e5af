//! What the failure detectors of the processes send, hear and decide.

use std::collections::BTreeMap;

use sessionmesh::core::causality::Origin;
use sessionmesh::core::frame::kind_byte;
use sessionmesh::core::membership::{Change, State};
use sessionmesh::core::node::Input;

use super::links::REDIAL_MS;
use super::seen::{Seen, Watch};
use super::{Event, World};

/// What a process's detector really sent and heard, kept apart from what it believes: invariants compare the two.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    /// When it last sent each peer something a detector made (virtual ms).
    pub asked_ms: BTreeMap<Origin, u64>,
    /// When what last arrived from each peer was sent (virtual ms).
    pub heard_ms: BTreeMap<Origin, u64>,
}

impl World {
    /// A packet that may be lost leaves, if there is a link.
    pub(super) fn throw(&mut self, from: usize, peer: Origin, bytes: Vec<u8>) {
        let time_ms = self.time_ms;
        let Some(node) = self.nodes[from].as_mut() else { return };
        node.witness.asked_ms.insert(peer, time_ms);
        let Some(to) = self.at_origin(peer) else { return };
        if !self.nodes[from].as_ref().is_some_and(|n| n.links.contains(&peer)) {
            return;
        }
        self.probed.0 += bytes.len() as u64;
        self.probed.1 += 1;
        let carried = self.net.carry(time_ms, from, to, bytes.len(), true);
        self.next_message += 1;
        let id = self.next_message;
        if self.watch == Watch::All {
            let arrive = carried.copies().iter().map(|c| time_ms + c.0).collect();
            let kind = kind_byte(&bytes);
            self.sent_message(id, (from, to), (kind, bytes.len()), arrive, carried.fate);
        }
        let (from_origin, unsealed) = (self.origin(from), self.net.faults_of(from, to).unsealed);
        for &(delay, damage) in carried.copies() {
            let mut bytes = bytes.clone();
            if let Some(damage) = damage {
                damage.apply(&mut bytes);
                if !unsealed {
                    // The link would drop it unread; all the same its decoder must stand it.
                    let sound = sessionmesh::core::membership::message::decode(&bytes).is_ok();
                    self.hash.absorb([time_ms, 12, sound.into(), 0]);
                    continue;
                }
            }
            let packet = Event::Datagram { from_origin, to, to_origin: peer, id, sent_ms: time_ms, bytes };
            self.schedule(delay, packet);
        }
    }

    /// A packet arrives.
    pub(super) fn caught(
        &mut self,
        peer: Origin,
        (to, to_origin): (usize, Origin),
        id: u64,
        sent_ms: u64,
        bytes: &[u8],
    ) {
        let known = self.nodes[to].as_ref().is_some_and(|n| n.links.contains(&peer));
        if known && self.origin(to) == to_origin {
            self.cause = id;
            self.witness(to, peer, sent_ms);
            self.input(to, Input::Datagram { peer, bytes });
        }
    }

    /// Something that `peer` sent then has arrived.
    pub(super) fn witness(&mut self, at: usize, peer: Origin, sent_ms: u64) {
        if let Some(node) = self.nodes[at].as_mut() {
            let heard = node.witness.heard_ms.entry(peer).or_insert(0);
            *heard = (*heard).max(sent_ms);
        }
    }

    /// A detector's verdict: as the driver, which closes the link of whoever died.
    pub(super) fn judged(&mut self, at: usize, change: Change) {
        let Some(about) = self.places.get(&change.member).copied() else { return };
        self.hash.absorb([self.time_ms, (at as u64) << 16 | about as u64, 13, change.state as u64]);
        self.see(Seen::Judged { at, about, change });
        self.tell_view(at);
        if change.state != State::Dead {
            return;
        }
        let origin = self.origin(at);
        self.drop_link(at, change.member);
        if self.at_origin(change.member) == Some(about) && !self.net.cuts.contains(&(at, about)) {
            self.tell_closed(about, origin);
        }
        self.schedule(REDIAL_MS, Event::LinkCheck(at, about));
    }

    /// The members as a process sees them.
    fn tell_view(&mut self, at: usize) {
        let Some(detector) = self.nodes[at].as_ref().and_then(|n| n.node.detector()) else { return };
        let living = detector.members().iter().filter(|(_, m)| m.state.is_living());
        let mut alive: Vec<usize> = living.filter_map(|(o, _)| self.places.get(o).copied()).collect();
        alive.sort_unstable();
        alive.dedup();
        self.see(Seen::Members { at, alive });
    }
}
