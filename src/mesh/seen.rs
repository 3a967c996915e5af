//! Read your writes: what a client has written, carried by the client, waited for by whichever node it comes to next.
//!
//! The *read your writes* session guarantee of Terry et al., "Session Guarantees for Weakly Consistent Replicated Data"
//! (1994): the client keeps the set of its writes, and a server answers once it holds them. A write here is a dot, so
//! that the set is a small version vector with a first counter for each origin.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::receipt::Receipt;
use super::sessions::Sessions;
use crate::core::causality::{Origin, short_origin};
use crate::core::session::SessionId;
use crate::driver::{Asker, Command, until, within};
use crate::limits::MAX_VAIN_ASKS;

/// Node lives a client's writes are remembered of; the one written through longest ago is forgotten beyond. A client
/// goes through more only if it is bounced among more than so many nodes.
pub const MAX_SEEN: usize = 16;
/// A write that is under way arrives within a few milliseconds; after this long (ms) peers are asked for it as well.
const ASK_AFTER_MS: u64 = 10;
/// After peers were asked in vain for what a life wrote that is not linked, they are not asked again for this long (ms):
/// what they get meanwhile they send by themselves, within a round or two.
const VAIN_ASK_MS: u64 = 5_000;
/// The writes that a client has made to one session, by the node life that took them.
///
/// ```no_run
/// # async fn example(sessions: sessionmesh::Sessions, id: sessionmesh::SessionId) -> Result<(), Box<dyn std::error::Error>> {
/// use sessionmesh::mesh::{CaughtUp, Seen};
/// use std::time::Duration;
///
/// let mut seen = Seen::default();
/// seen.add(&sessions.edit(&id, |s| s.set("cart", &["tea"]))?);
/// let carried = seen.to_bytes();                              // sign it, and let the client carry it
///
/// // On whichever node the client comes to next:
/// let seen = Seen::from_bytes(&carried).unwrap_or_default();
/// if sessions.catch_up(&id, &seen, Duration::from_millis(50)).await == CaughtUp::Behind {
///     println!("what is here may be older than the client's own writes");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen(Vec<Span>);

/// Writes of one node life. Its counters in between that were no writes of this client are waited for as well, which
/// costs nothing on a healthy link: they arrive in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    short: u32,
    first: u64,
    last: u64,
}

impl Seen {
    /// Adds a write.
    pub fn add(&mut self, receipt: &Receipt) {
        let dot = receipt.dot();
        let (short, mut span) = (short_origin(dot.origin), (dot.counter, dot.counter));
        if let Some(at) = self.0.iter().position(|s| s.short == short) {
            let held = self.0.remove(at);
            span = (held.first.min(span.0), held.last.max(span.1));
        } else if self.0.len() == MAX_SEEN {
            self.0.remove(0);
        }
        self.0.push(Span { short, first: span.0, last: span.1 });
    }

    /// Whether there is nothing to wait for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A compact form for a client to carry: about ten bytes a node. It tells how much nodes write, no more; whoever
    /// can forge it can make a node wait and ask its peers, so let only your own come back (sign it).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(10 * self.0.len());
        self.put(&mut out);
        out
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        for span in &self.0 {
            out.extend_from_slice(&span.short.to_be_bytes());
            put_varint(span.last, out);
            put_varint(span.last - span.first, out);
        }
    }

    /// The inverse of [`Seen::to_bytes`]; `None` for anything it never wrote.
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut spans = Vec::new();
        while !bytes.is_empty() {
            let (short, rest) = bytes.split_first_chunk::<4>()?;
            bytes = rest;
            let last = take_varint(&mut bytes)?;
            let first = last.checked_sub(take_varint(&mut bytes)?)?;
            if spans.len() == MAX_SEEN || first == 0 {
                return None;
            }
            spans.push(Span { short: u32::from_be_bytes(*short), first, last });
        }
        Some(Self(spans))
    }

    /// Without the spans that this says.
    fn without_those(&self, mut drop: impl FnMut(u32) -> bool) -> Self {
        Self(self.0.iter().filter(|span| !drop(span.short)).copied().collect())
    }

    /// Without what these nodes wrote.
    fn without(&self, origins: &[Origin]) -> Self {
        let written = |span: &&Span| origins.iter().any(|origin| short_origin(*origin) == span.short);
        Self(self.0.iter().filter(|span| !written(span)).copied().collect())
    }
}

fn put_varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// How a node came to hold what a client has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaughtUp {
    /// It was here.
    Here,
    /// It arrived by itself within a few milliseconds.
    Waited,
    /// It arrived after peers were asked for it.
    Fetched,
    /// It did not come in time: what is here may be older than the client's own writes.
    Behind,
}

/// How often each [`CaughtUp`] was the outcome on a node, since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaughtUpTotals {
    /// [`CaughtUp::Here`].
    pub here: u64,
    /// [`CaughtUp::Waited`].
    pub waited: u64,
    /// [`CaughtUp::Fetched`].
    pub fetched: u64,
    /// [`CaughtUp::Behind`].
    pub behind: u64,
}

impl Sessions {
    /// Waits until this node holds every write in `seen` to the session, at most `patience`. What does not arrive by
    /// itself within a few milliseconds is asked for, from its writer and from every other peer.
    ///
    /// A session known here to be destroyed needs no waiting: nothing can follow that.
    ///
    /// Needs no runtime. May be dropped at any await: what was asked for is taken in all the same. After `leave` it is
    /// [`CaughtUp::Behind`] at once, unless all is here.
    pub async fn catch_up(&self, id: &SessionId, seen: &Seen, patience: Duration) -> CaughtUp {
        let (outcome, in_vain) = self.catch_up_asking(id, seen, patience).await;
        if in_vain {
            self.note_asked_in_vain(id);
        }
        outcome
    }

    /// As [`Sessions::catch_up`], and whether everybody who is linked, if anybody is, was asked and has answered in vain: what
    /// did not come by that, only somebody who is missing can bring. The caller notes that, unless it asks no more.
    pub(crate) async fn catch_up_asking(
        &self,
        id: &SessionId,
        seen: &Seen,
        patience: Duration,
    ) -> (CaughtUp, bool) {
        if self.has_seen(id, seen) {
            return (CaughtUp::Here, false);
        }
        let (outcome, in_vain) = self.caught_up(id, seen, Instant::now() + patience).await;
        self.count(outcome);
        (outcome, in_vain)
    }

    /// Whether every write in `seen` is here; counted as [`CaughtUp::Here`] if it is.
    pub(crate) fn has_seen(&self, id: &SessionId, seen: &Seen) -> bool {
        let here = self.holds(id, seen);
        if here {
            self.count(CaughtUp::Here);
        }
        here
    }

    fn count(&self, outcome: CaughtUp) {
        let counts = &self.mesh().shared().caught_up;
        let count = match outcome {
            CaughtUp::Here => &counts.here,
            CaughtUp::Waited => &counts.waited,
            CaughtUp::Fetched => &counts.fetched,
            CaughtUp::Behind => &counts.behind,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    async fn caught_up(&self, id: &SessionId, seen: &Seen, deadline: Instant) -> (CaughtUp, bool) {
        if self.mesh().shared().acks.linked() == 0 {
            // Nobody can bring it.
            return (CaughtUp::Behind, true);
        }
        tokio::select! {
            outcome = self.catching_up(id, seen, deadline) => outcome,
            // Nothing arrives at a node that runs no more.
            _ = self.mesh().shared().not_running() => (CaughtUp::Behind, false),
        }
    }

    async fn catching_up(&self, id: &SessionId, seen: &Seen, deadline: Instant) -> (CaughtUp, bool) {
        // What a life that is not linked wrote comes through others or not at all: they are asked once.
        let linked = self.linked_lives();
        let coming = seen.without_those(|short| !linked.contains(&short));
        if !self.holds(id, &coming) {
            let ask_at = deadline.min(Instant::now() + Duration::from_millis(ASK_AFTER_MS));
            if until(ask_at, self.arrival(id, &coming)).await.is_some() && self.holds(id, seen) {
                return (CaughtUp::Waited, false);
            }
        }
        if coming != *seen && self.holds(id, &coming) && self.was_asked_in_vain(id) {
            return (CaughtUp::Behind, false);
        }
        let brought = async {
            let asked = self.ask_all(id, seen);
            tokio::select! {
                () = self.arrival(id, seen) => (true, false),
                (fetched, all) = asked => {
                    // If nobody reached has it, a writer that is slow to answer may still send it.
                    if !fetched {
                        self.arrival(id, &coming).await;
                    }
                    (fetched || self.holds(id, seen), all)
                },
            }
        };
        match until(deadline, brought).await {
            Some((true, _)) => (CaughtUp::Fetched, false),
            Some((false, all)) => {
                if !all {
                    self.note_asked_in_vain(id);
                }
                (CaughtUp::Behind, all)
            }
            None => (CaughtUp::Behind, false),
        }
    }

    /// Whether a life that is linked is to send what it wrote of `seen`: it comes unasked.
    #[cfg(feature = "axum")]
    pub(crate) fn is_coming(&self, id: &SessionId, seen: &Seen) -> bool {
        let linked = self.linked_lives();
        !self.holds(id, &seen.without_those(|short| !linked.contains(&short)))
    }

    /// The lives whose writes come by themselves, this one among them.
    fn linked_lives(&self) -> Vec<u32> {
        let shared = self.mesh().shared();
        let members = shared.members.read();
        let linked = members.iter().filter(|m| m.linked).map(|m| short_origin(m.origin));
        linked.chain([short_origin(shared.life.read().0)]).collect()
    }

    /// What of `seen` is still worth waiting for: not what is written by lives that are over; and, if it is `old`, not
    /// what is written by lives that this node knows nothing of. Without it a client would be behind for ever.
    pub fn settled(&self, seen: &Seen, old: bool) -> Seen {
        let shared = self.mesh().shared();
        let (own, ready) = (short_origin(shared.life.read().0), self.mesh().is_ready());
        let members = shared.members.read();
        seen.without_those(|short| {
            let member = members.iter().find(|m| short_origin(m.origin) == short);
            short != own && ready && member.map_or(old, |m| m.state == crate::core::membership::State::Left)
        })
    }

    fn was_asked_in_vain(&self, id: &SessionId) -> bool {
        let shared = self.mesh().shared();
        let now_ms = shared.clock.now().mono_ms;
        shared.vain_asks.lock().get(id).is_some_and(|until_ms| now_ms < *until_ms)
    }

    /// Notes it for a while; not if there was nobody to ask, since whoever links next may have it.
    pub(crate) fn note_asked_in_vain(&self, id: &SessionId) {
        let shared = self.mesh().shared();
        if shared.acks.linked() == 0 {
            return;
        }
        let mut vain = shared.vain_asks.lock();
        if vain.len() >= MAX_VAIN_ASKS {
            vain.clear();
        }
        vain.insert(*id, shared.clock.now().mono_ms + VAIN_ASK_MS);
    }

    /// Asks every linked peer for a session, whatever is held of it here, at most `ask_timeout_ms`. Returns whether all
    /// have answered.
    pub(crate) async fn ask_everyone(&self, id: &SessionId) -> bool {
        let shared = self.mesh().shared();
        let linked = shared.acks.linked();
        if linked == 0 {
            return !shared.others_alive();
        }
        let (answer, answered) = oneshot::channel();
        let asked = Command::Ask(*id, Asker::All(Vec::new(), answer));
        if !shared.may_ask() || shared.commands.try_send(asked).is_err() {
            return false;
        }
        let patience = Duration::from_millis(shared.ask_timeout_ms);
        matches!(within(patience, answered).await, Some(Ok(peers)) if peers.len() >= linked)
    }

    fn holds(&self, id: &SessionId, seen: &Seen) -> bool {
        let replica = &self.mesh().shared().replica;
        replica.shared(id.partition(replica.limits().partitions), |partition| {
            seen.0.iter().all(|s| partition.covers_range(s.short, s.first, s.last))
                || partition.get(*id).is_some_and(|record| record.is_dead())
        })
    }

    /// Waits until it holds.
    async fn arrival(&self, id: &SessionId, seen: &Seen) {
        let mut arrived = self.mesh().shared().arrived.subscribe();
        while !self.holds(id, seen) {
            // The sender lives in `self`, so that an error cannot occur.
            let _ = arrived.changed().await;
        }
    }

    /// Asks every linked peer for the session. A writer's answer holds all that it wrote, even where a later write has
    /// taken the place of one that is waited for. Returns whether it is here then, and whether all have answered.
    async fn ask_all(&self, id: &SessionId, seen: &Seen) -> (bool, bool) {
        let shared = self.mesh().shared();
        let linked = shared.acks.linked();
        let (answer, answered) = oneshot::channel();
        if !shared.may_ask()
            || shared.commands.try_send(Command::Ask(*id, Asker::All(Vec::new(), answer))).is_err()
        {
            return (false, false);
        }
        let peers = answered.await.unwrap_or_default();
        (self.holds(id, &seen.without(&peers)), peers.len() >= linked)
    }

    /// How the reads that had to catch up went.
    pub fn caught_up_totals(&self) -> CaughtUpTotals {
        let counts = &self.mesh().shared().caught_up;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CaughtUpTotals {
            here: read(&counts.here),
            waited: read(&counts.waited),
            fetched: read(&counts.fetched),
            behind: read(&counts.behind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(spans: &[(u32, u64, u64)]) -> Seen {
        Seen(spans.iter().map(|&(short, first, last)| Span { short, first, last }).collect())
    }

    #[test]
    fn what_a_client_carries_survives_and_nothing_else_is_taken() {
        for held in [seen(&[]), seen(&[(7, 1, 1)]), seen(&[(u32::MAX, 5, 1 << 61), (1, 127, 16_384)])] {
            assert_eq!(Seen::from_bytes(&held.to_bytes()), Some(held.clone()));
        }
        assert_eq!(seen(&[(0x0102_0304, 100, 300)]).to_bytes(), [1, 2, 3, 4, 0xac, 2, 0xc8, 1], "golden");
        let many: Vec<u8> = (0..=MAX_SEEN as u32).flat_map(|n| seen(&[(n, 1, 1)]).to_bytes()).collect();
        let endless = [&[1, 2, 3, 4][..], &[0xff; 12]].concat();
        for bad in [&[1][..], &[1, 2, 3, 4], &[1, 2, 3, 4, 5], &[1, 2, 3, 4, 5, 6], &many, &endless] {
            assert_eq!(Seen::from_bytes(bad), None, "{bad:?}");
        }
    }
}
