//! Events waiting for a reader who may be slow: the newest view replaces the older, the rest is bounded.

use std::collections::VecDeque;

use super::config::limits;
use super::member::DiscoveryEvent;

/// Events not yet taken.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<DiscoveryEvent>,
    dropped: u64,
}

impl Outbox {
    /// Adds an event. An unread [`DiscoveryEvent::Changed`] is superseded by a newer one; beyond the bound the
    /// oldest event is lost and counted.
    pub(super) fn push(&mut self, event: DiscoveryEvent) {
        if matches!(event, DiscoveryEvent::Changed(_)) {
            self.queue.retain(|queued| !matches!(queued, DiscoveryEvent::Changed(_)));
        }
        if self.queue.len() >= limits::QUEUED_EVENTS {
            self.queue.pop_front();
            self.dropped += 1;
        }
        self.queue.push_back(event);
    }

    /// The oldest event.
    pub(super) fn pop(&mut self) -> Option<DiscoveryEvent> {
        self.queue.pop_front()
    }

    /// Nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Events lost so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_coalesce_and_other_events_keep_their_order() {
        let mut outbox = Outbox::default();
        outbox.push(DiscoveryEvent::Changed(Vec::new()));
        outbox.push(DiscoveryEvent::GossipRestarted { generation: 1 });
        outbox.push(DiscoveryEvent::Changed(Vec::new()));
        assert_eq!(outbox.pop(), Some(DiscoveryEvent::GossipRestarted { generation: 1 }));
        assert_eq!(outbox.pop(), Some(DiscoveryEvent::Changed(Vec::new())));
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_reader_who_never_comes_costs_a_bounded_queue() {
        let mut outbox = Outbox::default();
        for generation in 0..2_000 {
            outbox.push(DiscoveryEvent::GossipRestarted { generation });
        }
        assert_eq!(outbox.dropped(), 2_000 - limits::QUEUED_EVENTS as u64);
    }
}
