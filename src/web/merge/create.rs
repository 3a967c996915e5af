//! Creating a session: a new one, or one that continues another under a new id.
//!
//! A framework that gives a session a new id creates one with all that the request holds, the token of the old session
//! among it. The token says what the request changed, so that it can be told whose the new one is, and what others have
//! written to the old one since is taken along, where this node has it.

use std::collections::BTreeMap;
use std::time::Instant;

use super::cycles::Came;
use super::engine::Merge;
use super::error::{MergeError, Result};
use super::limits::MAX_ID_TRIES;
use super::plan::Given;
use super::request::{MapName, Request};
use super::token::{Carried, HIDDEN_KEY, SeenKey, Token};
use super::whose;
use crate::mesh::{Error, Expiry, Fields, Kin, Receipt, Sessions, Versioned};
use crate::{SessionId, WriteError};

/// A map that is to be a session.
#[derive(Debug)]
pub struct Create<'a> {
    /// What lay under the hidden key.
    pub carried: Carried,
    /// The map's name, as in [`super::Save`].
    pub map: Option<MapName>,
    /// All other keys.
    pub given: Vec<Given<'a>>,
    /// Whose session the map says it is, as in [`super::Save`].
    pub principal: Option<Option<String>>,
}

/// A key of a new session.
struct Put<'a> {
    bytes: &'a [u8],
    /// Whether it is that of the old session, as it was.
    copied: bool,
}

/// What a new session is made of.
#[derive(Default)]
struct Made {
    came: Option<Came>,
    seen: BTreeMap<String, SeenKey>,
    /// Whether its user is whom the request was shown.
    same: bool,
    /// Whether the old session's end is no logout.
    goes_on: bool,
    /// What the request changed.
    change: Vec<u8>,
}

impl Merge {
    /// Creates a session of this map under `id`, or under a random one if that is taken. What the request carried of
    /// another session, and hands on as it was, is taken however much that is: a merge may have made it more than a
    /// session may have, and its user must be able to get a new id.
    ///
    /// One that continues another, whose user is the same, is that log-in, and ends with a logout of the other. It is
    /// refused if somebody ended the other one meanwhile.
    pub fn create(&self, id: SessionId, expiry: Expiry, create: &Create<'_>) -> Result<Receipt> {
        let (mut id, made) = (id, self.made(create));
        let came = made.came.as_ref();
        let kin = made.kin(create.principal.as_ref().map(Option::as_deref));
        if came.is_some_and(|came| came.over || self.sessions().is_over(came.id, kin)) {
            return Err(MergeError::over());
        }
        let put = taken_along(&create.given, &made.seen, came.and_then(|came| came.before.as_deref()));
        for _ in 0..MAX_ID_TRIES {
            let created = self.sessions().create_with_id(id, expiry, |fields| {
                for (key, Put { bytes, copied }) in &put {
                    fields.set_bytes(key, *bytes);
                    if *copied {
                        fields.copied(key, bytes);
                    }
                }
                made.log_in(fields, create.principal.as_ref().and_then(Option::as_deref));
                came.into_iter().for_each(|came| fields.made_of(came.id, kin));
                Ok(())
            });
            match created {
                Err(Error::Write(WriteError::IdTaken)) => id = Sessions::random_id()?,
                Ok(receipt) => {
                    let goes_on = came.filter(|_| made.goes_on);
                    goes_on.into_iter().for_each(|came| self.cycles.lock().goes_on(&came.id));
                    return Ok(receipt);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(MergeError::Backend(format!(
            "{MAX_ID_TRIES} session ids in a row were taken; nothing was created"
        )))
    }

    /// What the session is made of that this map becomes.
    fn made(&self, create: &Create<'_>) -> Made {
        let Carried::Token(token) = &create.carried else { return Made::default() };
        let request = self.last_of(token, create.map);
        let change = changes(&create.given, &request.seen);
        let same = match &create.principal {
            Some(now) => whose::shown(now.as_deref()) == request.principal,
            None => change.is_empty(),
        };
        // Who takes another's place, or nobody's, has logged that one out.
        let goes_on = same || create.principal.is_none() || request.principal.is_none();
        let came = self.cycles.lock().take_up(token, same, goes_on);
        Made { came, seen: request.seen, same, goes_on, change }
    }

    /// What a request saw last of the session that its token is of.
    pub(super) fn last_of(&self, token: &Token, map: Option<MapName>) -> Request {
        let mut request = Request::of_token(token.clone(), map);
        self.recent.lock().overlay(Instant::now(), &mut request);
        request
    }
}

impl Made {
    /// What it has in common with what else is made of the old session. `principal`: whose it is, if that is told.
    fn kin<'a>(&'a self, principal: Option<Option<&'a str>>) -> Kin<'a> {
        match principal {
            _ if self.came.as_ref().is_none_or(|came| !came.tied) => Kin::Alone,
            _ if self.same => Kin::Rotation,
            Some(Some(principal)) => Kin::LogIn(principal),
            Some(None) => Kin::Alone,
            None => Kin::Change(&self.change),
        }
    }

    /// Says in the new session whose it is.
    fn log_in(&self, fields: &mut Fields, principal: Option<&str>) {
        let held = self.came.as_ref().filter(|_| self.same).and_then(|came| came.login.as_ref());
        match (held, principal) {
            // Whoever it was when it was deleted: another request may have logged in or out.
            (Some(login), _) => login.iter().for_each(|login| fields.same_login(login)),
            (None, Some(principal)) => fields.set_principal(principal),
            (None, None) => {}
        }
    }
}

/// What differs between a map and what its request saw, in a form that is the same for the same difference.
pub(super) fn changes(given: &[Given<'_>], seen: &BTreeMap<String, SeenKey>) -> Vec<u8> {
    let now: BTreeMap<&str, &str> = given.iter().map(|g| (g.key, g.hash.as_str())).collect();
    let set = now.iter().filter(|(key, hash)| seen.get(**key).is_none_or(|s| s.hash != **hash));
    let gone = seen.keys().filter(|key| !now.contains_key(key.as_str())).map(|key| (key.as_str(), ""));
    let mut out = Vec::new();
    for (key, hash) in set.map(|(key, hash)| (*key, *hash)).chain(gone) {
        // A key may hold any text: its length comes first. All hashes are of one length, and of a key that is gone
        // there is none.
        out.extend((key.len() as u64).to_be_bytes());
        out.extend(key.as_bytes());
        out.push(u8::from(!hash.is_empty()));
        out.extend(hash.as_bytes());
    }
    out
}

/// What a new session holds: the map, and, of keys that its request has not changed, what others have written to the old
/// session since.
fn taken_along<'a>(
    given: &'a [Given<'_>],
    seen: &BTreeMap<String, SeenKey>,
    before: Option<&'a Versioned>,
) -> BTreeMap<&'a str, Put<'a>> {
    let mut put: BTreeMap<&str, Put<'_>> = BTreeMap::new();
    for g in given {
        let copied = seen.get(g.key).is_some_and(|s| s.hash == g.hash);
        put.insert(g.key, Put { bytes: &g.bytes, copied });
    }
    let Some(before) = before else { return put };
    let unchanged = |put: &BTreeMap<&str, Put<'_>>, key: &str| match put.get(key) {
        Some(put) => put.copied,
        None => !seen.contains_key(key),
    };
    let held: BTreeMap<_, _> = before.fields().map(|(key, bytes, _)| (key, bytes)).collect();
    for (key, bytes) in held.iter().filter(|(key, _)| **key != HIDDEN_KEY) {
        // Also where nobody has: the map may say it in another encoding than its writer did.
        if unchanged(&put, key) {
            put.insert(key, Put { bytes, copied: true });
        }
    }
    put.retain(|key, put| !put.copied || held.contains_key(key));
    put
}
