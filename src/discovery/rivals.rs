//! Is somebody else running under our name?

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::gossip::Incarnation;
use super::keys;
use super::member::DiscoveryEvent;

/// How long a rival's heartbeat must go on rising before we believe in it, in gossip rounds.
///
/// After a restart with the clock set back, our own past is a "newer generation" too, and peers that lag
/// behind each other make its heartbeat seem to rise until all have its last value: two or three rounds.
const PROOF_ROUNDS: u32 = 5;

#[derive(Debug)]
struct Suspect {
    first_seen: Instant,
    heartbeat: u64,
    told: bool,
}

/// Watches newer generations of our own name.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    suspects: BTreeMap<u64, Suspect>,
}

impl Rivals {
    /// Looks for a live incarnation of `own_node` newer than `own_generation`, and tells of each once.
    ///
    /// The rival's origin may even be ours: a process image restored twice.
    pub(super) fn look(
        &mut self,
        incarnations: &[Incarnation],
        own_node: &str,
        own_generation: u64,
        interval: Duration,
        now: Instant,
    ) -> Vec<DiscoveryEvent> {
        let is_rival =
            |i: &&Incarnation| i.node == own_node && i.generation > own_generation && i.live && !i.left;
        let rivals: Vec<_> = incarnations.iter().filter(is_rival).collect();
        self.suspects.retain(|generation, _| rivals.iter().any(|rival| rival.generation == *generation));
        rivals.into_iter().filter_map(|rival| self.judge(rival, interval * PROOF_ROUNDS, now)).collect()
    }

    fn judge(&mut self, rival: &Incarnation, proof: Duration, now: Instant) -> Option<DiscoveryEvent> {
        let origin = rival.origin_hex.as_deref().and_then(keys::origin_from_hex)?;
        let fresh = Suspect { first_seen: now, heartbeat: rival.heartbeat, told: false };
        let suspect = self.suspects.entry(rival.generation).or_insert(fresh);
        let still_rising = rival.heartbeat > suspect.heartbeat;
        suspect.heartbeat = rival.heartbeat;
        if suspect.told || !still_rising || now < suspect.first_seen + proof {
            return None;
        }
        suspect.told = true;
        Some(DiscoveryEvent::Clone { node: rival.node.clone(), origin, generation: rival.generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::causality::Origin;

    const INTERVAL: Duration = Duration::from_secs(1);

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
        let (mut rivals, start) = (Rivals::default(), Instant::now());
        let mut told = Vec::new();
        for second in 0..20 {
            let now = start + INTERVAL * second;
            let seen = [rival(9, u64::from(second) + 1)];
            told.extend(rivals.look(&seen, "me", 5, INTERVAL, now).into_iter().map(|event| (second, event)));
        }
        let clone = DiscoveryEvent::Clone { node: "me".into(), origin: Origin(7), generation: 9 };
        assert_eq!(told, [(PROOF_ROUNDS, clone)]);
    }

    #[test]
    fn our_own_past_is_not_a_rival() {
        let (mut rivals, start) = (Rivals::default(), Instant::now());
        for second in 0..20u32 {
            // Peers lag behind each other for three rounds; then the dead heart stands still.
            let echo = [rival(9, 100 + u64::from(second.min(3))), rival(4, u64::from(second))];
            assert_eq!(rivals.look(&echo, "me", 5, INTERVAL, start + INTERVAL * second), []);
        }
    }
}
