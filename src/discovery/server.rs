//! One run of the gossip server, what it tells us, and what we carry over to the next run.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use chitchat::{ChitchatHandle, ChitchatId, NodeState};
use tokio::sync::watch;
use tokio::time::Instant;

use super::bridge::Bridge;
use super::config::DiscoveryConfig;
use super::error::DiscoveryError;
use super::gossip;
use super::member::Member;
use crate::core::causality::Origin;

/// How long a new run may take to learn about everyone again before silence counts, in gossip rounds.
const SETTLING_ROUNDS: u32 = 20;

/// News from a run.
#[derive(Debug)]
pub(super) enum RunNews {
    /// The live set or a live node's keys changed.
    Changed,
    /// The server's task ended, by panic or error. It cannot be used any more.
    Ended(String),
}

/// A running chitchat server.
pub(super) struct Run {
    pub(super) handle: ChitchatHandle,
    pub(super) started: Instant,
    live: watch::Receiver<BTreeMap<ChitchatId, NodeState>>,
    ended: Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>,
}

impl Run {
    /// Starts a server under `generation` that publishes `board`.
    pub(super) async fn start(
        config: &DiscoveryConfig,
        generation: u64,
        board: &BTreeMap<String, String>,
        bridge: &Bridge,
    ) -> Result<Self, DiscoveryError> {
        let handle = gossip::start(config, generation, board, bridge).await?;
        let live = handle.with_chitchat(|chitchat| chitchat.live_nodes_watcher()).await;
        let ended = Box::pin(handle.termination_watcher());
        Ok(Self { handle, started: Instant::now(), live, ended })
    }

    /// Waits for news. Cancel-safe. After [`RunNews::Ended`] the run must be dropped.
    pub(super) async fn news(&mut self) -> RunNews {
        tokio::select! {
            biased;
            result = &mut self.ended => RunNews::Ended(match result {
                Ok(()) => "it ended without being asked to".to_owned(),
                Err(error) => error.to_string(),
            }),
            // An error means the state is gone; `ended` tells more about that.
            Ok(()) = self.live.changed() => RunNews::Changed,
        }
    }
}

/// The view of the previous run: a new one begins knowing nobody, which must not look as if all had vanished.
#[derive(Debug)]
pub(super) struct Carried {
    members: Vec<Member>,
    settled_at: Instant,
    forgotten_at: Instant,
}

impl Carried {
    /// Carries `members` over to a run that begins `now`.
    pub(super) fn new(members: &[Member], config: &DiscoveryConfig, now: Instant) -> Self {
        let others = members.iter().filter(|member| member.node != config.node && !member.left);
        Self {
            members: others.cloned().collect(),
            settled_at: now + config.interval() * SETTLING_ROUNDS,
            forgotten_at: now + Duration::from_millis(config.dead_grace_ms),
        }
    }

    /// Nothing is carried any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.forgotten_at
    }

    /// Lets carried members stand in where the new run knows less: alive while it settles, then dead until the
    /// grace is over. Lives are told apart by their origin: a peer's gossip server may have been started again too.
    pub(super) fn complete(
        &self,
        members: &mut BTreeMap<String, Member>,
        is_over: impl Fn(&str, Origin) -> bool,
        now: Instant,
    ) {
        let settling = now < self.settled_at;
        for carried in self.members.iter().filter(|carried| !is_over(&carried.node, carried.origin)) {
            let stands_alive = settling && carried.alive;
            match members.get_mut(&carried.node) {
                Some(member) if member.origin == carried.origin => {
                    member.alive |= stands_alive && !member.left;
                }
                // Another life, out of sight: perhaps an echo from before the one that was alive a moment ago.
                Some(member) if stands_alive && !member.alive => *member = carried.clone(),
                Some(_) => {}
                None => {
                    let stand_in = Member { alive: stands_alive, ..carried.clone() };
                    members.insert(carried.node.clone(), stand_in);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_of_gossip_does_not_empty_the_view() {
        let addr = "10.0.0.1:1".parse().unwrap();
        let config = DiscoveryConfig::new("shop", "a", Origin(1), addr, 1);
        let peer = Member {
            node: "b".into(),
            origin: Origin(2),
            generation: 5,
            addr,
            alive: true,
            left: false,
            metadata: BTreeMap::new(),
            facts: BTreeMap::new(),
        };
        let start = Instant::now();
        let carried = Carried::new(std::slice::from_ref(&peer), &config, start);
        let alive_at = |known: &[Member], seconds| {
            let mut members: BTreeMap<_, _> = known.iter().map(|m| (m.node.clone(), m.clone())).collect();
            carried.complete(
                &mut members,
                |_, origin| origin == Origin(3),
                start + Duration::from_secs(seconds),
            );
            (members["b"].origin, members["b"].alive)
        };
        let here = (Origin(2), true);
        let gone_silent = (Origin(2), false);
        let not_live_yet = Member { alive: false, ..peer.clone() };
        for known in [&[][..], std::slice::from_ref(&not_live_yet)] {
            assert_eq!((alive_at(known, 1), alive_at(known, 21)), (here, gone_silent));
        }
        let said_goodbye = Member { alive: false, left: true, ..peer.clone() };
        assert_eq!(alive_at(&[said_goodbye], 1), gone_silent);
        // Its gossip server was started again as well: the same life.
        let renewed = Member { alive: false, generation: 6, ..peer.clone() };
        assert_eq!(alive_at(&[renewed], 1), here);
        // An earlier life of it, with the greater generation, is heard of first; a later one that lives counts.
        let echo = Member { alive: false, generation: 9, origin: Origin(1), ..peer.clone() };
        assert_eq!(
            (alive_at(std::slice::from_ref(&echo), 1), alive_at(&[echo], 21)),
            (here, (Origin(1), false))
        );
        let restarted = Member { generation: 3, origin: Origin(4), ..peer };
        assert_eq!(alive_at(&[restarted], 1), (Origin(4), true));
        assert!(carried.is_over(start + Duration::from_secs(300)));
    }
}
