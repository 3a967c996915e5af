//! The reference model: sessions and requests as the rules have them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

pub const KEYS: [&str; 3] = ["user", "a", "b"];

/// A map as an application sees it: values are small numbers.
pub type Map = BTreeMap<&'static str, u8>;

/// One step of a request, or of somebody else.
#[derive(Clone, Debug)]
pub enum Step {
    Insert(&'static str, u8),
    Remove(&'static str),
    Clear,
    Save,
    Load,
    Flush,
    Cycle,
    /// The request ends, and another comes with the latest cookie.
    Begin,
    /// Somebody sets a key of the latest session, not by a store.
    TheirSet(&'static str, u8),
    /// Somebody removes one.
    TheirRemove(&'static str),
}

/// Steps of two requests, in turns.
pub fn programs() -> impl Strategy<Value = Vec<(usize, Step)>> {
    use Step::*;
    let key = || prop::sample::select(&KEYS[..]);
    let step = prop_oneof![
        6 => (key(), 0..3_u8).prop_map(|(k, v)| Insert(k, v)),
        4 => key().prop_map(Remove),
        3 => Just(Clear),
        8 => Just(Save),
        1 => Just(Load),
        1 => Just(Flush),
        1 => Just(Cycle),
        2 => Just(Begin),
        2 => (prop::sample::select(&KEYS[1..]), 0..3_u8).prop_map(|(k, v)| TheirSet(k, v)),
        1 => prop::sample::select(&KEYS[1..]).prop_map(TheirRemove),
    ];
    prop::collection::vec((0..2_usize, step), 1..20)
}

/// A session: each key's value and the write it came from, and whose it is.
#[derive(Clone, Debug, Default)]
pub struct Held {
    pub keys: BTreeMap<&'static str, (u8, u64)>,
    pub user: Option<u8>,
}

impl Held {
    pub fn map(&self) -> Map {
        self.keys.iter().map(|(k, v)| (*k, v.0)).collect()
    }
}

/// A request, loaded or not.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub id: Option<usize>,
    /// The id in its record, which a flush leaves there.
    pub record: Option<usize>,
    pub map: Option<Map>,
    /// Rule 1.
    pub last: Held,
    /// Whether its map can be told from a cleared one.
    pub token: bool,
    /// The session that it was shown last, whatever id it has now.
    pub shown: Option<usize>,
    /// Whether it was cleared and has not been saved since.
    pub cleared: bool,
}

/// What sessions that were made of one have in common: rule 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kin {
    Rotation,
    LogIn(u8),
}

/// A session that a request deleted.
#[derive(Debug)]
struct Old {
    /// What it was then; none, if it had ended before.
    before: Option<Held>,
    went_on: bool,
}

/// All sessions ever made: `None` for one that was ended.
#[derive(Debug, Default)]
pub struct World {
    pub sessions: Vec<Option<Held>>,
    /// Of each session, what it was made of, and how.
    kin: Vec<Option<(usize, Kin)>>,
    over: BTreeSet<(usize, Kin)>,
    old: BTreeMap<usize, Old>,
    writes: u64,
}

impl World {
    pub fn write(&mut self) -> u64 {
        self.writes += 1;
        self.writes
    }

    pub fn held(&mut self, id: Option<usize>) -> Option<&mut Held> {
        self.sessions.get_mut(id?)?.as_mut()
    }

    /// Ends a session, and all that is of its kin.
    pub fn end(&mut self, id: Option<usize>) {
        let Some(id) = id.filter(|id| *id < self.sessions.len()) else { return };
        let before = self.sessions[id].take();
        if before.is_some()
            && let Some(kin) = self.kin[id]
        {
            self.over.insert(kin);
            let of_kin = self.sessions.iter_mut().zip(&self.kin).filter(|(_, other)| **other == Some(kin));
            of_kin.for_each(|(session, _)| *session = None);
        }
        self.old.entry(id).or_insert(Old { before, went_on: false });
    }

    /// Shows a request its session, if it is there.
    pub fn load(&mut self, request: &mut Request) -> bool {
        let Some(held) = self.held(request.id).cloned() else { return false };
        request.map = Some(held.map());
        (request.record, request.shown) = (request.id, request.id);
        (request.last, request.token, request.cleared) = (held, true, false);
        true
    }

    pub fn clear(request: &mut Request) {
        request.map = Some(Map::new());
        if request.token {
            (request.last, request.token, request.cleared) = (Held::default(), false, true);
        }
    }

    /// Rules 5 to 7. Whether it was created.
    pub fn create(&mut self, request: &mut Request) -> bool {
        let write = self.write();
        let map = request.map.clone().unwrap_or_default();
        let user = map.get("user").copied();
        let keys = map.iter().map(|(k, v)| (*k, (*v, write))).collect();
        let (mut made, mut kin) = (Held { keys, user }, None);
        let of = request.shown.filter(|of| request.token && self.old.contains_key(of));
        if let Some(of) = of
            && let Some(old) = self.old.get_mut(&of)
        {
            let same = user == request.last.user;
            kin = if same { Some((of, Kin::Rotation)) } else { user.map(|user| (of, Kin::LogIn(user))) };
            if same && old.before.is_none() || kin.is_some_and(|kin| self.over.contains(&kin)) {
                return false;
            }
            old.went_on |= same || request.last.user.is_none();
            if let Some(before) = &old.before {
                take_along(&mut made, &request.last, before, write);
                made.user = if same { before.user } else { user };
            }
        }
        self.sessions.push(Some(made.clone()));
        self.kin.push(kin);
        request.id = Some(self.sessions.len() - 1);
        request.map = Some(made.map());
        (request.record, request.shown) = (request.id, request.id);
        (request.last, request.token, request.cleared) = (made, true, false);
        true
    }

    /// Rule 5, its second half: whether a save is an error.
    pub fn is_lost(&self, request: &Request) -> bool {
        let old = request.id.and_then(|id| self.old.get(&id));
        let map = request.map.clone().unwrap_or_default();
        let changed = if request.token { request.last.map() != map } else { !map.is_empty() };
        old.is_some_and(|old| old.went_on) && changed
    }

    /// Rules 2, 3 and 4.
    pub fn save(&mut self, request: &mut Request) {
        let (write, map) = (self.write(), request.map.clone().unwrap_or_default());
        let Some(held) = self.held(request.id) else { return };
        let mut last = Held { user: map.get("user").copied(), ..Held::default() };
        if request.cleared {
            held.keys.retain(|key, _| map.contains_key(key));
        }
        for (key, gone) in request.last.keys.iter().filter(|(key, _)| !map.contains_key(*key)) {
            if held.keys.get(key) == Some(gone) {
                held.keys.remove(key);
            }
        }
        for (key, value) in map {
            let known = if request.cleared { held.keys.get(key) } else { request.last.keys.get(key) };
            let kept = known.copied().filter(|known| known.0 == value);
            if kept.is_none() {
                held.keys.insert(key, (value, write));
            }
            last.keys.insert(key, kept.unwrap_or((value, write)));
        }
        if request.cleared || last.user != request.last.user {
            held.user = last.user;
        }
        (request.last, request.cleared) = (last, false);
    }

    /// What others do.
    pub fn theirs(&mut self, key: &'static str, value: Option<u8>) {
        let (write, latest) = (self.write(), self.sessions.len().checked_sub(1));
        let Some(held) = self.held(latest) else { return };
        match value {
            Some(value) => drop(held.keys.insert(key, (value, write))),
            None => drop(held.keys.remove(key)),
        }
    }
}

/// Rule 6: what others have written since.
fn take_along(made: &mut Held, last: &Held, before: &Held, write: u64) {
    let unchanged =
        |made: &Held, key: &str| made.keys.get(key).map(|k| k.0) == last.keys.get(key).map(|k| k.0);
    for (key, held) in &before.keys {
        if last.keys.get(key) != Some(held) && unchanged(made, key) {
            made.keys.insert(key, (held.0, write));
        }
    }
    for key in last.keys.keys().filter(|key| !before.keys.contains_key(*key)) {
        if unchanged(made, key) {
            made.keys.remove(key);
        }
    }
}
