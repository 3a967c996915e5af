//! Each packet that would hurt chitchat is refused, for the right reason; harmless ones are not.

use chitchat::ChitchatMessage;
use proptest::prelude::*;

use super::super::testkit::{Op, Packing, ack, bomb, id, syn, syn_ack};
use super::*;

fn judge(packet: &[u8]) -> Result<Inspected, Refusal> {
    inspect(packet, "shop", &id("me", 7))
}

fn refusal(packet: &[u8]) -> Option<Refusal> {
    judge(packet).err()
}

#[test]
fn harmless_packets_pass_and_chitchat_reads_them_too() {
    let (a, b) = (id("a", 1), id("me", 6));
    let ops = [Op::Node(&a, 0), Op::KeyValue("sm.origin", "x", 1), Op::Node(&b, 3), Op::MaxVersion(9)];
    let ids = [a.clone(), b.clone(), id("me", 7)];
    for packet in [syn(&ids, 1), syn_ack(&ids, &ops), ack(&ops, Packing::Plain), vec![0x53, 0xb0, 0, 3]] {
        assert_eq!(refusal(&packet), None);
        assert!(ChitchatMessage::deserialize(&mut packet.as_slice()).is_ok());
    }
    assert_eq!(judge(&syn(&ids, 1)).unwrap().digest.unwrap().len(), 3);
}

/// The packets are decodable by chitchat: without us they would reach its state.
#[test]
fn poisonous_packets_are_refused_by_name() {
    let (a, own) = (id("a", 1), id("me", 7));
    let long_key = "k".repeat(129);
    let long_value = "v".repeat(8_193);
    let table: [(&str, &[Op<'_>], Refusal); 8] = [
        ("non-ASCII key", &[Op::Node(&a, 0), Op::KeyValue("été", "x", 1)], Refusal::BadKey),
        ("empty key", &[Op::Node(&a, 0), Op::KeyValue("", "x", 1)], Refusal::BadKey),
        ("long key", &[Op::Node(&a, 0), Op::KeyValue(&long_key, "x", 1)], Refusal::BadKey),
        ("long value", &[Op::Node(&a, 0), Op::KeyValue("k", &long_value, 1)], Refusal::BadKey),
        (
            "version lowered after keys",
            &[Op::Node(&a, 0), Op::KeyValue("k", "x", 10), Op::MaxVersion(5)],
            Refusal::AbsurdState,
        ),
        ("absurd version", &[Op::Node(&a, 0), Op::KeyValue("k", "x", 1 << 40)], Refusal::AbsurdState),
        ("absurd collected version", &[Op::Node(&a, u64::MAX)], Refusal::AbsurdState),
        ("news about ourselves", &[Op::Node(&own, 0), Op::KeyValue("k", "x", 1)], Refusal::ForgedSelf),
    ];
    for (what, ops, expected) in table {
        for packing in [Packing::Plain, Packing::Zstd] {
            let packet = ack(ops, packing);
            assert!(ChitchatMessage::deserialize(&mut packet.as_slice()).is_ok(), "{what}: a fair test");
            assert_eq!(refusal(&packet), Some(expected), "{what}");
        }
        assert_eq!(refusal(&syn_ack(&[], ops)), Some(expected), "{what} in a SYN-ACK");
    }
}

#[test]
fn absurd_heartbeats_are_refused() {
    // The value a corrupted datagram was once seen to leave behind for good.
    assert_eq!(refusal(&syn(&[id("a", 1)], 781_684_058_226)), Some(Refusal::AbsurdState));
    assert_eq!(refusal(&syn(&[id("a", 1)], limits::COUNTER)), None);
}

#[test]
fn broken_frames_are_malformed_and_oversize_is_not_even_read() {
    let good = syn_ack(&[id("a", 1)], &[Op::Node(&id("a", 1), 0), Op::KeyValue("k", "v", 1)]);
    for end in 0..good.len() {
        assert_eq!(refusal(&good[..end]), Some(Refusal::Malformed), "cut at {end}");
    }
    let mut trailing = good.clone();
    trailing.push(0);
    assert_eq!(refusal(&trailing), Some(Refusal::Malformed));
    assert_eq!(refusal(&bomb()), Some(Refusal::Malformed), "26 MB from one small packet");
    assert_eq!(refusal(&vec![0; limits::PACKET_BYTES + 1]), Some(Refusal::Oversize));
    assert_eq!(inspect(&syn(&[], 1), "other", &id("me", 7)).err(), Some(Refusal::WrongCluster));
}

#[test]
fn a_cut_digest_is_a_packet_again() {
    let ids: Vec<_> = (0..5).map(|generation| id("a", generation)).collect();
    let packet = syn(&ids, 1);
    let inspected = judge(&packet).unwrap();
    let kept: Vec<_> =
        inspected.digest.unwrap().into_iter().filter(|entry| entry.id.generation_id % 2 == 0).collect();
    let expected: Vec<_> = ids.into_iter().step_by(2).collect();
    assert_eq!(with_entries(&packet, &kept, inspected.rest), syn(&expected, 1));
}

proptest! {
    /// Whatever we let through, chitchat's decoder survives.
    #[test]
    fn what_passes_never_panics_the_decoder(flips in prop::collection::vec((0usize..200, any::<u8>()), 0..6)) {
        let ops = [Op::Node(&id("a", 1), 0), Op::KeyValue("sm.origin", "x", 1), Op::MaxVersion(9)];
        for base in [syn(&[id("a", 1), id("b", 2)], 4), ack(&ops[..2], Packing::Plain), syn_ack(&[id("b", 1)], &ops)] {
            let mut packet = base;
            for (at, byte) in &flips {
                let at = at % packet.len();
                packet[at] = *byte;
            }
            if inspect(&packet, "shop", &id("me", 7)).is_ok() {
                // Decoders may still refuse on grounds of their own (a repeated node); panicking is the crime.
                let _ = ChitchatMessage::deserialize(&mut packet.as_slice());
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 0u8..5) {
        let mut packet = vec![0x53, 0xb0, 0, kind];
        packet.extend(&bytes);
        let _ = judge(&packet);
        let _ = judge(&bytes);
    }
}
