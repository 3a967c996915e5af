//! For tests: gossip packets as any stranger could write them.

use chitchat::{ChitchatId, Serializable};

/// One operation of a delta.
pub(super) enum Op<'a> {
    /// Begins a node: whose, and the version up to which it collected tombstones.
    Node(&'a ChitchatId, u64),
    /// Key, value, version.
    KeyValue(&'a str, &'a str, u64),
    /// Sets the node's version.
    MaxVersion(u64),
}

/// How the delta's operations are packed.
pub(super) enum Packing {
    /// As they are.
    Plain,
    /// One zstd block.
    Zstd,
}

/// A node's gossip id.
pub(super) fn id(node: &str, generation: u64) -> ChitchatId {
    ChitchatId::new(node, generation, ([10, 0, 0, 1], 7946).into())
}

fn header(kind: u8) -> Vec<u8> {
    let mut packet = 45_139u16.to_le_bytes().to_vec();
    packet.extend([0, kind]);
    packet
}

fn digest(packet: &mut Vec<u8>, ids: &[ChitchatId], heartbeat: u64) {
    u16::try_from(ids.len()).unwrap().serialize(packet);
    for id in ids {
        id.serialize(packet);
        [heartbeat, 0, 1].iter().for_each(|counter| counter.serialize(packet));
    }
}

fn delta(packet: &mut Vec<u8>, ops: &[Op<'_>], packing: Packing) {
    let mut plain = Vec::new();
    for op in ops {
        match op {
            Op::Node(id, gc_version) => {
                plain.push(0);
                id.serialize(&mut plain);
                [*gc_version, 0].iter().for_each(|version| version.serialize(&mut plain));
            }
            Op::KeyValue(key, value, version) => {
                plain.push(1);
                key.serialize(&mut plain);
                value.serialize(&mut plain);
                version.serialize(&mut plain);
                plain.push(0);
            }
            Op::MaxVersion(version) => {
                plain.push(2);
                version.serialize(&mut plain);
            }
        }
    }
    match packing {
        Packing::Plain => block(packet, 2, &plain),
        Packing::Zstd => block(packet, 1, &zstd::bulk::compress(&plain, 0).unwrap()),
    }
    packet.push(0);
}

/// Appends one block of a delta: kind 1 is zstd, 2 plain.
pub(super) fn block(packet: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    packet.push(kind);
    u16::try_from(bytes.len()).unwrap().serialize(packet);
    packet.extend_from_slice(bytes);
}

/// A SYN of cluster `shop`.
pub(super) fn syn(ids: &[ChitchatId], heartbeat: u64) -> Vec<u8> {
    let mut packet = header(0);
    digest(&mut packet, ids, heartbeat);
    "shop".serialize(&mut packet);
    packet
}

/// A SYN-ACK.
pub(super) fn syn_ack(ids: &[ChitchatId], ops: &[Op<'_>]) -> Vec<u8> {
    let mut packet = header(1);
    digest(&mut packet, ids, 1);
    delta(&mut packet, ops, Packing::Zstd);
    packet
}

/// An ACK.
pub(super) fn ack(ops: &[Op<'_>], packing: Packing) -> Vec<u8> {
    let mut packet = header(2);
    delta(&mut packet, ops, packing);
    packet
}

/// An ACK whose delta is 400 blocks of 64 KiB of zeros each, in about 10 KB.
pub(super) fn bomb() -> Vec<u8> {
    let squeezed = zstd::bulk::compress(&vec![0; 65_535], 19).unwrap();
    let mut packet = header(2);
    (0..400).for_each(|_| block(&mut packet, 1, &squeezed));
    packet.push(0);
    packet
}
