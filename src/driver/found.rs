//! What discovery tells, and what the node makes of it.

use tracing::{info, warn};

use super::engine::Engine;
use super::shared::Stopped;
use crate::core::node::Input;
use crate::discovery::DiscoveryEvent;

impl Engine {
    /// Discovery has told something.
    pub(super) fn found(&mut self, event: DiscoveryEvent) -> Option<Stopped> {
        match event {
            DiscoveryEvent::Changed(members) => self.board_changed(members),
            DiscoveryEvent::Gone { node, origin } => {
                info!(node = self.config.node, peer = node, "life {origin} is over");
                self.input(Input::Gone(origin));
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
}
