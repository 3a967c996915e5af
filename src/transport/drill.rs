//! The drill switch: drop, delay or cut the packets between two named nodes, one way.
//!
//! It acts on UDP packets below QUIC, so a cut is what a cut cable is: connections time out and are dialled
//! again after the heal. A cut works if it is set on either process (the sender's drops what it would send, the
//! receiver's what arrives); loss and delay act at the sender only, or a handle shared by two nodes of one
//! process would apply them twice.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::config::canonical;

/// What happens to packets of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rule {
    /// Packets dropped at the sender, per thousand.
    pub drop_per_mille: u16,
    /// Packets held back at the sender, in milliseconds.
    pub delay_ms: u64,
    /// Nothing passes.
    pub cut: bool,
}

/// A handle on the rules; clones share them. Nodes of one process may share one.
#[derive(Debug, Clone)]
pub struct Drill {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Spares a healthy mesh the lock below: one relaxed load per packet.
    active: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rules: BTreeMap<(String, String), Rule>,
    names: HashMap<SocketAddr, String>,
    rng: StdRng,
}

/// What to do with one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Pass,
    Drop,
    Delay(Duration),
}

impl Drill {
    /// No rules yet. `seed` decides which packets a lossy rule drops.
    pub fn new(seed: u64) -> Self {
        let state = State { rules: BTreeMap::new(), names: HashMap::new(), rng: StdRng::seed_from_u64(seed) };
        Self { shared: Arc::new(Shared { active: AtomicBool::new(false), state: Mutex::new(state) }) }
    }

    /// Cuts the direction `from` to `to`; the other direction stays.
    pub fn cut(&self, from: &str, to: &str) {
        self.set(from, to, Rule { cut: true, ..Rule::default() });
    }

    /// Removes the rule of one direction.
    pub fn heal(&self, from: &str, to: &str) {
        self.set(from, to, Rule::default());
    }

    /// Removes all rules.
    pub fn heal_all(&self) {
        let mut state = self.shared.state.lock();
        state.rules.clear();
        self.shared.active.store(false, Relaxed);
    }

    /// Sets the rule of one direction; the default rule removes it.
    pub fn set(&self, from: &str, to: &str, rule: Rule) {
        let mut state = self.shared.state.lock();
        let pair = (from.to_owned(), to.to_owned());
        if rule == Rule::default() {
            state.rules.remove(&pair);
        } else {
            state.rules.insert(pair, rule);
        }
        self.shared.active.store(!state.rules.is_empty(), Relaxed);
    }

    /// The rules in force: `(from, to, rule)`, ordered by names.
    pub fn rules(&self) -> Vec<(String, String, Rule)> {
        let state = self.shared.state.lock();
        state.rules.iter().map(|((from, to), rule)| (from.clone(), to.clone(), *rule)).collect()
    }

    /// Tells which node is behind an address. Hellos tell it too; a hint is needed only to cut off a node that
    /// was never met.
    pub fn name_addr(&self, name: &str, addr: SocketAddr) {
        self.shared.state.lock().names.insert(canonical(addr), name.to_owned());
    }

    /// The fate of a packet that node `me` sends to `to`.
    pub(super) fn outbound(&self, me: &str, to: SocketAddr) -> Fate {
        if !self.shared.active.load(Relaxed) {
            return Fate::Pass;
        }
        let mut state = self.shared.state.lock();
        let Some(rule) = state.names.get(&canonical(to)).and_then(|name| state.rule(me, name)) else {
            return Fate::Pass;
        };
        if rule.cut || (rule.drop_per_mille > 0 && state.rng.random_range(0..1000) < rule.drop_per_mille) {
            Fate::Drop
        } else if rule.delay_ms > 0 {
            Fate::Delay(Duration::from_millis(rule.delay_ms))
        } else {
            Fate::Pass
        }
    }

    /// Whether a packet from `from` reaches node `me`.
    pub(super) fn inbound(&self, from: SocketAddr, me: &str) -> bool {
        if !self.shared.active.load(Relaxed) {
            return true;
        }
        let state = self.shared.state.lock();
        let rule = state.names.get(&canonical(from)).and_then(|name| state.rule(name, me));
        rule.is_none_or(|rule| !rule.cut)
    }
}

impl State {
    fn rule(&self, from: &str, to: &str) -> Option<Rule> {
        // Two short strings per packet under an active drill: the price is paid only while drilling.
        self.rules.get(&(from.to_owned(), to.to_owned())).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_cut_is_one_way_and_ends() {
        let drill = Drill::new(1);
        drill.name_addr("b", addr(2));
        assert_eq!(drill.outbound("a", addr(2)), Fate::Pass);
        drill.cut("a", "b");
        assert_eq!(drill.outbound("a", addr(2)), Fate::Drop);
        assert!(drill.inbound(addr(2), "a"), "b to a is another direction");
        assert_eq!(drill.outbound("a", addr(3)), Fate::Pass, "an unknown address");
        drill.heal("a", "b");
        assert_eq!(drill.outbound("a", addr(2)), Fate::Pass);
        assert!(drill.rules().is_empty());
    }

    #[test]
    fn loss_is_as_asked_and_replays() {
        let fates = |seed| {
            let drill = Drill::new(seed);
            drill.name_addr("b", addr(2));
            drill.set("a", "b", Rule { drop_per_mille: 200, ..Rule::default() });
            (0..10_000).map(|_| drill.outbound("a", addr(2)) == Fate::Drop).collect::<Vec<_>>()
        };
        let dropped = fates(7).iter().filter(|dropped| **dropped).count();
        assert!((1_800..2_200).contains(&dropped), "{dropped}");
        assert_eq!(fates(7), fates(7));
        assert_ne!(fates(7), fates(8));
    }
}
