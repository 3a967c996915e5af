//! The door between the link and chitchat: what may enter, and how many incarnations may be known.
//!
//! Only digests make chitchat remember a new incarnation (a delta about an unknown one is ignored), so the
//! ceiling is kept by cutting entries out of inbound digests. Present members go on being heard: a ceiling that
//! dropped whole packets would make the mesh deaf, and everyone in it dead.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use chitchat::{ChitchatId, ChitchatMessage, Deserializable};
use tracing::warn;

use super::config::limits::{RESERVED_SHARE, SENDER_SHARE};
use super::health::RefusedPackets;
use super::inspect::{self, Refusal};
use super::keys;

/// In a house so small that shares of it are nobody, a sender may tell of so many. And so many of one address count as having
/// come themselves: each restart is one.
const FEW_TOLD: usize = 16;

/// One incarnation that was let in.
#[derive(Debug, Default, Clone, Copy)]
struct Known {
    /// Let in since we last looked, and not yet seen in chitchat.
    fresh: bool,
    /// Who told of it, unless it did itself.
    told_by: Option<SocketAddr>,
}

/// Judges inbound packets for one gossip server.
#[derive(Debug)]
pub(super) struct Guard {
    cluster: String,
    own: ChitchatId,
    max_incarnations: usize,
    /// What chitchat knows, plus what was let in since we last looked.
    known: BTreeMap<ChitchatId, Known>,
    refused: RefusedPackets,
}

impl Guard {
    pub(super) fn new(cluster: &str, own: ChitchatId, max_incarnations: usize) -> Self {
        let known = BTreeMap::from([(own.clone(), Known::default())]);
        Self { cluster: cluster.to_owned(), own, max_incarnations, known, refused: RefusedPackets::default() }
    }

    /// A new gossip server under a new id has taken over; it knows nobody but itself. Counters go on.
    pub(super) fn restart(&mut self, own: ChitchatId) {
        self.known = BTreeMap::from([(own.clone(), Known::default())]);
        self.own = own;
    }

    /// Takes over what chitchat really knows, so that expired incarnations make room.
    ///
    /// What was let in since the last call may still be on its way to chitchat and is kept for one call more.
    pub(super) fn sync<'a>(&mut self, in_chitchat: impl Iterator<Item = &'a ChitchatId>) {
        let mut before = std::mem::take(&mut self.known);
        for id in in_chitchat {
            let told_by = before.remove(id).and_then(|known| known.told_by);
            self.known.insert(id.clone(), Known { fresh: false, told_by });
        }
        before.retain(|id, known| std::mem::take(&mut known.fresh) || *id == self.own);
        self.known.append(&mut before);
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
    pub(super) fn admit(&mut self, from: SocketAddr, packet: &[u8]) -> Option<ChitchatMessage> {
        match self.judge(from, packet) {
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

    fn judge(&mut self, from: SocketAddr, packet: &[u8]) -> Result<Option<ChitchatMessage>, Refusal> {
        let inspected = inspect::inspect(packet, &self.cluster, &self.own)?;
        let Some(entries) = inspected.digest else {
            return decode(packet).map(Some);
        };
        let named = entries.len();
        let kept = self.admit_incarnations(from, entries);
        if kept.len() == named {
            return decode(packet).map(Some);
        }
        if kept.is_empty() && inspected.is_syn {
            // A stranger for whom there is no room. Answering would tell it about a mesh that ignores it.
            return Ok(None);
        }
        decode(&inspect::with_entries(packet, &kept, inspected.rest)).map(Some)
    }

    fn admit_incarnations(
        &mut self,
        from: SocketAddr,
        entries: Vec<inspect::DigestEntry>,
    ) -> Vec<inspect::DigestEntry> {
        let mut kept = Vec::with_capacity(entries.len());
        let others = self.known.iter().filter(|(id, _)| **id != self.own);
        let mut came =
            others.filter(|(id, k)| k.told_by.is_none() && id.gossip_advertise_addr == from).count();
        let mut told = self.known.values().filter(|known| known.told_by == Some(from)).count();
        let share = self.max_incarnations.div_ceil(SENDER_SHARE).max(FEW_TOLD);
        let small = self.max_incarnations < 2 * FEW_TOLD;
        let reserved = if small { 0 } else { self.max_incarnations / RESERVED_SHARE };
        for entry in entries {
            if self.known.contains_key(&entry.id) {
                kept.push(entry);
                continue;
            }
            if !keys::node_name_is_sound(&entry.id.node_id) {
                self.refused.bad_name += 1;
                continue;
            }
            // Who comes itself is there: a link told its address.
            let itself = entry.id.gossip_advertise_addr == from && came < FEW_TOLD;
            let most = self.max_incarnations - if itself { 0 } else { reserved };
            if self.known.len() >= most || (!itself && told >= share) {
                self.refuse_newcomer(&entry.id);
            } else {
                told += usize::from(!itself);
                came += usize::from(itself);
                let told_by = (!itself).then_some(from);
                self.known.insert(entry.id.clone(), Known { fresh: true, told_by });
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
