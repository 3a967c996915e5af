//! Create, read, edit, touch, destroy. Reads and writes are local and take no async.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;
use tokio::sync::oneshot;

use super::edit::{Expiry, Fields};
use super::receipt::Receipt;
use super::view::{Found, Session};
use super::watch::{SessionEvent, Watch};
use super::{Error, Mesh};
use crate::core::replica::{Change, Lookup, WriteError, Written};
use crate::core::session::SessionId;
use crate::driver::{Answers, Asker, Command, Shared, Stopped, within};

/// Who answered when peers were asked for a session that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Everybody there was to ask; also nobody, if none is there or none had to be asked.
    All,
    /// Not all.
    Some,
    /// Not one, though members are there.
    Nobody,
}

/// The sessions of a mesh, as this node holds them. Cheap to clone, usable from any thread.
///
/// ```no_run
/// # async fn example(sessions: sessionmesh::Sessions) -> Result<(), Box<dyn std::error::Error>> {
/// use sessionmesh::{Expiry, Found};
/// use std::time::Duration;
///
/// let created = sessions.create(Expiry::sliding(Duration::from_secs(1_800)), |s| s.set("theme", "dark"))?;
/// let id = created.id();
/// sessions.edit(&id, |s| s.set("cart", &["tea"]))?.replicated().await;
/// match sessions.fetch(&id).await {
///     Found::Session(session) => println!("{:?}", session.get::<&str>("theme")?),
///     Found::Absent => println!("never created, expired, or destroyed"),
///     Found::NotYetKnown | Found::Fenced => println!("this node cannot know: answer 503"),
/// }
/// sessions.destroy(&id)?;                                     // final
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Sessions {
    mesh: Mesh,
}

impl Sessions {
    pub(crate) fn new(mesh: Mesh) -> Self {
        Self { mesh }
    }

    /// The mesh these sessions live in.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Creates a session under a fresh unguessable id, which the receipt names. It ends as `expiry` says, unless the closure
    /// says otherwise ([`Fields::set_expiry`]).
    ///
    /// # Errors
    /// [`Error::Write`] for a broken limit or an end that is over, [`Error::Encode`] from the closure; nothing is created
    /// then.
    pub fn create(
        &self,
        expiry: Expiry,
        fill: impl FnOnce(&mut Fields) -> Result<(), Error>,
    ) -> Result<Receipt, Error> {
        self.create_with_id(Self::random_id()?, expiry, fill)
    }

    /// A fresh unguessable id.
    pub(crate) fn random_id() -> Result<SessionId, Error> {
        let mut bytes = [0; 16];
        SysRng.try_fill_bytes(&mut bytes).map_err(|e| Error::Edit(format!("no randomness: {e}")))?;
        Ok(SessionId::from_bytes(bytes))
    }

    /// Creates a session under an id the caller promises to be unguessable and never used before: for adapters
    /// whose framework mints ids.
    ///
    /// # Errors
    /// As [`Sessions::create`], and [`crate::WriteError::IdTaken`] for an id known here, dead or alive.
    pub fn create_with_id(
        &self,
        id: SessionId,
        expiry: Expiry,
        fill: impl FnOnce(&mut Fields) -> Result<(), Error>,
    ) -> Result<Receipt, Error> {
        let mut fields = Fields::default();
        fill(&mut fields)?;
        fields.name_login()?;
        let shared = self.running()?;
        let (now, expiry) = (shared.now(), fields.expiry_or(expiry));
        // The replica cuts it to `max_lifetime_ms`.
        let hard_ms = expiry.bound.at(now.wall_ms).unwrap_or(u64::MAX);
        let written = shared.replica.create(id, now, &fields.change(), expiry.ttl, hard_ms)?;
        Ok(self.wrote(id, written))
    }

    /// Reads a session: a lookup and a reference count.
    pub fn get(&self, id: &SessionId) -> Found {
        let shared = self.mesh.shared();
        match shared.replica.lookup(*id, || shared.clock.now()) {
            Lookup::Found(view) => Found::Session(Session(view)),
            Lookup::Absent => Found::Absent,
            Lookup::NotYetKnown => Found::NotYetKnown,
            Lookup::Fenced => Found::Fenced,
        }
    }

    /// Reads a session, and asks peers (at most `ask_timeout_ms`) if it is not here. A session known here to be
    /// destroyed or expired is not asked for. If nobody could be asked although members are there, or none of them
    /// answered, an unknown session is [`Found::NotYetKnown`]: it may live where this node does not reach.
    ///
    /// Needs no runtime. May be dropped at any await: a copy that is on its way is taken in all the same. After `leave` it is
    /// [`Found::Fenced`].
    pub async fn fetch(&self, id: &SessionId) -> Found {
        match self.fetch_sure(id).await {
            (Found::Absent, Asked::Nobody) if !self.is_known(id) => Found::NotYetKnown,
            (found, _) => found,
        }
    }

    /// As [`Sessions::get`] after asking peers, and who of them has answered: unless all have, an absent session may
    /// still live on a peer that was silent.
    pub(crate) async fn fetch_sure(&self, id: &SessionId) -> (Found, Asked) {
        let shared = self.mesh.shared();
        let found = self.get(id);
        let unknown = match found {
            Found::NotYetKnown => true,
            Found::Absent => !self.is_known(id),
            Found::Session(_) | Found::Fenced => false,
        };
        if !unknown {
            return (found, Asked::All);
        }
        if shared.acks.linked() == 0 {
            return (found, if shared.others_alive() { Asked::Nobody } else { Asked::All });
        }
        if !shared.may_ask() {
            return (found, Asked::Nobody);
        }
        let (answer, answered) = oneshot::channel();
        let answers = Arc::new(Answers::default());
        // A node too busy to take the question is like peers that do not answer.
        let asked = shared.commands.try_send(Command::Ask(*id, Asker::Any(answer, Arc::clone(&answers))));
        let patience = Duration::from_millis(shared.ask_timeout_ms);
        let all = asked.is_ok() && matches!(within(patience, answered).await, Some(Ok(())));
        let [said, lost] = [&answers.said, &answers.lost].map(|count| count.load(Ordering::Acquire));
        let who = match (all && lost == 0, said) {
            (true, _) => Asked::All,
            (false, 0) => Asked::Nobody,
            (false, _) => Asked::Some,
        };
        (self.get(id), who)
    }

    /// Whether anything is known of a session here: that it lives, or that it has ended.
    pub(crate) fn is_known(&self, id: &SessionId) -> bool {
        let replica = &self.mesh.shared().replica;
        replica.shared(id.partition(replica.limits().partitions), |p| p.get(*id).is_some())
    }

    /// Changes fields, all together or not at all. Concurrent edits of other fields, here or on any node, survive.
    ///
    /// # Errors
    /// [`crate::WriteError::Absent`] if the session is not visible here; a broken limit; an error of the closure.
    /// Nothing changes then.
    pub fn edit(
        &self,
        id: &SessionId,
        change: impl FnOnce(&mut Fields) -> Result<(), Error>,
    ) -> Result<Receipt, Error> {
        let mut fields = Fields::default();
        change(&mut fields)?;
        fields.name_login()?;
        self.apply(id, &fields.change())
    }

    /// Extends a sliding session. Costs nothing if it would move the deadline by less than the ttl's `touch_share`.
    ///
    /// # Errors
    /// [`crate::WriteError::Absent`] if the session is not visible here.
    pub fn touch(&self, id: &SessionId) -> Result<Receipt, Error> {
        self.apply(id, &Change::default())
    }

    pub(crate) fn apply(&self, id: &SessionId, change: &Change<'_>) -> Result<Receipt, Error> {
        let shared = self.running()?;
        let written = shared.replica.edit_at(*id, || shared.clock.now(), change)?;
        Ok(self.wrote(*id, written))
    }

    /// Ends a session for good, on every node: nothing written concurrently can bring it back.
    ///
    /// # Errors
    /// [`crate::WriteError::Absent`] if nothing is known of it here; see [`Sessions::destroy_blind`].
    pub fn destroy(&self, id: &SessionId) -> Result<Receipt, Error> {
        self.destroy_with(id, false)
    }

    /// Ends a session even if it was never seen here: asks peers first, then leaves a tombstone for the longest
    /// a session can live. Not for ids from strangers' cookies, each of which would cost one.
    ///
    /// # Errors
    /// [`Error::Write`] if the node does not serve.
    pub async fn destroy_blind(&self, id: &SessionId) -> Result<Receipt, Error> {
        self.fetch(id).await;
        self.destroy_with(id, true)
    }

    pub(super) fn destroy_with(&self, id: &SessionId, blind: bool) -> Result<Receipt, Error> {
        let shared = self.running()?;
        let written = shared.replica.destroy(*id, shared.clock.now(), blind)?;
        Ok(self.wrote(*id, written))
    }

    /// What writes go through. A node that has stopped has nobody to pass a write to: to take it would lose it.
    pub(super) fn running(&self) -> Result<&Arc<Shared>, Error> {
        let shared = self.mesh.shared();
        match &*shared.stopped.borrow() {
            None if shared.leaving.load(Ordering::SeqCst) => Err(Error::Stopped(Stopped::Left)),
            // Nor would one that nobody passes on: an acknowledged logout that is none is worse than an error.
            None if shared.replica.is_silent(shared.clock.now()) => {
                Err(WriteError::NotServing(super::SILENT).into())
            }
            None => Ok(shared),
            Some(why) => Err(Error::Stopped(why.clone())),
        }
    }

    pub(super) fn wrote(&self, id: SessionId, written: Written) -> Receipt {
        let shared = self.mesh.shared();
        if written.wrote {
            shared.wrote();
            shared.delays.wrote(&written, &shared.acks);
        }
        Receipt::new(self.mesh.clone(), id, written)
    }

    /// Everything that happens to sessions on this node from now on, written here or elsewhere: of each session in the order
    /// in which it happened here.
    pub fn watch(&self) -> Watch {
        let shared = self.mesh.shared();
        Watch::new(shared.events.listen(), shared.stopped.subscribe())
    }

    /// The node's wall clock (ms since the epoch), against which deadlines are measured.
    pub fn wall_ms(&self) -> u64 {
        self.mesh.shared().now().wall_ms
    }

    /// Live sessions held here, expired but retained ones not counted.
    pub fn len(&self) -> u64 {
        let counts = self.mesh.shared().replica.counts();
        counts.sessions.saturating_sub(counts.expired_retained + counts.stubs)
    }

    /// Whether no live session is held here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name under which logs may mention a session.
    pub fn log_name(&self, id: &SessionId) -> String {
        id.log_hash(self.mesh.shared().log_key).to_string()
    }

    /// Waits for the next event that concerns `id`; `None` once the node has stopped. For tests and simple tools. Needs no
    /// runtime; dropped at an await, it has passed over events that do not concern `id`.
    pub async fn next_event_of(&self, watch: &mut Watch, id: SessionId) -> Option<SessionEvent> {
        loop {
            match watch.next().await? {
                event if event.id() == Some(id) || event.id().is_none() => return Some(event),
                _ => {}
            }
        }
    }
}
