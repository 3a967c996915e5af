//! Watching sessions. A watcher that falls behind is told to resync; writers never wait for it.
//!
//! What is told comes from what a write or a merge has changed here, and of one session in the order in which it did.

use tokio::sync::watch;

use crate::core::replica::{ConflictEvent, Happened};
use crate::core::session::SessionId;
use crate::driver::Stopped;
use crate::driver::told::{Heard, Listener};

/// Something that happened to a session on this node.
///
/// A session is `Created` first. Then it may be `Changed`; `Expired`, after which nothing is told of it unless it has
/// `Returned` or was destroyed; and last of all `Destroyed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// It appeared here.
    Created(SessionId),
    /// The values of these fields are others now, or they are gone; none, if only its deadline moved, or whose it is. To set
    /// the value that a field has already is no change.
    Changed(SessionId, Vec<String>),
    /// It ended by a logout. Told of a session that was never seen here, too, if its end is heard of.
    Destroyed(SessionId),
    /// It reached its deadline (told within a second or two).
    Expired(SessionId),
    /// It had reached its deadline here and is alive again: somebody used it before then on a node that could not say so
    /// until now. Any of its fields may be another one: read it again.
    Returned(SessionId),
    /// Two writes of which neither had seen the other met; one value was kept, one lost.
    Conflict(Box<ConflictEvent>),
    /// This watcher was too slow and missed this many events: read what matters again.
    Resync(u64),
}

impl SessionEvent {
    /// The session it concerns.
    pub fn id(&self) -> Option<SessionId> {
        match self {
            Self::Created(id) | Self::Changed(id, _) | Self::Destroyed(id) => Some(*id),
            Self::Expired(id) | Self::Returned(id) => Some(*id),
            Self::Conflict(conflict) => Some(conflict.id),
            Self::Resync(_) => None,
        }
    }
}

/// A stream of events.
///
/// ```no_run
/// # async fn example(sessions: sessionmesh::Sessions) -> Result<(), Box<dyn std::error::Error>> {
/// use sessionmesh::SessionEvent;
///
/// let mut watch = sessions.watch();
/// while let Some(event) = watch.next().await {
///     match event {
///         SessionEvent::Destroyed(id) => println!("{} is logged out", sessions.log_name(&id)),
///         SessionEvent::Resync(missed) => println!("{missed} events were missed: read again what matters"),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Watch {
    events: Listener<Happened>,
    stopped: watch::Receiver<Option<Stopped>>,
}

impl Watch {
    pub(crate) fn new(events: Listener<Happened>, stopped: watch::Receiver<Option<Stopped>>) -> Self {
        Self { events, stopped }
    }

    /// The next event; `None` once the node has stopped. Needs no runtime, and may be dropped at any await: no event is
    /// lost by that. What is not taken is kept up to 4,096 events and 8 MiB; then comes [`SessionEvent::Resync`].
    pub async fn next(&mut self) -> Option<SessionEvent> {
        let event = tokio::select! {
            biased;
            event = self.events.next() => event,
            // Nothing comes after what is here already: handles keep the channel open, and nobody writes to it.
            _ = self.stopped.wait_for(Option::is_some) => return None,
        };
        match event {
            Heard::Item(Happened::Created(id)) => Some(SessionEvent::Created(id)),
            Heard::Item(Happened::Changed(id, keys)) => Some(SessionEvent::Changed(id, keys)),
            Heard::Item(Happened::Destroyed(id)) => Some(SessionEvent::Destroyed(id)),
            Heard::Item(Happened::Expired(id)) => Some(SessionEvent::Expired(id)),
            Heard::Item(Happened::Returned(id)) => Some(SessionEvent::Returned(id)),
            Heard::Item(Happened::Conflict(conflict)) => Some(SessionEvent::Conflict(conflict)),
            Heard::Missed(missed) => Some(SessionEvent::Resync(missed)),
            Heard::Over => None,
        }
    }
}
