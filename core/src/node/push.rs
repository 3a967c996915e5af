//! A local write leaves: pushes and their acknowledgements.
//!
//! There is no flush timer. The first write goes at once; what arrives while it is on its way rides in the next
//! push. Nothing is queued for a peer: a cursor per partition is all, and the dot index is the queue.

use super::{Class, Node, Output, Peer};
use crate::causality::Origin;
use crate::marks::Mark;
use crate::replica::{Entry, Refusal};
use crate::time::Now;
use crate::wire::{Bases, EntryReader, EntryWriter, PeerFault, Push, PushAck, PushHeader, encode_push_part};

/// A push nobody has acknowledged yet.
pub(super) struct OutPush {
    pub seq: u64,
    pub sent_ms: u64,
    /// Partition and the claim made.
    pub parts: Vec<(u16, u64, u64)>,
}

impl Peer {
    /// The next partition with news, in turn.
    fn next_dirty(&self) -> Option<u16> {
        let behind = self.dirty.range(self.pushed.saturating_add(1)..).next();
        behind.or(self.dirty.first()).copied()
    }
}

impl Node {
    pub(super) fn news(&mut self, now: Now) {
        let news: Vec<u16> = self.replica.take_news().collect();
        for peer in self.peers.values_mut() {
            peer.dirty.extend(&news);
        }
        let peers: Vec<Origin> = self.peers.keys().copied().collect();
        for peer in peers {
            self.pump_push(now, peer);
        }
    }

    /// Sends the next push to a peer unless one is on its way.
    pub(super) fn pump_push(&mut self, now: Now, to: Origin) {
        if self.clocks.judge.is_waiting(now) {
            return;
        }
        let Some(peer) = self.peers.get_mut(&to).filter(|p| p.out.is_none() && !p.dirty.is_empty()) else {
            return;
        };
        let base_counter = self.replica.counter();
        let bases = Bases { wall_ms: now.wall_ms, counter: base_counter, version: peer.version };
        let mut writer = EntryWriter::new(bases, Some(self.origin));
        let (mut parts, mut body, mut until_ms) = (Vec::new(), Vec::new(), 0);
        while let Some(partition) = peer.next_dirty() {
            let Some(budget) = self.limits.page_bytes.checked_sub(body.len()).filter(|&b| b > 0) else {
                break;
            };
            let cursor = &mut peer.cursor[usize::from(partition)];
            let (push, own_last) = self
                .replica
                .locked(partition, |p| (p.build_push(*cursor, budget, &mut writer), p.own_last()));
            let (n, entries) = writer.take();
            if let Some(push) = push {
                encode_push_part(base_counter, partition, (push.lo, push.hi), n, &entries, &mut body);
                *cursor = push.hi;
                parts.push((partition, push.lo, push.hi));
                until_ms = until_ms.max(push.until_ms);
            }
            if push.is_none_or(|p| p.hi >= own_last) {
                peer.dirty.remove(&partition);
                peer.pushed = partition;
            }
        }
        if parts.is_empty() {
            return;
        }
        let seq = self.next_seq;
        self.next_seq += 1;
        let n = parts.len() as u32;
        peer.out = Some(OutPush { seq, sent_ms: now.mono_ms, parts });
        let header =
            PushHeader { seq, wall_ms: now.wall_ms, base_counter, until_ms, origins: writer.table() };
        let frame = header.encode(peer.version, n, &body);
        self.stats.pushes += 1;
        self.send(to, Class::Control, frame);
    }

    pub(super) fn on_push(&mut self, now: Now, from: Origin, push: &Push<'_>) -> Result<(), PeerFault> {
        let header = &push.header;
        let origins = header.origins_with(from);
        let reader = EntryReader { bases: push.bases(), origins: &origins };
        let longest_ms = self.limits.max_lifetime_ms + 4 * self.limits.max_drift_ms;
        let until_ms = header.until_ms.min(now.wall_ms + longest_ms);
        let (named, partitions) = (push.parts.len(), self.limits.partitions);
        if named > usize::from(partitions) {
            return Err(PeerFault::TooManyPartitions { what: "a push", named, partitions });
        }
        let mut not_adopted = Vec::new();
        for part in &push.parts {
            self.check_partition("a pushed", part.partition)?;
            let outcome = self.admit(now, part.partition, |p, gate| {
                let mut entries: Vec<Entry<'_>> = Vec::with_capacity(part.entries.len());
                for entry in &part.entries {
                    if entry.id.partition(gate.limits.partitions) != part.partition {
                        p.marks.hit(Mark::EntryInWrongPartition);
                        return Err(Refusal::Malformed("a session in the wrong partition"));
                    }
                    let state = reader
                        .resolve_within(entry, &mut |o| p.admit_origin(o))
                        .map_err(Refusal::Malformed)?;
                    entries.push((entry.id, state));
                }
                p.apply_push(from, (part.lo, part.hi, until_ms), &entries, gate)
            });
            match outcome {
                Ok(true) => {}
                Ok(false) => not_adopted.push(part.partition),
                Err(refusal) => {
                    not_adopted.push(part.partition);
                    self.refused(now, from, &refusal)?;
                }
            }
        }
        if !not_adopted.is_empty() {
            self.want_round(from);
        }
        if let Some(version) = self.peers.get(&from).map(|p| p.version) {
            let refused = if mutant!(AckHidesRefusals) { Vec::new() } else { not_adopted };
            let ack = PushAck { seq: header.seq, refused }.encode(version);
            self.send(from, Class::Control, ack);
        }
        Ok(())
    }

    pub(super) fn on_push_ack(&mut self, now: Now, from: Origin, ack: &PushAck) {
        let PushAck { seq, refused } = ack;
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let Some(out) = peer.out.take_if(|out| out.seq == *seq) else {
            self.marks.hit(Mark::PushAckStale);
            return;
        };
        if !refused.is_empty() {
            self.marks.hit(Mark::PushAckRefused);
        }
        for (partition, lo, hi) in out.parts {
            if !refused.contains(&partition) {
                self.outputs.push_back(Output::Adopted { peer: from, partition, lo, hi });
            }
        }
        self.pump_push(now, from);
    }

    /// A push without an answer no longer blocks the next; the hole it may have left is a round's to fill.
    pub(super) fn push_timeouts(&mut self, now: Now) {
        let timeout_ms = self.limits.push_timeout_ms;
        let overdue = |out: &mut OutPush| {
            let late = now.mono_ms >= out.sent_ms + timeout_ms;
            if late && mutant!(LatePushBlocks) {
                // Waited for anew, so that the node does not ask to be woken for it at once.
                out.sent_ms = now.mono_ms;
                return false;
            }
            late
        };
        let late: Vec<Origin> =
            self.peers.iter_mut().filter_map(|(o, p)| p.out.take_if(overdue).map(|_| *o)).collect();
        for peer in late {
            self.stats.pushes_lost += 1;
            self.marks.hit(Mark::PushLost);
            self.pump_push(now, peer);
        }
    }
}
