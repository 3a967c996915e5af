//! Anti-entropy, the answering side, and single sessions read through. Answering keeps nothing per peer
//! but until when one that reads too little is served none.

use std::collections::BTreeSet;

use super::{Class, Gravity, Node, Output};
use crate::causality::Origin;
use crate::limits::{FULL_PAUSE_MS, MAX_SERVED_BYTES, ROUND_WINDOW};
use crate::marks::Mark;
use crate::replica::{EntrySink, Refusal};
use crate::session::SessionId;
use crate::time::Now;
use crate::wire::{
    Adopted, Ask, Bases, Digest, EntryWriter, Equal, Hashes, Inc, PageHeader, PeerFault, Sync, SyncItem,
    Tell, TellHeader, Unequal,
};

impl Node {
    pub(super) fn on_digest(&mut self, now: Now, from: Origin, asked: &Digest) {
        let Digest { round, root, ready, .. } = *asked;
        // The wall time is the one read before the first partition is hashed: what is told is never too new.
        let wall_ms = now.wall_ms;
        // What is told holds writers to it: one that read its clock before and comes later uses this time.
        for ix in 0..self.limits.partitions {
            self.replica.locked(ix, |p| p.clamp_wall(wall_ms));
        }
        let mut digest = self.digest_at(if mutant!(DigestByOwnClock) { wall_ms } else { asked.wall_ms });
        if !ready {
            self.withhold_revived(&mut digest);
        }
        let forgot = self.absent.has_forgotten();
        let inc =
            if asked.want_inc || digest.retains_expired || forgot { self.inc_list() } else { Inc::new() };
        self.note_ready(now, from, ready);
        let Some(version) = self.peers.get(&from).map(|p| p.version) else { return };
        let (ready, incomplete) = (self.is_source(), self.lacks_something());
        let answer = if digest.root == root {
            self.has_all_ours(from, &digest.own_last);
            self.shows(from, digest.unlinked);
            self.note_equal(now, from);
            Equal { round, wall_ms, ready, inc, incomplete }.encode(version)
        } else {
            // The difference may be the peer's gain or ours: ask in turn.
            self.want_round(from);
            let hashes = Hashes::to_bytes(&digest.hashes);
            Unequal { round, wall_ms, ready, inc, hashes: Hashes::of(&hashes), incomplete }.encode(version)
        };
        self.send(from, Class::Control, answer);
    }

    /// A joiner must not take a partition for adopted by an equal hash while something revived waits for a peer's word
    /// there: it is shown another hash, asks for a page, and hears that this is no source.
    fn withhold_revived(&self, digest: &mut super::round::Digest) {
        let linked = |member: Origin| self.peers.contains_key(&member);
        for ix in 0..self.limits.partitions {
            let waits = self.replica.shared(ix, |p| p.revived_waits_for_any(&linked));
            if waits && !mutant!(RevivedServedToJoiners) {
                digest.hashes[usize::from(ix)] ^= 1;
                digest.root ^= 1;
            }
        }
    }

    fn inc_list(&self) -> Inc {
        self.inc.iter().map(|(o, w)| (*o, *w)).collect()
    }

    pub(super) fn on_sync(&mut self, now: Now, from: Origin, asked: &Sync) -> Result<(), PeerFault> {
        let Some(version) = self.peers.get(&from).map(|p| p.version) else { return Ok(()) };
        if self.round.as_ref().is_some_and(|r| !r.is_idle()) {
            self.marks.hit(Mark::RoundConcurrentPull);
        }
        if self.peers.get(&from).is_some_and(|p| now.mono_ms < p.full_until_ms) {
            // It is sent what it asked for before; this it will ask for again.
            return Ok(());
        }
        let items = &asked.items;
        let distinct: BTreeSet<u16> = items.iter().map(|item| item.partition).collect();
        if items.len() > ROUND_WINDOW || distinct.len() < items.len() {
            let (all, distinct) = (items.len(), distinct.len());
            return Err(PeerFault::AskedTooMuch { all, distinct, most: ROUND_WINDOW });
        }
        let mut served_bytes = 0;
        for item in items {
            if served_bytes >= MAX_SERVED_BYTES {
                break;
            }
            self.check_partition("a requested", item.partition)?;
            if item.have > 0 {
                self.outputs.push_back(Output::Adopted {
                    peer: from,
                    partition: item.partition,
                    lo: 1,
                    hi: item.have,
                });
            }
            let frame = self.build_page(now, version, asked.round, item);
            self.stats.pages += 1;
            served_bytes += frame.len();
            self.send(from, Class::Bulk, frame);
        }
        Ok(())
    }

    /// Pages for this peer find no room: it is served none for a while.
    pub(super) fn queue_full(&mut self, now: Now, peer: Origin) {
        if let Some(held) = self.peers.get_mut(&peer) {
            held.full_until_ms = now.mono_ms + FULL_PAUSE_MS;
            self.fault(peer, Gravity::Strange, "asks for more pages than it reads".into());
        }
    }

    fn build_page(&mut self, now: Now, version: u16, round: u64, item: &SyncItem) -> Vec<u8> {
        let base_counter = self.replica.counter();
        let bases = Bases { wall_ms: now.wall_ms, counter: base_counter, version };
        let mut writer = EntryWriter::new(bases, None);
        let linked = |member: Origin| self.peers.contains_key(&member);
        let (out, revived) = self.replica.locked(item.partition, |p| {
            let out = p.build_page(&item.base, &item.force, now.wall_ms, &self.limits, &mut writer);
            (out, p.revived_waits_for_any(&linked))
        });
        if revived {
            self.marks.hit(Mark::PageFromRevived);
        }
        let mut inc = self.inc.clone();
        for (member, value) in out.inc {
            let held = inc.entry(member).or_insert(0);
            *held = (*held).max(value);
        }
        let header = PageHeader {
            round,
            partition: item.partition,
            nonce: item.nonce,
            epoch: out.epoch,
            wall_ms: now.wall_ms,
            complete: out.complete,
            source: self.is_source() && (!revived || mutant!(RevivedServedToJoiners)),
            base_counter,
            // The writer has them.
            origins: Vec::new(),
            claims: out.claims,
            inc: inc.into_iter().collect(),
        };
        header.encode_written(&mut writer)
    }

    pub(super) fn on_adopted(&mut self, peer: Origin, adopted: &Adopted) -> Result<(), PeerFault> {
        let (named, partitions) = (adopted.upto.len(), self.limits.partitions);
        if named > usize::from(partitions) {
            return Err(PeerFault::TooManyPartitions { what: "adoption", named, partitions });
        }
        for &(partition, hi) in &adopted.upto {
            self.check_partition("an adopted", partition)?;
            if hi > 0 {
                self.outputs.push_back(Output::Adopted { peer, partition, lo: 1, hi });
            }
        }
        Ok(())
    }

    /// Asks every linked peer for a session.
    pub(super) fn ask(&mut self, token: u64, id: SessionId) {
        let peers: Vec<(Origin, u16)> = self.peers.iter().map(|(o, p)| (*o, p.version)).collect();
        if peers.is_empty() {
            self.marks.hit(Mark::AskNobodyLinked);
            self.outputs.push_back(Output::Asked { token, answered: None, found: false, left: 0 });
            return;
        }
        self.asks.insert(token, peers.iter().map(|(o, _)| *o).collect());
        for (peer, version) in peers {
            let frame = Ask { request: token, id }.encode(version);
            self.send(peer, Class::Control, frame);
        }
    }

    /// A peer answered whether it holds the session; `None`, if it is lost and never will.
    pub(super) fn asked(&mut self, token: u64, peer: Origin, found: Option<bool>) {
        let Some(waiting) = self.asks.get_mut(&token) else { return };
        if !waiting.remove(&peer) {
            return;
        }
        let left = waiting.len();
        if left == 0 {
            if found != Some(true) {
                self.marks.hit(Mark::AskInVain);
            }
            self.asks.remove(&token);
        }
        let (answered, found) = (found.map(|_| peer), found == Some(true));
        self.outputs.push_back(Output::Asked { token, answered, found, left });
    }

    pub(super) fn on_ask(&mut self, now: Now, to: Origin, ask: &Ask) {
        let Ask { request, id } = *ask;
        let Some(version) = self.peers.get(&to).map(|p| p.version) else { return };
        let bases = Bases { wall_ms: now.wall_ms, counter: 0, version };
        let mut writer = EntryWriter::new(bases, None);
        self.replica.shared(id.partition(self.limits.partitions), |p| {
            if let Some(record) = p.get(id) {
                writer.entry(id, &record.state(), p.origins());
            }
        });
        let (_, body) = writer.take();
        let sound = self.believes_its_clock();
        let header = TellHeader { request, wall_ms: now.wall_ms, sound, origins: writer.table() };
        let frame = header.encode(version, &body);
        self.send(to, Class::Control, frame);
    }

    pub(super) fn on_tell(&mut self, now: Now, from: Origin, tell: &Tell<'_>) -> Result<(), PeerFault> {
        if self.shown(from, tell)? {
            return Ok(());
        }
        let (request, found) = (tell.header.request, tell.entry.is_some());
        if !self.asks.contains_key(&request) {
            self.marks.hit(Mark::AskAnswerLate);
        } else if found {
            self.marks.hit(Mark::AskAnswered);
        }
        if let Some(entry) = tell.entry.as_ref().filter(|_| self.asks.contains_key(&request)) {
            let joined = self.admit(now, entry.id.partition(self.limits.partitions), |p, gate| {
                let state = tell
                    .reader()
                    .resolve_within(entry, &mut |o| p.admit_origin(o))
                    .map_err(Refusal::Malformed)?;
                p.apply_entry(from, &(entry.id, state), gate)
            });
            if let Err(refusal) = joined {
                self.refused(now, from, &refusal)?;
            }
        }
        self.asked(request, from, Some(found));
        Ok(())
    }
}
