//! Logging out: the end of a session and of all that it came from and grew into.

use std::collections::BTreeSet;

use super::Error;
use super::receipt::Receipt;
use super::sessions::Sessions;
use crate::core::membership::State;
use crate::core::replica::Happened;
use crate::core::session::{Keys, Lineage, Login, Packed, SessionId, family, rotations, successors};
use crate::limits::MAX_RELATIVES;

/// What a logout ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Relatives {
    /// Sessions: this one, its predecessors, and, if it went on as others, those.
    pub sessions: BTreeSet<SessionId>,
    /// Families.
    pub families: BTreeSet<SessionId>,
}

/// The family of what its user's log-ins make of a session.
pub(super) fn own_family(id: SessionId, record: &Packed<'_>) -> Option<SessionId> {
    record.login_bytes().and_then(Login::parse).map(|login| family(id, login.principal))
}

impl Sessions {
    /// Logs out: ends the session, those that it was logged in from, those that it went on as, and what else one
    /// principal's log-ins made of one session (a double click's other half), on every node, whatever this one lacks.
    /// The id must be one that the mesh gave out; a session that is not here costs a tombstone.
    ///
    /// # Errors
    /// As [`Sessions::destroy_blind`].
    pub fn logout(&self, id: &SessionId) -> Result<Vec<Receipt>, Error> {
        // A framework's session has another id after a rotation, maybe of a moment ago, on another node.
        let bare = self.record(id, |record| Keys::of(record).marks == 0).unwrap_or(false);
        let families = if bare { vec![rotations(*id)] } else { Vec::new() };
        self.logout_told(id, &Lineage { families, ancestors: Vec::new() })
    }

    /// As [`Sessions::logout`]; what the client carries of the session's lineage counts where the session is not here.
    pub(crate) fn logout_told(&self, id: &SessionId, told: &Lineage) -> Result<Vec<Receipt>, Error> {
        self.end_relatives(&self.relatives(id, told))
    }

    /// Ends these sessions, and all of these families.
    pub(super) fn end_relatives(&self, relatives: &Relatives) -> Result<Vec<Receipt>, Error> {
        let mut receipts = Vec::new();
        for id in relatives.sessions.iter().chain(&relatives.families) {
            if mutant!(WebLogoutKnownOnly) && self.record(id, |_| ()).is_none() {
                continue;
            }
            receipts.push(self.destroy_with(id, true)?);
        }
        let shared = self.running()?;
        for family in &relatives.families {
            for id in shared.replica.end_family(*family, shared.clock.now()) {
                shared.replica.tell(Happened::Destroyed(id));
            }
        }
        shared.wrote();
        Ok(receipts)
    }

    /// Whom a logout of `id` ends, as far as is known here.
    pub(crate) fn relatives(&self, id: &SessionId, told: &Lineage) -> Relatives {
        let mut out = Relatives {
            sessions: told.ancestors.iter().copied().collect(),
            families: told.families.iter().copied().collect(),
        };
        // What a session went on as ends with it; what else its predecessors went on as does not.
        let (mut next, mut read) = (vec![*id], BTreeSet::new());
        while let Some(id) = next.pop() {
            if read.len() == MAX_RELATIVES || !read.insert(id) {
                continue;
            }
            out.sessions.insert(id);
            let look = self.record(&id, |record| {
                // What the same principal's log-ins have made of it elsewhere meanwhile.
                (Lineage::of(record).unwrap_or_default(), own_family(id, record), successors(record))
            });
            let (lineage, own, successors) = look.unwrap_or_default();
            out.families.extend(lineage.families.into_iter().chain(own));
            out.sessions.extend(lineage.ancestors);
            for (successor, families) in successors {
                if mutant!(WebLogoutStopsAtMoved) {
                    break;
                }
                out.families.extend(families);
                next.push(successor);
            }
        }
        if mutant!(WebLogoutSparesFamily) {
            out.families.clear();
        }
        if mutant!(WebLogoutSparesAncestors) {
            out.sessions.retain(|ended| read.contains(ended));
        }
        out
    }

    /// Whether somebody may hold what this node does not: it has not caught up, or a member that did not say goodbye is
    /// not linked. A name counts once: after a restart its old life is dead for good.
    pub fn somebody_is_missing(&self) -> bool {
        if !self.mesh().is_ready() {
            return true;
        }
        let shared = self.mesh().shared();
        let members = shared.members.read();
        let linked = |name: &str| members.iter().any(|m| m.linked && m.node == name);
        members.iter().any(|m| m.state != State::Left && m.node != shared.node && !linked(&m.node))
    }
}
