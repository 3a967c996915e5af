//! News waiting to ride on packets: infection-style dissemination (SWIM §4.1), each a bounded number of times.

use std::collections::VecDeque;

use super::message::Rumour;
use crate::causality::Origin;
use crate::limits::MAX_RUMOURS;

/// The news of one node, in the order in which they ride next.
#[derive(Default)]
pub(super) struct Rumours {
    waiting: VecDeque<(Rumour, u32)>,
}

impl Rumours {
    /// Lets a rumour ride `times` times, instead of what it makes old.
    pub(super) fn add(&mut self, rumour: Rumour, times: u32) {
        self.waiting.retain(|(held, _)| !makes_old(&rumour, held));
        if self.waiting.len() == MAX_RUMOURS {
            // The one that has waited longest since its last ride is also the one most told.
            self.waiting.pop_back();
        }
        self.waiting.push_front((rumour, times));
    }

    /// Up to `most` rumours for one packet to `to`, who needs none about itself from here. Unless that `counts`, they ride
    /// as often afterwards as if it had not been.
    pub(super) fn take(&mut self, most: usize, to: Origin, counts: bool, out: &mut Vec<Rumour>) {
        for _ in 0..self.waiting.len().min(most) {
            let Some((rumour, left)) = self.waiting.pop_front() else { return };
            if rumour.subject() != to {
                out.push(rumour);
            }
            let left = left - u32::from(counts);
            if left > 0 {
                self.waiting.push_back((rumour, left));
            }
        }
    }

    /// Forgets suspicions of a member: they are refuted, or it is dead.
    pub(super) fn forget_suspicions(&mut self, of: Origin) {
        self.waiting.retain(|(held, _)| !matches!(held, Rumour::Suspect { subject, .. } if *subject == of));
    }
}

/// Whether news makes an older rumour pointless.
fn makes_old(news: &Rumour, held: &Rumour) -> bool {
    if news.subject() != held.subject() {
        return false;
    }
    match (news, held) {
        (Rumour::Left { .. }, _) => true,
        (Rumour::Alive { pulse, .. }, Rumour::Alive { pulse: old, .. }) => {
            (pulse.incarnation, pulse.beat_ms) >= (old.incarnation, old.beat_ms)
        }
        (Rumour::Alive { pulse, .. }, Rumour::Suspect { incarnation, .. }) => {
            pulse.incarnation > *incarnation
        }
        (Rumour::Suspect { accuser, .. }, Rumour::Suspect { accuser: old, .. }) => accuser == old,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::message::Pulse;

    fn suspect(accuser: u128) -> Rumour {
        let (subject, accuser) = (Origin(9), Origin(accuser));
        Rumour::Suspect { subject, incarnation: 1, accuser, began_beat_ms: 0 }
    }

    fn ride(rumours: &mut Rumours, to: u128) -> Vec<Rumour> {
        let mut out = Vec::new();
        rumours.take(16, Origin(to), true, &mut out);
        out
    }

    #[test]
    fn each_rides_so_often_and_never_to_its_subject() {
        let mut rumours = Rumours::default();
        rumours.add(suspect(1), 3);
        assert_eq!(ride(&mut rumours, 2), [suspect(1)]);
        assert_eq!(ride(&mut rumours, 9), []);
        assert_eq!(ride(&mut rumours, 2), [suspect(1)]);
        assert_eq!(ride(&mut rumours, 2), []);
    }

    #[test]
    fn what_rides_to_the_silent_does_not_count() {
        let mut rumours = Rumours::default();
        rumours.add(suspect(1), 2);
        for _ in 0..9 {
            let mut out = Vec::new();
            rumours.take(16, Origin(3), false, &mut out);
            assert_eq!(out, [suspect(1)], "it may live all the same");
        }
        assert_eq!(
            [ride(&mut rumours, 2).len(), ride(&mut rumours, 2).len(), ride(&mut rumours, 2).len()],
            [1, 1, 0]
        );
    }

    #[test]
    fn a_refutation_ends_the_suspicions_it_refutes() {
        let mut rumours = Rumours::default();
        rumours.add(suspect(1), 3);
        rumours.add(suspect(2), 3);
        rumours.add(suspect(2), 3);
        assert_eq!(ride(&mut rumours, 5).len(), 2);
        let alive = Rumour::Alive { subject: Origin(9), pulse: Pulse { incarnation: 2, beat_ms: 7 } };
        rumours.add(alive, 1);
        assert_eq!(ride(&mut rumours, 5), [alive]);
        (0..2 * MAX_RUMOURS as u128).for_each(|n| rumours.add(suspect(n), 1));
        assert_eq!(rumours.waiting.len(), MAX_RUMOURS, "bounded");
    }
}
