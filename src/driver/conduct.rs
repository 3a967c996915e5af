//! Peers that break rules: remembered, named, and kept out for a while.
//!
//! The core slows a peer that asks for more than it reads, and drops one that breaks a rule of the wire. Whoever does so
//! again and again is refused its link for a minute, then for two, and so on, by its life and by the address that QUIC has
//! proven: what a peer says of its own address is only its word, and must not keep another one out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::RwLock;
use tracing::warn;

use super::engine::Engine;
use super::observe::NoteKind;
use crate::core::causality::Origin;
use crate::core::limits::{
    BREAKS_BEFORE_KEPT_OUT, FAULTS_STAND_MS, KEPT_OUT_MS, MAX_FAULTY_PEERS, MAX_KEPT_OUT_MS,
};
use crate::core::node::Gravity;
use crate::transport::PeerInfo;

/// Who is kept out, by life or by address: read by the transport at every handshake.
pub(super) type KeptOut = Arc<RwLock<Vec<(Origin, SocketAddr)>>>;

/// One peer that did what honest ones do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Faulty {
    /// Its name, as it gave it.
    pub node: String,
    /// Its life then.
    pub origin: Origin,
    /// Where its packets come from.
    pub addr: SocketAddr,
    /// What it did last.
    pub why: String,
    /// How often it broke a rule.
    pub broke: u64,
    /// How often it did what was left out or not answered.
    pub strange: u64,
    /// When it did so last (monotonic ms).
    pub last_ms: u64,
    /// Until when it is kept out (monotonic ms), if it is.
    pub kept_out_until_ms: Option<u64>,
    /// Broken rules since it was let in last.
    recent: u32,
    /// How often it was kept out.
    times: u32,
}

/// The peers that are remembered. Those that behave are forgotten.
#[derive(Default)]
pub(super) struct Conduct {
    /// Name and proven address of linked peers.
    linked: BTreeMap<Origin, (String, SocketAddr)>,
    faulty: BTreeMap<SocketAddr, Faulty>,
    pub kept_out: KeptOut,
}

impl Conduct {
    /// Enters a fault. Returns how long the peer is kept out for it (ms), if it is.
    fn fault(&mut self, now_ms: u64, peer: Origin, gravity: Gravity, why: String) -> Option<u64> {
        let (node, addr) = self.linked.get(&peer)?.clone();
        if self.faulty.len() >= MAX_FAULTY_PEERS && !self.faulty.contains_key(&addr) {
            let oldest =
                self.faulty.values().filter(|f| f.kept_out_until_ms.is_none()).min_by_key(|f| f.last_ms);
            let oldest = oldest.map(|faulty| faulty.addr)?;
            self.faulty.remove(&oldest);
        }
        let fresh = || Faulty {
            node: node.clone(),
            origin: peer,
            addr,
            why: String::new(),
            broke: 0,
            strange: 0,
            last_ms: now_ms,
            kept_out_until_ms: None,
            recent: 0,
            times: 0,
        };
        let held = self.faulty.entry(addr).or_insert_with(fresh);
        (held.node, held.origin, held.why, held.last_ms) = (node, peer, why, now_ms);
        match gravity {
            Gravity::Strange => held.strange += 1,
            Gravity::Broke => (held.broke, held.recent) = (held.broke + 1, held.recent + 1),
        }
        if held.recent < BREAKS_BEFORE_KEPT_OUT || held.kept_out_until_ms.is_some() {
            return None;
        }
        let for_ms = (KEPT_OUT_MS << held.times.min(16)).min(MAX_KEPT_OUT_MS);
        held.kept_out_until_ms = Some(now_ms + for_ms);
        (held.recent, held.times) = (0, held.times + 1);
        self.kept_out.write().push((peer, addr));
        Some(for_ms)
    }

    /// Lets in whoever was kept out for long enough, and forgets whoever behaves. Whether somebody is let in.
    fn age(&mut self, now_ms: u64) -> bool {
        let mut let_in = false;
        for held in self.faulty.values_mut() {
            let_in |= held.kept_out_until_ms.take_if(|until_ms| now_ms >= *until_ms).is_some();
        }
        self.faulty.retain(|_, f| f.kept_out_until_ms.is_some() || now_ms < f.last_ms + FAULTS_STAND_MS);
        if let_in {
            let faulty = &self.faulty;
            let is_out =
                |addr: &SocketAddr| faulty.get(addr).is_some_and(|f: &Faulty| f.kept_out_until_ms.is_some());
            self.kept_out.write().retain(|(_, addr)| is_out(addr));
        }
        let_in
    }
}

impl Engine {
    /// A peer is linked.
    pub(super) fn conduct_of(&mut self, peer: &PeerInfo) {
        self.conduct.linked.insert(peer.origin, (peer.node.clone(), peer.remote));
    }

    /// A peer's link is gone.
    pub(super) fn conduct_over(&mut self, peer: Origin) {
        self.conduct.linked.remove(&peer);
    }

    /// A peer did what honest ones do not.
    pub(super) fn fault(&mut self, peer: Origin, gravity: Gravity, why: String) {
        let now_ms = self.shared.clock.now().mono_ms;
        if let Some(for_ms) = self.conduct.fault(now_ms, peer, gravity, why.clone()) {
            let (name, seconds) = (self.name_of(peer), for_ms / 1_000);
            let text = format!("kept out for {seconds} s, having broken rules again and again: {why}");
            warn!(node = self.config.node, peer = name, "{text}");
            self.note(NoteKind::Warning, Some(peer), || text);
            self.life.transport.disconnect(peer, "kept out for a while");
            self.want_addresses();
        }
        self.publish_conduct();
    }

    /// Asks the transport for links with everybody who is known and not kept out.
    pub(super) fn want_addresses(&self) {
        let kept_out = self.conduct.kept_out.read();
        let mut addrs = self.life.discovery.addresses();
        addrs.retain(|addr| kept_out.iter().all(|(_, out)| out != addr));
        self.life.transport.want(addrs);
    }

    /// Shows who broke rules lately, and lets in whoever's time is over.
    pub(super) fn publish_conduct(&mut self) {
        if self.conduct.age(self.shared.clock.now().mono_ms) {
            self.want_addresses();
        }
        let held = self.conduct.faulty.values();
        if !held.clone().eq(self.shared.faulty.read().iter()) {
            *self.shared.faulty.write() = held.cloned().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conduct() -> Conduct {
        let mut conduct = Conduct::default();
        for n in 1..=2u16 {
            let addr = SocketAddr::from(([10, 0, 0, 1], n));
            conduct.linked.insert(Origin(u128::from(n)), (format!("n{n}"), addr));
        }
        conduct
    }

    fn breaks(conduct: &mut Conduct, now_ms: u64, peer: u128) -> Option<u64> {
        conduct.fault(now_ms, Origin(peer), Gravity::Broke, "a rule".into())
    }

    #[test]
    fn who_breaks_rules_again_and_again_is_kept_out_longer_each_time_and_let_in_again() {
        let mut conduct = conduct();
        let mut at_ms = 0;
        for for_ms in [KEPT_OUT_MS, 2 * KEPT_OUT_MS, 4 * KEPT_OUT_MS] {
            assert!((1..BREAKS_BEFORE_KEPT_OUT).all(|_| breaks(&mut conduct, at_ms, 1).is_none()));
            assert_eq!(breaks(&mut conduct, at_ms, 1), Some(for_ms));
            assert_eq!(conduct.kept_out.read().len(), 1);
            assert!(!conduct.age(at_ms + for_ms - 1));
            assert!(conduct.age(at_ms + for_ms) && conduct.kept_out.read().is_empty());
            at_ms += for_ms;
        }
        conduct.age(at_ms + FAULTS_STAND_MS);
        assert!(conduct.faulty.is_empty(), "what it did is forgotten once it behaves");
        assert!(breaks(&mut conduct, at_ms, 2).is_none());
    }

    #[test]
    fn what_an_honest_peer_may_pass_on_keeps_nobody_out_and_is_told() {
        let mut conduct = conduct();
        let strange = |c: &mut Conduct| c.fault(0, Origin(1), Gravity::Strange, "tells too much".into());
        assert!((0..1_000).all(|_| strange(&mut conduct).is_none()));
        let held = conduct.faulty.values().next().map(|f| (f.node.as_str(), f.strange));
        assert_eq!(held, Some(("n1", 1_000)));
    }

    #[test]
    fn a_crowd_that_misbehaves_is_bounded() {
        let mut conduct = Conduct::default();
        for n in 0..2_000u16 {
            let addr = SocketAddr::from(([10, 0, 0, 1], n + 1));
            conduct.linked.insert(Origin(u128::from(n)), ("x".into(), addr));
            conduct.fault(u64::from(n), Origin(u128::from(n)), Gravity::Broke, "a rule".into());
        }
        assert_eq!(conduct.faulty.len(), MAX_FAULTY_PEERS);
    }
}
