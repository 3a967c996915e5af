//! Watching sessions. A watcher that falls behind is told to resync; writers never wait for it.

use tokio::sync::{broadcast, watch};

use crate::core::replica::{ConflictEvent, Happened};
use crate::core::session::SessionId;
use crate::driver::Stopped;

/// Something that happened to a session on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// It appeared here.
    Created(SessionId),
    /// These fields changed; none, if only its deadline did.
    Changed(SessionId, Vec<String>),
    /// It ended by a logout.
    Destroyed(SessionId),
    /// It reached its deadline (told within a second or two).
    Expired(SessionId),
    /// Two writes of which neither had seen the other met; one value was kept, one lost.
    Conflict(Box<ConflictEvent>),
    /// This watcher was too slow and missed this many events: read what matters again.
    Resync(u64),
}

impl SessionEvent {
    /// The session it concerns.
    pub fn id(&self) -> Option<SessionId> {
        match self {
            Self::Created(id) | Self::Changed(id, _) | Self::Destroyed(id) | Self::Expired(id) => Some(*id),
            Self::Conflict(conflict) => Some(conflict.id),
            Self::Resync(_) => None,
        }
    }
}

/// A stream of events.
#[derive(Debug)]
pub struct Watch {
    events: broadcast::Receiver<Happened>,
    stopped: watch::Receiver<Option<Stopped>>,
}

impl Watch {
    pub(crate) fn new(
        events: broadcast::Receiver<Happened>,
        stopped: watch::Receiver<Option<Stopped>>,
    ) -> Self {
        Self { events, stopped }
    }

    /// The next event; `None` once the node has stopped.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        let event = tokio::select! {
            biased;
            event = self.events.recv() => event,
            // Nothing comes after what is here already: handles keep the channel open, and nobody writes to it.
            _ = self.stopped.wait_for(Option::is_some) => return None,
        };
        match event {
            Ok(Happened::Created(id)) => Some(SessionEvent::Created(id)),
            Ok(Happened::Changed(id, keys)) => Some(SessionEvent::Changed(id, keys)),
            Ok(Happened::Destroyed(id)) => Some(SessionEvent::Destroyed(id)),
            Ok(Happened::Expired(id)) => Some(SessionEvent::Expired(id)),
            Ok(Happened::Conflict(conflict)) => Some(SessionEvent::Conflict(conflict)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(SessionEvent::Resync(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
