//! From incarnations to members: one per name, and what changed since the last look.

use std::collections::{BTreeMap, BTreeSet};

use tracing::warn;

use super::config::limits;
use super::gossip::Incarnation;
use super::keys;
use super::lives::{Ending, Namesakes, Sighting};
use super::member::{DiscoveryEvent, Member};
use crate::core::causality::Origin;

/// Turns what chitchat knows into members and events.
#[derive(Debug)]
pub(super) struct View {
    own: String,
    own_origin: Origin,
    members: Vec<Member>,
    /// Survives the members: a node that returns after the grace still ends its previous life.
    lives: BTreeMap<String, Namesakes>,
    /// Ends found by the last look and not told yet.
    ended: Vec<DiscoveryEvent>,
    /// Incarnations whose origin we already complained about.
    warned: BTreeSet<(String, u64)>,
}

impl View {
    pub(super) fn new(own: &str, own_origin: Origin) -> Self {
        Self {
            own: own.to_owned(),
            own_origin,
            members: Vec::new(),
            lives: BTreeMap::new(),
            ended: Vec::new(),
            warned: BTreeSet::new(),
        }
    }

    /// The current members, sorted by name.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member behind each name, never one without an origin: the one that lives, as far as it can be told.
    /// `times` are now and one gossip round, in ms.
    pub(super) fn condense(
        &mut self,
        times: (u64, u64),
        incarnations: &[Incarnation],
    ) -> BTreeMap<String, Member> {
        let mut by_name: BTreeMap<&str, (Vec<Sighting>, Vec<Member>)> = BTreeMap::new();
        for incarnation in incarnations {
            let Some(member) = self.member(incarnation) else { continue };
            let (sightings, members) = by_name.entry(&incarnation.node).or_default();
            sightings.push(sighting(incarnation, member.origin));
            members.push(member);
        }
        let mut condensed = BTreeMap::new();
        for (name, (sightings, mut members)) in by_name {
            let chosen = self.look(times, name, &sightings);
            if let Some(chosen) = chosen {
                condensed.insert(name.to_owned(), members.swap_remove(chosen));
            }
        }
        self.forget_lives(&condensed);
        condensed
    }

    /// Makes `members` the view and tells what that means.
    pub(super) fn replace(&mut self, members: BTreeMap<String, Member>) -> Vec<DiscoveryEvent> {
        let mut events = std::mem::take(&mut self.ended);
        let members: Vec<Member> = members.into_values().collect();
        if members != self.members {
            self.members.clone_from(&members);
            events.push(DiscoveryEvent::Changed(members));
        }
        events
    }

    /// Whether this life of a node is known to be over.
    pub(super) fn is_over(&self, node: &str, origin: Origin) -> bool {
        self.lives.get(node).is_some_and(|lives| lives.is_over(origin))
    }

    /// Takes in all sightings of one name; which of them stands for it. Our own end is not an event to ourselves, and
    /// that an earlier life of ours is over is for others to find; but a goodbye is its own word.
    fn look(&mut self, (now_ms, round_ms): (u64, u64), name: &str, sightings: &[Sighting]) -> Option<usize> {
        let is_own = name == self.own;
        let lives = self.lives.entry(name.to_owned()).or_default();
        let mut ended = Vec::new();
        let chosen = lives.look(now_ms, round_ms, sightings, &mut ended);
        ended.retain(|(origin, how)| !is_own || *how == Ending::Left && *origin != self.own_origin);
        let tell = |(origin, _)| DiscoveryEvent::Gone { node: name.to_owned(), origin };
        self.ended.extend(ended.into_iter().map(tell));
        chosen
    }

    fn member(&mut self, incarnation: &Incarnation) -> Option<Member> {
        let origin = self.origin(incarnation)?;
        Some(Member {
            node: incarnation.node.clone(),
            origin,
            generation: incarnation.generation,
            addr: incarnation.addr,
            alive: incarnation.live && !incarnation.left,
            left: incarnation.left,
            metadata: incarnation.metadata.clone(),
            facts: incarnation.facts.clone(),
        })
    }

    fn origin(&mut self, incarnation: &Incarnation) -> Option<Origin> {
        let hex = incarnation.origin_hex.as_deref()?;
        let origin = keys::origin_from_hex(hex);
        if origin.is_none() {
            if self.warned.len() >= limits::REMEMBERED_ORIGINS {
                self.warned.clear();
            }
            if self.warned.insert((incarnation.node.clone(), incarnation.generation)) {
                warn!(
                    node = incarnation.node,
                    generation = incarnation.generation,
                    "peer's origin is not one: ignored"
                );
            }
        }
        origin
    }

    fn forget_lives(&mut self, members: &BTreeMap<String, Member>) {
        let excess = self.lives.len().saturating_sub(limits::REMEMBERED_ORIGINS);
        let absent = self.lives.keys().filter(|node| !members.contains_key(*node));
        let forgotten: Vec<String> = absent.take(excess).cloned().collect();
        for node in forgotten {
            self.lives.remove(&node);
        }
    }
}

fn sighting(incarnation: &Incarnation, origin: Origin) -> Sighting {
    Sighting {
        origin,
        generation: incarnation.generation,
        heartbeat: incarnation.heartbeat,
        live: incarnation.live,
        left: incarnation.left,
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
