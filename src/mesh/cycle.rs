//! Sessions whose framework gives them a new id: what ties the new record to the old one.
//!
//! A framework names no rotation. It deletes the old id, and creates a session under a new one a moment later; a logout is
//! the same delete, with nothing after it. So the delete ends what a logout ends, but for the families that a record created
//! after it may join: the **rotations** of the id, and what its user's log-ins make of it. Those are ended once it is sure
//! that none will be (`web/merge/cycles.rs`; the argument is in `docs/ALGORITHM.md` §14).

use super::Error;
use super::edit::Fields;
use super::logout::{Relatives, own_family};
use super::receipt::Receipt;
use super::sessions::Sessions;
use super::version::{Version, Versioned};
use super::view::Session;
use crate::core::session::{
    LINEAGE_KEY, LOGIN_ID_KEY, Lineage, LoginId, PRINCIPAL_KEY, SessionId, family, family_of_change,
    rotations,
};

/// A session that its framework has deleted.
pub(crate) struct GivenUp {
    /// Of its end, and of all that ended with it.
    pub receipts: Vec<Receipt>,
    /// What it was up to then; none, if nobody was shown it any more.
    pub before: Option<Versioned>,
    /// The family of what its user's log-ins make of it: the log-in that it is deleted for may be one.
    pub own: Option<SessionId>,
}

/// A log-in as a record keeps it: whose it is, what revocations it had seen, and which log-in it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeldLogin {
    login: Vec<u8>,
    which: Vec<u8>,
}

/// What a session that was made of another has in common with others that were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kin<'a> {
    /// Its user is the same, whoever that is.
    Rotation,
    /// This principal logged in.
    LogIn(&'a str),
    /// Somebody logged in, maybe: this is what changed.
    Change(&'a [u8]),
    /// Nothing.
    Alone,
}

impl Kin<'_> {
    fn family(self, from: SessionId) -> Option<SessionId> {
        match self {
            Self::Rotation => Some(rotations(from)),
            Self::LogIn(principal) => Some(family(from, principal)),
            Self::Change(change) => Some(family_of_change(from, change)),
            Self::Alone => None,
        }
    }
}

impl Sessions {
    /// Ends a session and what a logout ends with it, but not those that it becomes under new ids.
    ///
    /// # Errors
    /// [`crate::WriteError::Absent`] if nothing is known of it here.
    pub(crate) fn give_up(&self, id: &SessionId) -> Result<GivenUp, Error> {
        let mut relatives = self.relatives(id, &Lineage::default());
        relatives.sessions.remove(id);
        // A tab that logged in under the old id, and another that does so now and gets a new one.
        let own = self.record(id, |record| own_family(*id, record));
        let own = own.flatten().filter(|own| relatives.families.remove(own));
        let shared = self.running()?;
        let (written, taken) =
            shared.replica.take(*id, shared.clock.now(), |partition| partition.seen(*id))?;
        let mut receipts = vec![self.wrote(*id, written)];
        receipts.extend(self.end_relatives(&relatives)?);
        let before = taken.and_then(|(view, seen)| {
            let seen = seen?;
            let fields = seen.fields.into_iter().map(Version::of).collect();
            Some(Versioned { session: Session(view), birth: Version::of(seen.birth), fields })
        });
        Ok(GivenUp { receipts, before, own })
    }

    /// Ends what a session became under new ids, on every node. `own`: as [`GivenUp::own`].
    ///
    /// # Errors
    /// [`Error::Stopped`], [`Error::Write`] if the node does not serve.
    pub(crate) fn end_rotations(
        &self,
        id: &SessionId,
        own: Option<SessionId>,
    ) -> Result<Vec<Receipt>, Error> {
        let families = [rotations(*id)].into_iter().chain(own).collect();
        self.end_relatives(&Relatives { families, ..Relatives::default() })
    }

    /// Whether it is known here that what was made of a session in this way has ended, as a whole.
    pub(crate) fn is_over(&self, from: SessionId, kin: Kin<'_>) -> bool {
        kin.family(from).is_some_and(|family| self.is_ended(&family))
    }
}

impl Session {
    /// The log-in, to be taken along as it is.
    pub(crate) fn held_login(&self) -> Option<HeldLogin> {
        let record = self.0.packed();
        let login = record.login_bytes()?.to_vec();
        Some(HeldLogin { login, which: LoginId::of(&record).to_bytes() })
    }
}

impl Fields {
    /// Says what the new session was made of.
    pub(crate) fn made_of(&mut self, from: SessionId, kin: Kin<'_>) {
        let lineage = Lineage { families: kin.family(from).into_iter().collect(), ancestors: vec![from] };
        self.reserved.push((LINEAGE_KEY.to_owned(), Some(lineage.to_bytes())));
    }

    /// Takes a log-in along: the new session is that log-in, with the revocations that it had seen and no others.
    pub(crate) fn same_login(&mut self, held: &HeldLogin) {
        self.reserved.push((PRINCIPAL_KEY.to_owned(), Some(held.login.clone())));
        self.reserved.push((LOGIN_ID_KEY.to_owned(), Some(held.which.clone())));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::mesh::{Expiry, Mesh};

    /// A framework deletes the old id first. That delete may have died with its node, while what was created a moment
    /// later reached others: here it was never made.
    #[tokio::test]
    async fn a_logout_of_what_a_session_became_ends_the_one_that_it_was_made_of() {
        let secret = "an example secret of at least thirty-two bytes";
        let mesh = Mesh::builder().cluster("made-of").node("a").secret(secret).start().await.unwrap();
        mesh.ready().await.unwrap();
        let (sessions, hour) = (mesh.sessions(), Expiry::sliding(Duration::from_secs(3_600)));
        for kin in [Kin::Rotation, Kin::LogIn("ada"), Kin::Change(&[1]), Kin::Alone] {
            let begin = |of: Option<SessionId>| {
                let created = sessions.create(hour, |fields| {
                    of.into_iter().for_each(|of| fields.made_of(of, kin));
                    Ok(())
                });
                created.unwrap().id()
            };
            let old = begin(None);
            let (new, twin, other) = (begin(Some(old)), begin(Some(old)), begin(None));
            let mut watch = sessions.watch();
            sessions.logout(&new).unwrap();
            let there = |id: SessionId| sessions.get(&id).session().is_some();
            assert_eq!([old, new, other].map(there), [false, false, true], "{kin:?}");
            // The node itself may be about to end it.
            while kin != Kin::Alone && there(twin) {
                sessions.next_event_of(&mut watch, twin).await;
            }
            assert_eq!(there(twin), kin == Kin::Alone, "{kin:?}");
            assert_eq!(sessions.is_over(old, kin), kin != Kin::Alone, "{kin:?}: nor is another made");
        }
    }
}
