//! The streams that are open, and when each was last read: one that nobody reads makes room for another.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::limits::{STALLED_MS, STREAMS};

/// All open streams.
#[derive(Default)]
pub(super) struct Streams(Mutex<Open>);

#[derive(Default)]
struct Open {
    next: u64,
    /// When each was last read (ms on the node's monotonic clock).
    read_ms: BTreeMap<u64, u64>,
}

/// One stream's place among them.
pub(super) struct Place {
    streams: Arc<Streams>,
    id: u64,
}

impl Streams {
    /// A place for another stream, if there is one: a free one, or that of the stream that was read least lately, if it has
    /// stalled.
    pub fn enter(self: &Arc<Self>, now_ms: u64) -> Option<Place> {
        let mut open = self.0.lock();
        if open.read_ms.len() >= STREAMS {
            let (&id, &read_ms) = open.read_ms.iter().min_by_key(|(_, read_ms)| **read_ms)?;
            if read_ms.saturating_add(STALLED_MS) > now_ms {
                return None;
            }
            open.read_ms.remove(&id);
        }
        open.next += 1;
        let id = open.next;
        open.read_ms.insert(id, now_ms);
        Some(Place { streams: Arc::clone(self), id })
    }
}

impl Place {
    /// Notes that the stream is read; whether it still has its place.
    pub fn reads(&self, now_ms: u64) -> bool {
        let mut open = self.streams.0.lock();
        open.read_ms.get_mut(&self.id).map(|read_ms| *read_ms = now_ms).is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.streams.0.lock().read_ms.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_nobody_reads_makes_room_and_one_that_is_read_does_not() {
        let streams = Arc::new(Streams::default());
        let places: Vec<_> = (0..STREAMS).map(|_| streams.enter(0).unwrap()).collect();
        assert!(streams.enter(STALLED_MS - 1).is_none());
        assert!(places[1..].iter().all(|place| place.reads(STALLED_MS)));
        let new = streams.enter(STALLED_MS).unwrap();
        assert!(!places[0].reads(STALLED_MS), "it has lost its place");
        assert!(streams.enter(2 * STALLED_MS - 1).is_none());
        drop(new);
        assert!(streams.enter(2 * STALLED_MS - 1).is_some());
    }
}
