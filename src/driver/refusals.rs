//! Who did not get in, and where this node did not: the handshakes that were refused lately, by either side.
//!
//! A refusal is an answer. Somebody is there who holds what this node has not got, so that a joiner must not take the
//! silence of everybody else for being alone; and both sides shall be able to say why.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::engine::Engine;
use super::observe::NoteKind;
use crate::core::causality::Origin;
use crate::core::limits::{MAX_REFUSALS_TOLD, REFUSAL_STANDS_MS};
use crate::core::node::Input;
use crate::transport::RefusedReason;

/// One address that refuses this node, or is refused by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub addr: SocketAddr,
    /// Whether this node dialled it.
    pub dialled: bool,
    /// A word for the reason.
    pub word: &'static str,
    /// The reason, as far as this side can know it.
    pub why: String,
    /// How often this was told.
    pub count: u64,
    since_ms: u64,
    last_ms: u64,
}

impl Refusal {
    /// How long it has been so (ms).
    pub fn for_ms(&self) -> u64 {
        self.last_ms.saturating_sub(self.since_ms)
    }
}

/// The refusals that stand. Those that are not told again age out.
#[derive(Default)]
pub(super) struct Refusals(BTreeMap<(SocketAddr, bool), Refusal>);

impl Refusals {
    /// Enters one; returns whether it is news.
    fn told(&mut self, now_ms: u64, addr: SocketAddr, dialled: bool, reason: &RefusedReason) -> bool {
        self.age(now_ms);
        let (word, why) = (reason.word(), reason.to_string());
        if let Some(held) = self.0.get_mut(&(addr, dialled)) {
            held.last_ms = now_ms;
            held.count += 1;
            let news = held.word != word;
            // Of one cause the longer sentence knows more: what the peer says first may lack the values.
            if news || why.len() > held.why.len() {
                (held.word, held.why) = (word, why);
            }
            return news;
        }
        if self.0.len() >= MAX_REFUSALS_TOLD && !dialled {
            return false;
        }
        let fresh = Refusal { addr, dialled, word, why, count: 1, since_ms: now_ms, last_ms: now_ms };
        self.0.insert((addr, dialled), fresh);
        true
    }

    /// A link to this address is up.
    fn linked(&mut self, addr: SocketAddr) {
        self.0.retain(|(at, _), _| *at != addr);
    }

    fn age(&mut self, now_ms: u64) {
        self.0.retain(|_, held| now_ms < held.last_ms + REFUSAL_STANDS_MS);
    }
}

impl Engine {
    /// A handshake was refused by either side.
    pub(super) fn refused(&mut self, addr: SocketAddr, dialled: bool, reason: &RefusedReason) {
        let now_ms = self.shared.clock.now().mono_ms;
        if self.refusals.told(now_ms, addr, dialled, reason) {
            self.note(NoteKind::Warning, None, || format!("no link with {addr}: {reason}"));
        }
        if dialled {
            let why = self.refusals.0.get(&(addr, true)).map_or_else(String::new, |held| held.why.clone());
            self.input(Input::Refused { why: &format!("{addr}: {why}") });
            // Who reads of the refusal reads of what it means.
            self.publish_reason();
        }
        if *reason == (RefusedReason::LifeOver { ours: true }) {
            // Which life says so is not known: it closed before it said who it is.
            self.input(Input::CalledGone { by: Origin::default() });
        }
        self.publish_refusals();
    }

    /// A link to this address is up: whatever was refused there is over.
    pub(super) fn refused_no_more(&mut self, addr: SocketAddr) {
        self.refusals.linked(addr);
        self.publish_refusals();
    }

    /// Shows the refusals that still stand.
    pub(super) fn publish_refusals(&mut self) {
        self.refusals.age(self.shared.clock.now().mono_ms);
        let held = self.refusals.0.values();
        if !held.clone().eq(self.shared.refusals.read().iter()) {
            *self.shared.refusals.write() = held.cloned().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_stands_while_it_is_repeated_and_the_fuller_sentence_wins() {
        let mut refusals = Refusals::default();
        let addr = SocketAddr::from(([10, 0, 0, 1], 7946));
        let differ = |text: &str| RefusedReason::ConfigMismatch { differ: text.into() };
        assert!(refusals.told(1_000, addr, true, &differ("partitions is 8 here and 256 there")));
        assert!(!refusals.told(3_000, addr, true, &differ("")), "the peer was quicker and told no values");
        let held = refusals.0.get(&(addr, true)).unwrap();
        assert!(held.why.contains("8 here and 256 there") && held.count == 2, "{held:?}");
        assert!(refusals.told(4_000, addr, true, &RefusedReason::WrongSecret));
        refusals.age(4_000 + REFUSAL_STANDS_MS);
        assert!(refusals.0.is_empty());
        assert!(refusals.told(0, addr, true, &RefusedReason::WrongSecret));
        refusals.linked(addr);
        assert!(refusals.0.is_empty());
    }

    #[test]
    fn strangers_do_not_fill_the_table() {
        let mut refusals = Refusals::default();
        let addr = |port| SocketAddr::from(([10, 0, 0, 1], port));
        for port in 1..1_000 {
            refusals.told(0, addr(port), false, &RefusedReason::WrongSecret);
        }
        assert_eq!(refusals.0.len(), MAX_REFUSALS_TOLD);
        assert!(
            refusals.told(0, addr(2_000), true, &RefusedReason::WrongSecret),
            "what this node dials is its own"
        );
    }
}
