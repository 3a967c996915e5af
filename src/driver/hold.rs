//! What keeps a joiner from becoming ready although nothing in the core speaks against it: another node of its name that
//! has not been asked yet, and seeds' names that must be looked up once more before it serves alone.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use super::engine::Engine;
use super::shared::Stopped;
use crate::core::node::Input;
use crate::core::replica::Serving;

/// How long before it would serve alone a node looks its seeds' names up once more (ms): two beats of the engine, so
/// that none is missed.
const LAST_LOOK_MS: u64 = 500;

/// What is waited for.
#[derive(Default)]
pub(super) struct Holds {
    /// Where another node of this node's name may live, and has not been asked yet.
    namesakes: BTreeSet<SocketAddr>,
    /// The last look at the seeds' names that is under way: how often each had been tried when it began.
    look: Option<Vec<u64>>,
    /// For which moment of serving alone the last look was made.
    looked_for_ms: Option<u64>,
    /// Every address a seed has led to.
    seeds: BTreeSet<SocketAddr>,
    /// This node has been ready once, in any of its lives.
    served: bool,
}

impl Holds {
    pub(super) fn new(seeds: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self { seeds: seeds.into_iter().collect(), ..Self::default() }
    }

    fn why(&self) -> Option<String> {
        if let Some(addr) = self.namesakes.first() {
            return Some(format!("asking whether a node of this name lives at {addr}"));
        }
        self.look.as_ref().map(|_| "no seed has answered: looking up their names once more".into())
    }
}

impl Engine {
    fn hold(&mut self) {
        let why = self.holds.why();
        self.input(Input::Hold(why.as_deref()));
    }

    /// Another node of this node's name may live at `addr`; it is being asked, or has been.
    pub(super) fn namesake(&mut self, addr: SocketAddr, asked: bool) {
        if asked {
            self.holds.namesakes.remove(&addr);
        } else if !self.holds.served {
            self.holds.namesakes.insert(addr);
        }
        self.hold();
    }

    /// A member that serves carries this node's name. If this one serves too by now, the two are equals.
    pub(super) fn name_taken(&self, node: String, addr: SocketAddr) -> Option<Stopped> {
        (!self.holds.served).then_some(Stopped::NameTaken { node, addr })
    }

    /// The node began or stopped serving: nodes of its name are told.
    pub(super) fn serving_changed(&mut self, serving: Serving) {
        if serving == Serving::Ready {
            self.holds.served = true;
            self.tell_namesakes();
        }
    }

    /// Tells nodes of this node's name that it serves, unless it is about to go.
    fn tell_namesakes(&self) {
        if self.holds.served && !self.shared.leaving.load(Ordering::SeqCst) {
            self.life.transport.set_serving(true);
            self.life.discovery.publish_served();
        }
    }

    /// A new life has begun, with a transport and a discovery of its own: nothing the old ones were asked is answered.
    pub(super) fn hold_in_new_life(&mut self) {
        self.holds.namesakes.clear();
        self.holds.look = None;
        self.hold();
        self.tell_namesakes();
    }

    /// The seeds' names lead to these addresses. Somebody never seen before may have all the sessions.
    pub(super) fn seeds_lead_to(&mut self, addrs: impl IntoIterator<Item = SocketAddr>) {
        let before = self.holds.seeds.len();
        self.holds.seeds.extend(addrs);
        if self.holds.seeds.len() > before {
            self.input(Input::SeedsMoved);
        }
    }

    /// A node that is about to serve alone looks its seeds' names up once more: the one it knows may be of a member that
    /// is no more, and the name lead elsewhere by now.
    pub(super) fn look_before_solo(&mut self) {
        let solo_at_ms = self.node.solo_at_ms();
        let discovery = &self.life.discovery;
        match (&self.holds.look, solo_at_ms) {
            (Some(before), Some(_)) if !discovery.resolved_since(before) => {}
            (Some(_), _) => {
                self.holds.look = None;
                let addrs = discovery.seed_addresses();
                self.seeds_lead_to(addrs);
                self.hold();
            }
            (None, Some(at_ms)) => {
                let near = self.shared.clock.now().mono_ms + LAST_LOOK_MS >= at_ms;
                if near && self.holds.looked_for_ms != Some(at_ms) {
                    self.holds.looked_for_ms = Some(at_ms);
                    self.holds.look = discovery.resolve_again();
                    self.hold();
                }
            }
            (None, None) => {}
        }
    }
}
