//! Tickets at work: their text, what one opens, and a logout with one that nobody vouches for.

use std::time::Instant;

use tracing::warn;

use super::keys::{Standing, Ticket};
use super::receipt::Receipt;
use super::sessions::{Asked, Sessions};
use super::view::Found;
use super::{Error, Mesh};
#[cfg(feature = "axum")]
use crate::core::session::Packed;
use crate::core::session::{Lineage, SessionId, SessionKey};

/// Why a key that is not known here is not called wrong.
const UNKNOWN_KEY: &str = "its key is not known on this node, and not everybody has answered";

impl Ticket {
    /// What a client holds that has an id and no key: of a session that was made without one.
    pub const fn bare(id: SessionId) -> Self {
        Self { id, key: SessionKey::NONE }
    }

    /// Whether there is no key.
    pub fn is_bare(&self) -> bool {
        self.key == SessionKey::NONE
    }

    /// The text form: 64 lower-case hexadecimal digits, of the id and of the key. Secret.
    pub fn to_text(&self) -> String {
        let key = SessionId::from_bytes(*self.key.as_bytes());
        format!("{}{}", self.id.to_text(), key.to_text())
    }

    /// Reads the text form; `None` if it is not exactly 64 hexadecimal digits, or has no key.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, key) = text.split_at_checked(32)?;
        let key = SessionKey::from_bytes(*SessionId::parse(key)?.as_bytes());
        // A key of zeros is what a client holds that has none.
        (key != SessionKey::NONE).then_some(Self { id: SessionId::parse(id)?, key })
    }
}

/// A ticket's session as a request finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is here, and this is what the ticket is worth.
    Here(Standing),
    /// It is not: never was, or expired, or ended.
    Gone,
    /// That is not known, and why.
    Unsure(&'static str),
}

/// What a logout with a ticket has done.
#[derive(Clone, Debug)]
pub enum LoggedOut {
    /// The session has ended, with those that it was logged in from and those that it went on as. Nothing is written for one
    /// that had ended before.
    Ended(Vec<Receipt>),
    /// It is not on this node, and members are missing: a tombstone ends it wherever it is.
    Blind(Vec<Receipt>),
    /// Nobody has such a session, or the key is none of it. Nothing was done.
    Nobody,
    /// That is not known, and why: it may go on elsewhere. Nothing was done.
    Unsure(&'static str),
}

impl Sessions {
    /// Finds the session of a ticket, asking peers for what is not here (at most `ask_timeout_ms`): the session, or a key
    /// that it does not know.
    pub async fn open(&self, ticket: &Ticket) -> Opened {
        self.open_sure(ticket).await.0
    }

    /// As [`Sessions::open`], and whether everybody who may know better has been asked.
    async fn open_sure(&self, ticket: &Ticket) -> (Opened, bool) {
        let (mut found, asked) = self.fetch_sure(&ticket.id).await;
        let mut all = asked == Asked::All;
        if let Found::Session(session) = &found
            && self.standing(session, &ticket.key) == Standing::Unknown
        {
            all = self.ask_everyone(&ticket.id).await;
            found = self.get(&ticket.id);
        }
        let all = all && !self.somebody_is_missing();
        let unasked = asked == Asked::Nobody && !self.is_known(&ticket.id);
        let opened = match found {
            Found::Absent if unasked => Found::NotYetKnown.why_unsure().map_or(Opened::Gone, Opened::Unsure),
            Found::Absent => Opened::Gone,
            Found::Session(session) => match self.standing(&session, &ticket.key) {
                Standing::Unknown if !all => Opened::Unsure(UNKNOWN_KEY),
                standing => Opened::Here(standing),
            },
            unsure => unsure.why_unsure().map_or(Opened::Gone, Opened::Unsure),
        };
        (opened, all)
    }

    /// Logs out whoever holds this ticket, of which it is not known whether the mesh gave it out: as [`Sessions::logout`]
    /// where its key is one of the session, also one that has ended. A session that is not here while somebody is missing
    /// gets a tombstone on suspicion, of which there are so many and no more: they stay for the longest life of a session.
    /// Peers are asked first, at most `ask_timeout_ms`.
    ///
    /// # Errors
    /// As [`Sessions::logout`].
    pub async fn logout_ticket(&self, ticket: &Ticket) -> Result<LoggedOut, Error> {
        let (_, all) = self.open_sure(ticket).await;
        self.logout_opened(ticket, all)
    }

    /// As [`Sessions::logout_ticket`] once peers have been asked; `all`: everybody has answered, and nobody is missing.
    pub(crate) fn logout_opened(&self, ticket: &Ticket, all: bool) -> Result<LoggedOut, Error> {
        let (id, now_ms) = (&ticket.id, self.wall_ms());
        // Expired ones too: on a node whose clock lags it may still be visible.
        let held = self.record(id, |record| {
            if record.is_dead() { Standing::Ended } else { self.worth(record, &ticket.key, now_ms) }
        });
        match held {
            // An id alone opens nothing of a session that has keys, whatever others know.
            Some(Standing::Unknown) if all || ticket.is_bare() => Ok(LoggedOut::Nobody),
            Some(Standing::Unknown) => Ok(LoggedOut::Unsure(UNKNOWN_KEY)),
            // What has keys has no other id after a rotation.
            Some(_) if !ticket.is_bare() => self.logout_told(id, &Lineage::default()).map(LoggedOut::Ended),
            Some(_) => self.logout(id).map(LoggedOut::Ended),
            None if all => Ok(LoggedOut::Nobody),
            None if self.mesh().may_end_blind(self.log_name(id)) => self.logout(id).map(LoggedOut::Blind),
            None => Ok(LoggedOut::Unsure(
                "the session is not on this node and members are out of reach: it may still be there",
            )),
        }
    }
}

impl Mesh {
    /// Whether a session that nobody here knows may be ended on suspicion now. One ration for all that this node
    /// serves: however many doors a stranger comes by, the tombstones are as many.
    pub(crate) fn may_end_blind(&self, session: String) -> bool {
        let may = self.strangers.lock().take(Instant::now());
        if !may {
            warn!(
                session,
                "a logout of an unknown session while members are out of reach: too many, not recorded"
            );
        }
        may
    }
}

#[cfg(feature = "axum")]
/// What this node itself knows of a ticket's session.
#[derive(Clone, Debug)]
pub(crate) enum Look {
    /// Nothing that is still to arrive changes this.
    Final(Opened),
    /// It is here, as far as is known.
    Here(Standing),
    /// It has expired here. What was written elsewhere may have extended it.
    Expired,
    /// Nothing is known of it.
    Unknown,
}

#[cfg(feature = "axum")]
impl Sessions {
    /// What is here of the session of a ticket, asking nobody.
    pub(crate) fn look(&self, ticket: &Ticket) -> Look {
        let found = self.get(&ticket.id);
        match found {
            Found::Session(session) => match self.standing(&session, &ticket.key) {
                // Ends only add up, and no log-in is undone.
                standing @ (Standing::Ended | Standing::Moved) => Look::Final(Opened::Here(standing)),
                standing => Look::Here(standing),
            },
            Found::Fenced => found.why_unsure().map_or(Look::Unknown, |why| Look::Final(Opened::Unsure(why))),
            Found::Absent | Found::NotYetKnown => {
                let now_ms = self.wall_ms();
                let over = |record: &Packed<'_>| record.is_dead() || record.hard_ms() <= now_ms;
                match self.record(&ticket.id, over) {
                    Some(true) => Look::Final(Opened::Gone),
                    Some(false) => Look::Expired,
                    None => Look::Unknown,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_64_digits_and_nothing_else() {
        let ticket = Ticket { id: SessionId::from_bytes([0xa0; 16]), key: SessionKey::from_bytes([7; 16]) };
        assert_eq!(ticket.to_text(), format!("{}{}", "a0".repeat(16), "07".repeat(16)));
        assert_eq!(Ticket::parse(&ticket.to_text()), Some(ticket));
        assert_eq!(Ticket::parse(&ticket.to_text().to_uppercase()), Some(ticket));
        let keyless = Ticket::bare(ticket.id).to_text();
        let odd = format!("{}\u{e9}{}", "a".repeat(31), "b".repeat(31));
        for bad in ["", "a0", &"a0".repeat(16), &"a0".repeat(33), &"g0".repeat(32), &keyless, &odd] {
            assert_eq!(Ticket::parse(bad), None, "{bad:?}");
        }
    }
}
