//! What an application has asked for and not been told of: taken back if it hangs up, so that no session, key or log-in
//! stays that nobody can use, and nothing old is given up for it.

use sessionmesh::Sessions;
use sessionmesh::mesh::{BegunLogin, Ticket};

/// Something that only its answer makes usable.
pub enum New {
    /// A session was begun.
    Session(Ticket),
    /// A key was added.
    Key(Ticket),
    /// A log-in began a session.
    Login(Box<BegunLogin>),
}

/// Takes it back when dropped, unless it was told.
pub struct Untold<'a> {
    sessions: &'a Sessions,
    new: Option<New>,
}

impl<'a> Untold<'a> {
    /// Guards it.
    pub fn new(sessions: &'a Sessions, new: New) -> Self {
        Self { sessions, new: Some(new) }
    }

    /// The answer goes out.
    pub fn told(mut self) {
        self.new = None;
    }
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        // What has ended meanwhile needs no taking back, and a node that has stopped cannot.
        let _ = match self.new.take() {
            None => return,
            Some(New::Session(ticket)) => self.sessions.destroy(&ticket.id),
            Some(New::Key(ticket)) => self.sessions.take_back_key(&ticket),
            Some(New::Login(begun)) => self.sessions.abandon_login(&begun),
        };
    }
}
