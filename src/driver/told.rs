//! What is told to any number of listeners, none of whom is waited for: kept for the slowest, in number and in bytes.
//!
//! A listener who does not listen costs what the bounds allow and no more; then it is told how many it missed. Bounds in
//! number alone would not do: an event may name a thousand fields, or carry two values of a megabyte.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::core::replica::{ConflictEvent, Happened};

/// What something takes in memory, roughly (bytes).
pub(crate) trait Weigh {
    /// Its own size and what it points at.
    fn weight_bytes(&self) -> usize;
}

impl Weigh for Happened {
    fn weight_bytes(&self) -> usize {
        let beyond = match self {
            Self::Changed(_, keys) => keys.iter().map(|key| size_of::<String>() + key.len()).sum(),
            Self::Conflict(conflict) => conflict_bytes(conflict),
            _ => 0,
        };
        size_of::<Self>() + beyond
    }
}

/// What a conflict takes with both of its values (bytes).
pub(crate) fn conflict_bytes(conflict: &ConflictEvent) -> usize {
    let value = |side: &(_, _, Option<Vec<u8>>)| side.2.as_ref().map_or(0, Vec::len);
    size_of::<ConflictEvent>() + conflict.key.len() + value(&conflict.kept) + value(&conflict.lost)
}

#[derive(Debug)]
struct Held<T> {
    /// The oldest first.
    items: VecDeque<Arc<T>>,
    bytes: usize,
    /// The number of the oldest one.
    first: u64,
    listeners: usize,
    closed: bool,
}

/// What is kept for listeners.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    held: Mutex<Held<T>>,
    news: Notify,
    most: usize,
    most_bytes: usize,
    missed: AtomicU64,
}

impl<T: Weigh> Ring<T> {
    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.held.lock().listeners
    }

    /// Tells those who listen. Never waits.
    pub fn send(&self, item: T) {
        let mut over = Vec::new();
        {
            let mut held = self.held.lock();
            if held.listeners == 0 {
                return;
            }
            held.bytes += item.weight_bytes();
            held.items.push_back(Arc::new(item));
            // The newest stays, however large: whoever keeps up misses nothing.
            while held.items.len() > self.most || held.bytes > self.most_bytes && held.items.len() > 1 {
                over.extend(held.pop());
            }
        }
        self.news.notify_waiters();
        // Freed outside the lock: it may be much.
        drop(over);
    }
}

impl<T: Weigh> Held<T> {
    fn pop(&mut self) -> Option<Arc<T>> {
        let item = self.items.pop_front()?;
        self.bytes -= item.weight_bytes();
        self.first += 1;
        Some(item)
    }

    fn clear(&mut self) {
        while self.pop().is_some() {}
    }
}

/// The telling side. Listeners hear of its end.
#[derive(Debug)]
pub(crate) struct Told<T: Weigh>(Arc<Ring<T>>);

impl<T: Weigh> Told<T> {
    /// Keeps at most so many items, and so many bytes of them, for whoever is slow.
    pub fn new(most: usize, most_bytes: usize) -> Self {
        let held = Held { items: VecDeque::new(), bytes: 0, first: 0, listeners: 0, closed: false };
        let (news, missed) = (Notify::new(), AtomicU64::new(0));
        Self(Arc::new(Ring { held: Mutex::new(held), news, most, most_bytes, missed }))
    }

    /// What others may tell through.
    pub fn ring(&self) -> Arc<Ring<T>> {
        Arc::clone(&self.0)
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.0.listeners()
    }

    /// Tells those who listen. Never waits.
    pub fn send(&self, item: T) {
        self.0.send(item);
    }

    /// How many items listeners have missed.
    pub fn missed(&self) -> u64 {
        self.0.missed.load(Ordering::Relaxed)
    }

    /// Listens from now on.
    pub fn listen(&self) -> Listener<T> {
        let mut held = self.0.held.lock();
        held.listeners += 1;
        let next = held.first + held.items.len() as u64;
        drop(held);
        Listener { ring: Arc::clone(&self.0), next }
    }
}

impl<T: Weigh> Drop for Told<T> {
    fn drop(&mut self) {
        self.0.held.lock().closed = true;
        self.0.news.notify_waiters();
    }
}

/// What a listener hears.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard<T> {
    /// The next item.
    Item(T),
    /// It was too slow: so many items are gone.
    Missed(u64),
    /// Nothing more will come.
    Over,
}

/// One who listens.
#[derive(Debug)]
pub(crate) struct Listener<T: Weigh> {
    ring: Arc<Ring<T>>,
    /// The number of the item it hears next.
    next: u64,
}

impl<T: Weigh + Clone> Listener<T> {
    /// Waits for what comes next. May be dropped at any time: nothing is lost by that.
    pub async fn next(&mut self) -> Heard<T> {
        loop {
            let ring = Arc::clone(&self.ring);
            let news = ring.news.notified();
            tokio::pin!(news);
            // Before looking, so that nothing that comes between the two is slept through.
            news.as_mut().enable();
            if let Some(heard) = self.look() {
                return heard;
            }
            news.await;
        }
    }

    fn look(&mut self) -> Option<Heard<T>> {
        let held = self.ring.held.lock();
        if let Some(missed) = held.first.checked_sub(self.next).filter(|missed| *missed > 0) {
            self.next = held.first;
            self.ring.missed.fetch_add(missed, Ordering::Relaxed);
            return Some(Heard::Missed(missed));
        }
        let Some(item) = held.items.get((self.next - held.first) as usize).cloned() else {
            return held.closed.then_some(Heard::Over);
        };
        drop(held);
        self.next += 1;
        Some(Heard::Item(Arc::unwrap_or_clone(item)))
    }
}

impl<T: Weigh> Drop for Listener<T> {
    fn drop(&mut self) {
        let mut held = self.ring.held.lock();
        held.listeners -= 1;
        if held.listeners == 0 {
            held.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::session::SessionId;

    fn changed(names: usize) -> Happened {
        Happened::Changed(SessionId::from_bytes([1; 16]), vec!["k".repeat(255); names])
    }

    /// 4,096 of these would be a gigabyte.
    #[test]
    fn who_does_not_listen_costs_bytes_that_are_bounded_and_is_told_what_it_missed() {
        let told = Told::new(4_096, 1 << 20);
        told.send(changed(1_000));
        assert_eq!(told.0.held.lock().items.len(), 0, "nobody listens");
        let mut slow = told.listen();
        for _ in 0..100 {
            told.send(changed(1_000));
        }
        let kept = told.0.held.lock().items.len() as u64;
        assert!(told.0.held.lock().bytes <= 1 << 20 && kept > 0);
        assert_eq!(slow.look(), Some(Heard::Missed(100 - kept)));
        assert_eq!(told.missed(), 100 - kept);
        for _ in 0..kept {
            assert_eq!(slow.look(), Some(Heard::Item(changed(1_000))));
        }
        assert_eq!(slow.look(), None);
        let large = changed(10_000);
        told.send(large.clone());
        assert_eq!(
            slow.look(),
            Some(Heard::Item(large)),
            "what is larger than the bound is told all the same"
        );
        drop(slow);
        assert_eq!(told.listeners(), 0);
        assert_eq!(told.0.held.lock().bytes, 0);
    }

    #[tokio::test]
    async fn each_listener_hears_everything_from_its_beginning_to_the_end() {
        let told = Told::new(10, 1 << 20);
        let mut early = told.listen();
        told.send(changed(1));
        let mut late = told.listen();
        told.send(changed(2));
        assert_eq!(
            (early.next().await, early.next().await),
            (Heard::Item(changed(1)), Heard::Item(changed(2)))
        );
        assert_eq!(late.next().await, Heard::Item(changed(2)));
        drop(told);
        assert_eq!(early.next().await, Heard::Over);
    }
}
