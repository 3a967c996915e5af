//! Looking at a peer's copy of one session without taking it in: the question and answer of a read-through
//! (`answer.rs`), whose answer goes to whoever asked and to nobody else. An inspector must not heal what it looks at.

use std::collections::BTreeSet;

use super::{Class, Node, Output};
use crate::core::causality::Origin;
use crate::core::replica::Dumped;
use crate::core::replication::{EntryReader, Message, WireEntry, encode};
use crate::core::session::{Packed, SessionId, encode as pack};

impl Node {
    /// Asks every linked peer for its copy of a session.
    pub(super) fn inspect(&mut self, token: u64, id: SessionId) {
        let peers: Vec<(Origin, u16)> = self.peers.iter().map(|(o, p)| (*o, p.version)).collect();
        if peers.is_empty() {
            return;
        }
        self.inspections.insert(token, peers.iter().map(|(o, _)| *o).collect());
        for (peer, version) in peers {
            let frame = encode(version, &Message::Ask { request: token, id });
            self.send(peer, Class::Control, frame);
        }
    }

    /// Nobody waits for the answers any more.
    pub(super) fn inspected(&mut self, token: u64) {
        self.inspections.remove(&token);
    }

    /// Whether an answer belongs to an inspection; if so it has been passed on.
    pub(super) fn shown(
        &mut self,
        from: Origin,
        request: u64,
        reader: &EntryReader<'_>,
        entry: Option<&WireEntry<'_>>,
    ) -> Result<bool, String> {
        let Some(waiting) = self.inspections.get_mut(&request) else { return Ok(false) };
        if !waiting.remove(&from) {
            return Ok(true);
        }
        if waiting.is_empty() {
            self.inspections.remove(&request);
        }
        let copy = entry.map(|entry| spelled_out(reader, entry)).transpose()?;
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
fn spelled_out(reader: &EntryReader<'_>, entry: &WireEntry<'_>) -> Result<Dumped, String> {
    let mut origins: Vec<Origin> = Vec::new();
    let mut intern = |origin: Origin| match origins.iter().position(|o| *o == origin) {
        Some(at) => at as u32,
        None => {
            origins.push(origin);
            (origins.len() - 1) as u32
        }
    };
    let state = reader.resolve(entry, &mut intern).map_err(str::to_owned)?;
    let mut bytes = Vec::new();
    pack(entry.id, &state, &mut bytes);
    Ok(Dumped::of(&Packed::new(&bytes), &origins))
}
