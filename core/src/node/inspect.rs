//! Looking at a peer's copy of one session without taking it in: the question and answer of a read-through
//! (`answer.rs`), whose answer goes to whoever asked and to nobody else. An inspector must not heal what it looks at.

use std::collections::BTreeSet;

use super::{Class, Node, Output};
use crate::causality::Origin;
use crate::replica::{Dumped, Refusal};
use crate::session::{Packed, SessionId, encode as pack};
use crate::wire::{Ask, EntryReader, OriginTable, PeerFault, Tell, WireEntry};

impl Node {
    /// Asks every linked peer for its copy of a session.
    pub(super) fn inspect(&mut self, token: u64, id: SessionId) {
        let peers: Vec<(Origin, u16)> = self.peers.iter().map(|(o, p)| (*o, p.version)).collect();
        if peers.is_empty() {
            return;
        }
        self.inspections.insert(token, peers.iter().map(|(o, _)| *o).collect());
        for (peer, version) in peers {
            let frame = Ask { request: token, id }.encode(version);
            self.send(peer, Class::Control, frame);
        }
    }

    /// Nobody waits for the answers any more.
    pub(super) fn inspected(&mut self, token: u64) {
        self.inspections.remove(&token);
    }

    /// Whether an answer belongs to an inspection; if so it has been passed on.
    ///
    /// # Errors
    /// If its entry is none.
    pub(super) fn shown(&mut self, from: Origin, tell: &Tell<'_>) -> Result<bool, PeerFault> {
        let request = tell.header.request;
        let Some(waiting) = self.inspections.get_mut(&request) else { return Ok(false) };
        if !waiting.remove(&from) {
            return Ok(true);
        }
        if waiting.is_empty() {
            self.inspections.remove(&request);
        }
        let copy = tell.entry.as_ref().map(|entry| spelled_out(&tell.reader(), entry)).transpose()?;
        self.outputs.push_back(Output::Inspected { token: request, peer: from, copy: copy.map(Box::new) });
        Ok(true)
    }

    /// A peer whose link is gone answers no more.
    pub(super) fn forget_inspected(&mut self, peer: Origin) {
        self.inspections.retain(|_, waiting: &mut BTreeSet<Origin>| {
            waiting.remove(&peer);
            !waiting.is_empty()
        });
    }
}

/// An entry with a table of origins of its own.
fn spelled_out(reader: &EntryReader<'_>, entry: &WireEntry<'_>) -> Result<Dumped, Refusal> {
    let mut origins = OriginTable::default();
    let state =
        reader.resolve(entry, &mut |origin| origins.index(origin) as u32).map_err(Refusal::Malformed)?;
    let mut bytes = Vec::new();
    pack(entry.id, &state, &mut bytes);
    Ok(Dumped::of(&Packed::new(&bytes), origins.listed()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Input, Setup};
    use super::*;
    use crate::frame::Kind;
    use crate::limits::Limits;
    use crate::replica::{Change, Replica};
    use crate::session::Ttl;
    use crate::time::Now;
    use crate::wire::WIRE_NEWEST;

    /// The kinds of a question and its answer: nothing else is carried, so that no round takes the session in.
    const CARRIED: [Kind; 2] = [Kind::Ask, Kind::Tell];

    fn now(ms: u64) -> Now {
        Now { mono_ms: 60_000 + ms, wall_ms: 1_800_000_000_000 + ms }
    }

    fn node(seed: u8) -> (Node, Arc<Replica>) {
        Node::new(Setup {
            limits: Limits::default(),
            seed: [seed; 32],
            hash_key: 1,
            has_seeds: false,
            watched: false,
            membership: None,
            now: now(0),
        })
    }

    /// Passes on what both say to each other, and returns what the first tells its driver of inspections.
    fn carry(a: &mut Node, b: &mut Node) -> Vec<Output> {
        let mut told = Vec::new();
        for turn in 0..6 {
            let (from, to) = if turn % 2 == 0 { (&mut *a, &mut *b) } else { (&mut *b, &mut *a) };
            let peer = from.origin();
            while let Some(output) = from.poll_output() {
                match output {
                    Output::Send { frame, .. }
                        if Kind::of(&frame).is_some_and(|kind| CARRIED.contains(&kind)) =>
                    {
                        to.handle(now(2), Input::Frame { peer, bytes: &frame });
                    }
                    Output::Inspected { .. } | Output::Asked { .. } => told.push(output),
                    _ => {}
                }
            }
        }
        told
    }

    #[test]
    fn a_copy_is_shown_and_not_taken_in() {
        let ((mut a, ours), (mut b, theirs)) = (node(1), node(2));
        let id = SessionId::from_bytes([7; 16]);
        let change = Change { fields: vec![("user", Some(b"ada"))], ..Change::default() };
        theirs.create(id, now(1), &change, Ttl::Sliding(60_000), u64::MAX).unwrap();
        let (one, two) = (a.origin(), b.origin());
        a.handle(now(1), Input::LinkUp { peer: two, version: WIRE_NEWEST });
        b.handle(now(1), Input::LinkUp { peer: one, version: WIRE_NEWEST });
        a.handle(now(1), Input::Inspect { token: 5, id });
        let told = carry(&mut a, &mut b);
        let [Output::Inspected { token: 5, peer, copy: Some(copy) }] = told.as_slice() else {
            panic!("{told:?}");
        };
        assert_eq!(*peer, two);
        let live = copy.live.as_ref().unwrap();
        assert_eq!(live.fields["user"].0.as_deref(), Some("616461"));
        assert_eq!(live.fields["user"].1.1, format!("{:032x}", two.0), "who wrote it");
        assert_eq!(ours.counts().sessions, 0, "looking changes nothing");

        a.handle(now(1), Input::Inspect { token: 6, id: SessionId::from_bytes([8; 16]) });
        let told = carry(&mut a, &mut b);
        assert_eq!(told, [Output::Inspected { token: 6, peer: two, copy: None }]);
        a.handle(now(1), Input::Inspect { token: 7, id });
        a.handle(now(1), Input::InspectOver { token: 7 });
        assert_eq!(carry(&mut a, &mut b), [], "nobody waits any more");
        assert_eq!(ours.counts().sessions, 0);
        a.handle(now(1), Input::Ask { token: 8, id });
        assert_eq!(
            carry(&mut a, &mut b),
            [Output::Asked { token: 8, answered: Some(two), found: true, left: 0 }]
        );
        assert_eq!(ours.counts().sessions, 1, "a read-through does take it in");
    }
}
