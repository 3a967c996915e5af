//! Warnings, so many that they can be read: of one peer and one cause, one in ten seconds, with the number of the rest.

use std::collections::BTreeMap;

use super::{Node, Output};
use crate::core::causality::Origin;
use crate::core::limits::MAX_WARNED;
use crate::core::time::Now;

/// One warning of a peer and a cause in this time (ms).
const QUIET_MS: u64 = 10_000;

/// Per peer and cause, when it was told last (monotonic ms), and how often it was swallowed since.
#[derive(Debug, Default)]
pub(super) struct Warned(BTreeMap<(Origin, &'static str), (u64, u64)>);

impl Warned {
    /// Whether this may be told, and how many were not told before it.
    fn news(&mut self, now_ms: u64, peer: Origin, cause: &'static str) -> Option<u64> {
        if self.0.len() >= MAX_WARNED {
            self.0.retain(|_, (told_ms, _)| now_ms < *told_ms + QUIET_MS);
        }
        if let Some((told_ms, swallowed)) = self.0.get_mut(&(peer, cause)) {
            if now_ms < *told_ms + QUIET_MS {
                *swallowed += 1;
                return None;
            }
            *told_ms = now_ms;
            return Some(std::mem::take(swallowed));
        }
        // One that finds no room is told each time: never is worse.
        if self.0.len() < MAX_WARNED {
            self.0.insert((peer, cause), (now_ms, 0));
        }
        Some(0)
    }
}

impl Node {
    pub(super) fn warn(&mut self, text: String) {
        self.outputs.push_back(Output::Warn(text));
    }

    /// Warns of what a peer did, unless that was told in the last ten seconds.
    pub(super) fn warn_of(&mut self, now: Now, peer: Origin, cause: &'static str, text: String) {
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
}
