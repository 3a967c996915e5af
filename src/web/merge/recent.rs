//! A short memory of what saves wrote.
//!
//! A save cannot put a new token into the map that it was given, so after *insert k, save, remove k, save* in one request
//! the token still says that k was never seen, and the removal would be lost. What the first save wrote is
//! remembered here until the second one asks.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::token::SeenKey;

/// How long a save is remembered. Only a request that saves more than once asks, and few requests take longer. One
/// that does keeps a key it wanted removed, if it had inserted that key itself.
const REMEMBER: Duration = Duration::from_secs(60);
/// Keys remembered over all saves. A key of 255 bytes with its version and hash takes under 400 bytes, so this
/// bounds the memory at about 25 MB, and at typical keys at a third of that.
const MAX_KEYS: usize = 65_536;

/// Whose saves: the load that made the token, and where its map lies.
///
/// A token alone does not name a request: a cache above a store hands one map, with its token, to many. Each
/// of them holds a copy of its own, and one request's map stays where it is.
pub(super) type Saver = (u64, usize);

/// What saves left behind: `None` for a key they removed.
pub(super) type Wrote = BTreeMap<String, Option<SeenKey>>;

/// The memory of one store.
#[derive(Default)]
pub(super) struct Recent {
    savers: BTreeMap<Saver, (Instant, Wrote)>,
    /// Oldest first. A saver that saved again appears again; only its newest entry counts.
    order: VecDeque<(Instant, Saver)>,
    keys: usize,
}

impl Recent {
    /// Adds what a save wrote.
    pub fn note(&mut self, now: Instant, saver: Saver, wrote: Wrote) {
        if wrote.is_empty() {
            return;
        }
        let (at, held) = self.savers.entry(saver).or_insert_with(|| (now, Wrote::new()));
        let before = held.len();
        *at = now;
        held.extend(wrote);
        self.keys += held.len() - before;
        self.order.push_back((now, saver));
        self.forget(now);
    }

    /// Brings what a token says up to what this saver's saves wrote since.
    pub fn overlay(&self, now: Instant, saver: Saver, seen: &mut BTreeMap<String, SeenKey>) {
        let Some((at, wrote)) = self.savers.get(&saver) else { return };
        if now.duration_since(*at) > REMEMBER {
            return;
        }
        for (key, written) in wrote {
            match written {
                Some(key_seen) => seen.insert(key.clone(), key_seen.clone()),
                None => seen.remove(key),
            };
        }
    }

    fn forget(&mut self, now: Instant) {
        while let Some(&(at, saver)) = self.order.front() {
            // `order` is bounded too: a request that saves in a loop must not fill it with its own name.
            let full = self.keys > MAX_KEYS || self.order.len() > MAX_KEYS;
            if !full && now.duration_since(at) <= REMEMBER {
                return;
            }
            self.order.pop_front();
            if self.savers.get(&saver).is_some_and(|held| held.0 == at)
                && let Some((_, wrote)) = self.savers.remove(&saver)
            {
                self.keys -= wrote.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_seen(version: &str) -> SeenKey {
        SeenKey { version: version.to_owned(), hash: String::new() }
    }

    fn wrote(keys: &[(&str, Option<&str>)]) -> Wrote {
        keys.iter().map(|(k, v)| ((*k).to_owned(), v.map(key_seen))).collect()
    }

    #[test]
    fn what_one_saver_wrote_is_remembered_for_that_saver_and_for_a_while() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        recent.note(now, (1, 1), wrote(&[("a", Some("1.1")), ("b", None)]));
        let seen = |recent: &Recent, at, saver| {
            let mut seen = BTreeMap::from([("b".to_owned(), key_seen("0.1"))]);
            recent.overlay(at, saver, &mut seen);
            seen.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(seen(&recent, now, (1, 1)), ["a"]);
        assert_eq!(seen(&recent, now, (1, 2)), ["b"], "a copy of the record is another request's");
        assert_eq!(seen(&recent, now + REMEMBER * 2, (1, 1)), ["b"]);
        recent.note(now + REMEMBER * 2, (2, 2), wrote(&[("c", None)]));
        assert_eq!((recent.savers.len(), recent.order.len(), recent.keys), (1, 1, 1));
    }

    #[test]
    fn the_memory_is_bounded_in_keys_and_in_saves() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        for saver in 0..MAX_KEYS as u64 {
            recent.note(now, (saver, 0), wrote(&[("a", None), ("b", None)]));
        }
        assert_eq!(recent.keys, MAX_KEYS);
        let mut again = Recent::default();
        for _ in 0..MAX_KEYS * 2 {
            again.note(now, (1, 0), wrote(&[("a", None)]));
        }
        assert!(again.order.len() <= MAX_KEYS);
    }
}
