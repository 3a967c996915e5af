//! Memory has a bound, everything that is held counts, and at the bound those who log in and out are turned away last.

use std::sync::Arc;

use sessionmesh::core::limits::{BLIND_BYTES, BLIND_SHARE, Limits};
use sessionmesh::core::node::{Input, Node, Output, Setup};
use sessionmesh::core::replica::{Change, Lookup, Need, Replica, WriteError};
use sessionmesh::core::session::{SessionId, Ttl};
use sessionmesh::core::time::Now;
use sessionmesh::core::wire::{Message, WIRE_NEWEST, decode};
use sessionmesh_sim::id;

const NOW: Now = Now { mono_ms: 1_000_000, wall_ms: 1_800_000_000_000 };
const MIB: u64 = 1 << 20;
const TTL: Ttl = Ttl::Sliding(600_000);

fn node(max: u64, seed: u8) -> (Node, Arc<Replica>) {
    let limits = Limits { partitions: 16, max_memory_bytes: max, ..Limits::default() };
    let (limits, seed) = (limits, [seed; 32]);
    Node::new(Setup {
        limits,
        seed,
        hash_key: 7,
        has_seeds: false,
        watched: false,
        membership: None,
        now: NOW,
    })
}

fn create(replica: &Replica, id: SessionId, principal: Option<&str>, bytes: usize) -> Result<(), WriteError> {
    let value = vec![7; bytes];
    let fields = vec![("cart", Some(&value[..]))];
    let change = Change { fields, principal: principal.map(Some), ..Change::default() };
    replica.create(id, NOW, &change, TTL, u64::MAX).map(|_| ())
}

fn is_full<T>(result: Result<T, WriteError>) -> bool {
    matches!(result, Err(WriteError::MemoryFull { .. }))
}

/// Creates sessions until there is no room for one more of this kind; how many.
fn fill(replica: &Replica, from: u64, principal: Option<&str>) -> u64 {
    (from..).find(|n| is_full(create(replica, id(*n), principal, 900))).expect("refused in the end") - from
}

/// 4 MiB were allowed and 75 MB held, for a month, and no log-in got through.
#[test]
fn made_up_log_outs_and_revocations_take_a_share_and_no_more() {
    let max = 16 * MIB;
    let (_node, replica) = node(max, 1);
    let blind = |n: u64| replica.destroy(id(n), NOW, true);
    let ends = (0..200_000).take_while(|n| !is_full(blind(*n))).count() as u64;
    let most = max / BLIND_SHARE / BLIND_BYTES;
    assert!((most..=most + 2).contains(&ends), "{ends} of {most}");
    let nobody = |n: u64| replica.revoke(&format!("nobody{n}"), None, id(1_000_000 + n), NOW);
    assert!(is_full(nobody(0)), "of the same share");
    assert!(replica.held_bytes() < max / 8, "{} bytes", replica.held_bytes());
    // Those who are there log in and out as ever.
    for n in 0..100 {
        create(&replica, id(2_000_000 + n), Some("ada"), 100).expect("a log-in");
    }
    assert_eq!(replica.revoke("ada", None, id(3_000_000), NOW).expect("known here").ended.len(), 100);
}

#[test]
fn what_is_needed_least_is_refused_first_and_an_end_never() {
    let (_node, replica) = node(8 * MIB, 1);
    create(&replica, id(1), Some("ada"), 10).expect("room");
    let anonymous = fill(&replica, 1_000, None);
    assert!(anonymous > 1_000, "{anonymous} sessions in 8 MiB");
    assert!(replica.is_full_for(Need::Session) && !replica.is_full_for(Need::Growth));
    // A user who is there goes on: what makes nothing larger always, and more for a while yet.
    let edit = |value: &str| {
        let fields = vec![("cart", Some(value.as_bytes()))];
        replica.edit(id(1_000), NOW, &Change { fields, ..Change::default() })
    };
    edit(&"x".repeat(901)).expect("growth");
    let logins = fill(&replica, 100_000, Some("bob"));
    assert!(logins > 100, "{logins} log-ins after the last anonymous session");
    assert!(is_full(edit(&"x".repeat(902))), "nothing grows any more");
    edit(&"x".repeat(901)).expect("as large as before");
    edit("x").expect("smaller");
    assert!(is_full(create(&replica, id(7), Some("eve"), 10)));
    // Ends: by a revocation, blind, and of what is here.
    assert_eq!(replica.revoke("ada", None, id(8), NOW).expect("room for it").ended, [id(1)]);
    replica.destroy(id(9), NOW, true).expect("a share of its own");
    for n in 0..anonymous {
        replica.destroy(id(1_000 + n), NOW, false).expect("what is here is always ended");
    }
    assert!(replica.held_bytes() <= 8 * MIB);
    create(&replica, id(10), None, 10).expect("there is room again");
}

/// What comes in counts too: two sides of a cut that are both full fit, and a peer that sends without end does not.
#[test]
fn what_a_peer_sends_is_taken_in_up_to_twice_the_bound() {
    let (mut node, replica) = node(MIB, 1);
    let (mut peer, theirs) = self::node(u64::MAX, 2);
    let origin = peer.origin();
    node.handle(NOW, Input::LinkUp { peer: origin, version: WIRE_NEWEST });
    peer.handle(NOW, Input::LinkUp { peer: node.origin(), version: WIRE_NEWEST });
    for n in 0..8_000 {
        create(&theirs, id(n), None, 900).expect("no bound there");
        peer.handle(NOW, Input::News);
        carry(&mut peer, &mut node);
        carry(&mut node, &mut peer);
    }
    let held = replica.held_bytes();
    assert!((2 * MIB..2 * MIB + MIB / 2).contains(&held), "{held} bytes");
    // Ends still come through, beside new sessions of the same partition too, and nobody is blamed for sending what there is.
    let here = (0..8_000).map(id).find(|id| matches!(replica.lookup(*id, || NOW), Lookup::Found(_)));
    let here = here.expect("some are here");
    let beside = (9_000..).filter(|n| id(*n).partition(16) == here.partition(16));
    beside.take(3).for_each(|n| create(&theirs, id(n), None, 900).expect("no bound there"));
    theirs.destroy(here, NOW, false).expect("ended");
    peer.handle(NOW, Input::News);
    carry(&mut peer, &mut node);
    assert!(matches!(replica.lookup(here, || NOW), Lookup::Absent));
}

/// Carries pushes and acknowledgements: no rounds.
fn carry(from: &mut Node, to: &mut Node) {
    let origin = from.origin();
    while let Some(output) = from.poll_output() {
        assert!(!matches!(output, Output::CloseLink { .. }), "{output:?}");
        let Output::Send { frame, .. } = output else { continue };
        if matches!(decode(&frame), Ok(Message::Push(_) | Message::PushAck(_))) {
            to.handle(NOW, Input::Frame { peer: origin, bytes: &frame });
        }
    }
}
