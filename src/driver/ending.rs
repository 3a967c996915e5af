//! How a node leaves: it hands over what nobody else has, says goodbye, and is gone within a bounded time.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::engine::Engine;
use super::life::Life;
use crate::core::node::Input;
use crate::transport::Event;

/// How long a write that began before `leave` may take to end (ms); microseconds in practice.
const LAST_WRITES_MS: u64 = 5;
/// How long `leave` waits for peers to adopt what they lack (ms).
const DRAIN_MS: u64 = 5_000;
/// How often it looks at its own clocks meanwhile (ms).
const DRAIN_BEAT_MS: u64 = 20;
/// How long gossip may take to say goodbye (ms): what it needs is far less, and silence tells the same, later.
const GOODBYE_MS: u64 = 1_000;

impl Engine {
    /// Hands over what peers lack, then says goodbye. Returns whether a peer has adopted everything.
    pub(super) async fn leave(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_millis(DRAIN_MS);
        // From here on writes are refused: nobody would hand them over.
        self.shared.leaving.store(true, Ordering::SeqCst);
        // A successor under this name need not wait until the last write is handed over.
        self.life.transport.set_serving(false);
        let rounds_before = self.node.stats().rounds_equal;
        tokio::time::sleep(Duration::from_millis(LAST_WRITES_MS)).await;
        self.input(Input::News);
        let mut beat = interval(Duration::from_millis(DRAIN_BEAT_MS));
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let drained = loop {
            // Writes of an earlier life are another origin's now: only an equal round shows that they are elsewhere.
            let stats = self.node.stats();
            let old_lives = stats.new_lives == 0 || stats.rounds_equal > rounds_before;
            if self.handed_over() && old_lives {
                break true;
            }
            if self.links.is_empty() || Instant::now() >= deadline {
                break false;
            }
            tokio::select! {
                event = self.life.events.recv() => match event {
                    Some(event) => { let _ = self.network(event); }
                    None => break false,
                },
                // Not made anew at every event: a busy mesh must not keep the clocks from being looked at.
                _ = beat.tick() => self.input(Input::Tick),
            }
        };
        self.say_goodbye().await;
        drained
    }

    /// A goodbye takes answers from peers, so that gossip must go on flowing to discovery; frames no longer count.
    async fn say_goodbye(&mut self) {
        self.input(Input::Leaving);
        let Life { discovery, events, gossip, .. } = &mut self.life;
        let pump = async {
            while let Some(event) = events.recv().await {
                if let Event::Gossip { from, bytes } = event {
                    // A full queue drops the packet: gossip is made for loss.
                    let _ = gossip.try_send((from, bytes));
                }
            }
            // The transport has ended: only the goodbye itself can end the wait.
            std::future::pending::<()>().await;
        };
        let said = async {
            tokio::select! { () = discovery.leave() => {} () = pump => {} }
        };
        let _ = timeout(Duration::from_millis(GOODBYE_MS), said).await;
    }

    /// Whether some linked peer has adopted every own write, or there is none to adopt.
    fn handed_over(&self) -> bool {
        let last: BTreeMap<u16, u64> = (0..self.config.limits.partitions)
            .map(|ix| (ix, self.shared.replica.shared(ix, |p| p.own_last())))
            .filter(|(_, last)| *last > 0)
            .collect();
        last.is_empty() || self.shared.acks.any_holds_all(&last)
    }
}
