//! Golden bytes of every message in every wire version, and what the decoder does with anything else: a named error,
//! never a panic, never an allocation that a count asks for and the frame does not hold.
//!
//! A golden line changes only together with a new wire version: members of both versions talk during an upgrade.

use std::fmt::Write;

use proptest::prelude::*;
use sessionmesh::core::causality::{Dot, Origin, RangeSet, Ver, short_origin};
use sessionmesh::core::frame::Kind;
use sessionmesh::core::node::Input;
use sessionmesh::core::replica::{Claim, EntrySink};
use sessionmesh::core::session::{
    Birth, CUT, Dead, Field, Live, Login, Mark, Op, PRINCIPAL_KEY, REVOKED_KEY, SeenRevocations, SessionId,
    Spared, State, Ttl, TtlReg,
};
use sessionmesh::core::time::Hlc;
use sessionmesh::core::wire::{
    Adopted, Ask, Audit, AuditDiff, AuditSum, Bases, Digest, EntryReader, EntryWriter, Equal, Hashes,
    Message, PageHeader, PeerFault, Purpose, PushAck, PushHeader, Sync, SyncItem, Tell, TellHeader, Unequal,
    WIRE_NEWEST, WIRE_OLDEST, WireEntry, decode, encode, encode_push_part,
};
use sessionmesh_sim::{World, id, origin, spell};

const WALL_MS: u64 = 1_800_000_000_000;
const COUNTER: u64 = 100_000;

/// The n-th session that lies in partition 3 of 8, so that a node of the simulator takes its entries in.
fn sid(n: usize) -> SessionId {
    (0..).map(id).filter(|id| id.partition(8) == 3).nth(n).expect("there are many")
}

fn table() -> Vec<Origin> {
    ['A', 'B'].map(origin).to_vec()
}

fn ver(origin: u32, counter: u64, ms: u64) -> Ver {
    Ver { origin, counter, hlc: Hlc::new(WALL_MS - ms, 1) }
}

fn whole() -> State<'static> {
    let context = vec![(short_origin(table()[0]), COUNTER - 9)];
    State::Live(Live {
        ops: vec![
            Op { ver: ver(0, COUNTER - 9, 5_000), context: vec![] },
            Op { ver: ver(1, 77, 40), context },
        ],
        birth: Some(Birth { op: 0, created_ms: WALL_MS - 5_000, hard_ms: WALL_MS + 86_395_000 }),
        touch: Some(Mark { op: 1, ms: WALL_MS - 40 }),
        ttl: Some(TtlReg { op: 0, ttl: Ttl::Sliding(1_800_000) }),
        high_sliding: Some(Mark { op: 0, ms: 1_800_000 }),
        high_absolute: None,
        fields: vec![
            Field { key: "cart", op: 1, value: Some(b"\x00\xff3") },
            Field { key: "lang", op: 0, value: None },
        ],
    })
}

fn part() -> State<'static> {
    let context = vec![(short_origin(table()[1]), 77)];
    State::Live(Live {
        ops: vec![Op { ver: ver(0, COUNTER, 0), context }],
        fields: vec![Field { key: "cart", op: 0, value: Some(b"4") }],
        ..Live::default()
    })
}

fn dead() -> State<'static> {
    State::Dead(Dead { ver: ver(0, COUNTER - 1, 3), hard_ms: WALL_MS + 86_400_000 })
}

fn bases(version: u16) -> Bases {
    Bases { wall_ms: WALL_MS, counter: COUNTER, version }
}

fn written(writer: &mut EntryWriter, states: &[(usize, State<'static>)]) -> (u32, Vec<u8>) {
    states.iter().for_each(|(n, state)| _ = writer.entry(sid(*n), state, &table()));
    writer.take()
}

fn push(version: u16) -> Vec<u8> {
    let mut writer = EntryWriter::new(bases(version), Some(origin('A')));
    let mut parts = Vec::new();
    let (n, entries) = written(&mut writer, &[(1, part()), (2, dead())]);
    encode_push_part(COUNTER, 3, (COUNTER - 1, COUNTER), n, &entries, &mut parts);
    let (n, entries) = written(&mut writer, &[]);
    encode_push_part(COUNTER, 200, (COUNTER - 700, COUNTER - 9), n, &entries, &mut parts);
    let origins = writer.table();
    let until_ms = WALL_MS + 1_440 * 60_000 - 59_999;
    let header = PushHeader { seq: 4, wall_ms: WALL_MS, base_counter: COUNTER, until_ms, origins };
    header.encode(version, 2, &parts)
}

fn claims() -> Vec<Claim> {
    let mut ranges = RangeSet::from_range(1, 90);
    ranges.insert(95, COUNTER);
    vec![(origin('A'), ranges, WALL_MS + 86_400_000)]
}

fn page(version: u16) -> Vec<u8> {
    let mut writer = EntryWriter::new(bases(version), None);
    let (n, entries) = written(&mut writer, &[(1, whole()), (2, dead()), (3, part())]);
    let header = PageHeader {
        round: 8,
        partition: 3,
        nonce: (0x0102_0304, 6),
        epoch: 0x0506_0708,
        wall_ms: WALL_MS,
        complete: true,
        source: false,
        base_counter: COUNTER,
        origins: writer.table(),
        claims: claims(),
        inc: vec![(origin('B'), WALL_MS - 70)],
    };
    header.encode(version, n, &entries)
}

fn tell(version: u16) -> Vec<u8> {
    let mut writer = EntryWriter::new(Bases { counter: 0, ..bases(version) }, None);
    let (_, entry) = written(&mut writer, &[(1, whole())]);
    let header = TellHeader { request: 6, wall_ms: WALL_MS, sound: true, origins: writer.table() };
    header.encode(version, &entry)
}

/// Every message but those with entries, which have builders of their own.
fn plain(version: u16) -> Vec<Message<'static>> {
    let inc = vec![(origin('B'), WALL_MS - 70)];
    let header = TellHeader { request: 6, wall_ms: WALL_MS, sound: true, origins: vec![] };
    let request = Purpose::from_number(17);
    let sum = AuditSum { partition: 3, coverage: u64::MAX, sum: 9 };
    let base = claims().into_iter().map(|(origin, ranges, _)| (origin, ranges)).collect();
    let item = SyncItem { partition: 3, nonce: (0x0102_0304, 6), base, force: vec![sid(5)], have: 7 };
    vec![
        Message::Digest(Digest {
            round: 8,
            root: 0x1122_3344_5566_7788,
            wall_ms: WALL_MS,
            want_inc: true,
            ready: false,
            incomplete: false,
        }),
        Message::Equal(Equal {
            round: 8,
            wall_ms: WALL_MS,
            ready: true,
            inc: inc.clone(),
            incomplete: false,
        }),
        Message::Unequal(Unequal {
            round: 8,
            wall_ms: WALL_MS,
            ready: true,
            inc,
            hashes: Hashes::of(const { &[*b"01234567"] }),
            incomplete: false,
        }),
        Message::Sync(Sync { round: 8, wall_ms: WALL_MS, origins: table(), items: vec![item] }),
        Message::Adopted(Adopted { upto: vec![(3, COUNTER)] }),
        Message::PushAck(PushAck { seq: 4, refused: vec![200] }),
        Message::Ask(Ask { request: 6, id: sid(1) }),
        Message::Tell(Tell { header, version, entry: None }),
        Message::Audit(Audit { request, wall_ms: WALL_MS, sums: vec![sum] }),
        Message::AuditDiff(AuditDiff { request, partitions: vec![3] }),
    ]
}

fn frames(version: u16) -> Vec<Vec<u8>> {
    let plain = plain(version).into_iter().map(|message| encode(version, &message));
    plain.chain([push(version), page(version), tell(version)]).collect()
}

fn all_frames() -> Vec<Vec<u8>> {
    (WIRE_OLDEST..=WIRE_NEWEST).flat_map(frames).collect()
}

fn hex(version: u16) -> String {
    let mut text = String::new();
    for frame in frames(version) {
        // Writing to a string cannot fail.
        frame.iter().for_each(|byte| _ = write!(text, "{byte:02x}"));
        text.push('\n');
    }
    text
}

#[test]
fn golden_bytes_of_wire_version_1() {
    insta::assert_snapshot!(hex(1), @r"
    01019508cf1122334455667788cf000001a3185c5000c3c2
    01029408cf000001a3185c5000c39192c41042000000000000000000000000000000cf000001a3185c4fba
    01039508cf000001a3185c5000c39192c41042000000000000000000000000000000cf000001a3185c4fbac4083031323334353637
    01049408cf000001a3185c500092c41041000000000000000000000000000000c4104200000000000000000000000000000091950392ce0102030406960002015905ce0001864191c4100000000000000000000000000000001a07
    0106919203ce000186a0
    0108920491ccc8
    01099206c41000000000000000000000000000000003
    010a919306cf000001a3185c500090
    010b9311cf000001a3185c50009303cfffffffffffffffff09
    010c92119103
    0107939504cf000001a3185c5000ce000186a0cd05a090939303000193c41000000000000000000000000000000003940000000193a46361727400c4013493c410000000000000000000000000000000069400fffd01ce05265c009193ccc8f7cd02b3
    0105949b080392ce0102030406ce05060708cf000001a3185c5000c3c2ce000186a092c41041000000000000000000000000000000c41042000000000000000000000000000000970002015905ce00018641cf000001a31d82ac009192c41042000000000000000000000000000000cf000001a3185c4fba97c410000000000000000000000000000000039800f7d1ec780101d2fffe79add0d80196a46361727401c40300ff33a46c616e6700c092d0d8019300ce001b77400093d1ec78ce05265c000094ce001b774000ffff93c410000000000000000000000000000000069400fffd01ce05265c0093c41000000000000000000000000000000012940000000193a46361727400c40134
    010a929306cf000001a3185c500092c41041000000000000000000000000000000c4104200000000000000000000000000000097c410000000000000000000000000000000039800ce00018697d1ec7801014dd0d80196a46361727401c40300ff33a46c616e6700c092d0d8019300ce001b77400093d1ec78ce05265c000094ce001b774000ffff
    ");
}

#[test]
fn golden_bytes_of_wire_version_2() {
    insta::assert_snapshot!(hex(2), @r"
    02019508cf1122334455667788cf000001a3185c5000c3c2
    02029408cf000001a3185c5000c39192c41042000000000000000000000000000000cf000001a3185c4fba
    02039508cf000001a3185c5000c39192c41042000000000000000000000000000000cf000001a3185c4fbac4083031323334353637
    02049408cf000001a3185c500092c41041000000000000000000000000000000c4104200000000000000000000000000000091950392ce0102030406960002015905ce0001864191c4100000000000000000000000000000001a07
    0206919203ce000186a0
    0208920491ccc8
    02099206c41000000000000000000000000000000003
    020a919306cf000001a3185c500090
    020b9311cf000001a3185c50009303cfffffffffffffffff09
    020c92119103
    0207939504cf000001a3185c5000ce000186a0cd05a090939303000193c41000000000000000000000000000000003970000000101ce420000004d93a46361727400c4013493c410000000000000000000000000000000069500fffd0100ce05265c009193ccc8f7cd02b3
    0205949b080392ce0102030406ce05060708cf000001a3185c5000c3c2ce000186a092c41041000000000000000000000000000000c41042000000000000000000000000000000970002015905ce00018641cf000001a31d82ac009192c41042000000000000000000000000000000cf000001a3185c4fba97c410000000000000000000000000000000039c00f7d1ec78010001d2fffe79add0d80101ce41000000ce0001869796a46361727401c40300ff33a46c616e6700c092d0d8019300ce001b77400093d1ec78ce05265c000094ce001b774000ffff93c410000000000000000000000000000000069500fffd0100ce05265c0093c41000000000000000000000000000000012970000000101ce420000004d93a46361727400c40134
    020a929306cf000001a3185c500092c41041000000000000000000000000000000c4104200000000000000000000000000000097c410000000000000000000000000000000039c00ce00018697d1ec780100014dd0d80101ce41000000ce0001869796a46361727401c40300ff33a46c616e6700c092d0d8019300ce001b77400093d1ec78ce05265c000094ce001b774000ffff
    ");
}

/// The values of reserved fields, which travel as any field's: a login that has seen nothing, one that has seen two
/// revocations, a revocation, and one that spares a session.
#[test]
fn golden_bytes_of_logins_and_revocations() {
    let mut seen = SeenRevocations::default();
    for (letter, counter) in [('B', 77), ('A', COUNTER)] {
        seen.add(Dot { origin: origin(letter), counter }, WALL_MS + 86_400_000);
    }
    let login = |seen| Login { principal: "ada", seen }.to_bytes();
    let values = [
        login(SeenRevocations::default()),
        login(seen),
        Spared(None).to_bytes(),
        Spared(Some(sid(1))).to_bytes(),
    ];
    let mut text = String::new();
    for (key, value) in [PRINCIPAL_KEY, PRINCIPAL_KEY, REVOKED_KEY, REVOKED_KEY].iter().zip(&values) {
        let _ = write!(text, "{key:?}: ");
        value.iter().for_each(|byte| _ = write!(text, "{byte:02x}"));
        text.push('\n');
    }
    insta::assert_snapshot!(text, @r#"
    "\0\0p": 92a361646190
    "\0\0p": 92a36164619293c41041000000000000000000000000000000ce000186a0cf000001a31d82ac0093c410420000000000000000000000000000004dcf000001a31d82ac00
    "\0\0r": c0
    "\0\0r": c41000000000000000000000000000000003
    "#);
}

#[test]
fn messages_without_entries_decode_to_themselves() {
    for version in WIRE_OLDEST..=WIRE_NEWEST {
        for message in plain(version) {
            assert_eq!(decode(&encode(version, &message)), Ok(message));
        }
    }
}

fn resolved(entry: &WireEntry<'_>, bases: Bases, origins: &[Origin]) -> Vec<String> {
    let mut seen = Vec::new();
    let mut intern = |o: Origin| {
        seen.push(o);
        seen.len() as u32 - 1
    };
    let state = EntryReader { bases, origins }.resolve(entry, &mut intern);
    let state = state.expect("a golden entry resolves");
    spell(&state, &seen)
}

/// What a state is after a frame of this version: version 1 has no contexts, so that nobody knows what the writers of
/// its fields had seen; only a creation saw nothing for sure.
fn expected(mut state: State<'static>, version: u16) -> Vec<String> {
    if let (1, State::Live(live)) = (version, &mut state) {
        let fields: Vec<u32> = live.fields.iter().map(|f| f.op).collect();
        let born = live.birth.map(|b| b.op);
        for (at, op) in live.ops.iter_mut().enumerate() {
            let open = fields.contains(&(at as u32)) && born != Some(at as u32);
            op.context = if open { vec![CUT] } else { vec![] };
        }
    }
    spell(&state, &table())
}

#[test]
fn pushes_pages_and_tells_decode_to_what_was_written() {
    for version in WIRE_OLDEST..=WIRE_NEWEST {
        let (push, page, tell) = (push(version), page(version), tell(version));
        let Ok(Message::Push(push)) = decode(&push) else { panic!("{:?}", decode(&push)) };
        let claimed: Vec<_> = push.parts.iter().map(|p| (p.partition, p.lo, p.hi)).collect();
        assert_eq!(claimed, [(3, COUNTER - 1, COUNTER), (200, COUNTER - 700, COUNTER - 9)]);
        let origins = [origin('A')];
        let entries: Vec<_> =
            push.parts[0].entries.iter().map(|e| resolved(e, bases(version), &origins)).collect();
        assert_eq!(entries, [expected(part(), version), expected(dead(), version)]);
        let Ok(Message::Page(page)) = decode(&page) else { panic!("{:?}", decode(&page)) };
        assert_eq!((page.version, page.header.claims), (version, claims()));
        let entries: Vec<_> =
            page.entries.iter().map(|e| resolved(e, bases(version), &page.header.origins)).collect();
        assert_eq!(entries, [whole(), dead(), part()].map(|state| expected(state, version)));
        let Ok(Message::Tell(Tell { entry: Some(entry), header, .. })) = decode(&tell) else {
            panic!("{tell:?}")
        };
        let bases = Bases { counter: 0, ..bases(version) };
        assert_eq!(resolved(&entry, bases, &header.origins), expected(whole(), version));
    }
}

// ----- anything else --------------------------------------------------------------------------------------------

#[test]
fn unknown_versions_and_kinds_are_named() {
    let good = encode(WIRE_NEWEST, &plain(WIRE_NEWEST)[0]);
    for version in [0, WIRE_NEWEST as u8 + 1, 255] {
        let frame = [&[version], &good[1..]].concat();
        assert_eq!(decode(&frame), Err(PeerFault::Version(version)));
    }
    for kind in [0, 13, 255] {
        let frame = [&[WIRE_NEWEST as u8, kind], &good[2..]].concat();
        assert_eq!(decode(&frame), Err(PeerFault::Kind(kind)));
    }
    let error = PeerFault::Version(9).to_string();
    assert!(error.contains("wire version 9") && error.contains("1 to 2"), "{error}");
}

/// What a later version appends to a message is passed over, whichever message it is. Each frame here ends with its
/// message's last field, or with its head's, so that a field behind it makes that array longer by one.
#[test]
fn a_field_that_a_later_version_appended_is_passed_over_in_every_message() {
    let empty = |frame: Vec<u8>| (frame, 3);
    for version in WIRE_OLDEST..=WIRE_NEWEST {
        let plain = plain(version).into_iter().filter(|message| !matches!(message, Message::Tell(_)));
        let plain = plain.map(|message| (encode(version, &message), 2));
        let push = PushHeader {
            seq: 4,
            wall_ms: WALL_MS,
            base_counter: COUNTER,
            until_ms: WALL_MS,
            origins: table(),
        };
        let tell = TellHeader { request: 6, wall_ms: WALL_MS, sound: false, origins: table() };
        let headed = [empty(push.encode(version, 0, &[])), empty(tell.encode(version, &[]))];
        for (frame, head) in plain.chain(headed) {
            let mut longer = frame.clone();
            longer[head] += 1;
            longer.extend([0x93, 1, 2, 3]);
            assert!(decode(&frame).is_ok());
            assert_eq!(decode(&longer), decode(&frame));
        }
    }
}

#[test]
fn a_truncated_frame_is_an_error_at_every_length() {
    for frame in all_frames() {
        for len in 0..frame.len() {
            let error = decode(&frame[..len]).expect_err("a prefix is not a message");
            assert!(
                matches!((len, &error), (0..2, PeerFault::Short(_)) | (2.., PeerFault::Body { .. })),
                "{error}"
            );
        }
    }
}

/// Feeds a frame to a node as if from its peer, whose link may have been closed over the last one.
fn endured(world: &mut World, frame: &[u8]) {
    let peer = world.origin(1);
    world.input(0, Input::LinkUp { peer, version: 2 });
    world.input(0, Input::Frame { peer, bytes: frame });
}

#[test]
fn no_flipped_bit_makes_a_decoder_or_a_node_panic() {
    let mut world = World::new(1, 2);
    world.settle();
    let honest = all_frames();
    for mut frame in all_frames() {
        honest.iter().for_each(|frame| endured(&mut world, frame));
        for bit in 0..frame.len() * 8 {
            frame[bit / 8] ^= 1 << (bit % 8);
            endured(&mut world, &frame);
            frame[bit / 8] ^= 1 << (bit % 8);
        }
    }
    // Flipped ids give one dot to many sessions, so nothing is said about indices here; only that it lives and works.
    world.run(5_000);
    let id = world.create(0, &[("f", "1")]);
    world.run(5_000);
    assert!(world.visible(1, id));
}

/// Where a count stands, a count of four thousand million is put: the reader must not believe it.
#[test]
fn a_count_is_not_believed_before_its_elements_are_there() {
    for frame in all_frames() {
        for at in 2..frame.len() {
            for marker in [0xdd, 0xdb, 0xc6, 0xdf] {
                let mut huge = frame[..at].to_vec();
                huge.extend([marker, 0xff, 0xff, 0xff, 0xff]);
                huge.extend_from_slice(&frame[at + 1..]);
                // What a byte of a value meant may make this a valid frame; most are not, none may be believed.
                let _ = decode(&huge);
            }
        }
    }
    let sums = [&[2, Kind::Audit.byte(), 0x93, 1, 1, 0xdd, 0xff, 0xff, 0xff, 0xff], &[1u8; 100][..]].concat();
    assert!(matches!(decode(&sums), Err(PeerFault::Body { kind: 11, .. })));
}

/// A list longer than its bound is refused although all of it is there.
#[test]
fn a_list_beyond_its_bound_is_refused_by_name() {
    let too_many = Message::AuditDiff(AuditDiff { request: Purpose::Routine, partitions: vec![1; 4_097] });
    let Err(PeerFault::Body { kind: 12, why }) = decode(&encode(2, &too_many)).map(|_| ()) else {
        panic!("4,097 partitions were accepted")
    };
    assert!(why.to_string().contains("at most 4096"), "{why}");
}

/// Nesting is bounded by the shapes, and what is skipped over by the reader's depth.
#[test]
fn deep_nesting_is_an_error_not_a_stack_overflow() {
    for kind in [Kind::Push, Kind::Page, Kind::Tell, Kind::Sync] {
        let deep = [&[2, kind.byte()][..], &vec![0x91; 1_000_000]].concat();
        assert!(decode(&deep).is_err());
    }
    // An entry with an unknown tail, which later versions may append, as deep as it likes.
    let mut page = page(2);
    let at = page.len() - 1;
    page.truncate(at);
    page.extend(vec![0x91; 1_000_000]);
    let _ = decode(&page);
}

fn cases(n: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(n) }
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn random_bytes_never_panic(version in 1u8..=2, kind in 1u8..=12, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let frame = [&[version, kind], &body[..]].concat();
        if let Err(error) = decode(&frame) {
            prop_assert!(error.to_string().contains(&format!("message kind {kind}")), "{}", error);
        }
        let _ = decode(&body);
    }

    /// Bytes that look like MessagePack get deeper than random ones.
    #[test]
    fn random_splices_of_golden_frames_never_panic(
        a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>(), from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>()
    ) {
        let all = all_frames();
        let (a, b) = (a.get(&all), b.get(&all));
        let frame = [&a[..from.index(a.len())], &b[to.index(b.len())..]].concat();
        let _ = decode(&frame);
    }
}
