//! Who can talk to whom: links between lives, and membership, from a board or directly.
//!
//! A link is what the transport keeps: up while packets pass both ways, noticed as down after a silence. With a
//! board, two processes link once one of them knows the other from it; without, whoever can be reached is linked.

use std::collections::BTreeSet;

use sessionmesh::core::causality::Origin;
use sessionmesh::core::membership::Listed;
use sessionmesh::core::node::Input;
use sessionmesh::core::wall::Trust;

use super::seen::{Seen, Watch};
use super::{Event, SimNode, World};
use crate::board::{BoardMember, BoardOut, Packet};

/// How long a cut link lasts before both ends notice (ms): `link_timeout_ms` of the product.
pub const LINK_TIMEOUT_MS: u64 = 3_000;
/// A closed or failed link is dialled again after this (ms).
pub(super) const REDIAL_MS: u64 = 1_000;

impl World {
    pub(super) fn close_link(&mut self, at: usize, peer: Origin, why: String) {
        if let Some(node) = self.nodes[at].as_mut()
            && node.warnings.len() < 1_000
        {
            node.warnings.push(format!("closed the link: {why}"));
        }
        self.see(Seen::Closed { at, peer, why });
        let other = self.at_origin(peer);
        self.drop_link(at, peer);
        if let Some(other) = other {
            let origin = self.origin(at);
            if self.board.is_some() {
                self.tell_closed(other, origin);
            } else {
                self.drop_link(other, origin);
            }
            self.schedule(REDIAL_MS, Event::LinkCheck(at, other));
        }
    }

    /// Tells the other end of a link that it is closed. It hears so when it can: a frozen process does not, and a slow one
    /// may have dialled again by then.
    pub(super) fn tell_closed(&mut self, to: usize, peer: Origin) {
        if let Some(&connection) = self.connections.get(&(to, peer)) {
            self.schedule(1, Event::Closed { to, peer, connection });
        }
    }

    /// An end hears that a connection was closed. One that has made another since has nothing to close.
    pub(super) fn hears_closed(&mut self, to: usize, peer: Origin, connection: u64) {
        if self.connections.get(&(to, peer)) == Some(&connection) {
            self.drop_link(to, peer);
        }
    }

    pub(super) fn drop_link(&mut self, at: usize, peer: Origin) {
        let Some(node) = self.nodes[at].as_mut() else { return };
        if node.links.remove(&peer) {
            self.connections.remove(&(at, peer));
            node.adopted.retain(|(holder, _), _| *holder != peer);
            self.see(Seen::Link { at, peer, up: false });
            self.input(at, Input::LinkDown { peer });
            self.end_superseded(at);
        }
    }

    /// Whether packets pass both ways between two processes that can take them.
    pub(super) fn reachable(&self, a: usize, b: usize) -> bool {
        // Without a board nothing times out: tests of the data plane say themselves what is linked.
        let still = |n: &SimNode| self.board.is_some() && n.frozen_until_ms > self.time_ms;
        let awake =
            |at: usize| self.nodes[at].as_ref().is_some_and(|n| n.suspended_since_ms.is_none() && !still(n));
        a != b && awake(a) && awake(b) && !self.net.cuts.contains(&(a, b)) && !self.net.cuts.contains(&(b, a))
    }

    /// Whether one of two processes would dial the other.
    fn acquainted(&self, a: usize, b: usize) -> bool {
        if self.board.is_none() {
            return true;
        }
        let knows = |x: usize, y: usize| {
            self.nodes[x].as_ref().is_some_and(|n| n.members.iter().any(|m| m.at == y && !m.left))
                || self.hosts[x].seeds.contains(&y)
        };
        knows(a, b) || knows(b, a)
    }

    /// As the transport's handshake: a peer whose clock is too far off is not linked. Without a board there is no
    /// handshake, so that tests reach the core's own checks.
    fn clocks_agree(&mut self, a: usize, b: usize) -> bool {
        if self.board.is_none() {
            return true;
        }
        let (of_a, of_b) = (self.presented(a), self.presented(b));
        self.hello(a, b, of_b);
        self.hello(b, a, of_a);
        of_a.0.abs_diff(of_b.0) <= self.limits.max_drift_ms
    }

    /// The time a node tells in a handshake, and whether it believes its own wall clock.
    fn presented(&self, at: usize) -> (u64, bool) {
        let machine = self.machine(at);
        self.nodes[at].as_ref().map_or((machine.wall_ms, true), |n| {
            let wall = n.replica.wall();
            (wall.presented_ms(machine), wall.trust() == Trust::Followed)
        })
    }

    /// As the driver: a handshake tells the node the other's time if they do not fit, or if it wants to know.
    fn hello(&mut self, at: usize, other: usize, (wall_ms, sound): (u64, bool)) {
        if self.nodes[at].is_none() {
            return;
        }
        let (own_ms, own_sound) = self.presented(at);
        if !self.has_link(at, other) && (!own_sound || own_ms.abs_diff(wall_ms) > self.limits.max_drift_ms) {
            let peer = self.origin(other);
            self.input(at, Input::Clock { peer, wall_ms, sound });
        }
    }

    /// As the transport's handshake: a life that was declared over at the other end is refused, and hears so.
    fn both_go_on(&mut self, a: usize, b: usize) -> bool {
        let mut fine = true;
        for (x, y) in [(a, b), (b, a)] {
            let (life, by) = (self.origin(y), self.origin(x));
            let over = self.nodes[x].as_ref().is_some_and(|n| n.node.is_forgotten(life));
            let leaving = self.nodes[y].as_ref().is_some_and(|n| n.leaving_since_ms.is_some());
            if over && !leaving {
                fine = false;
                self.input(y, Input::CalledGone { by });
                self.schedule(REDIAL_MS, Event::LinkCheck(a, b));
            }
        }
        fine
    }

    pub(super) fn reconnect(&mut self, at: usize) {
        for other in 0..self.nodes.len() {
            if other != at {
                self.link_check(at, other);
            }
        }
    }

    /// Brings the link between two processes in line with what the network allows.
    pub(super) fn link_check(&mut self, a: usize, b: usize) {
        for (x, y) in [(a, b), (b, a)] {
            let Some(node) = &self.nodes[x] else { continue };
            let frozen = self.board.is_some() && node.frozen_until_ms > self.time_ms;
            if node.suspended_since_ms.is_some() || frozen {
                continue;
            }
            let stale: Vec<Origin> =
                node.links.iter().copied().filter(|o| self.at_origin(*o).is_none()).collect();
            stale.into_iter().for_each(|peer| self.drop_link(x, peer));
            let origin = self.origin(y);
            if !self.reachable(x, y) {
                self.drop_link(x, origin);
            } else if self.acquainted(x, y) {
                let up = self.has_link(x, y);
                if !self.clocks_agree(x, y) {
                    self.tell_refused(x, y);
                } else if !up && self.both_go_on(x, y) {
                    self.connect(x, y);
                }
            }
            if self.board.is_none() {
                self.tell_reachable(x);
            }
        }
    }

    /// As the driver: whoever dials a seed in vain is told why; whoever dials, dials again.
    fn tell_refused(&mut self, x: usize, y: usize) {
        // One redial at a time, however many reasons there are to look at the link.
        let is_under_way = self.redials_ms.get(&(x, y)).is_some_and(|due_ms| *due_ms > self.time_ms);
        if self.hosts[x].seeds.contains(&y) && !is_under_way {
            self.redials_ms.insert((x, y), self.time_ms + REDIAL_MS);
            let why = format!("n{y}: its clock is too far off");
            self.input(x, Input::Refused { why: &why });
        }
        if self.refused.insert((x, y)) {
            self.schedule(REDIAL_MS, Event::LinkCheck(x, y));
        }
    }

    /// A new connection, in the place of what the other end may still hold of the old one.
    fn connect(&mut self, x: usize, y: usize) {
        let (of_x, of_y) = (self.origin(x), self.origin(y));
        self.drop_link(y, of_x);
        self.raise_link(x, y, of_y);
        self.raise_link(y, x, of_x);
    }

    /// Whether a process holds a link to the present life of another.
    pub(super) fn has_link(&self, at: usize, other: usize) -> bool {
        let origin = self.origin(other);
        self.nodes[at].as_ref().is_some_and(|n| n.links.contains(&origin))
    }

    fn raise_link(&mut self, x: usize, y: usize, origin: Origin) {
        let version = self.version(x).min(self.version(y));
        if self.nodes[x].as_mut().is_some_and(|n| n.links.insert(origin)) {
            self.next_connection += 1;
            self.connections.insert((x, origin), self.next_connection);
            self.see(Seen::Link { at: x, peer: origin, up: true });
            self.input(x, Input::LinkUp { peer: origin, version });
            self.end_superseded(x);
        }
    }

    /// As the driver: a missing life whose name another one gave itself when it was linked was replaced while nobody
    /// here saw it.
    fn end_superseded(&mut self, at: usize) {
        let Some(node) = self.nodes[at].as_ref().filter(|_| self.board.is_some()) else { return };
        let name = |life: &Origin| self.places.get(life).map(|place| &self.hosts[*place].name);
        let linked: BTreeSet<&String> = node.links().filter_map(|life| name(&life)).collect();
        let replaced = node.node.missing().filter(|life| name(life).is_some_and(|n| linked.contains(n)));
        for life in replaced.collect::<Vec<Origin>>() {
            self.see(Seen::Gone { at, life });
            self.input(at, Input::Gone(life));
        }
    }

    fn version(&self, at: usize) -> u16 {
        self.nodes[at].as_ref().map_or(self.hosts[at].version, |n| n.version)
    }

    /// Without a board, members are the processes that can be reached.
    fn tell_reachable(&mut self, at: usize) {
        let alive: Vec<usize> = (0..self.nodes.len()).filter(|&o| self.reachable(at, o)).collect();
        let list = |&o: &usize| Listed { origin: self.origin(o), alive: true, left: false };
        let listed: Vec<Listed> = alive.iter().map(list).collect();
        self.see(Seen::Members { at, alive });
        self.input(at, Input::Board(&listed));
    }

    /// Carries out what the board wants, and schedules its next timer.
    pub(super) fn pump_board(&mut self) {
        while let Some(out) = self.board.as_mut().and_then(|b| b.poll()) {
            match out {
                BoardOut::Send { from, to, bytes, packet } => self.gossip(from, to, bytes, packet),
                BoardOut::Members { at, members } => self.board_members(at, members),
                BoardOut::Gone { at, origin } => {
                    self.see(Seen::Gone { at, life: origin });
                    self.input(at, Input::Gone(origin));
                }
                // As the driver: the older of two processes of one name stops, and says so.
                BoardOut::Clone { at } => {
                    self.fault(format!("{} meets a clone and stops", self.hosts[at].name), vec![at]);
                    self.end(at, false);
                }
            }
        }
        let next = self.board.as_ref().and_then(|b| b.next_wake_ms());
        if let Some(next) = next.map(|at| at.max(self.time_ms + 1))
            && (self.board_wake_ms <= self.time_ms || next < self.board_wake_ms)
        {
            self.board_wake_ms = next;
            self.queue.push(next, Event::BoardWake(next));
        }
    }

    pub(super) fn board_wakes(&mut self, at_ms: u64) {
        if at_ms != self.board_wake_ms {
            return;
        }
        if let Some(board) = &mut self.board {
            board.wake(self.time_ms);
        }
        self.pump_board();
    }

    fn gossip(&mut self, from: usize, to: usize, bytes: usize, packet: Packet) {
        self.gossiped.0 += bytes as u64;
        self.gossiped.1 += 1;
        if self.nodes[from].is_none() {
            return;
        }
        let carried = self.net.carry(self.time_ms, from, to, bytes, true);
        self.next_message += 1;
        let (id, time_ms) = (self.next_message, self.time_ms);
        if self.watch == Watch::All {
            let arrive = carried.copies().iter().map(|c| time_ms + c.0).collect();
            self.sent_message(id, (from, to), (0, bytes), arrive, carried.fate);
        }
        for &(delay, damage) in carried.copies() {
            let packet = match (&packet, damage) {
                (Packet::Bytes(whole), Some(damage)) => {
                    let mut bytes = whole.to_vec();
                    damage.apply(&mut bytes);
                    Packet::Bytes(bytes.into())
                }
                // The transport authenticates: what is damaged never reaches the board.
                (Packet::Model(_), Some(_)) => continue,
                (packet, None) => packet.clone(),
            };
            self.schedule(delay, Event::Gossip { from, to, id, packet });
        }
    }

    pub(super) fn gossip_arrives(&mut self, from: usize, to: usize, packet: Packet) {
        if self.nodes[to].is_none() {
            return;
        }
        self.hash.absorb([self.time_ms, (to as u64) << 16 | from as u64, 8, 0]);
        if let Some(board) = &mut self.board {
            board.deliver(self.time_ms, from, to, packet);
        }
        self.pump_board();
    }

    fn board_members(&mut self, at: usize, members: Vec<BoardMember>) {
        let Some(node) = self.nodes[at].as_mut() else { return };
        let own = node.node.origin();
        let list = |m: &BoardMember| Listed { origin: m.origin, alive: m.alive, left: m.left };
        let listed: Vec<Listed> = members.iter().map(list).collect();
        let known: Vec<usize> = members.iter().map(|m| m.at).filter(|&o| o != at).collect();
        let said = |m: &BoardMember, fact: &(String, String)| {
            node.members.iter().any(|old| old.origin == m.origin && old.facts.contains(fact))
        };
        let others = members.iter().filter(|m| m.origin != own);
        let news: Vec<(Origin, String, String)> = others
            .flat_map(|m| {
                m.facts.iter().filter(|f| !said(m, f)).map(|f| (m.origin, f.0.clone(), f.1.clone()))
            })
            .collect();
        node.members = members;
        self.input(at, Input::Board(&listed));
        for (of, key, value) in news {
            self.input(at, Input::Fact { of, key: &key, value: &value });
        }
        if self.membership.is_none() {
            let live = self.nodes[at].as_ref().map_or(&[][..], |n| &n.members);
            let live = live.iter().filter(|m| m.alive && m.origin != own);
            let mut alive: Vec<usize> = live.map(|m| m.at).collect();
            alive.sort_unstable();
            self.see(Seen::Members { at, alive });
        }
        for other in known {
            self.link_check(at, other);
        }
    }
}
