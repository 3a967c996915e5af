//! Warnings, so many that they can be read: of one peer and one cause, one in ten seconds, with the number of the rest.

use std::collections::BTreeMap;

use super::{Gravity, Node, Output};
use crate::causality::Origin;
use crate::limits::{MAX_WARNED, MAX_WARNINGS};
use crate::time::Now;

/// One warning of a peer and a cause in this time (ms).
const QUIET_MS: u64 = 10_000;

/// What was told lately.
#[derive(Debug, Default)]
pub(super) struct Warned {
    /// Per peer and cause, when it was told last (monotonic ms), and how often it was swallowed since.
    told: BTreeMap<(Origin, &'static str), (u64, u64)>,
    /// When the current ten seconds began (monotonic ms), what was told in them, and what found no room.
    window: (u64, u32, u64),
}

impl Warned {
    /// How many warnings found no room in the ten seconds before these, when that is known.
    fn left_out(&mut self, now_ms: u64) -> Option<u64> {
        let (began_ms, _, dropped) = self.window;
        if now_ms < began_ms + QUIET_MS {
            return None;
        }
        self.window = (now_ms, 0, 0);
        Some(dropped).filter(|n| *n > 0)
    }

    /// Whether this may be told, and how many were not told before it.
    fn news(&mut self, now_ms: u64, peer: Origin, cause: &'static str) -> Option<u64> {
        if self.told.len() >= MAX_WARNED {
            self.told.retain(|_, (told_ms, _)| now_ms < *told_ms + QUIET_MS);
        }
        if let Some((told_ms, swallowed)) = self.told.get_mut(&(peer, cause))
            && now_ms < *told_ms + QUIET_MS
        {
            *swallowed += 1;
            return None;
        }
        // Peers can be made up by the thousand.
        if self.window.1 >= MAX_WARNINGS {
            self.window.2 += 1;
            return None;
        }
        self.window.1 += 1;
        if let Some((told_ms, swallowed)) = self.told.get_mut(&(peer, cause)) {
            *told_ms = now_ms;
            return Some(std::mem::take(swallowed));
        }
        // One that finds no room is told each time, within what is told at all: never is worse.
        if self.told.len() < MAX_WARNED {
            self.told.insert((peer, cause), (now_ms, 0));
        }
        Some(0)
    }
}

impl Node {
    /// A peer did what honest ones do not.
    pub(super) fn fault(&mut self, peer: Origin, gravity: Gravity, why: String) {
        if self.peers.contains_key(&peer) {
            self.outputs.push_back(Output::Fault { peer, gravity, why });
        }
    }

    pub(super) fn warn(&mut self, text: String) {
        self.outputs.push_back(Output::Warn(text));
    }

    /// Warns of what a peer did, unless that was told in the last ten seconds.
    pub(super) fn warn_of(&mut self, now: Now, peer: Origin, cause: &'static str, text: String) {
        if let Some(dropped) = self.warned.left_out(now.mono_ms) {
            self.warn(format!("{dropped} more warnings about peers were left out in the last ten seconds"));
        }
        match self.warned.news(now.mono_ms, peer, cause) {
            None => {}
            Some(0) => self.warn(format!("peer {peer}: {text}")),
            Some(n) => {
                self.warn(format!("peer {peer}: {text} (and {n} times more since this was told last)"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_of_one_peer_is_told_once_in_ten_seconds_with_a_count() {
        let mut warned = Warned::default();
        assert_eq!(warned.news(0, Origin(1), "claims"), Some(0));
        assert!((1..100).all(|ms| warned.news(ms, Origin(1), "claims").is_none()));
        assert_eq!(warned.news(100, Origin(2), "claims"), Some(0));
        assert_eq!(warned.news(QUIET_MS, Origin(1), "claims"), Some(99));
        assert_eq!(warned.news(2 * QUIET_MS, Origin(1), "claims"), Some(0));
    }

    #[test]
    fn a_crowd_of_peers_is_told_of_in_so_many_lines_and_a_sum() {
        let mut warned = Warned::default();
        let at = |ms: u64| 100_000 + ms;
        assert_eq!(warned.left_out(at(0)), None);
        let told = |warned: &mut Warned, ms| {
            (0..5_000).filter(|n| warned.news(at(ms), Origin(*n), "claims").is_some()).count()
        };
        assert_eq!(told(&mut warned, 1), MAX_WARNINGS as usize);
        assert_eq!(warned.left_out(at(2)), None, "the ten seconds are not over");
        assert_eq!(warned.left_out(at(QUIET_MS)), Some(5_000 - u64::from(MAX_WARNINGS)));
        assert_eq!(told(&mut warned, 2 * QUIET_MS), MAX_WARNINGS as usize);
    }
}
