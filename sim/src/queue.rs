//! The event queue: a calendar of one-millisecond days, and a map for what lies further ahead.
//!
//! Events of one millisecond happen in the order they were scheduled in, so a run is reproducible to the event.

use std::collections::{BTreeMap, VecDeque};

/// Days in the calendar, a power of two: most events are due within a second or two.
const DAYS: u64 = 4_096;

/// What is due when.
pub struct Queue<T> {
    /// Nothing before this time is left.
    now_ms: u64,
    days: Vec<VecDeque<T>>,
    /// One bit a day: whether anything is due on it.
    busy: Vec<u64>,
    far: BTreeMap<u64, VecDeque<T>>,
    len: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            now_ms: 0,
            days: (0..DAYS).map(|_| VecDeque::new()).collect(),
            busy: vec![0; DAYS as usize / 64],
            far: BTreeMap::new(),
            len: 0,
        }
    }
}

impl<T> Queue<T> {
    /// Schedules an event. One for the past happens next.
    pub fn push(&mut self, at_ms: u64, event: T) {
        let at_ms = at_ms.max(self.now_ms);
        self.len += 1;
        if at_ms - self.now_ms >= DAYS {
            self.far.entry(at_ms).or_default().push_back(event);
            return;
        }
        let day = (at_ms % DAYS) as usize;
        self.days[day].push_back(event);
        self.busy[day / 64] |= 1 << (day % 64);
    }

    /// The next event due at `until_ms` or before, with its time.
    pub fn pop(&mut self, until_ms: u64) -> Option<(u64, T)> {
        loop {
            let near = self.next_busy();
            let far = self.far.first_key_value().map(|(at, _)| *at);
            let next = [near, far].into_iter().flatten().min().filter(|&at| at <= until_ms);
            let Some(at) = next else {
                self.advance(until_ms);
                return None;
            };
            self.advance(at);
            let day = (at % DAYS) as usize;
            if let Some(event) = self.days[day].pop_front() {
                if self.days[day].is_empty() {
                    self.busy[day / 64] &= !(1 << (day % 64));
                }
                self.len -= 1;
                return Some((at, event));
            }
        }
    }

    /// How many events wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Moves the present to `to_ms` and brings what has come within reach into the calendar. What was scheduled
    /// from afar goes before what was scheduled for the same moment later: it was scheduled first.
    fn advance(&mut self, to_ms: u64) {
        self.now_ms = self.now_ms.max(to_ms);
        while let Some(entry) = self.far.first_entry() {
            if *entry.key() - self.now_ms.min(*entry.key()) >= DAYS {
                break;
            }
            let (at, mut events) = entry.remove_entry();
            let day = (at % DAYS) as usize;
            events.append(&mut self.days[day]);
            self.days[day] = events;
            self.busy[day / 64] |= 1 << (day % 64);
        }
    }

    fn next_busy(&self) -> Option<u64> {
        let start = (self.now_ms % DAYS) as usize;
        let words = self.busy.len();
        for step in 0..=words {
            let word = (start / 64 + step) % words;
            let mut bits = self.busy[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == words {
                bits &= !(u64::MAX << (start % 64));
            }
            if bits != 0 {
                let day = (word * 64) as u64 + u64::from(bits.trailing_zeros());
                return Some(self.now_ms + (day + DAYS - start as u64) % DAYS);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn events_come_in_order_of_time_then_of_scheduling(
            steps in prop::collection::vec((0u64..20_000, 0u64..3_000), 1..200)
        ) {
            let (mut queue, mut model, mut now) = (Queue::default(), BTreeMap::new(), 0);
            for (n, (ahead, run)) in steps.into_iter().enumerate() {
                queue.push(now + ahead, n);
                model.insert((now + ahead, n), ());
                let until = now + run;
                while let Some((at, event)) = queue.pop(until) {
                    let first = model.first_key_value().map(|(k, ())| *k);
                    prop_assert_eq!(first, Some((at, event)));
                    model.remove(&(at, event));
                }
                prop_assert!(model.first_key_value().is_none_or(|(k, ())| k.0 > until));
                prop_assert_eq!(queue.len(), model.len());
                now = until;
            }
        }
    }
}
