//! Is somebody else running under our name?

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::gossip::Incarnation;
use super::keys;
use super::lives::Pulse;
use super::member::DiscoveryEvent;
use crate::core::causality::Origin;
use crate::limits::MAX_NAMESAKES;

#[derive(Debug)]
struct Suspect {
    pulse: Pulse,
    told: bool,
}

/// Watches newer incarnations of our own name.
///
/// After a restart with the clock set back, our own past is a "newer generation" too: see [`super::lives`] for what
/// tells a living one from an echo. Of two that live, the generation decides who stays: not because it is true, but
/// because both sides read the same.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    suspects: BTreeMap<(u64, Origin), Suspect>,
    /// Addresses of namesakes told.
    told: BTreeSet<SocketAddr>,
}

impl Rivals {
    /// Addresses, each once, at which another life of our name is listed that has said no goodbye.
    pub(super) fn namesakes(
        &mut self,
        incarnations: &[Incarnation],
        own_node: &str,
        (own_origin, own_addr): (Origin, SocketAddr),
    ) -> Vec<DiscoveryEvent> {
        let others = incarnations.iter().filter(|i| i.node == own_node && i.addr != own_addr && !i.left);
        let origin = |i: &Incarnation| i.origin_hex.as_deref().and_then(keys::origin_from_hex);
        let lives = others.filter(|i| origin(i).is_some_and(|origin| origin != own_origin));
        let news = lives.filter(|i| self.told.len() < MAX_NAMESAKES && self.told.insert(i.addr));
        news.map(|i| DiscoveryEvent::Namesake { addr: i.addr }).collect()
    }

    /// Looks for a live incarnation of our name that is greater than `own`, by generation, then origin, and tells of
    /// each once. A generation beyond `latest`, which no clock can have made yet, is nobody's. To one who has served a
    /// newcomer is no rival: it is the newcomer that goes, as soon as the two meet.
    pub(super) fn look(
        &mut self,
        incarnations: &[Incarnation],
        own_node: &str,
        (own, served): ((u64, Origin), bool),
        latest: u64,
        (now_ms, round_ms): (u64, u64),
    ) -> Vec<DiscoveryEvent> {
        let namesakes = incarnations.iter().filter(|i| i.node == own_node && i.live && !i.left);
        let namesakes = namesakes.filter(|i| !served || i.facts.contains_key(keys::SERVED));
        let with_origin =
            namesakes.filter_map(|i| Some((i, i.origin_hex.as_deref().and_then(keys::origin_from_hex)?)));
        let rivals: BTreeMap<_, _> = with_origin
            .map(|(i, origin)| ((i.generation, origin), i.heartbeat))
            .filter(|(id, _)| *id > own && id.0 <= latest)
            .collect();
        self.suspects.retain(|id, _| rivals.contains_key(id));
        let told =
            rivals.into_iter().filter(|(id, heartbeat)| self.is_news(*id, *heartbeat, now_ms, round_ms));
        told.map(|((generation, origin), _)| DiscoveryEvent::Clone {
            node: own_node.to_owned(),
            origin,
            generation,
        })
        .collect()
    }

    fn is_news(&mut self, id: (u64, Origin), heartbeat: u64, now_ms: u64, round_ms: u64) -> bool {
        let value = (id.0, heartbeat);
        let fresh = || Suspect { pulse: Pulse::new(now_ms, value), told: false };
        let suspect = self.suspects.entry(id).or_insert_with(fresh);
        suspect.pulse.hear(now_ms, round_ms, value);
        let is_proven = suspect.pulse.is_proven(now_ms, round_ms);
        is_proven && !std::mem::replace(&mut suspect.told, is_proven)
    }
}

#[cfg(test)]
mod tests {
    use super::super::lives::PROOF_ROUNDS;
    use super::*;

    const ROUND_MS: u64 = 1_000;
    const OWN: ((u64, Origin), bool) = ((5, Origin(5)), false);

    fn rival(generation: u64, heartbeat: u64) -> Incarnation {
        Incarnation {
            node: "me".into(),
            generation,
            addr: "10.0.0.1:1".parse().unwrap(),
            live: true,
            heartbeat,
            origin_hex: Some(keys::origin_to_hex(Origin(7))),
            left: false,
            metadata: BTreeMap::new(),
            facts: BTreeMap::new(),
        }
    }

    #[test]
    fn a_newer_generation_whose_heart_goes_on_beating_is_told_once() {
        let (mut rivals, mut told) = (Rivals::default(), Vec::new());
        for second in 0..20 {
            let seen = [rival(9, second + 1)];
            let news = rivals.look(&seen, "me", OWN, u64::MAX, (second * ROUND_MS, ROUND_MS));
            told.extend(news.into_iter().map(|event| (second, event)));
        }
        let clone = DiscoveryEvent::Clone { node: "me".into(), origin: Origin(7), generation: 9 };
        assert_eq!(told, [(PROOF_ROUNDS as u64, clone)]);
    }

    #[test]
    fn our_own_past_is_not_a_rival() {
        let mut rivals = Rivals::default();
        for second in 0..40 {
            // Peers lag behind each other for three rounds; then the dead heart stands still, but for one more echo
            // from the far side of a cut.
            let echo = [rival(9, 100 + second.min(3) + u64::from(second > 6)), rival(4, second)];
            assert_eq!(rivals.look(&echo, "me", OWN, u64::MAX, (second * ROUND_MS, ROUND_MS)), []);
        }
    }

    #[test]
    fn of_equal_generations_the_greater_origin_is_the_rival() {
        let told = |own: u128| {
            let own = ((5, Origin(own)), false);
            let mut rivals = Rivals::default();
            let look = |second| {
                rivals.look(&[rival(5, second)], "me", own, u64::MAX, (second * ROUND_MS, ROUND_MS)).len()
            };
            (0..20).map(look).sum::<usize>()
        };
        assert_eq!((told(5), told(9)), (1, 0));
    }

    #[test]
    fn a_newcomer_is_no_rival_of_one_who_served() {
        for (ours, theirs, expected) in
            [(true, false, 0), (true, true, 1), (false, true, 1), (false, false, 1)]
        {
            let mut rivals = Rivals::default();
            let look = |second| {
                let mut rival = rival(9, second);
                rival.facts.extend(theirs.then(|| (keys::SERVED.to_owned(), "1".to_owned())));
                rivals
                    .look(&[rival], "me", ((5, Origin(5)), ours), u64::MAX, (second * ROUND_MS, ROUND_MS))
                    .len()
            };
            assert_eq!((0..20).map(look).sum::<usize>(), expected, "{ours} {theirs}");
        }
    }

    /// A made-up one under our name, from the end of time, whose heart its maker lets beat.
    #[test]
    fn a_generation_that_no_clock_has_made_yet_is_no_rival() {
        let told = |generation: u64| {
            let mut rivals = Rivals::default();
            let look = |second| {
                let seen = [rival(generation, second)];
                rivals.look(&seen, "me", OWN, 1_000, (second * ROUND_MS, ROUND_MS)).len()
            };
            (0..20).map(look).sum::<usize>()
        };
        assert_eq!((told(1_000), told(1_001), told(u64::MAX)), (1, 0, 0));
    }
}
