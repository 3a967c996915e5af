//! Whom a joiner has to wait for: the members it learnt from, or could have.
//!
//! A ready member that was met and is out of reach holds what nobody else may hold. A joiner that serves without it
//! answers "no such session" for sessions that live, and passes what it has for the whole. So it waits: until such a
//! member is back or another appears, until that life is over, or for `source_wait_ms`. Past that it serves and is
//! *incomplete*: it says so, and is no source for others before it has found one itself.

use std::collections::BTreeMap;

use super::Node;
use crate::causality::Origin;
use crate::replica::Serving;
use crate::time::Now;

/// The ready members met since this node began to join.
#[derive(Default)]
pub(super) struct Sources {
    /// Since when each is not there to be learnt from (monotonic ms): its link is lost, or it trusts itself no more.
    met: BTreeMap<Origin, Option<u64>>,
    /// One whose life is over.
    ended: Option<Origin>,
}

impl Sources {
    /// A peer says whether it is ready.
    pub fn says(&mut self, now: Now, peer: Origin, ready: bool) {
        if ready {
            self.met.insert(peer, None);
        } else if let Some(since) = self.met.get_mut(&peer) {
            since.get_or_insert(now.mono_ms);
        }
    }

    /// The link to a peer is lost.
    pub fn lost(&mut self, now: Now, peer: Origin) {
        self.says(now, peer, false);
    }

    /// The time that this process was frozen is no time in which nobody came back.
    pub fn thawed(&mut self, now: Now) {
        self.met.values_mut().flatten().for_each(|since| *since = now.mono_ms);
    }

    /// A life is over: nobody has to wait for it.
    pub fn over(&mut self, origin: Origin) {
        if self.met.remove(&origin).is_some() {
            self.ended = Some(origin);
        }
    }

    /// Whom to wait for, and since when.
    fn awaited(&self) -> Option<(Origin, u64)> {
        let absent = self.met.iter().filter_map(|(origin, since)| Some((*origin, (*since)?)));
        absent.max_by_key(|(_, since)| *since)
    }
}

impl Node {
    pub(super) fn note_ready(&mut self, now: Now, peer: Origin, ready: bool) {
        if let Some(linked) = self.peers.get_mut(&peer) {
            linked.ready = ready;
            self.phase.sources.says(now, peer, ready);
        }
    }

    fn a_source_is_linked(&self) -> bool {
        self.peers.values().any(|peer| peer.ready)
    }

    /// Whether this node knows of something it may lack that nobody it reaches holds: it is no source then, and says so.
    pub(super) fn lacks_something(&self) -> bool {
        let joining = self.phase.serving == Serving::Joining && !self.a_source_is_linked();
        let sources = &self.phase.sources;
        self.phase.incomplete.is_some() || joining && (sources.ended.is_some() || sources.awaited().is_some())
    }

    /// Why a joiner goes on waiting, if it does.
    pub(super) fn waits_for_source(&self, now: Now) -> Option<String> {
        let (origin, since_ms) = self.phase.sources.awaited().filter(|_| !self.a_source_is_linked())?;
        let waited_ms = now.mono_ms.saturating_sub(since_ms);
        (waited_ms < self.limits.source_wait_ms && !mutant!(LostSourceForgotten)).then(|| {
            let (seconds, most) = (waited_ms / 1_000, self.limits.source_wait_ms / 1_000);
            format!("waiting for {origin}, which holds more and is out of reach for {seconds} s (at most {most} s): {}", self.adopted_so_far())
        })
    }

    fn adopted_so_far(&self) -> String {
        let (total, left) = (self.phase.partitions(), self.phase.left());
        match left {
            0 => format!("{total} of {total} partitions adopted, not verified"),
            _ => format!("{} of {total} partitions adopted", total - left),
        }
    }

    /// What is not known, if this node served now.
    pub(super) fn incomplete(&self) -> Option<String> {
        if mutant!(LostSourceForgotten) {
            return None;
        }
        let sources = &self.phase.sources;
        let why = match (sources.awaited(), sources.ended) {
            (Some((origin, _)), _) => {
                format!("{origin} holds more and did not come back within source_wait_ms")
            }
            (None, Some(origin)) => format!("{origin} held more and its life is over"),
            (None, None) => {
                let teacher = self.peers.iter().find(|(_, peer)| peer.incomplete)?.0;
                format!("{teacher} is, from which this node learnt")
            }
        };
        Some(format!("incomplete: {why}; {}", self.adopted_so_far()))
    }

    /// A node that serves with less than there is goes on looking for a member that holds everything.
    pub(super) fn complete_late(&mut self, now: Now) {
        if self.phase.incomplete.is_none() || self.phase.left() > 0 {
            return;
        }
        if self.phase.verify.is_done() {
            self.phase.completed();
            self.serve_as(Serving::Ready, "every partition adopted and verified".into());
        } else {
            self.continue_verify(now);
        }
    }
}
