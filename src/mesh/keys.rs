//! What a client holds of a session: keys, their rotation, and log-ins that begin a new session.
//!
//! A session lies under its id; who may use it is decided by a key, which only the client has. **Rotation** adds a key
//! and ends those before it: the session, its fields, its principal and its deadlines stay what they are. A **log-in**
//! begins a new session, on purpose: two people who log in with one planted cookie must never share one. Both come in two
//! steps, so that nothing of the old is given up before an answer carries the new; and both are made of ordinary
//! edits, so that they may meet anything on any node. The argument: `docs/ALGORITHM.md` §14.

use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;

use super::Error;
use super::edit::{Expiry, Fields};
use super::receipt::Receipt;
use super::sessions::Sessions;
use super::view::Session;
use crate::WriteError;
use crate::core::limits::{MAX_KEY_MARKS, MAX_SUCCESSORS};
use crate::core::replica::Extent;
use crate::core::session::{
    Bound, KeyHash, Keys, LINEAGE_KEY, Lineage, Opens, Packed, SessionId, SessionKey, is_moved, moved_key,
    opens, opens_bare, successors,
};

/// What a client holds: where its session lies, and the proof that it is its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Where it lies. It opens nothing.
    pub id: SessionId,
    /// The proof. Secret.
    pub key: SessionKey,
}

/// What a ticket is worth at a session that this node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds the session.
    Holder,
    /// The session has been given another key, and this one ends soon: good for requests that were under way.
    Late,
    /// Its key has ended.
    Ended,
    /// A log-in went on as another session: this one is nobody's.
    Moved,
    /// No such key is known here. One that was made elsewhere a moment ago may be on its way.
    Unknown,
}

/// Keys that a rotation or a log-in takes the place of, to be ended once the client has been told of the new one.
#[derive(Clone, Debug, Default)]
pub struct Superseded(Vec<KeyHash>);

/// A log-in that has begun: the new session is there, and the old one is as it was. [`Sessions::finish_login`] gives the
/// old one up, [`Sessions::abandon_login`] the new one.
#[derive(Clone, Debug)]
pub struct BegunLogin {
    /// What the client is to hold.
    pub ticket: Ticket,
    /// The write that began the new session.
    pub receipt: Receipt,
    /// Whether the fields of the old session came along: not if it is not on this node, or its key has ended.
    pub copied: bool,
    old: Option<(SessionId, Option<Session>)>,
    lineage: Lineage,
    superseded: Superseded,
}

impl Sessions {
    /// As [`Sessions::create`], with a key: the session can be used through a [`Ticket`].
    ///
    /// # Errors
    /// As [`Sessions::create`].
    pub fn create_keyed(
        &self,
        expiry: Expiry,
        fill: impl FnOnce(&mut Fields) -> Result<(), Error>,
    ) -> Result<(Receipt, Ticket), Error> {
        self.create_ticketed(new_ticket()?, expiry, fill)
    }

    fn create_ticketed(
        &self,
        ticket: Ticket,
        expiry: Expiry,
        fill: impl FnOnce(&mut Fields) -> Result<(), Error>,
    ) -> Result<(Receipt, Ticket), Error> {
        let hash = ticket.key.hash(ticket.id);
        let since_ms = self.wall_ms();
        let receipt = self.create_with_id(ticket.id, expiry, |fields| {
            fill(fields)?;
            fields.reserved.push((hash.held(), Some(since_ms.to_be_bytes().to_vec())));
            Ok(())
        })?;
        Ok((receipt, ticket))
    }

    /// What a ticket is worth at this session. Takes the same time for every key.
    pub fn standing(&self, session: &Session, key: &SessionKey) -> Standing {
        self.worth(&session.0.packed(), key, self.wall_ms())
    }

    /// What a key is worth at this record, expired or not.
    pub(super) fn worth(&self, record: &Packed<'_>, key: &SessionKey, now_ms: u64) -> Standing {
        let opens = if *key == SessionKey::NONE {
            opens_bare(record, now_ms)
        } else {
            opens(record, &key.hash(record.id()), now_ms)
        };
        match opens {
            Opens::Unknown => Standing::Unknown,
            Opens::Ended => Standing::Ended,
            _ if is_moved(record) => Standing::Moved,
            Opens::Held => Standing::Holder,
            Opens::Until(_) => Standing::Late,
        }
    }

    /// The first half of a rotation: another key for the session of this ticket. Those that it has now go on, until
    /// [`Sessions::end_keys`] is told of them.
    ///
    /// A ticket that is late supersedes nothing: another request has given its client a key since, which may be the one
    /// that the client keeps.
    ///
    /// # Errors
    /// [`WriteError::Absent`], [`WriteError::Moved`]; [`WriteError::TooManyKeys`] after a thousand rotations.
    pub fn add_key(&self, ticket: &Ticket) -> Result<(Receipt, Ticket, Superseded), Error> {
        let session = self.get(&ticket.id).session().ok_or(WriteError::Absent)?;
        let standing = self.standing(&session, &ticket.key);
        let keys = Keys::of(&session.0.packed());
        if keys.marks >= MAX_KEY_MARKS {
            return Err(WriteError::TooManyKeys { marks: keys.marks, max: MAX_KEY_MARKS }.into());
        }
        let bare = ticket.key == SessionKey::NONE && standing == Standing::Holder;
        let skew_ms = self.mesh().shared().replica.limits().skew_ms;
        let new = Ticket { id: ticket.id, key: new_key()? };
        let receipt = self.edit(&ticket.id, |fields| {
            let since_ms = self.wall_ms();
            fields.unless_moved = true;
            let since = since_ms.to_be_bytes().to_vec();
            fields.reserved.push((new.key.hash(new.id).held(), Some(since.clone())));
            if bare {
                // Or the first key would end what the client holds before it is told of it, and for good.
                fields.reserved.push((ticket.key.hash(ticket.id).held(), Some(since)));
            }
            // On whatever clock: these open nothing any more.
            let over = keys.over(since_ms.saturating_sub(skew_ms));
            fields.reserved.extend(over.into_iter().map(|name| (name, None)));
            Ok(())
        })?;
        let superseded = match standing {
            // A page's requests come all at once: each is given a key, and which of them the client keeps is not known.
            Standing::Holder if bare => Superseded(vec![ticket.key.hash(ticket.id)]),
            Standing::Holder => open_keys(&keys),
            _ => Superseded::default(),
        };
        Ok((receipt, new, superseded))
    }

    /// The second half of a rotation: what it supersedes ends after `grace`, which requests under way may need.
    ///
    /// # Errors
    /// [`WriteError::Absent`] if the session has ended.
    pub fn end_keys(
        &self,
        id: &SessionId,
        superseded: &Superseded,
        grace: Duration,
    ) -> Result<Receipt, Error> {
        self.edit(id, |fields| {
            fields.reserved.extend(self.ends(superseded, grace));
            Ok(())
        })
    }

    /// Takes a key back that its client was never told.
    ///
    /// # Errors
    /// [`WriteError::Absent`] if the session has ended.
    pub fn take_back_key(&self, ticket: &Ticket) -> Result<Receipt, Error> {
        self.edit(&ticket.id, |fields| {
            fields.reserved.push((ticket.key.hash(ticket.id).held(), None));
            Ok(())
        })
    }

    fn ends(
        &self,
        superseded: &Superseded,
        grace: Duration,
    ) -> impl Iterator<Item = (String, Option<Vec<u8>>)> + use<> {
        let ends_ms = self.wall_ms().saturating_add(u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
        let ends: Vec<_> = superseded.0.iter().map(|hash| (hash.ends(ends_ms), Some(Vec::new()))).collect();
        ends.into_iter()
    }

    /// Begins a log-in of `principal`: a new session, under a new ticket. `from` is the session that the client held, if
    /// any: what it has comes along, unless the client's key has ended, and it goes on as it is until
    /// [`Sessions::finish_login`]. The new one ends as the
    /// old one was to end, its longest life counted from now; without an old one, by `expiry`.
    ///
    /// # Errors
    /// As [`Sessions::create`].
    pub fn begin_login(
        &self,
        from: Option<&Ticket>,
        principal: &str,
        expiry: Expiry,
    ) -> Result<BegunLogin, Error> {
        let mut old = from.map(|ticket| (ticket.id, self.get(&ticket.id).session()));
        let lineage = old.as_ref().map(|(id, session)| lineage_of_login(*id, principal, session.as_ref()));
        // Whose key has ended gets nothing of the session, but ends with it: it may be the second half of a double click,
        // whose first half was quicker than the grace.
        if let (Some(ticket), Some((_, session))) = (from, &mut old) {
            *session =
                session.take().filter(|session| self.standing(session, &ticket.key) != Standing::Ended);
        }
        let session = old.as_ref().and_then(|(_, session)| session.as_ref());
        let anew = session.filter(|_| !mutant!(WebLoginChangesEnd));
        let expiry = anew.map_or(expiry, Session::expiry_anew);
        let (receipt, ticket) = self.create_ticketed(new_ticket()?, expiry, |fields| {
            session.into_iter().for_each(|session| fields.copy(session));
            fields.set_principal(principal);
            let bytes = lineage.as_ref().map(Lineage::to_bytes);
            fields.reserved.extend(bytes.map(|bytes| (LINEAGE_KEY.to_owned(), Some(bytes))));
            Ok(())
        })?;
        let superseded = match (from, session) {
            (Some(_), Some(session)) => open_keys(&Keys::of(&session.0.packed())),
            _ => Superseded::default(),
        };
        let copied = old.is_none() || session.is_some();
        Ok(BegunLogin { ticket, receipt, copied, old, lineage: lineage.unwrap_or_default(), superseded })
    }

    /// Gives up the session that a log-in was made from: it went on as the new one, its keys end after `grace`, and what
    /// was written to it since the log-in began is carried along.
    ///
    /// # Errors
    /// [`WriteError::Absent`] if somebody logged out with the old one since: then the new one has ended too.
    pub fn finish_login(&self, begun: &BegunLogin, grace: Duration) -> Result<Vec<Receipt>, Error> {
        // One that is not here is given up by whoever holds it, when a logout comes.
        let Some((old, Some(before))) = &begun.old else { return Ok(Vec::new()) };
        let mark = Lineage { families: begun.lineage.families.clone(), ancestors: Vec::new() }.to_bytes();
        let marked = self.edit(old, |fields| {
            fields.reserved.push((moved_key(begun.ticket.id), Some(mark)));
            fields.reserved.extend(self.ends(&begun.superseded, grace));
            Ok(())
        });
        let marked = match marked {
            Err(Error::Write(WriteError::Absent)) if self.is_ended(old) => {
                self.abandon_login(begun)?;
                return Err(WriteError::Absent.into());
            }
            // It has expired: nobody holds it.
            Err(Error::Write(WriteError::Absent)) => return Ok(Vec::new()),
            other => other?,
        };
        // From here on nobody writes to it on this node.
        let carried = self.carry(before, old, &begun.ticket.id)?;
        Ok([Some(marked), carried].into_iter().flatten().collect())
    }

    /// What was written to `old` since it was `before` goes to `new`, where that still has what it was copied.
    fn carry(&self, before: &Session, old: &SessionId, new: &SessionId) -> Result<Option<Receipt>, Error> {
        let (Some(after), Some(held)) = (self.get(old).session(), self.get(new).session()) else {
            return Ok(None);
        };
        let untouched = |key: &str| held.bytes(key) == before.bytes(key);
        let set: Vec<_> = after
            .fields()
            .filter(|(key, bytes)| before.bytes(key) != Some(*bytes) && untouched(key))
            .collect();
        let removed: Vec<_> = before
            .fields()
            .map(|(key, _)| key)
            .filter(|key| after.bytes(key).is_none() && untouched(key))
            .collect();
        let ends = after.asked_expiry();
        let chosen_since = held.0.packed().ttl() != before.0.packed().ttl();
        let ends = (ends != before.asked_expiry() && !chosen_since).then_some(ends);
        if set.is_empty() && removed.is_empty() && ends.is_none() || mutant!(WebLoginCarriesNothing) {
            return Ok(None);
        }
        let carried = self.edit(new, |fields| {
            set.iter().for_each(|(key, bytes)| fields.set_bytes(key, *bytes));
            removed.iter().for_each(|key| fields.remove(key));
            ends.into_iter().for_each(|ends| fields.set_expiry(ends));
            Ok(())
        });
        carried.map(Some)
    }

    /// Takes a log-in back that its client was never told: the new session ends, the old one is as it was.
    ///
    /// # Errors
    /// As [`Sessions::destroy`].
    pub fn abandon_login(&self, begun: &BegunLogin) -> Result<Receipt, Error> {
        self.destroy(&begun.ticket.id)
    }

    /// Whether a session is known here to have ended by a logout or a revocation.
    pub(crate) fn is_ended(&self, id: &SessionId) -> bool {
        self.record(id, |record| record.is_dead()).unwrap_or(false)
    }

    /// Looks at what is held of a session, expired or not, and at its tombstone.
    pub(super) fn record<T>(&self, id: &SessionId, look: impl FnOnce(&Packed<'_>) -> T) -> Option<T> {
        let replica = &self.mesh().shared().replica;
        replica.shared(id.partition(replica.limits().partitions), |p| p.get(*id).map(|record| look(&record)))
    }
}

fn lineage_of_login(from: SessionId, principal: &str, session: Option<&Session>) -> Lineage {
    let held = session.and_then(|session| Lineage::of(&session.0.packed()));
    Lineage::of_login(from, principal, held.as_ref())
}

/// The keys that are to end: all that have no end yet.
fn open_keys(keys: &Keys) -> Superseded {
    let open = keys.held.iter().filter(|key| key.ends_ms.is_none());
    Superseded(open.map(|key| key.hash).collect())
}

fn new_ticket() -> Result<Ticket, Error> {
    Ok(Ticket { id: Sessions::random_id()?, key: new_key()? })
}

fn new_key() -> Result<SessionKey, Error> {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes).map_err(|e| Error::Edit(format!("no randomness: {e}")))?;
    Ok(SessionKey::from_bytes(bytes))
}

impl BegunLogin {
    /// Where the new session comes from.
    #[cfg_attr(not(feature = "axum"), allow(dead_code))]
    pub(crate) fn lineage(&self) -> &Lineage {
        &self.lineage
    }
}

impl Session {
    /// Whether a log-in went on as another session.
    pub fn is_moved(&self) -> bool {
        is_moved(&self.0.packed())
    }

    /// The expiry that edits have made it, without the longest life that it was created with.
    fn asked_expiry(&self) -> Expiry {
        let packed = self.0.packed();
        Expiry { ttl: packed.ttl(), bound: Bound { until_ms: packed.end_ms(), ..Bound::default() } }
    }

    /// The expiry it has, its longest life counted from now.
    fn expiry_anew(&self) -> Expiry {
        let within_ms = self.0.packed().hard_ms().saturating_sub(self.created_ms());
        let asked = self.asked_expiry();
        Expiry { bound: Bound { within_ms, ..asked.bound }, ..asked }
    }

    /// Whether a log-in can still be made from it: it remembers those that were, and only so many.
    pub fn can_move(&self) -> bool {
        successors(&self.0.packed()).len() < MAX_SUCCESSORS
    }
}

impl Fields {
    /// Takes all fields of `session`.
    fn copy(&mut self, session: &Session) {
        session.fields().for_each(|(key, bytes)| self.set_bytes(key, bytes));
        self.copied = Extent::of(&session.0.packed());
    }
}
