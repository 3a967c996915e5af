//! From incarnations to members: one per name, and what changed since the last look.

use std::collections::{BTreeMap, BTreeSet};

use tracing::warn;

use super::config::limits;
use super::gossip::Incarnation;
use super::keys;
use super::member::{DiscoveryEvent, Member};
use crate::core::causality::Origin;

/// The last life seen under one name.
#[derive(Debug, Clone, Copy)]
struct Life {
    origin: Origin,
    generation: u64,
    /// `Gone` was said about it.
    gone: bool,
}

/// Turns what chitchat knows into members and events.
#[derive(Debug, Default)]
pub(super) struct View {
    own: String,
    members: Vec<Member>,
    /// Survives the members: a node that returns after the grace still ends its previous life.
    lives: BTreeMap<String, Life>,
    /// Incarnations whose origin we already complained about.
    warned: BTreeSet<(String, u64)>,
}

impl View {
    pub(super) fn new(own: &str) -> Self {
        Self { own: own.to_owned(), ..Self::default() }
    }

    /// The current members, sorted by name.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member behind each name: the newest live generation, else the newest; never one without an origin.
    pub(super) fn condense(&mut self, incarnations: &[Incarnation]) -> BTreeMap<String, Member> {
        let mut chosen: BTreeMap<&str, ((bool, u64), Member)> = BTreeMap::new();
        for incarnation in incarnations {
            let Some(member) = self.member(incarnation) else { continue };
            let rank = (incarnation.live, incarnation.generation);
            if chosen.get(incarnation.node.as_str()).is_none_or(|(best, _)| rank > *best) {
                chosen.insert(&incarnation.node, (rank, member));
            }
        }
        chosen.into_values().map(|(_, member)| (member.node.clone(), member)).collect()
    }

    /// Makes `members` the view and tells what that means.
    pub(super) fn replace(&mut self, members: BTreeMap<String, Member>) -> Vec<DiscoveryEvent> {
        let mut events: Vec<_> = members.values().filter_map(|member| self.ended_life(member)).collect();
        self.forget_lives(&members);
        let members: Vec<Member> = members.into_values().collect();
        if members != self.members {
            self.members.clone_from(&members);
            events.push(DiscoveryEvent::Changed(members));
        }
        events
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

    /// The life that ended by what this member now is, if it is news. Our own end is not an event to ourselves.
    fn ended_life(&mut self, member: &Member) -> Option<DiscoveryEvent> {
        let now = Life { origin: member.origin, generation: member.generation, gone: member.left };
        let before = match self.lives.get(&member.node) {
            // An older generation stands in for a newer one that fell silent: that ends nothing.
            Some(before) if before.generation > now.generation => return None,
            // Nor does a newer one that was never seen alive: with a clock set back in between, it is the earlier
            // life, and the one it would end only out of reach.
            Some(before) if before.origin != now.origin && !member.alive => return None,
            before => before.copied(),
        };
        self.lives.insert(member.node.clone(), now);
        let ended = match before {
            Some(before) if before.origin != now.origin => (!before.gone).then_some(before.origin),
            Some(before) if before.gone => None,
            _ => now.gone.then_some(now.origin),
        };
        let origin = ended.filter(|_| member.node != self.own)?;
        Some(DiscoveryEvent::Gone { node: member.node.clone(), origin })
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

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
