//! Sessions by principal: who is logged in where, and the end of all of them.

use super::local::{Change, WriteError, Written};
use super::memory::Need;
use super::principals::{Principals, principal_hash};
use super::store::{Lookup, Replica};
use crate::limits::MAX_PRINCIPAL_BYTES;
use crate::marks::Mark;
use crate::session::{
    Lineage, Login, LoginId, PRINCIPAL_KEY, REVOKED_KEY, SeenRevocations, SessionId, Spared, Ttl, is_moved,
    is_reserved,
};
use crate::time::Now;

/// A revocation that was made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The write of its record.
    pub written: Written,
    /// The sessions it ended at once, by id: all that this node held.
    pub ended: Vec<SessionId>,
}

/// A log-in that is made now.
pub(super) struct Made {
    /// The bytes of its [`Login`].
    pub login: Vec<u8>,
    /// The bytes of its [`LoginId`], if it was given one.
    pub which: Option<Vec<u8>>,
}

impl Replica {
    /// The visible sessions of a principal that are held here, the oldest first.
    pub fn sessions_of(&self, principal: &str, clock: impl Fn() -> Now) -> Vec<SessionId> {
        let ids = self.principals.lock().of(principal_hash(principal, self.key()));
        let visible = |id: SessionId| match self.lookup(id, &clock) {
            Lookup::Found(view) => {
                let login = view.packed().login_bytes().and_then(Login::parse)?;
                // One that went on as another is that one.
                let shown =
                    login.principal == principal && (!is_moved(&view.packed()) || mutant!(WebMovedAreListed));
                shown.then(|| (view.packed().created_ms(), id))
            }
            _ => None,
        };
        let mut found: Vec<_> = ids.into_iter().filter_map(visible).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// Ends all sessions of a principal, here at once and on every node as the revocation arrives, those among them
    /// whose login had not seen it; but not `spared`, a log-in. `id` names its record: random, and never used before.
    ///
    /// # Errors
    /// [`WriteError::Principal`] for one of impossible length, and [`WriteError::MemoryFull`]; nothing changes then.
    pub fn revoke(
        &self,
        principal: &str,
        spared: Option<SessionId>,
        id: SessionId,
        now: Now,
    ) -> Result<Revoked, WriteError> {
        check_principal(principal)?;
        let now = self.wall().believe(now);
        let hash = principal_hash(principal, self.key());
        let mut seen = self.seen_of(hash, principal, now);
        if mutant!(RevocationForgetsSeen) {
            seen = SeenRevocations::default();
        }
        let login = Login { principal, seen };
        let (bytes, marker) = (login.to_bytes(), Spared(spared).to_bytes());
        let fields = vec![(PRINCIPAL_KEY, Some(&*bytes)), (REVOKED_KEY, Some(&*marker))];
        // No session that is older can live longer, on whatever clock it was created.
        let covers_ms = now.wall_ms + self.limits().max_lifetime_ms + self.limits().skew_ms;
        let to_renew = || self.principals.lock().to_renew(hash, principal, self.own_origin(), covers_ms);
        let renewed = spared.is_none().then(to_renew).flatten();
        let renewed = renewed.and_then(|held| {
            let again = |p: &mut super::Partition, s: &super::Stamper<'_>| {
                p.revoke_again(held, now.wall_ms, &fields, s)
            };
            // One that has gone meanwhile is made anew.
            self.write(held, again).ok()
        });
        let written = match renewed {
            Some(written) => written,
            None => self.revoke_anew(id, hash, now, fields)?,
        };
        let due = self.principals.lock().take_due_of(hash);
        let ended = due.into_iter().filter(|id| self.end_revoked(*id, now)).collect();
        Ok(Revoked { written, ended })
    }

    /// Makes the record of a revocation. It lives for as long as others admit a record to: until then what is revoked again
    /// by this node takes its place.
    fn revoke_anew(
        &self,
        id: SessionId,
        hash: u64,
        now: Now,
        fields: Vec<(&str, Option<&[u8]>)>,
    ) -> Result<Written, WriteError> {
        let unknown = self.principals.lock().of(hash).is_empty();
        self.room_for(if unknown { Need::Blind } else { Need::Revocation })?;
        let hard_ms = now.wall_ms + self.limits().max_lifetime_ms + self.limits().max_drift_ms;
        let change = Change { fields, ..Change::default() };
        self.write(id, |partition, stamper| {
            let written =
                partition.create(id, now.wall_ms, &change, Ttl::Absolute(hard_ms), hard_ms, stamper)?;
            if unknown && let Some(slot) = partition.find(id) {
                partition.set_blind(slot);
            }
            Ok(written)
        })
    }

    /// Ends sessions that met a revocation their login had not seen, `most` of them at most. Returns who ended.
    pub fn end_due(&self, now: Now, most: usize) -> Vec<SessionId> {
        if !self.any_due() || mutant!(RevocationIgnoresConcurrent) {
            return Vec::new();
        }
        let _ending = self.ending.lock();
        let due = {
            let mut principals = self.principals.lock();
            let due = principals.take_due(most);
            self.set_any_due(principals.has_due());
            due
        };
        due.into_iter().filter(|id| self.end_revoked(*id, now)).collect()
    }

    /// Ends here what a log-out of this family ends: all sessions that grew from one by log-ins of one principal, or by
    /// new ids, but for those that no node has sent yet. Returns who ended.
    pub fn end_family(&self, family: SessionId, now: Now) -> Vec<SessionId> {
        // Those that the node's task has taken out of the list are not shown any more when this returns, either.
        let _ending = self.ending.lock();
        let due = self.principals.lock().take_due_of_family(family);
        due.into_iter().filter(|id| self.end_revoked(*id, now)).collect()
    }

    /// Ends a session if its login, as it stands now, had not seen a revocation held here, or its family is over.
    fn end_revoked(&self, id: SessionId, now: Now) -> bool {
        let ix = id.partition(self.limits().partitions);
        let read = |p: &super::Partition| {
            let record = p.get(id).filter(|record| !record.is_dead())?;
            let families = Lineage::of(&record).unwrap_or_default().families;
            Some((record.login_bytes().map(<[u8]>::to_vec), LoginId::of(&record).id, families))
        };
        let Some((held, which, families)) = self.shared(ix, read) else { return false };
        let revoked = held.as_deref().and_then(Login::parse).is_some_and(|login| {
            let hash = principal_hash(login.principal, self.key());
            self.principals.lock().ends(hash, id, which, &login)
        });
        if !revoked && !families.iter().any(|f| self.is_over(*f)) {
            return false;
        }
        // A login that came in between was noted anew, and is looked at again.
        let ended = self.write(id, |partition, stamper| {
            if partition.get(id).map(|r| r.login_bytes()) != Some(held.as_deref()) {
                return Err(WriteError::Absent);
            }
            partition.end(id, now.wall_ms, stamper)
        });
        if ended.is_ok() {
            self.marks().hit(Mark::LoginRevoked);
        }
        ended.is_ok()
    }

    fn is_over(&self, family: SessionId) -> bool {
        self.shared(family.partition(self.limits().partitions), |p| {
            p.get(family).is_some_and(|r| r.is_dead())
        })
    }

    fn seen_of(&self, hash: u64, principal: &str, now: Now) -> SeenRevocations {
        // Some node may keep a revocation that much longer.
        let over_ms = now.wall_ms.saturating_sub(self.limits().prune_after_ms());
        self.principals.lock().seen(hash, principal, over_ms)
    }

    /// The bytes of a login made now, if the change has one.
    ///
    /// # Errors
    /// [`WriteError::ReservedKey`] and [`WriteError::Principal`].
    pub(super) fn login(&self, change: &Change<'_>, now: Now) -> Result<Option<Made>, WriteError> {
        let keys = change.fields.iter().map(|f| f.0).chain(change.remove_seen.iter().map(|r| r.0));
        if keys.into_iter().any(is_reserved) {
            return Err(WriteError::ReservedKey);
        }
        let Some(Some(principal)) = change.principal else { return Ok(None) };
        check_principal(principal)?;
        self.room_for(Need::LogIn)?;
        let hash = principal_hash(principal, self.key());
        let seen = self.seen_of(hash, principal, now);
        let which = change.login_id.map(|id| LoginId { id, since_ms: now.wall_ms }.to_bytes());
        Ok(Some(Made { login: Login { principal, seen }.to_bytes(), which }))
    }

    /// Compares the index with all records. Meaningful while nobody writes: for tests and the simulator.
    ///
    /// # Errors
    /// A sentence saying what disagrees; it names no session and no principal.
    pub fn check_principals(&self) -> Result<(), String> {
        let mut scanned = Principals::default();
        (0..self.limits().partitions).for_each(|ix| self.shared(ix, |p| p.scan_bindings(&mut scanned)));
        self.principals.lock().compare(&scanned)
    }
}

fn check_principal(principal: &str) -> Result<(), WriteError> {
    let bytes = principal.len();
    if bytes == 0 || bytes > MAX_PRINCIPAL_BYTES {
        return Err(WriteError::Principal { bytes, max: MAX_PRINCIPAL_BYTES });
    }
    Ok(())
}
