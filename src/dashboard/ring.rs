//! The last so many of something, numbered from 1 in the order they came.

use std::collections::VecDeque;

/// A bounded history.
pub(super) struct Ring<T> {
    capacity: usize,
    total: u64,
    items: VecDeque<T>,
}

impl<T: Clone> Ring<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, total: 0, items: VecDeque::new() }
    }

    /// How many are kept at most.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many there were.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Adds the newest, which forgets the oldest of a full ring.
    pub(super) fn push(&mut self, item: T) {
        if self.items.len() == self.capacity {
            self.items.pop_front();
        }
        self.total += 1;
        self.items.push_back(item);
    }

    /// All that are kept with their numbers, newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = (u64, &T)> {
        let total = self.total;
        self.items.iter().rev().enumerate().map(move |(back, item)| (total - back as u64, item))
    }

    /// At most `limit` of those below number `before` that pass, newest first, and where the next page begins.
    pub(super) fn page(
        &self,
        limit: usize,
        before: Option<u64>,
        pass: impl Fn(&T) -> bool,
    ) -> (Vec<(u64, T)>, Option<u64>) {
        let below = before.unwrap_or(u64::MAX);
        let mut rest = self.newest().filter(|(seq, item)| *seq < below && pass(item));
        let page: Vec<(u64, T)> = rest.by_ref().take(limit).map(|(seq, item)| (seq, item.clone())).collect();
        let next = rest.next().and(page.last().map(|(seq, _)| *seq));
        (page, next)
    }

    /// At most `limit` of those after number `seen`, oldest first.
    pub(super) fn since(&self, seen: u64, limit: usize) -> Vec<(u64, T)> {
        let mut news: Vec<(u64, T)> = self
            .newest()
            .take_while(|(seq, _)| *seq > seen)
            .take(limit)
            .map(|(s, i)| (s, i.clone()))
            .collect();
        news.reverse();
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_forgets_the_oldest_and_pages_from_the_newest() {
        let mut ring = Ring::new(3);
        (1..=5).for_each(|n| ring.push(n * 10));
        assert_eq!(ring.total(), 5);
        assert_eq!(ring.page(2, None, |_| true), (vec![(5, 50), (4, 40)], Some(4)));
        assert_eq!(ring.page(2, Some(4), |_| true), (vec![(3, 30)], None));
        assert_eq!(ring.page(9, None, |n| *n == 40), (vec![(4, 40)], None));
        assert_eq!(ring.since(3, 9), [(4, 40), (5, 50)]);
        assert_eq!(ring.since(0, 2), [(4, 40), (5, 50)]);
    }
}
