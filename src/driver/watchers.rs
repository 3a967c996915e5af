//! Watchers of sessions, told where it happens: under the lock of the partition that a write or a merge changed.

use tokio::sync::broadcast;

use crate::core::replica::{Happened, Replica, Watchers};

/// Events watchers may lag behind before they are told to resync.
const WATCH_EVENTS: usize = 4_096;

struct Told(broadcast::Sender<Happened>);

impl Watchers for Told {
    fn any(&self) -> bool {
        self.0.receiver_count() > 0
    }

    fn tell(&self, event: Happened) {
        // Whoever listened may just have gone.
        let _ = self.0.send(event);
    }
}

/// Where watchers hear of everything that happens in `replica` from now on.
pub(super) fn told_of(replica: &Replica) -> broadcast::Sender<Happened> {
    let events = broadcast::channel(WATCH_EVENTS).0;
    replica.set_watchers(Box::new(Told(events.clone())));
    events
}
