//! The door between the link and chitchat: what may enter, and how many incarnations may be known.
//!
//! Only digests make chitchat remember a new incarnation (a delta about an unknown one is ignored), so the
//! ceiling is kept by cutting entries out of inbound digests. Present members go on being heard: a ceiling that
//! dropped whole packets would make the mesh deaf, and everyone in it dead.

use std::collections::BTreeMap;

use chitchat::{ChitchatId, ChitchatMessage, Deserializable};
use tracing::warn;

use super::health::RefusedPackets;
use super::inspect::{self, Refusal};
use super::keys;

/// Judges inbound packets for one gossip server.
#[derive(Debug)]
pub(super) struct Guard {
    cluster: String,
    own: ChitchatId,
    max_incarnations: usize,
    /// What chitchat knows, plus what was let in since we last looked (`true`: not yet seen there).
    known: BTreeMap<ChitchatId, bool>,
    refused: RefusedPackets,
}

impl Guard {
    pub(super) fn new(cluster: &str, own: ChitchatId, max_incarnations: usize) -> Self {
        let known = BTreeMap::from([(own.clone(), false)]);
        Self { cluster: cluster.to_owned(), own, max_incarnations, known, refused: RefusedPackets::default() }
    }

    /// A new gossip server under a new id has taken over; it knows nobody but itself. Counters go on.
    pub(super) fn restart(&mut self, own: ChitchatId) {
        self.known = BTreeMap::from([(own.clone(), false)]);
        self.own = own;
    }

    /// Takes over what chitchat really knows, so that expired incarnations make room.
    ///
    /// What was let in since the last call may still be on its way to chitchat and is kept for one call more.
    pub(super) fn sync<'a>(&mut self, in_chitchat: impl Iterator<Item = &'a ChitchatId>) {
        self.known.retain(|id, just_admitted| std::mem::take(just_admitted) || *id == self.own);
        self.known.extend(in_chitchat.map(|id| (id.clone(), false)));
    }

    /// Incarnations known or about to be.
    pub(super) fn known(&self) -> usize {
        self.known.len()
    }

    /// What was refused so far.
    pub(super) fn refused(&self) -> &RefusedPackets {
        &self.refused
    }

    /// The message in an inbound packet, without what must not enter; `None` if nothing is left.
    pub(super) fn admit(&mut self, from: std::net::SocketAddr, packet: &[u8]) -> Option<ChitchatMessage> {
        match self.judge(packet) {
            Ok(message) => message,
            Err(refusal) => {
                let count = self.count(refusal);
                // Powers of two: a stubborn peer costs a few dozen lines, not one per packet.
                // A few about ourselves are harmless: news of what we wrote came round before our digest did.
                let few = refusal == Refusal::ForgedSelf && count < 16;
                if count.is_power_of_two() && !few {
                    warn!(%from, ?refusal, count, bytes = packet.len(), "gossip packet refused");
                }
                None
            }
        }
    }

    /// Counts a packet of ours that is too large for any link.
    pub(super) fn refuse_outbound(&mut self) {
        self.count(Refusal::Oversize);
    }

    fn judge(&mut self, packet: &[u8]) -> Result<Option<ChitchatMessage>, Refusal> {
        let inspected = inspect::inspect(packet, &self.cluster, &self.own)?;
        let Some(entries) = inspected.digest else {
            return decode(packet).map(Some);
        };
        let named = entries.len();
        let kept = self.admit_incarnations(entries);
        if kept.len() == named {
            return decode(packet).map(Some);
        }
        if kept.is_empty() && inspected.is_syn {
            // A stranger for whom there is no room. Answering would tell it about a mesh that ignores it.
            return Ok(None);
        }
        decode(&inspect::with_entries(packet, &kept, inspected.rest)).map(Some)
    }

    fn admit_incarnations(&mut self, entries: Vec<inspect::DigestEntry>) -> Vec<inspect::DigestEntry> {
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            if self.known.contains_key(&entry.id) {
                kept.push(entry);
            } else if !keys::node_name_is_sound(&entry.id.node_id) {
                self.refused.bad_name += 1;
            } else if self.known.len() >= self.max_incarnations {
                self.refuse_newcomer(&entry.id);
            } else {
                self.known.insert(entry.id.clone(), true);
                kept.push(entry);
            }
        }
        kept
    }

    fn refuse_newcomer(&mut self, id: &ChitchatId) {
        self.refused.over_ceiling += 1;
        if self.refused.over_ceiling.is_power_of_two() {
            let (known, count) = (self.known.len(), self.refused.over_ceiling);
            warn!(newcomer = ?id, known, count, "too many incarnations known: newcomer ignored");
        }
    }

    fn count(&mut self, refusal: Refusal) -> u64 {
        let counter = match refusal {
            Refusal::Oversize => &mut self.refused.oversize,
            Refusal::Malformed => &mut self.refused.malformed,
            Refusal::WrongCluster => &mut self.refused.wrong_cluster,
            Refusal::BadKey => &mut self.refused.bad_key,
            Refusal::AbsurdState => &mut self.refused.absurd_state,
            Refusal::ForgedSelf => &mut self.refused.forged_self,
        };
        *counter += 1;
        *counter
    }
}

fn decode(packet: &[u8]) -> Result<ChitchatMessage, Refusal> {
    ChitchatMessage::deserialize(&mut &packet[..]).map_err(|_| Refusal::Malformed)
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
