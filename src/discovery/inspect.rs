//! Reading a gossip packet before chitchat does.
//!
//! chitchat 0.11.2 has public decoders for the whole message and for its atoms, but keeps the digest's and the
//! delta's fields to itself; so the frame around the atoms is read here. Layout (little endian): magic `u16`,
//! version `u8`, kind `u8`; then a digest (`u16` count, entries) for SYN and SYN-ACK, the cluster name for SYN,
//! a delta for SYN-ACK and ACK. A delta is a run of zstd blocks that unpack to a run of operations.
//!
//! Ways found by reading by which a decodable packet panics chitchat 0.11.2, or harms it for good; each refused:
//! - a key whose first character is not ASCII: `&key[0..1]` in listener.rs;
//! - a node's delta whose keys are followed by a lower "set max version": `assert!` in `NodeState::apply_delta`;
//! - a delta about the receiver itself with a version near `u64::MAX`: the next own write overflows or fails
//!   `assert!(version > self.max_version)`;
//! - more incarnations than fit a reply: underflow, then `assert!(mtu >= 100)`, and `assert_eq!` on the payload
//!   length already from a digest of 49,122 bytes (see `limits::INCARNATIONS`; enforced by `guard`);
//! - an absurd heartbeat or version, which is never lowered again;
//! - blocks that unpack to hundreds of megabytes.

use std::ops::Range;

use chitchat::{ChitchatId, Deserializable};

use super::config::limits;
use super::keys;

const MAGIC: u16 = 45_139;
const HEADER_BYTES: usize = 4;
/// Largest piece one block unpacks to: chitchat's own buffer.
const BLOCK_BYTES: usize = u16::MAX as usize;

/// Why a packet was kept from chitchat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    Oversize,
    Malformed,
    WrongCluster,
    BadKey,
    AbsurdState,
    ForgedSelf,
}

/// One incarnation named by a digest.
#[derive(Debug)]
pub(super) struct DigestEntry {
    /// Whose.
    pub(super) id: ChitchatId,
    /// Where its bytes stand in the packet, so that a digest can be cut without being encoded again.
    pub(super) bytes: Range<usize>,
}

/// A packet found harmless but for the number of incarnations it names.
#[derive(Debug)]
pub(super) struct Inspected {
    /// Present if the packet has a digest (SYN, SYN-ACK).
    pub(super) digest: Option<Vec<DigestEntry>>,
    /// Where the bytes after the digest begin.
    pub(super) rest: usize,
    /// A handshake's opening: it can be ignored as a whole without stalling one under way.
    pub(super) is_syn: bool,
}

/// Reads a packet and refuses what must not reach chitchat.
pub(super) fn inspect(packet: &[u8], cluster: &str, own: &ChitchatId) -> Result<Inspected, Refusal> {
    if packet.len() > limits::PACKET_BYTES {
        return Err(Refusal::Oversize);
    }
    let mut cursor = packet;
    let magic: u16 = take(&mut cursor)?;
    let version: u8 = take(&mut cursor)?;
    let kind: u8 = take(&mut cursor)?;
    if magic != MAGIC || version != 0 {
        return Err(Refusal::Malformed);
    }
    let digest = if kind <= 1 { Some(read_digest(packet, &mut cursor)?) } else { None };
    let rest = packet.len() - cursor.len();
    match kind {
        0 if take::<String>(&mut cursor)? != cluster => return Err(Refusal::WrongCluster),
        0 | 3 => {}
        1 | 2 => check_delta(&mut cursor, own)?,
        _ => return Err(Refusal::Malformed),
    }
    // chitchat ignores trailing bytes; we have no reason to carry them.
    if cursor.is_empty() {
        Ok(Inspected { digest, rest, is_syn: kind == 0 })
    } else {
        Err(Refusal::Malformed)
    }
}

/// The packet with only `kept` entries in its digest.
pub(super) fn with_entries(packet: &[u8], kept: &[DigestEntry], rest: usize) -> Vec<u8> {
    let mut cut = packet[..HEADER_BYTES].to_vec();
    // A digest is counted by a u16 on the wire, so a part of one fits it too.
    cut.extend(u16::try_from(kept.len()).unwrap_or(u16::MAX).to_le_bytes());
    for entry in kept {
        cut.extend_from_slice(&packet[entry.bytes.clone()]);
    }
    cut.extend_from_slice(&packet[rest..]);
    cut
}

fn take<T: Deserializable>(cursor: &mut &[u8]) -> Result<T, Refusal> {
    T::deserialize(cursor).map_err(|_| Refusal::Malformed)
}

/// A heartbeat or version, if it can be one.
fn take_counter(cursor: &mut &[u8]) -> Result<u64, Refusal> {
    let counter: u64 = take(cursor)?;
    if counter > limits::COUNTER { Err(Refusal::AbsurdState) } else { Ok(counter) }
}

fn read_digest(packet: &[u8], cursor: &mut &[u8]) -> Result<Vec<DigestEntry>, Refusal> {
    let count: u16 = take(cursor)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let start = packet.len() - cursor.len();
        let id: ChitchatId = take(cursor)?;
        for _heartbeat_gc_and_max_version in 0..3 {
            take_counter(cursor)?;
        }
        entries.push(DigestEntry { id, bytes: start..packet.len() - cursor.len() });
    }
    Ok(entries)
}

fn check_delta(cursor: &mut &[u8], own: &ChitchatId) -> Result<(), Refusal> {
    let operations = unpack(cursor)?;
    let mut cursor = operations.as_slice();
    let mut node_has_keys = false;
    while !cursor.is_empty() {
        match take::<u8>(&mut cursor)? {
            0 => {
                check_node(&mut cursor, own)?;
                node_has_keys = false;
            }
            1 => {
                check_key_value(&mut cursor)?;
                node_has_keys = true;
            }
            2 => {
                take_counter(&mut cursor)?;
                // chitchat sends this only for a node without keys; after keys it can only lower the version.
                if node_has_keys {
                    return Err(Refusal::AbsurdState);
                }
            }
            _ => return Err(Refusal::Malformed),
        }
    }
    Ok(())
}

fn check_node(cursor: &mut &[u8], own: &ChitchatId) -> Result<(), Refusal> {
    let id: ChitchatId = take(cursor)?;
    for _gc_and_from_version in 0..2 {
        take_counter(cursor)?;
    }
    // Our digest always names our newest version, so nobody has news about us for us.
    if id == *own { Err(Refusal::ForgedSelf) } else { Ok(()) }
}

fn check_key_value(cursor: &mut &[u8]) -> Result<(), Refusal> {
    let key: String = take(cursor)?;
    let value: String = take(cursor)?;
    take_counter(cursor)?;
    let _status: u8 = take(cursor)?;
    if keys::inbound_is_sound(&key, &value) { Ok(()) } else { Err(Refusal::BadKey) }
}

/// Unpacks a delta's blocks, with a bound on their sum.
fn unpack(cursor: &mut &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut unpacked = Vec::new();
    let mut buffer = Vec::new();
    loop {
        let kind: u8 = take(cursor)?;
        if kind == 0 {
            return Ok(unpacked);
        }
        let len = usize::from(take::<u16>(cursor)?);
        let (block, after) = cursor.split_at_checked(len).ok_or(Refusal::Malformed)?;
        *cursor = after;
        match kind {
            1 => {
                buffer.resize(BLOCK_BYTES, 0);
                let size = zstd::bulk::decompress_to_buffer(block, &mut buffer[..]);
                unpacked.extend_from_slice(&buffer[..size.map_err(|_| Refusal::Malformed)?]);
            }
            2 => unpacked.extend_from_slice(block),
            _ => return Err(Refusal::Malformed),
        }
        if unpacked.len() > limits::UNPACKED_BYTES {
            return Err(Refusal::Malformed);
        }
    }
}

#[cfg(test)]
#[path = "inspect_tests.rs"]
mod tests;
