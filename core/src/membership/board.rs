//! What a detector writes on the bulletin board, and reads there.
//!
//! SWIM's rule "only the member raises its incarnation" is scuttlebutt's "only the owner writes its keys". So a node's
//! incarnation is a key of its own, and so are the suspicions it holds. The packets are faster; the board is what
//! whoever was cut off, or has just joined, reads afterwards. A new value makes every peer copy the board, so that
//! nothing is written more often than once a second, and only what has lasted.

use std::fmt::Write;

use super::{Detector, Output};
use crate::causality::Origin;
use crate::limits::{MAX_BEAT_MS, MAX_INCARNATION, MAX_PUBLISHED_SUSPECTS};

/// Key of the incarnation: a decimal number.
pub(super) const INCARNATION: &str = "inc";
/// Key of the suspicions held: `origin:incarnation:beat`, separated by spaces.
pub(super) const SUSPECTS: &str = "suspects";
/// Least time between two writes (ms).
const PAUSE_MS: u64 = 1_000;
/// What a suspicion must have lasted to be worth one (ms): half the shortest window.
const LASTED_MS: u64 = 500;

/// What was written last.
#[derive(Default)]
pub(super) struct Voice {
    incarnation: u32,
    suspects: String,
    next_ms: u64,
    wanted: bool,
}

impl Voice {
    pub(super) fn next_ms(&self) -> u64 {
        if self.wanted { self.next_ms } else { u64::MAX }
    }
}

impl Detector {
    /// Writes what has changed, if it is time.
    pub(super) fn publish(&mut self, now_ms: u64) {
        let silent = self.suspects.is_empty() && self.voice.suspects.is_empty();
        self.voice.wanted = !silent || self.incarnation != self.voice.incarnation;
        if !self.voice.wanted || now_ms < self.voice.next_ms {
            return;
        }
        self.voice.next_ms = now_ms + PAUSE_MS;
        if self.incarnation != self.voice.incarnation {
            self.voice.incarnation = self.incarnation;
            self.outputs.push_back(Output::Publish { key: INCARNATION, value: self.incarnation.to_string() });
        }
        let suspects = self.suspicions_held(now_ms);
        if suspects != self.voice.suspects {
            self.voice.suspects.clone_from(&suspects);
            self.outputs.push_back(Output::Publish { key: SUSPECTS, value: suspects });
        }
    }

    /// The suspicions this node itself answers for, and that have lasted.
    fn suspicions_held(&self, now_ms: u64) -> String {
        let mut text = String::new();
        for origin in self.suspects.iter().take(MAX_PUBLISHED_SUSPECTS) {
            let Some(suspicion) = self.members.get(origin).and_then(|m| m.suspicion.as_ref()) else {
                continue;
            };
            if suspicion.accusers.contains(&self.own) && now_ms >= suspicion.began_ms + LASTED_MS {
                let gap = if text.is_empty() { "" } else { " " };
                let beat_ms = self.beat_at(suspicion.began_ms);
                // Writing to a string does not fail.
                let _ = write!(text, "{gap}{:032x}:{}:{beat_ms}", origin.0, suspicion.incarnation);
            }
        }
        text
    }

    /// Reads what a member has written. What makes no sense is left alone: a later version may have written it.
    pub(super) fn read_fact(&mut self, now_ms: u64, of: Origin, key: &str, value: &str) {
        match key {
            INCARNATION => {
                if let Some(incarnation) = value.parse().ok().filter(|&i| i <= MAX_INCARNATION) {
                    self.incarnation_told(now_ms, of, incarnation);
                }
            }
            SUSPECTS => {
                for entry in value.split(' ').take(MAX_PUBLISHED_SUSPECTS) {
                    let Some((subject, incarnation, beat_ms)) = read_entry(entry) else { continue };
                    if subject != self.own {
                        self.told_suspect(now_ms, subject, incarnation, (of, beat_ms));
                    }
                }
            }
            _ => {}
        }
    }
}

fn read_entry(entry: &str) -> Option<(Origin, u32, u64)> {
    let mut parts = entry.split(':');
    let (origin, incarnation, beat_ms) = (parts.next()?, parts.next()?, parts.next()?);
    let origin = Origin(u128::from_str_radix(origin, 16).ok()?);
    let incarnation = incarnation.parse().ok().filter(|&i| i <= MAX_INCARNATION)?;
    let beat_ms = beat_ms.parse().ok().filter(|&b| b <= MAX_BEAT_MS)?;
    parts.next().is_none().then_some((origin, incarnation, beat_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_make_no_sense_are_left_alone() {
        let good = format!("{:032x}:3:77", 5);
        assert_eq!(read_entry(&good), Some((Origin(5), 3, 77)));
        for bad in ["", ":", "x:1:2", "5:1", "5:1:2:3", "5:-1:2", "5:1:99999999999999999999"] {
            assert_eq!(read_entry(bad), None, "{bad}");
        }
    }
}
