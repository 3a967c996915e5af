//! What discovery tells, and what the node makes of it.

use tracing::{info, warn};

use super::engine::Engine;
use super::shared::Stopped;
use crate::core::causality::Origin;
use crate::core::node::Input;
use crate::discovery::DiscoveryEvent;

/// Whoever says goodbye closes its links within this (ms). One that does not was called over by somebody else.
const GOODBYE_MS: u64 = 60_000;

impl Engine {
    /// Discovery has told something.
    pub(super) fn found(&mut self, event: DiscoveryEvent) -> Option<Stopped> {
        match event {
            DiscoveryEvent::Changed(members) => self.board_changed(members),
            DiscoveryEvent::Gone { node, origin } => {
                // The board can be written on in another's name; a link is its own. Who left closes it in a moment.
                if self.links.contains_key(&origin) {
                    self.said_gone.insert(origin, self.shared.clock.now().mono_ms);
                } else {
                    info!(node = self.config.node, peer = node, "{origin}: this life is over");
                    self.input(Input::Gone(origin));
                }
            }
            DiscoveryEvent::SeedsResolved(addrs) => {
                self.want_addresses();
                self.seeds_lead_to(addrs);
            }
            DiscoveryEvent::Namesake { addr } => self.life.transport.ask_namesake(addr),
            DiscoveryEvent::SeedUnresolved { seed, error } => {
                warn!(node = self.config.node, "seed {seed:?} does not resolve: {error}; retrying");
            }
            DiscoveryEvent::GossipRestarted { generation } => {
                warn!(
                    node = self.config.node,
                    "the gossip server died and runs again as generation {generation}"
                );
            }
            DiscoveryEvent::TooManyIncarnations { known } => {
                warn!(
                    node = self.config.node,
                    "{known} incarnations known: newcomers are ignored until some are forgotten"
                );
            }
            DiscoveryEvent::Clone { node, origin, .. } => return Some(Stopped::Clone { node, origin }),
        }
        None
    }

    /// A link is down: if the board called that life over a moment ago, it is.
    pub(super) fn gone_with_its_link(&mut self, origin: Origin) {
        let now_ms = self.shared.clock.now().mono_ms;
        if self.said_gone.remove(&origin).is_some_and(|said_ms| now_ms < said_ms + GOODBYE_MS) {
            self.input(Input::Gone(origin));
        }
    }
}
