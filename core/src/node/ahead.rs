//! Joining a mesh whose clocks were ahead together and have been set right.
//!
//! What was written meanwhile is stamped in the future. Members that were ahead go on with it; whoever was not refuses
//! it until its time has come (docs/ALGORITHM.md §7), so that one wrong clock moves nobody. A joiner was not ahead
//! either. If every member it could learn from holds such writes, refusing them protects nobody: it would only stay out
//! for as long as the clocks were ahead, and a mesh restarted node by node would lose its sessions. So it takes what
//! they all hold. One that has nothing from there, or has not been asked yet, is enough to go by the bound.

use super::Node;
use crate::limits::MAX_AHEAD_MS;
use crate::replica::Serving;
use crate::time::Now;

impl Node {
    /// How far ahead of this clock a stamp may be that is taken in (ms).
    pub(super) fn stamps_within_ms(&self, now: Now) -> u64 {
        if self.all_are_ahead(now) { MAX_AHEAD_MS } else { self.limits.max_drift_ms }
    }

    /// Whether this node joins, and whoever it could learn from holds what is from too far ahead.
    fn all_are_ahead(&self, now: Now) -> bool {
        let phase = &self.phase;
        if phase.serving != Serving::Joining || phase.ahead.is_empty() || mutant!(JoinerRefusesTheFuture) {
            return false;
        }
        // A peer is known not to be ready once a round with it is complete.
        let ahead = self.peers.iter().all(|(origin, peer)| {
            phase.ahead.contains(origin) || !peer.ready && phase.complete_with.contains(origin)
        });
        let a_source = self.peers.iter().any(|(origin, peer)| peer.ready && phase.ahead.contains(origin));
        ahead && a_source && self.all_are_linked(now)
    }
}
