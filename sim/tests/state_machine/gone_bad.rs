//! A member gone bad, against the core: it holds the secret, speaks the wire, and breaks every other rule. What it can
//! make a node hold or do is bounded, and what it left behind goes without a restart (`docs/SECURITY.md`).

use std::sync::Arc;

use sessionmesh::core::causality::{Origin, RangeSet};
use sessionmesh::core::frame::Kind;
use sessionmesh::core::limits::{
    FULL_PAUSE_MS, Limits, MAX_BARE_ORIGINS, MAX_GONE_MARKS, MAX_IDLE_PAGES, MAX_SERVED_BYTES,
    MAX_SPARE_RANGES, MAX_TOLD_MEMBERS, MAX_WARNINGS, MIN_IMPOSTOR_LIFE_MS, REFETCH_PAUSE_MS, ROUND_WINDOW,
};
use sessionmesh::core::membership;
use sessionmesh::core::node::{Gravity, Input, Node, Output, Setup};
use sessionmesh::core::replica::{Base, Change, Claim, GONE, Replica};
use sessionmesh::core::session::{Op, State, Ttl};
use sessionmesh::core::time::{Hlc, Now};
use sessionmesh::core::wire::{
    Adopted, AuditDiff, Bases, Digest, EntryWriter, Equal, Hashes, Inc, Message, PageHeader, Purpose, Sync,
    SyncItem, Unequal, WIRE_NEWEST, decode, encode,
};
use sessionmesh_sim::{Life, id};

const WALL_MS: u64 = 1_800_000_000_000;
const BAD: Origin = Origin(0xbad);
const GOOD: Origin = Origin(0x600d);

fn at(ms: u64) -> Now {
    Now { mono_ms: 1_000_000 + ms, wall_ms: WALL_MS + ms }
}

struct Victim {
    node: Node,
    replica: Arc<Replica>,
    limits: Limits,
}

impl Victim {
    fn with(limits: Limits, peers: &[Origin], has_seeds: bool) -> Self {
        let setup = Setup {
            limits: limits.clone(),
            seed: [3; 32],
            hash_key: 7,
            has_seeds,
            watched: true,
            membership: None,
            now: at(0),
        };
        let (node, replica) = Node::new(setup);
        let mut victim = Self { node, replica, limits };
        for &peer in peers {
            victim.input(0, Input::LinkUp { peer, version: WIRE_NEWEST });
        }
        victim
    }

    fn new(peers: &[Origin]) -> Self {
        Self::with(Limits { partitions: 4, ..Limits::default() }, peers, false)
    }

    /// Gives it an input; what it wants done.
    fn input(&mut self, ms: u64, input: Input<'_>) -> Vec<Output> {
        self.node.handle(at(ms), input);
        std::iter::from_fn(|| self.node.poll_output()).collect()
    }

    fn hear(&mut self, ms: u64, peer: Origin, message: &Message<'_>) -> Vec<Output> {
        let bytes = encode(WIRE_NEWEST, message);
        self.input(ms, Input::Frame { peer, bytes: &bytes })
    }

    fn fill(&mut self, n: u64, bytes: usize) {
        let value = vec![7; bytes];
        for n in 0..n {
            let change = Change { fields: vec![("f", Some(&value[..]))], ..Change::default() };
            let ttl = Ttl::Sliding(600_000);
            self.replica.create(id(n), at(0), &change, ttl, u64::MAX).expect("created");
        }
        self.input(0, Input::News);
    }

    /// Waits for a round with the bad peer; its number, and when it began.
    fn round(&mut self, mut ms: u64) -> (u64, u64) {
        loop {
            let told = self.input(ms, Input::Tick);
            let begun = told.iter().find_map(|o| match said(o, BAD) {
                Some(Message::Digest(Digest { round, .. })) => Some(round),
                _ => None,
            });
            match begun {
                Some(round) => return (round, ms),
                None => ms += 50,
            }
        }
    }

    /// Brings a round with the bad peer to where it asks for pages; the requests.
    fn asks(&mut self, ms: u64) -> (u64, Vec<SyncItem>) {
        let (round, ms) = self.round(ms);
        let hashes = vec![[0xee; 8]; usize::from(self.limits.partitions)];
        let hashes = Hashes::of(&hashes);
        let wall_ms = at(ms).wall_ms;
        let unequal = Message::Unequal(Unequal {
            round,
            wall_ms,
            ready: true,
            inc: Inc::new(),
            hashes,
            incomplete: false,
        });
        let told = self.hear(ms, BAD, &unequal);
        let items = told.iter().filter_map(|o| match said(o, BAD) {
            Some(Message::Sync(Sync { items, .. })) => Some(items),
            _ => None,
        });
        let items: Vec<SyncItem> = items.flatten().collect();
        assert!(!items.is_empty(), "it asks");
        (round, items)
    }

    fn bare(&self) -> usize {
        let of = |ix| self.replica.shared(ix, |p| p.bare_origins());
        (0..self.limits.partitions).map(of).max().unwrap_or(0)
    }
}

fn said(output: &Output, to: Origin) -> Option<Message<'_>> {
    match output {
        Output::Send { peer, frame, .. } if *peer == to => decode(frame).ok(),
        _ => None,
    }
}

fn pages(told: &[Output]) -> usize {
    told.iter().filter(|o| matches!(said(o, BAD), Some(Message::Page(_)))).count()
}

fn is_dropped(told: &[Output]) -> bool {
    told.iter().any(|o| matches!(o, Output::CloseLink { peer, .. } if *peer == BAD))
}

fn is_blamed(told: &[Output], gravity: Gravity) -> bool {
    told.iter().any(|o| matches!(o, Output::Fault { peer, gravity: g, .. } if *peer == BAD && *g == gravity))
}

fn item(partition: u16) -> SyncItem {
    SyncItem { partition, nonce: (1, 1), base: Base::new(), force: vec![], have: 0 }
}

fn sync(items: Vec<SyncItem>) -> Message<'static> {
    Message::Sync(Sync { round: 1, wall_ms: WALL_MS, origins: vec![], items })
}

fn page_to(round: u64, item: &SyncItem, origins: Vec<Origin>, claims: Vec<Claim>) -> PageHeader {
    PageHeader {
        round,
        partition: item.partition,
        nonce: item.nonce,
        epoch: 1,
        wall_ms: WALL_MS,
        complete: true,
        source: true,
        base_counter: 0,
        origins,
        claims,
        inc: Inc::new(),
    }
}

/// So many lives that never were, each said to have written what nobody holds.
fn made_up(n: usize, ranges: &RangeSet, until_ms: u64) -> (Vec<Origin>, Vec<Claim>) {
    let origins: Vec<Origin> = (0..n).map(|n| Origin(1 << 100 | n as u128)).collect();
    let claims = origins.iter().map(|&origin| (origin, ranges.clone(), until_ms)).collect();
    (origins, claims)
}

// ----- requests ---------------------------------------------------------------------------------------------------

/// One request of 33 kB named one partition 4,096 times, and made 4 GiB of pages.
#[test]
fn a_request_names_a_few_different_partitions_or_is_refused() {
    let mut victim = Victim::new(&[BAD]);
    victim.fill(64, 4_096);
    for items in [vec![item(0); 4_096], vec![item(0), item(0)], (0..4).map(item).chain([item(0)]).collect()] {
        let told = victim.hear(1, BAD, &sync(items));
        assert_eq!(pages(&told), 0);
        assert!(is_dropped(&told) && is_blamed(&told, Gravity::Broke));
        victim.input(1, Input::LinkDown { peer: BAD });
        victim.input(1, Input::LinkUp { peer: BAD, version: WIRE_NEWEST });
    }
    let told = victim.hear(2, BAD, &sync((0..ROUND_WINDOW as u16).map(item).collect()));
    assert!(pages(&told) == ROUND_WINDOW && !is_dropped(&told), "what an honest peer asks is answered");
}

#[test]
fn pages_for_one_request_stop_at_the_size_of_a_queue() {
    let limits = Limits { partitions: 4, max_record_bytes: 16 << 20, ..Limits::default() };
    let mut victim = Victim::with(limits, &[BAD], false);
    victim.fill(8, MAX_SERVED_BYTES + 1);
    let told = victim.hear(1, BAD, &sync((0..4).map(item).collect()));
    assert_eq!(pages(&told), 1, "the first fills the queue");
}

/// It asks and asks and reads nothing: what waits for it is bounded by the transport, and no page is made in vain.
#[test]
fn who_asks_for_more_than_it_reads_is_not_served_for_a_while() {
    let mut victim = Victim::new(&[BAD, GOOD]);
    victim.fill(8, 100);
    let told = victim.input(0, Input::Full { peer: BAD });
    assert!(is_blamed(&told, Gravity::Strange));
    assert_eq!(pages(&victim.hear(1, BAD, &sync(vec![item(0)]))), 0);
    let served = |o: &Output| matches!(said(o, GOOD), Some(Message::Page(_)));
    assert!(victim.hear(1, GOOD, &sync(vec![item(0)])).iter().any(served), "others are");
    assert_eq!(pages(&victim.hear(FULL_PAUSE_MS, BAD, &sync(vec![item(0)]))), 1);
}

// ----- origins ----------------------------------------------------------------------------------------------------

/// 70,000 lives that never were took an hour of CPU to enter, and were told on by honest nodes.
#[test]
fn made_up_lives_are_entered_up_to_a_bound_and_the_round_completes() {
    let mut victim = Victim::new(&[BAD, GOOD]);
    let (round, items) = victim.asks(0);
    let (origins, claims) = made_up(2 * MAX_BARE_ORIGINS, &RangeSet::from_range(1, 9), WALL_MS + 60_000);
    let header = page_to(round, &items[0], origins, claims);
    let told = victim.input(60, Input::Frame { peer: BAD, bytes: &header.encode(WIRE_NEWEST, 0, &[]) });
    assert!(!is_dropped(&told), "an honest peer may pass on what it was told");
    assert!((MAX_BARE_ORIGINS / 2..=MAX_BARE_ORIGINS).contains(&victim.bare()), "{}", victim.bare());
    // What is passed on can be read, whatever there is of it.
    let told = victim.hear(61, GOOD, &sync(vec![item(items[0].partition)]));
    let page = told.iter().find_map(|o| match said(o, GOOD) {
        Some(Message::Page(page)) => Some(page.header),
        _ => None,
    });
    let page = page.expect("it can be decoded");
    assert!(page.origins.len() <= MAX_BARE_ORIGINS + 8, "{}", page.origins.len());
    // It goes with its time, and nobody needs to restart.
    let over_ms = 60_000 + victim.limits.prune_after_ms() + 1_000;
    (0..40).for_each(|n| _ = victim.input(over_ms + n * 1_000, Input::Tick));
    assert!(victim.bare() <= 2, "{} are left", victim.bare());
}

#[test]
fn a_made_up_claim_matters_no_longer_than_anything_can_live() {
    let limits = Limits { partitions: 1, max_lifetime_ms: 3_600_000, ..Limits::default() };
    let mut victim = Victim::with(limits, &[BAD], false);
    let (round, items) = victim.asks(0);
    let (origins, claims) = made_up(100, &RangeSet::from_range(1, 9), u64::MAX / 2);
    let header = page_to(round, &items[0], origins, claims);
    victim.input(60, Input::Frame { peer: BAD, bytes: &header.encode(WIRE_NEWEST, 0, &[]) });
    assert!(victim.bare() >= 100);
    let limits = victim.limits.clone();
    let over_ms = limits.max_lifetime_ms + 4 * limits.max_drift_ms + limits.prune_after_ms() + 1_000;
    let mut ms = 0;
    while ms < over_ms + 40_000 {
        ms += 500;
        victim.input(ms, Input::Tick);
    }
    assert!(victim.bare() <= 2, "{} are left", victim.bare());
}

/// One life, and so many gaps in what it wrote that no table holds them; then another, and another.
#[test]
fn made_up_gaps_are_forgotten_beyond_a_bound() {
    let mut gaps = RangeSet::default();
    (0..8_000).for_each(|n| gaps.insert(2 * n + 1, 2 * n + 1));
    let mut victim = Victim::new(&[BAD]);
    let (round, items) = victim.asks(0);
    let (origins, claims) = made_up(100, &gaps, WALL_MS + 60_000);
    let header = page_to(round, &items[0], origins, claims);
    victim.input(60, Input::Frame { peer: BAD, bytes: &header.encode(WIRE_NEWEST, 0, &[]) });
    let ranges = victim
        .replica
        .shared(items[0].partition, |p| p.coverage().map(|(_, r)| r.ranges().len()).sum::<usize>());
    assert!(ranges <= MAX_SPARE_RANGES + 200, "{ranges} ranges");
}

/// An entry is refused; the lives it named leave nothing behind.
#[test]
fn a_refused_entry_leaves_no_lives_behind() {
    let mut victim = Victim::new(&[BAD]);
    let (round, items) = victim.asks(0);
    let ix = items[0].partition;
    let bases = Bases { wall_ms: WALL_MS, counter: 0, version: WIRE_NEWEST };
    let mut writer = EntryWriter::new(bases, None);
    let origins: Vec<Origin> = (0..500).map(|n| Origin(1 << 90 | n)).collect();
    let session = (0..).map(id).find(|id| id.partition(victim.limits.partitions) == ix).expect("one");
    let mut life = Life::new(Origin(5), WALL_MS);
    life.create(session, &[("f", Some("1"))], Ttl::Sliding(600_000), 3_600_000).expect("created");
    let record = life.partition.get(session).expect("there");
    let State::Live(mut live) = record.state() else { panic!("it lives") };
    // From far in the future.
    live.ops = (0..500).map(|n| op(n, WALL_MS + 86_400_000)).collect();
    sessionmesh::core::replica::EntrySink::entry(&mut writer, session, &State::Live(live), &origins);
    let (n, body) = writer.take();
    let header = page_to(round, &items[0], writer.table(), vec![]);
    victim.input(60, Input::Frame { peer: BAD, bytes: &header.encode(WIRE_NEWEST, n, &body) });
    assert!(victim.bare() <= 1, "{} are left", victim.bare());
}

fn op(origin: u32, ms: u64) -> Op {
    use sessionmesh::core::causality::Ver;
    Op { ver: Ver { hlc: Hlc::new(ms, 0), origin, counter: 1 }, context: vec![] }
}

// ----- a round without end ----------------------------------------------------------------------------------------

/// A node has one round under way. A peer that answers for ever and brings nothing kept all others waiting.
#[test]
fn a_round_that_brings_nothing_ends() {
    let mut victim = Victim::new(&[BAD]);
    let (round, items) = victim.asks(0);
    let mut asked = items[0].clone();
    let (origins, claims) = made_up(1, &RangeSet::from_range(1, 9), WALL_MS + 60_000);
    let mut told = Vec::new();
    for n in 0..=u64::from(MAX_IDLE_PAGES) + 1 {
        let header =
            PageHeader { complete: false, ..page_to(round, &asked, origins.clone(), claims.clone()) };
        told = victim.input(60 + n, Input::Frame { peer: BAD, bytes: &header.encode(WIRE_NEWEST, 0, &[]) });
        let again = told.iter().find_map(|o| match said(o, BAD) {
            Some(Message::Sync(Sync { items, .. })) => {
                items.into_iter().find(|i| i.partition == asked.partition)
            }
            _ => None,
        });
        match again {
            Some(again) => asked = again,
            None => break,
        }
    }
    assert!(is_dropped(&told), "given up after some pages");
}

#[test]
fn an_empty_page_that_is_not_the_last_is_refused() {
    let mut victim = Victim::new(&[BAD]);
    let (round, items) = victim.asks(0);
    let header = PageHeader { complete: false, ..page_to(round, &items[0], vec![], vec![]) };
    let told = victim.input(60, Input::Frame { peer: BAD, bytes: &header.encode(WIRE_NEWEST, 0, &[]) });
    assert!(is_dropped(&told));
}

// ----- members ----------------------------------------------------------------------------------------------------

fn crowd(n: u128, value: u64) -> Inc {
    (0..n).map(|n| (Origin(1 << 80 | n), value)).collect()
}

fn equal_told(victim: &mut Victim, inc: Inc) -> Vec<Output> {
    let (round, ms) = victim.round(1);
    victim.hear(
        ms,
        BAD,
        &Message::Equal(Equal { round, wall_ms: WALL_MS, ready: true, inc, incomplete: false }),
    )
}

/// 120,000 members that do not exist made every page too large for its frame.
#[test]
fn members_that_a_peer_makes_up_are_taken_in_up_to_a_bound() {
    for (value, most) in
        [(0, MAX_TOLD_MEMBERS), (WALL_MS, MAX_TOLD_MEMBERS), (GONE | (WALL_MS + 1), MAX_GONE_MARKS)]
    {
        let mut victim = Victim::new(&[BAD, GOOD]);
        let told = equal_told(&mut victim, crowd(120_000, value));
        let held = victim.node.freshness().len();
        assert!((most / 2..=most + 8).contains(&held), "{held} with {value}");
        assert!(is_blamed(&told, Gravity::Strange) && !is_dropped(&told), "who passes it on is no liar");
        // Nor does a partition keep them, nor a page carry them.
        let told = victim.hear(3_000, GOOD, &sync(vec![item(0)]));
        let page = told.iter().find_map(|o| match said(o, GOOD) {
            Some(Message::Page(page)) => Some(page.header.inc.len()),
            _ => None,
        });
        assert!(page.expect("a page") <= most + 8);
    }
}

#[test]
fn nobody_is_taken_in_unasked() {
    let mut victim = Victim::new(&[BAD]);
    let before = victim.node.freshness().len();
    let mut header = page_to(99, &item(0), vec![], vec![]);
    header.inc = crowd(1_000, WALL_MS);
    victim.input(1, Input::Frame { peer: BAD, bytes: &header.encode(WIRE_NEWEST, 0, &[]) });
    for round in [0, 98, 99] {
        let equal = Message::Equal(Equal {
            round,
            wall_ms: WALL_MS,
            ready: true,
            inc: crowd(1_000, WALL_MS),
            incomplete: false,
        });
        victim.hear(2, BAD, &equal);
        let hashes = Hashes::of(&[[0; 8]; 4]);
        let unequal = Message::Unequal(Unequal {
            round,
            wall_ms: WALL_MS,
            ready: true,
            inc: crowd(1_000, WALL_MS),
            hashes,
            incomplete: false,
        });
        victim.hear(2, BAD, &unequal);
    }
    assert_eq!(victim.node.freshness().len(), before);
}

/// A link that comes up and breaks again and again is no proof of being alone; one that stays up and says nothing is no
/// source.
#[test]
fn a_link_that_never_completes_makes_nobody_ready() {
    let limits = Limits { partitions: 4, ..Limits::default() };
    let mut victim = Victim::with(limits, &[], true);
    for n in 0..119 {
        let ms = n * 500;
        victim.input(ms, Input::LinkUp { peer: BAD, version: WIRE_NEWEST });
        let told = victim
            .input(ms + 10, Input::Frame { peer: BAD, bytes: &[WIRE_NEWEST as u8, Kind::Page.byte(), 0xc1] });
        assert!(is_dropped(&told));
        victim.input(ms + 20, Input::LinkDown { peer: BAD });
    }
    assert_eq!(victim.replica.serving(at(60_000)).word(), "joining", "{}", victim.node.phase_reason());
    victim.input(60_000, Input::LinkUp { peer: BAD, version: WIRE_NEWEST });
    (0..1_000).for_each(|n| _ = victim.input(60_000 + n * 200, Input::Tick));
    assert_eq!(victim.replica.serving(at(259_900)).word(), "joining", "{}", victim.node.phase_reason());
}

// ----- one who never was --------------------------------------------------------------------------------------------

/// A member vouches for one that never was: expired sessions wait for it as for any that is missing, and no longer.
#[test]
fn a_made_up_member_that_is_vouched_for_keeps_sessions_for_so_long_and_no_longer() {
    let limits = Limits { partitions: 4, expire_wait_ms: 600_000, ..Limits::default() };
    let mut victim = Victim::with(limits, &[BAD], false);
    victim.fill(50, 10);
    equal_told(&mut victim, vec![(Origin(77), WALL_MS)]);
    assert!(victim.node.freshness().contains_key(&Origin(77)));
    let held = |v: &Victim| v.replica.counts().sessions;
    let mut ms = 3_000;
    while ms < 900_000 {
        ms += 400;
        victim.input(ms, Input::Tick);
    }
    assert_eq!(held(&victim), 50, "their time is over, and it is waited for");
    while ms < 600_000 + 600_000 + 60_000 {
        ms += 400;
        victim.input(ms, Input::Tick);
    }
    assert_eq!(held(&victim), 0);
}

// ----- who says that it knows our own writes better ---------------------------------------------------------------

fn hint(victim: &mut Victim, ms: u64, peer: Origin) -> Vec<Output> {
    let me = victim.node.origin();
    let wall_ms = at(ms).wall_ms;
    let mut life = Life::new(me, wall_ms);
    let session = (0..).map(id).find(|id| id.partition(victim.limits.partitions) == 0).expect("one");
    life.skip_counters(900);
    life.create(session, &[("f", Some("1"))], Ttl::Sliding(600_000), 3_600_000).expect("created");
    let bases = Bases { wall_ms, counter: 0, version: WIRE_NEWEST };
    let mut writer = EntryWriter::new(bases, None);
    let record = life.partition.get(session).expect("there");
    sessionmesh::core::replica::EntrySink::entry(
        &mut writer,
        session,
        &record.state(),
        life.partition.origins(),
    );
    let (n, body) = writer.take();
    let header = PageHeader { wall_ms, ..page_to(99, &item(0), writer.table(), vec![]) };
    let bytes = header.encode(WIRE_NEWEST, n, &body);
    let told = victim.input(ms, Input::Frame { peer, bytes: &bytes });
    if victim.node.origin() != me {
        // The driver reconnects.
        for peer in [BAD, GOOD] {
            victim.input(ms, Input::LinkUp { peer, version: WIRE_NEWEST });
        }
    }
    told
}

/// Ten such hints made ten new lives in four seconds, each of which reconnects everything.
#[test]
fn impostor_hints_make_one_new_life_and_no_more() {
    let mut victim = Victim::new(&[BAD, GOOD]);
    let lives = |v: &Victim| v.node.stats().new_lives;
    hint(&mut victim, 10, BAD);
    assert_eq!(lives(&victim), 1, "it might be a clone of this machine");
    for n in 1..10 {
        let told = hint(&mut victim, 10 + n * 100, BAD);
        assert!(is_blamed(&told, Gravity::Strange));
    }
    assert_eq!(lives(&victim), 1);
    // An honest peer that passes the lie on keeps its link.
    let told = hint(&mut victim, 2_000, GOOD);
    assert!(!told.iter().any(|o| matches!(o, Output::CloseLink { .. })), "{told:?}");
    hint(&mut victim, 10 + MIN_IMPOSTOR_LIFE_MS, BAD);
    assert_eq!(lives(&victim), 2);
}

// ----- audits, and lines in the log ---------------------------------------------------------------------------------

fn lines(told: &[Output]) -> usize {
    told.iter().filter(|o| matches!(o, Output::Warn(_))).count()
}

/// Made-up differences filled the log, and kept the node asking for whole partitions.
#[test]
fn made_up_audits_are_told_once_and_refetched_now_and_then() {
    let mut victim = Victim::new(&[BAD]);
    victim.fill(8, 100);
    let (mut told, mut refetched) = (0, 0);
    for n in 0..10_000u64 {
        let ms = n / 10;
        let diff = Message::AuditDiff(AuditDiff {
            request: Purpose::Routine,
            partitions: vec![0, 1, 2, 3, 0, 0, 0],
        });
        let out = victim.hear(ms, BAD, &diff);
        told += lines(&out);
        refetched += out.iter().filter(|o| matches!(said(o, BAD), Some(Message::Sync(_)))).count();
        victim.input(ms, Input::LinkDown { peer: Origin(1) });
    }
    assert!((1..=2).contains(&told), "{told} lines");
    assert!(refetched as u64 <= 1_000 / REFETCH_PAUSE_MS + 2, "{refetched} requests in a second");
}

#[test]
fn packets_and_frames_that_make_no_sense_are_few_lines() {
    let setup = Setup {
        limits: Limits::default(),
        seed: [1; 32],
        hash_key: 1,
        has_seeds: false,
        watched: false,
        membership: Some(membership::Config::default()),
        now: at(0),
    };
    let (mut node, _) = Node::new(setup);
    let mut told = 0;
    for n in 0..5_000u128 {
        let peer = Origin(n % 500 + 10);
        node.handle(at(1), Input::LinkUp { peer, version: WIRE_NEWEST });
        node.handle(at(1), Input::Datagram { peer, bytes: &[1, Kind::Ping.byte(), 0xc1] });
        node.handle(at(1), Input::Frame { peer, bytes: &[WIRE_NEWEST as u8, 99, 0xc0] });
        let out: Vec<Output> = std::iter::from_fn(|| node.poll_output()).collect();
        told += lines(&out);
    }
    assert!(told <= MAX_WARNINGS as usize + 2, "{told} lines");
}

#[test]
fn a_list_of_what_was_adopted_is_no_longer_than_there_are_partitions() {
    let mut victim = Victim::new(&[BAD]);
    let upto = vec![(0, 1); 100_000];
    let told = victim.hear(1, BAD, &Message::Adopted(Adopted { upto }));
    assert!(is_dropped(&told) && told.len() < 10, "{} outputs", told.len());
}

// ----- what honest members do is not hindered ---------------------------------------------------------------------

/// Tens of thousands of lives, each with something that is held no more: an honest mesh after a month of restarts.
#[test]
fn an_honest_mesh_of_tens_of_thousands_of_lives_is_taken_in_whole() {
    let mut victim = Victim::new(&[BAD]);
    let (round, items) = victim.asks(0);
    let (origins, claims) = made_up(20_000, &RangeSet::from_range(1, 9), WALL_MS + 86_400_000);
    let header = page_to(round, &items[0], origins, claims);
    let told = victim.input(60, Input::Frame { peer: BAD, bytes: &header.encode(WIRE_NEWEST, 0, &[]) });
    assert!(victim.bare() >= 20_000 && lines(&told) == 0 && !is_blamed(&told, Gravity::Strange));
}
