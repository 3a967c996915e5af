//! Watchers of sessions, told where it happens: under the lock of the partition that a write or a merge changed.

use std::sync::Arc;

use super::told::{Ring, Told};
use crate::core::replica::{Happened, Replica, Watchers};
use crate::limits::{WATCH_BYTES, WATCH_EVENTS};

struct Telling(Arc<Ring<Happened>>);

impl Watchers for Telling {
    fn any(&self) -> bool {
        self.0.listeners() > 0
    }

    fn tell(&self, event: Happened) {
        self.0.send(event);
    }
}

/// Where watchers hear of everything that happens in `replica` from now on.
pub(super) fn told_of(replica: &Replica) -> Told<Happened> {
    let events = Told::new(WATCH_EVENTS, WATCH_BYTES);
    replica.set_watchers(Box::new(Telling(events.ring())));
    events
}
