//! A short memory of deletes: which of them was a logout, and which the first half of a new id.
//!
//! A framework that gives a session a new id deletes the old one, and creates another at the end of the request, with what
//! the request holds: the token among it, which names the old session. A logout is the same delete, with nothing after it.
//! So what was deleted is remembered until the create comes; and a delete that none came for within [`CYCLE_WITHIN`] was
//! a logout, of all that the session became under new ids elsewhere, too. Deletes and creates of one id are counted, since
//! two requests may give it a new id at once, or one of them log out.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

// The clock that the wait for a create goes by, so that a test can let that pass without waiting.
use tokio::time::Instant;

use super::limits::{MAX_DELETES, MAX_HELD_MAPS};
use super::token::Token;
use super::value::hash;
use crate::SessionId;
use crate::mesh::{GivenUp, HeldLogin, Versioned};

/// How long a delete may be the first half of a new id. What lies between the two is the end of a handler, and the wait
/// for a second copy of the delete. A handler that takes longer gets its new session; it is tied to no other then.
pub(super) const CYCLE_WITHIN: Duration = Duration::from_secs(3);
/// How long a delete is remembered: the longest that a request should take.
const REMEMBER: Duration = Duration::from_secs(600);
/// What became of an id.
struct Old {
    id: SessionId,
    /// Its creation, as a token names it; unknown, if the session was not here.
    birth: Option<String>,
    /// What it held when it was deleted, while a create may come that takes it along.
    before: Option<Arc<Versioned>>,
    /// Whose it was then, if that is known.
    login: Option<Option<HeldLogin>>,
    /// The family of what its user's log-ins make of it.
    own: Option<SessionId>,
    /// Whether it had ended before any request here deleted it.
    ended_before: bool,
    deletes: u32,
    creates: u32,
    /// Whether a session was created that is its continuation.
    went_on: bool,
    /// When its last delete counts as a logout, if no create has come.
    due: Instant,
    /// Whether that has passed.
    settled: bool,
}

/// What a create has to know of the session it continues.
pub(super) struct Came {
    /// The old id.
    pub id: SessionId,
    /// Whether somebody else has ended it: its user may not go on under a new id.
    pub over: bool,
    /// Whether the new session may be tied to it: its delete does not count as a logout yet.
    pub tied: bool,
    /// What it held when it was deleted.
    pub before: Option<Arc<Versioned>>,
    /// Whose it was then, if that is known.
    pub login: Option<Option<HeldLogin>>,
}

/// The memory of one store.
#[derive(Default)]
pub(super) struct Cycles {
    /// By the hash of the id, as tokens name it.
    old: HashMap<String, Old>,
    /// Oldest first.
    order: VecDeque<(Instant, String)>,
    held: usize,
}

impl Cycles {
    /// Notes that a request here deleted a session: what it was, unless it had ended already. The first of several
    /// deletes knows.
    pub fn deleted(&mut self, now: Instant, id: SessionId, given_up: Option<&mut GivenUp>) {
        let name = hash(id.as_bytes());
        let known = self.old.contains_key(&name);
        if !known {
            self.order.push_back((now, name.clone()));
        }
        let due = now + CYCLE_WITHIN;
        let old = self.old.entry(name).or_insert_with(|| Old {
            id,
            birth: None,
            before: None,
            login: None,
            own: None,
            ended_before: given_up.is_none(),
            deletes: 0,
            creates: 0,
            went_on: false,
            due,
            settled: false,
        });
        old.deletes += 1;
        old.due = due;
        old.own = old.own.or(given_up.as_ref().and_then(|given_up| given_up.own));
        if let Some(before) = given_up.and_then(|given_up| given_up.before.take()) {
            old.birth = Some(before.birth.to_text());
            old.login = Some(before.session.held_login());
            if self.held < MAX_HELD_MAPS && old.before.is_none() {
                old.before = Some(Arc::new(before));
                self.held += 1;
            }
        }
        self.forget(now);
    }

    /// Takes up the session that this token is of, if it was deleted here, for a create that is made of it. `same`: its user
    /// stays who it was; `counts`: the create is what one of its deletes was for, and that was no logout.
    pub fn take_up(&mut self, token: &Token, same: bool, counts: bool) -> Option<Came> {
        let old = self.old.get_mut(&token.session)?;
        if old.birth.as_ref().is_some_and(|birth| *birth != token.birth) {
            return None;
        }
        // Of several deletes, one may have been a logout: which create is whose is not known.
        let over = same && (old.ended_before || old.settled && old.deletes > 1);
        old.creates += u32::from(counts);
        let before = old.before.clone();
        Some(Came { id: old.id, over, tied: !old.settled, before, login: old.login.clone() })
    }

    /// Notes that a session went on under another id.
    pub fn goes_on(&mut self, id: &SessionId) {
        if let Some(old) = self.old.get_mut(&hash(id.as_bytes())) {
            old.went_on = true;
        }
    }

    /// Whether a session went on under another id, given to it by a request here.
    pub fn went_on(&self, id: &SessionId) -> bool {
        self.old.get(&hash(id.as_bytes())).is_some_and(|old| old.went_on)
    }

    /// Whether one of the deletes of an id was a logout, now that no create can come any more. `Some` once: with
    /// whether the session has gone on here, and the family of its own user's log-ins.
    pub fn settle(&mut self, now: Instant, id: &SessionId) -> Option<(bool, Option<SessionId>)> {
        let old = self.old.get_mut(&hash(id.as_bytes())).filter(|old| old.due <= now)?;
        self.held -= usize::from(old.before.take().is_some());
        let first = !std::mem::replace(&mut old.settled, true);
        (first && old.deletes > old.creates).then_some((old.went_on, old.own))
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, _)) = self.order.front()
            && (self.order.len() > MAX_DELETES || now.duration_since(*at) > REMEMBER)
        {
            let old = self.order.pop_front().and_then(|(_, name)| self.old.remove(&name));
            self.held -= usize::from(old.is_some_and(|old| old.before.is_some()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::mesh::Version;

    const ID: SessionId = SessionId::from_bytes([7; 16]);
    const OWN: SessionId = SessionId::from_bytes([8; 16]);

    fn gone() -> GivenUp {
        GivenUp { receipts: Vec::new(), before: None, own: Some(OWN) }
    }

    fn token() -> Token {
        Token::new(ID, Version::parse("1.1").unwrap(), 0, BTreeMap::new())
    }

    #[test]
    fn a_delete_without_a_create_was_a_logout_and_that_is_said_once() {
        let (mut cycles, now) = (Cycles::default(), Instant::now());
        cycles.deleted(now, ID, Some(&mut gone()));
        assert_eq!(cycles.settle(now, &ID), None, "a create may come");
        let came = cycles.take_up(&token(), true, true).unwrap();
        assert!(came.tied && !came.over && !cycles.went_on(&ID));
        cycles.goes_on(&ID);
        assert!(cycles.went_on(&ID));
        assert_eq!(cycles.settle(now + CYCLE_WITHIN, &ID), None, "it came");
        let mut cycles = Cycles::default();
        cycles.deleted(now, ID, Some(&mut gone()));
        assert_eq!(cycles.settle(now + CYCLE_WITHIN, &ID), Some((false, Some(OWN))));
        assert_eq!(cycles.settle(now + CYCLE_WITHIN, &ID), None, "once");
        let late = cycles.take_up(&token(), true, true).unwrap();
        assert!(!late.tied && !late.over, "a slow request gets its session, tied to no other");
    }

    #[test]
    fn of_two_deletes_and_one_create_one_was_a_logout() {
        let (mut cycles, now) = (Cycles::default(), Instant::now());
        cycles.deleted(now, ID, Some(&mut gone()));
        cycles.deleted(now, ID, None);
        assert!(!cycles.take_up(&token(), true, true).unwrap().over);
        assert_eq!(cycles.settle(now + CYCLE_WITHIN, &ID), Some((false, Some(OWN))));
        assert!(cycles.take_up(&token(), true, true).unwrap().over, "whose the second is nobody knows");
        assert!(!cycles.take_up(&token(), false, true).unwrap().over, "but a log-in is a log-in");
    }

    #[test]
    fn what_had_ended_before_does_not_go_on() {
        let (mut cycles, now) = (Cycles::default(), Instant::now());
        cycles.deleted(now, ID, None);
        assert!(cycles.take_up(&token(), true, true).unwrap().over);
        assert_eq!(
            cycles.settle(now + CYCLE_WITHIN, &ID),
            None,
            "nor was it logged out by the one that tried"
        );
    }

    #[test]
    fn the_memory_is_bounded_in_number_and_time() {
        let (mut cycles, now) = (Cycles::default(), Instant::now());
        for n in 0..=MAX_DELETES as u128 {
            cycles.deleted(now, SessionId::from_bytes(n.to_be_bytes()), None);
        }
        assert_eq!((cycles.old.len(), cycles.order.len()), (MAX_DELETES, MAX_DELETES));
        cycles.deleted(now + REMEMBER * 2, ID, None);
        assert_eq!((cycles.old.len(), cycles.order.len(), cycles.held), (1, 1, 0));
    }
}
