//! Tests: the bytes of every message that takes no entries, in every wire version. A line changes only together with a
//! new wire version: members of both talk during an upgrade. Pages, pushes and answers with entries have theirs, and
//! what a decoder does with anything else, in `sim/tests/state_machine/golden.rs`.

use std::fmt::Write;

use super::*;
use crate::causality::{Origin, RangeSet};
use crate::replica::Base;
use crate::session::SessionId;

const WALL_MS: u64 = 1_800_000_000_000;

fn origin(letter: u8) -> Origin {
    Origin::from_bytes(std::array::from_fn(|at| if at == 0 { letter } else { 0 }))
}

fn hex(frame: &[u8]) -> String {
    // Writing to a string cannot fail.
    frame.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A message, and its frame without the version's byte, which is the same in both versions.
fn golden() -> Vec<(Message<'static>, &'static str)> {
    let (round, wall_ms, ready, incomplete) = (8, WALL_MS, true, false);
    let (request, inc) = (Purpose::from_number(17), vec![(origin(b'B'), WALL_MS - 70)]);
    let mut ranges = RangeSet::from_range(1, 90);
    ranges.insert(95, 100_000);
    let (base, force) = (Base::from([(origin(b'A'), ranges)]), vec![SessionId::from_bytes([0x1a; 16])]);
    let items = vec![SyncItem { partition: 3, nonce: (0x0102_0304, 6), base, force, have: 7 }];
    let root = 0x1122_3344_5566_7788;
    let digest = Digest { round, root, wall_ms, want_inc: true, ready: false, incomplete };
    let sum = AuditSum { partition: 3, coverage: u64::MAX, sum: 9 };
    let partitions = Sums::Partitions(vec![ExactSum { audit: sum, exact: 4 }]);
    let buckets = Sums::Buckets { partition: 3, coverage: None, buckets: vec![(1, 2)] };
    let compare = |sums| Message::Compare(Compare { request, wall_ms, margin_ms: 1, sums });
    let verdicts = Verdicts::new(&[0, 2]);
    let header = TellHeader { request: 6, wall_ms, sound: false, origins: vec![origin(b'A')] };
    let hashes = Hashes::of(const { &[*b"01234567"] });
    vec![
        (Message::Digest(digest.clone()), "019508cf1122334455667788cf000001a3185c5000c3c2"),
        (
            Message::Digest(Digest { incomplete: true, ..digest }),
            "019508cf1122334455667788cf000001a3185c5000c3c291c3",
        ),
        (
            Message::Equal(Equal { round, wall_ms, ready, inc: inc.clone(), incomplete }),
            "029408cf000001a3185c5000c39192c41042000000000000000000000000000000cf000001a3185c4fba",
        ),
        (
            Message::Unequal(Unequal { round, wall_ms, ready, inc, hashes, incomplete }),
            "039508cf000001a3185c5000c39192c41042000000000000000000000000000000cf000001a3185c4fbac4083031323334353637",
        ),
        (
            Message::Sync(Sync { round, wall_ms, origins: vec![origin(b'A'), origin(b'B')], items }),
            "049408cf000001a3185c500092c41041000000000000000000000000000000c4104200000000000000000000000000000091950392ce0102030406960002015905ce0001864191c4101a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a07",
        ),
        (Message::Adopted(Adopted { upto: vec![(3, 100_000)] }), "06919203ce000186a0"),
        (Message::PushAck(PushAck { seq: 4, refused: vec![200] }), "08920491ccc8"),
        (
            Message::Ask(Ask { request: 6, id: SessionId::from_bytes([0x1a; 16]) }),
            "099206c4101a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a",
        ),
        (
            Message::Tell(Tell { header, version: 2, entry: None }),
            "0a919306cf000001a3185c500092c41041000000000000000000000000000000c41000000000000000000000000000000000",
        ),
        (
            Message::Audit(Audit { request, wall_ms, sums: vec![sum] }),
            "0b9311cf000001a3185c50009303cfffffffffffffffff09",
        ),
        (compare(partitions), "0b9311cf000001a3185c50009303cfffffffffffffffff0992019104"),
        (compare(buckets), "0b9311cf000001a3185c50009092019403000102"),
        (Message::AuditDiff(AuditDiff { request, partitions: vec![3] }), "0c92119103"),
        (Message::Compared(Compared { request, partitions: vec![3], verdicts }), "0c9211910391c4020002"),
    ]
}

#[test]
fn every_message_has_the_bytes_it_always_had_and_reads_back() {
    for version in WIRE_OLDEST..=WIRE_NEWEST {
        for (message, wanted) in golden() {
            let message = match message {
                Message::Tell(tell) => Message::Tell(Tell { version, ..tell }),
                other => other,
            };
            let frame = encode(version, &message);
            assert_eq!(hex(&frame), format!("{version:02x}{wanted}"), "{message:?}");
            assert_eq!(decode(&frame), Ok(message));
        }
    }
}
