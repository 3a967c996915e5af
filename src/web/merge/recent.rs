//! A short memory of saves.
//!
//! A save cannot put a new token into the map that it was given, so after *insert k, save, remove k, save* in one request
//! the token still says that k was never seen, and the removal would be lost. And a map that was cleared has no token
//! at all: its second save would clear again, what others wrote since too. So what the first save left is remembered
//! here until the second one asks.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::limits::MAX_RECENT_KEYS;
use super::plan::Basis;
use super::request::Request;
use super::token::SeenKey;

/// How long a save is remembered. Only a request that saves more than once asks, and few requests take longer. One
/// that does keeps a key it wanted removed, if it had inserted that key itself; and if it had cleared, it clears again.
const REMEMBER: Duration = Duration::from_secs(60);
/// Whose saves: the load that made the token, and where its map lies.
///
/// A token alone does not name a request: a cache above a store hands one map, with its token, to many. Each
/// of them holds a copy of its own, and one request's map stays where it is.
pub(super) type Saver = (u64, usize);

/// What saves left behind: `None` for a key they removed.
pub(super) type Wrote = BTreeMap<String, Option<SeenKey>>;

/// What a save leaves for the next one of the same request.
#[derive(Clone, Debug, Default)]
pub(super) struct Saved {
    /// The keys it wrote, and those it found as it wanted them.
    pub wrote: Wrote,
    /// The hash of the principal that its map named.
    pub principal: Option<String>,
    /// The expiry date that it came with (ms since the epoch), if it came with one.
    pub ends_ms: Option<i64>,
}

/// The memory of one store.
#[derive(Default)]
pub(super) struct Recent {
    savers: BTreeMap<Saver, (Instant, Saved)>,
    /// Oldest first. A saver that saved again appears again; only its newest entry counts.
    order: VecDeque<(Instant, Saver)>,
    keys: usize,
}

impl Recent {
    /// Adds what a save left.
    pub fn note(&mut self, now: Instant, saver: Saver, saved: Saved) {
        let (at, held) = self.savers.entry(saver).or_insert_with(|| (now, Saved::default()));
        let before = held.wrote.len();
        *at = now;
        held.wrote.extend(saved.wrote);
        (held.principal, held.ends_ms) = (saved.principal, saved.ends_ms);
        self.keys += held.wrote.len() - before;
        self.order.push_back((now, saver));
        self.forget(now);
    }

    /// Brings what a request's map says up to what its saves left since: from then on it is compared with the last
    /// of them, and not cleared a second time.
    pub fn overlay(&self, now: Instant, request: &mut Request) {
        let Some((at, saved)) = request.saver.and_then(|saver| self.savers.get(&saver)) else { return };
        if now.duration_since(*at) > REMEMBER {
            return;
        }
        for (key, written) in &saved.wrote {
            match written {
                Some(key_seen) => request.seen.insert(key.clone(), key_seen.clone()),
                None => request.seen.remove(key),
            };
        }
        request.basis = Basis::Seen;
        request.principal.clone_from(&saved.principal);
        request.ends_ms = saved.ends_ms;
    }

    fn forget(&mut self, now: Instant) {
        while let Some(&(at, saver)) = self.order.front() {
            // `order` is bounded too: a request that saves in a loop must not fill it with its own name.
            let full = self.keys > MAX_RECENT_KEYS || self.order.len() > MAX_RECENT_KEYS;
            if !full && now.duration_since(at) <= REMEMBER {
                return;
            }
            self.order.pop_front();
            if self.savers.get(&saver).is_some_and(|held| held.0 == at)
                && let Some((_, saved)) = self.savers.remove(&saver)
            {
                self.keys -= saved.wrote.len();
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

    fn saved(keys: &[(&str, Option<&str>)]) -> Saved {
        let wrote = keys.iter().map(|(k, v)| ((*k).to_owned(), v.map(key_seen))).collect();
        Saved { wrote, ..Saved::default() }
    }

    fn request(saver: Saver) -> Request {
        let seen = BTreeMap::from([("b".to_owned(), key_seen("0.1"))]);
        Request { saver: Some(saver), basis: Basis::Cleared, seen, principal: None, ends_ms: None }
    }

    #[test]
    fn what_one_saver_wrote_is_remembered_for_that_saver_and_for_a_while() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        recent.note(now, (1, 1), saved(&[("a", Some("1.1")), ("b", None)]));
        let seen = |recent: &Recent, at, saver| {
            let mut request = request(saver);
            recent.overlay(at, &mut request);
            request.seen.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(seen(&recent, now, (1, 1)), ["a"]);
        assert_eq!(seen(&recent, now, (1, 2)), ["b"], "a copy of the record is another request's");
        assert_eq!(seen(&recent, now + REMEMBER * 2, (1, 1)), ["b"]);
        recent.note(now + REMEMBER * 2, (2, 2), saved(&[("c", None)]));
        assert_eq!((recent.savers.len(), recent.order.len(), recent.keys), (1, 1, 1));
    }

    #[test]
    fn a_save_that_wrote_nothing_is_remembered_too() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        recent.note(now, (1, 1), Saved { principal: Some("ada".into()), ends_ms: Some(7), ..saved(&[]) });
        let mut again = request((1, 1));
        recent.overlay(now, &mut again);
        assert_eq!(
            (again.basis, again.principal.as_deref(), again.ends_ms),
            (Basis::Seen, Some("ada"), Some(7))
        );
    }

    #[test]
    fn the_memory_is_bounded_in_keys_and_in_saves() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        for saver in 0..MAX_RECENT_KEYS as u64 {
            recent.note(now, (saver, 0), saved(&[("a", None), ("b", None)]));
        }
        assert_eq!(recent.keys, MAX_RECENT_KEYS);
        let mut again = Recent::default();
        for _ in 0..MAX_RECENT_KEYS * 2 {
            again.note(now, (1, 0), saved(&[("a", None)]));
        }
        assert!(again.order.len() <= MAX_RECENT_KEYS);
    }
}
