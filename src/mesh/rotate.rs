//! A session under a new id: what a copy takes along, and how the old one says where it went.

use super::edit::Fields;
use super::view::Session;
use crate::core::replica::Extent;
use crate::core::session::{PRINCIPAL_KEY, ROTATED_KEY, SessionId};

impl Fields {
    /// Takes all fields of `session`, and its log-in as it was made: a revocation that it had not seen ends the copy
    /// as well.
    pub(crate) fn copy(&mut self, session: &Session) {
        session.fields().for_each(|(key, bytes)| self.set_bytes(key, bytes));
        self.copied = Extent::of(&session.0.packed());
        self.reserved.extend(session.0.packed().login_bytes().map(|bytes| (PRINCIPAL_KEY, bytes.to_vec())));
    }

    /// Marks the session as one that has another id now.
    pub(crate) fn rotated_to(&mut self, id: SessionId) {
        self.reserved.push((ROTATED_KEY, id.as_bytes().to_vec()));
    }
}

impl Session {
    /// The id that this session has now, if it was rotated.
    pub(crate) fn rotated(&self) -> Option<SessionId> {
        let bytes = self
            .0
            .packed()
            .fields()
            .take_while(|f| f.key <= ROTATED_KEY)
            .find(|f| f.key == ROTATED_KEY)?
            .value?;
        bytes.try_into().ok().map(SessionId::from_bytes)
    }
}
