//! Golden bytes of every packet of the failure detector, and what its decoder does with anything else: a named error,
//! never a panic, never an allocation that a count asks for and the packet does not hold.
//!
//! A golden line changes only together with a new wire version: members of both versions talk during an upgrade.

use std::fmt::Write;

use proptest::prelude::*;
use sessionmesh::core::causality::Origin;
use sessionmesh::core::frame::Kind;
use sessionmesh::core::limits::{MAX_BEAT_MS, MAX_INCARNATION, MAX_PACKET_BYTES, MAX_RUMOURS_PER_PACKET};
use sessionmesh::core::membership::MEMBERSHIP_WIRE;
use sessionmesh::core::membership::message::{Message, Packet, Pulse, Rumour, decode, encode};

const SUBJECT: Origin = Origin(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
const ACCUSER: Origin = Origin(0xa0a1_a2a3_a4a5_a6a7_a8a9_aaab_acad_aeaf);
/// Beyond a signed byte, a byte, two bytes: each number below has a width of its own on the wire.
const PULSE: Pulse = Pulse { incarnation: 3, beat_ms: 86_400_000 };

/// One of each kind.
fn rumours() -> Vec<Rumour> {
    vec![
        Rumour::Alive { subject: SUBJECT, pulse: Pulse { incarnation: 200, beat_ms: 70_000 } },
        Rumour::Suspect { subject: SUBJECT, incarnation: 0, accuser: ACCUSER, began_beat_ms: 1 << 40 },
        Rumour::Left { subject: ACCUSER, incarnation: 7 },
    ]
}

/// One of each kind, lists empty and not, and the widest packet there is.
fn packets() -> Vec<Packet> {
    let target = Pulse { incarnation: 1, beat_ms: 5_000 };
    let messages = [
        Message::Ping { seq: 9, rumours: vec![] },
        Message::Ping { seq: 300, rumours: rumours() },
        Message::Ack { seq: u16::MAX, rumours: vec![] },
        Message::Ack { seq: 9, rumours: rumours() },
        Message::PingReq { seq: 10, target: SUBJECT },
        Message::Relayed { seq: 10, target },
        Message::Nack { seq: 10 },
        Message::Gossip { rumours: vec![] },
        Message::Gossip { rumours: rumours() },
    ];
    messages.map(|message| Packet { pulse: PULSE, message }).to_vec()
}

fn widest() -> Packet {
    let pulse = Pulse { incarnation: MAX_INCARNATION, beat_ms: MAX_BEAT_MS };
    let (incarnation, began_beat_ms) = (MAX_INCARNATION, MAX_BEAT_MS);
    let rumour = Rumour::Suspect { subject: SUBJECT, incarnation, accuser: ACCUSER, began_beat_ms };
    let rumours = vec![rumour; MAX_RUMOURS_PER_PACKET];
    Packet { pulse, message: Message::Ack { seq: u16::MAX, rumours } }
}

fn hex(packet: &Packet) -> String {
    encode(packet).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

// ----- golden bytes ---------------------------------------------------------------------------------------------

fn kinds() -> std::ops::RangeInclusive<u8> {
    Kind::Ping.byte()..=Kind::Gossip.byte()
}

#[test]
fn golden_bytes_of_wire_version_1() {
    assert_eq!((MEMBERSHIP_WIRE, kinds()), (1, 0x40..=0x45));
    let lines: Vec<String> = packets().iter().map(hex).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    01409403ce05265c000990
    01409403ce05265c00cd012c939500c4100102030405060708090a0b0c0d0e0f10ccc8ce00011170c09501c4100102030405060708090a0b0c0d0e0f1000cf0000010000000000c410a0a1a2a3a4a5a6a7a8a9aaabacadaeaf9502c410a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0700c0
    01419403ce05265c00cdffff90
    01419403ce05265c0009939500c4100102030405060708090a0b0c0d0e0f10ccc8ce00011170c09501c4100102030405060708090a0b0c0d0e0f1000cf0000010000000000c410a0a1a2a3a4a5a6a7a8a9aaabacadaeaf9502c410a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0700c0
    01429403ce05265c000ac4100102030405060708090a0b0c0d0e0f10
    01439503ce05265c000a01cd1388
    01449303ce05265c000a
    01459303ce05265c0090
    01459303ce05265c00939500c4100102030405060708090a0b0c0d0e0f10ccc8ce00011170c09501c4100102030405060708090a0b0c0d0e0f1000cf0000010000000000c410a0a1a2a3a4a5a6a7a8a9aaabacadaeaf9502c410a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0700c0
    ");
}

#[test]
fn packets_decode_to_themselves() {
    for packet in packets().into_iter().chain([widest()]) {
        assert_eq!(decode(&encode(&packet)), Ok(packet));
    }
}

#[test]
fn a_full_packet_fits_a_datagram_and_an_empty_ping_is_small() {
    assert!(encode(&widest()).len() <= MAX_PACKET_BYTES, "{} bytes", encode(&widest()).len());
    assert_eq!(encode(&packets()[0]).len(), 11);
}

// ----- anything else --------------------------------------------------------------------------------------------

#[test]
fn unknown_versions_and_kinds_are_named() {
    let good = encode(&packets()[0]);
    for version in [0, 2, 255] {
        let error = decode(&[&[version], &good[1..]].concat()).expect_err("another version");
        assert!(error.contains(&format!("version {version}")) && error.contains("speaks 1"), "{error}");
    }
    for kind in [0, 0x3f, 0x46, 255] {
        let error = decode(&[&[MEMBERSHIP_WIRE, kind], &good[2..]].concat()).expect_err("another kind");
        assert!(error.contains(&format!("kind {kind}")), "{error}");
    }
}

#[test]
fn a_truncated_packet_is_an_error_at_every_length() {
    for packet in packets().iter().chain([&widest()]) {
        let bytes = encode(packet);
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{len} bytes of {packet:?}");
        }
    }
}

#[test]
fn a_packet_beyond_its_bound_is_refused_before_it_is_read() {
    let mut bytes = encode(&packets()[0]);
    bytes.resize(MAX_PACKET_BYTES + 1, 0xff);
    let error = decode(&bytes).expect_err("too long");
    assert!(error.contains("1201 bytes") && error.contains("1200"), "{error}");
}

#[test]
fn more_rumours_than_a_packet_may_hold_are_refused_although_all_are_there() {
    let left = Rumour::Left { subject: SUBJECT, incarnation: 0 };
    for most in [MAX_RUMOURS_PER_PACKET, MAX_RUMOURS_PER_PACKET + 1] {
        let list = || vec![left; most];
        for message in [
            Message::Ping { seq: 1, rumours: list() },
            Message::Ack { seq: 1, rumours: list() },
            Message::Gossip { rumours: list() },
        ] {
            let decoded = decode(&encode(&Packet { pulse: PULSE, message }));
            assert_eq!(decoded.is_ok(), most == MAX_RUMOURS_PER_PACKET, "{decoded:?}");
            assert!(decoded.err().is_none_or(|e| e.contains("at most 16 rumours")));
        }
    }
}

/// Each place where a pulse stands: the speaker's, the target's, a living member's, a suspicion's, a goodbye's.
#[test]
fn numbers_out_of_bounds_are_refused_wherever_they_stand() {
    let fits = Pulse { incarnation: MAX_INCARNATION, beat_ms: MAX_BEAT_MS };
    let old = Pulse { incarnation: MAX_INCARNATION + 1, ..fits };
    let late = Pulse { beat_ms: MAX_BEAT_MS + 1, ..fits };
    let all_places = |pulse: Pulse| {
        let Pulse { incarnation, beat_ms } = pulse;
        let gossip = |rumour| Packet { pulse: PULSE, message: Message::Gossip { rumours: vec![rumour] } };
        [
            Packet { pulse, message: Message::Nack { seq: 0 } },
            Packet { pulse, message: Message::Ping { seq: 0, rumours: vec![] } },
            Packet { pulse: PULSE, message: Message::Relayed { seq: 0, target: pulse } },
            gossip(Rumour::Alive { subject: SUBJECT, pulse }),
            gossip(Rumour::Suspect {
                subject: SUBJECT,
                incarnation,
                accuser: ACCUSER,
                began_beat_ms: beat_ms,
            }),
            gossip(Rumour::Left { subject: SUBJECT, incarnation }),
        ]
    };
    for packet in all_places(fits) {
        assert!(decode(&encode(&packet)).is_ok(), "{packet:?}");
    }
    // A goodbye has no beat.
    for packet in all_places(old).iter().chain(&all_places(late)[..5]) {
        let error = decode(&encode(packet)).expect_err("out of bounds");
        assert!(error.contains("out of bounds"), "{error}");
    }
}

/// A kind that a later version may have, and known kinds with an accuser too many or too few.
#[test]
fn rumours_of_no_known_shape_are_refused() {
    let of = |packet: &Packet, from: &[u8], to: &[u8]| {
        let bytes = encode(packet);
        let at = bytes.windows(from.len()).rposition(|w| w == from).expect("it is there");
        decode(&[&bytes[..at], to, &bytes[at + from.len()..]].concat())
    };
    let one = |rumour| Packet { pulse: PULSE, message: Message::Gossip { rumours: vec![rumour] } };
    let [alive, suspect, left] = [0, 1, 2].map(|n| one(rumours()[n]));
    for kind in [1, 3, 0x7f] {
        let error = of(&alive, &[0x95, 0], &[0x95, kind]).expect_err("no accuser, or unknown");
        assert!(error.contains(&format!("a rumour of kind {kind}")), "{error}");
    }
    for (packet, kind, another) in [(&suspect, 1, 0), (&suspect, 1, 2), (&left, 2, 1)] {
        assert!(of(packet, &[0x95, kind], &[0x95, another]).is_err(), "{packet:?} as kind {another}");
    }
    assert!(of(&left, &[0x95, 2], &[0x94, 2]).is_err(), "four of five");
}

/// Where a count may stand, a count of four thousand million is put: the reader must not believe it.
#[test]
fn a_count_is_not_believed_before_its_elements_are_there() {
    for packet in packets() {
        let bytes = encode(&packet);
        for at in 2..bytes.len() {
            for marker in [0xdd, 0xdb, 0xc6, 0xc9, 0xdf] {
                let mut huge = bytes[..at].to_vec();
                huge.extend([marker, 0xff, 0xff, 0xff, 0xff]);
                huge.extend_from_slice(&bytes[at + 1..]);
                // Within an origin it may be what an origin holds; elsewhere it is no packet, and nowhere a list.
                if let Ok(packet) = decode(&huge) {
                    assert_eq!(decode(&encode(&packet)), Ok(packet), "{marker:#x} at {at}");
                }
            }
        }
    }
    for (kind, head) in [(0x40, &[0x94, 0, 0, 0][..]), (0x41, &[0x94, 0, 0, 0]), (0x45, &[0x93, 0, 0])] {
        let bytes = [&[MEMBERSHIP_WIRE, kind], head, &[0xdd, 0xff, 0xff, 0xff, 0xff, 1]].concat();
        assert!(decode(&bytes).is_err(), "a list of four thousand million");
    }
    for kind in kinds() {
        let deep = [&[MEMBERSHIP_WIRE, kind][..], &[0x91; MAX_PACKET_BYTES - 2]].concat();
        assert!(decode(&deep).is_err(), "nesting");
    }
}

fn cases(n: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(n) }
}

fn any_pulse() -> impl Strategy<Value = Pulse> {
    (0..=MAX_INCARNATION, 0..=MAX_BEAT_MS).prop_map(|(incarnation, beat_ms)| Pulse { incarnation, beat_ms })
}

fn any_rumours() -> impl Strategy<Value = Vec<Rumour>> {
    let rumour =
        (0..3, any::<u128>(), any::<u128>(), any_pulse()).prop_map(|(kind, subject, accuser, pulse)| {
            let (subject, accuser, Pulse { incarnation, beat_ms }) =
                (Origin(subject), Origin(accuser), pulse);
            match kind {
                0 => Rumour::Alive { subject, pulse },
                1 => Rumour::Suspect { subject, incarnation, accuser, began_beat_ms: beat_ms },
                _ => Rumour::Left { subject, incarnation },
            }
        });
    prop::collection::vec(rumour, 0..=MAX_RUMOURS_PER_PACKET)
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let parts = (any_pulse(), 0..6, any::<u16>(), any::<u128>(), any_pulse(), any_rumours());
    parts.prop_map(|(pulse, kind, seq, subject, target, rumours)| {
        let message = match kind {
            0 => Message::Ping { seq, rumours },
            1 => Message::Ack { seq, rumours },
            2 => Message::PingReq { seq, target: Origin(subject) },
            3 => Message::Relayed { seq, target },
            4 => Message::Nack { seq },
            _ => Message::Gossip { rumours },
        };
        Packet { pulse, message }
    })
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn every_packet_decodes_to_itself(packet in any_packet()) {
        let bytes = encode(&packet);
        prop_assert!(bytes.len() <= MAX_PACKET_BYTES, "{} bytes", bytes.len());
        prop_assert_eq!(decode(&bytes), Ok(packet));
    }

    /// What is accepted is within the bounds: it can be said again.
    #[test]
    fn random_bytes_never_panic(kind in kinds(), body in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [&[MEMBERSHIP_WIRE, kind], &body[..]].concat();
        if let Ok(packet) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&packet)), Ok(packet));
        }
        let _ = decode(&body);
    }

    /// Bytes that look like MessagePack get deeper than random ones.
    #[test]
    fn random_splices_of_packets_never_panic(
        a in any_packet(), b in any_packet(), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
        flip in any::<prop::sample::Index>(), bit in 0u8..8
    ) {
        let (a, b) = (encode(&a), encode(&b));
        let mut bytes = [&a[..from.index(a.len())], &b[to.index(b.len())..]].concat();
        let at = flip.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        if let Ok(packet) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&packet)), Ok(packet));
        }
    }
}
