//! Whose sessions: list them, end all of them.
//!
//! A session belongs to a principal, a user as a rule, once a log-in said so: [`Fields::set_principal`]. The index of
//! a node is made of the sessions it holds, and is never scanned for. What is promised and what is not:
//! `docs/EMBEDDING.md`, "Whose sessions: list and revoke".

use std::time::Duration;

use super::edit::Fields;
use super::receipt::{Receipt, TooFewCopies};
use super::sessions::Sessions;
use super::view::Session;
use super::{Error, Found};
use crate::WriteError;
use crate::core::replica::Happened;
use crate::core::session::{LoginId, SessionId};

/// One log-in of a principal, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Names the log-in on every node, for as long as it lasts, and opens nothing.
    pub handle: String,
    /// When it was made (ms since the epoch).
    pub since_ms: u64,
    /// When it ends if nobody touches it (ms since the epoch).
    pub ends_ms: u64,
    /// The session that it is.
    pub session: SessionId,
}

/// All sessions of a principal were ended: the proof, and a way to wait until other nodes hold it.
///
/// ```no_run
/// # async fn example(sessions: sessionmesh::Sessions) -> Result<(), Box<dyn std::error::Error>> {
/// let revocation = sessions.revoke_all("ada")?;                // "log out everywhere"
/// println!("{} sessions ended here", revocation.ended());
/// revocation.replicated().await;                              // another node holds it too
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Revocation {
    receipt: Receipt,
    ended: usize,
}

impl Revocation {
    /// How many sessions held on this node it ended. Those that only others hold end as it reaches them.
    pub fn ended(&self) -> usize {
        self.ended
    }

    /// How many nodes are known to hold it now, this one included. Each of them has ended what it holds.
    pub fn have(&self) -> usize {
        self.receipt.have()
    }

    /// Waits until `want` nodes hold it, this one included; at most the configured `ack_timeout_ms`.
    ///
    /// # Errors
    /// [`TooFewCopies`] at the deadline.
    pub async fn copies(&self, want: usize) -> Result<(), TooFewCopies> {
        self.receipt.copies(want).await
    }

    /// As [`Revocation::copies`], waiting at most `patience`.
    ///
    /// # Errors
    /// [`TooFewCopies`] at the deadline.
    pub async fn copies_within(&self, want: usize, patience: Duration) -> Result<(), TooFewCopies> {
        self.receipt.copies_within(want, patience).await
    }

    /// As [`Receipt::replicated`]: waits for a second copy while another member is alive. Returns whether there is one.
    pub async fn replicated(&self) -> bool {
        self.receipt.replicated().await
    }
}

impl Sessions {
    /// The sessions of a principal, the oldest first: those that this node holds and shows now. A log-in that has not
    /// reached this node is not among them, and a node that is not ready lists too few.
    ///
    /// It costs a look at each of them, and none at any other session.
    pub fn of(&self, principal: &str) -> Vec<SessionId> {
        let shared = self.mesh().shared();
        shared.replica.sessions_of(principal, || shared.clock.now())
    }

    /// Ends all sessions of a principal on every node, those among them whose log-in was concurrent with this: made
    /// on the other side of a partition, say, before or after by any clock. A log-in on a node that has received this
    /// is a new one, and stands.
    ///
    /// It is a record of its own for `max_lifetime_ms`, so do not call it at the wish of a stranger.
    ///
    /// # Errors
    /// [`WriteError::Principal`] for one that is empty or too long; [`Error::Stopped`]. Nothing ends then.
    pub fn revoke_all(&self, principal: &str) -> Result<Revocation, Error> {
        self.revoke(principal, None)
    }

    /// As [`Sessions::revoke_all`], but the log-in of `keep` goes on everywhere, whatever keys it is given: "log out my
    /// other devices".
    ///
    /// # Errors
    /// As [`Sessions::revoke_all`]; [`WriteError::Absent`] if `keep` is not visible here as a session of the principal.
    pub fn revoke_all_except(&self, principal: &str, keep: &SessionId) -> Result<Revocation, Error> {
        match self.get(keep) {
            Found::Session(session) if session.principal() == Some(principal) => {
                self.revoke(principal, Some(LoginId::of(&session.0.packed()).id))
            }
            _ => Err(WriteError::Absent.into()),
        }
    }

    /// The log-ins of a principal, the oldest first: as [`Sessions::of`], by handles that may be shown to anybody.
    pub fn logins(&self, principal: &str) -> Vec<Login> {
        let sessions = self.of(principal).into_iter().filter_map(|id| Some((id, self.get(&id).session()?)));
        let login = |(id, session): (SessionId, Session)| {
            let which = LoginId::of(&session.0.packed());
            Login {
                handle: which.handle(),
                since_ms: which.since_ms,
                ends_ms: session.deadline_ms(),
                session: id,
            }
        };
        let mut logins: Vec<_> = sessions.map(login).collect();
        logins.sort_by_key(|login| login.since_ms);
        logins
    }

    /// Logs one of a principal's log-ins out, by its handle: [`Sessions::logout`] of each session that is that log-in.
    ///
    /// # Errors
    /// [`WriteError::Absent`] if this node holds no such log-in; as [`Sessions::logout`].
    pub fn end_login(&self, principal: &str, handle: &str) -> Result<Vec<Receipt>, Error> {
        let ended = self.logins(principal).into_iter().filter(|login| login.handle == handle);
        let receipts: Vec<_> = ended.map(|login| self.logout(&login.session)).collect::<Result<_, _>>()?;
        if receipts.is_empty() { Err(WriteError::Absent.into()) } else { Ok(receipts.concat()) }
    }

    fn revoke(&self, principal: &str, keep: Option<SessionId>) -> Result<Revocation, Error> {
        let shared = self.running()?;
        let id = Self::random_id()?;
        let revoked = shared.replica.revoke(principal, keep, id, shared.clock.now())?;
        for id in &revoked.ended {
            shared.replica.tell(Happened::Destroyed(*id));
        }
        shared.wrote();
        let receipt = Receipt::new(self.mesh().clone(), id, revoked.written);
        Ok(Revocation { receipt, ended: revoked.ended.len() })
    }
}

impl Session {
    /// Whose session it is, if a log-in said so.
    pub fn principal(&self) -> Option<&str> {
        self.0
            .packed()
            .login_bytes()
            .and_then(crate::core::session::Login::parse)
            .map(|login| login.principal)
    }

    /// The handle of its log-in, as [`Sessions::logins`] tells it, if it is anybody's.
    pub fn login(&self) -> Option<String> {
        self.principal().map(|_| LoginId::of(&self.0.packed()).handle())
    }
}

impl Fields {
    /// Logs in: from here on the session is this principal's, and ends with [`Sessions::revoke_all`] of it. At most
    /// 255 bytes. Each call in an edit is a new log-in, which says what revocations it has seen, also for the
    /// principal the session belongs to already; with [`Fields::skip_unchanged`] that one writes nothing.
    pub fn set_principal(&mut self, principal: &str) {
        self.principal = Some(Some(principal.to_owned()));
    }

    /// Logs out without ending the session: it is nobody's from here on. [`Fields::clear`] does it too.
    pub fn clear_principal(&mut self) {
        self.principal = Some(None);
    }

    /// Gives a log-in its name.
    pub(super) fn name_login(&mut self) -> Result<(), Error> {
        if self.principal.as_ref().is_some_and(Option::is_some) && self.login_id.is_none() {
            self.login_id = Some(Sessions::random_id()?);
        }
        Ok(())
    }
}
