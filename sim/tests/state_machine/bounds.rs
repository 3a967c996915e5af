//! A node against words and records beyond every bound: what it makes of them, seen from outside.

use std::sync::Arc;

use sessionmesh::core::causality::Origin;
use sessionmesh::core::limits::Limits;
use sessionmesh::core::node::{Input, Node, Output, Setup};
use sessionmesh::core::replica::{GONE, Happened, Lookup, Replica};
use sessionmesh::core::session::Ttl;
use sessionmesh::core::time::Now;
use sessionmesh::core::wire::{Digest, Equal, Message, WIRE_NEWEST, decode, encode};
use sessionmesh_sim::{Life, id};

const WALL_MS: u64 = 1_800_000_000_000;
const NOW: Now = Now { mono_ms: 1_000_000, wall_ms: WALL_MS };
const FAR: Origin = Origin(77);

fn small() -> Limits {
    Limits { partitions: 1, max_record_bytes: 1_024, max_fields: 4, ..Limits::default() }
}

fn node(peers: &[Origin]) -> (Node, Arc<Replica>) {
    let setup = Setup {
        limits: small(),
        seed: [3; 32],
        hash_key: 7,
        has_seeds: false,
        watched: true,
        membership: None,
        now: NOW,
    };
    let (mut node, replica) = Node::new(setup);
    for &peer in peers {
        node.handle(NOW, Input::LinkUp { peer, version: WIRE_NEWEST });
    }
    (node, replica)
}

fn outputs(node: &mut Node) -> Vec<Output> {
    std::iter::from_fn(|| node.poll_output()).collect()
}

/// The number of the round that a node has just begun.
fn round_of(node: &mut Node) -> u64 {
    let round = outputs(node).into_iter().find_map(|o| match o {
        Output::Send { frame, .. } => match decode(&frame) {
            Ok(Message::Digest(Digest { round, .. })) => Some(round),
            _ => None,
        },
        _ => None,
    });
    round.expect("a round with the new peer")
}

/// A side that adds `bytes` to what `first` has made, more than any edit may.
fn side(n: u128, first: &mut Life, key: &str, bytes: usize) -> Life {
    let mut side = Life::new(Origin(n), WALL_MS);
    side.pull(first);
    side.limits.max_record_bytes = 1 << 30;
    side.set(id(1), key, Some(&"x".repeat(bytes))).expect("set");
    side
}

/// Two sides whose union no frame carries: the session is ended there and then, told, and passed on as an end.
#[test]
fn a_union_that_cannot_be_sent_is_ended_and_told() {
    let mut first = Life::new(Origin(1), WALL_MS);
    first.create(id(1), &[("v", Some("1"))], Ttl::Sliding(600_000), 3_600_000).expect("created");
    let most = small().max_union_bytes();
    let mut sides = [side(2, &mut first, "a", most * 2 / 3), side(3, &mut first, "b", most * 2 / 3)];
    let (mut node, replica) = node(&[Origin(1), Origin(2), Origin(3)]);
    let mut push = |life: &mut Life| {
        let (bytes, _) = life.push(0).expect("news");
        node.handle(NOW, Input::Frame { peer: life.origin, bytes: &bytes });
        outputs(&mut node)
    };
    push(&mut first);
    push(&mut sides[0]);
    assert!(matches!(replica.lookup(id(1), || NOW), Lookup::Found(_)), "one side fits");
    let told = push(&mut sides[1]);
    assert!(matches!(replica.lookup(id(1), || NOW), Lookup::Absent));
    assert!(told.contains(&Output::Event(Happened::Destroyed(id(1)))));
    assert!(
        told.iter().any(|o| matches!(o, Output::Warn(text) if text.contains("after a merge"))),
        "{told:?}"
    );
    assert!(!told.iter().any(|o| matches!(o, Output::CloseLink { .. })), "nobody broke a rule");
    let mut ends = told.iter().filter_map(|o| match o {
        Output::Send { peer, frame, .. } if *peer == Origin(3) => Some(frame),
        _ => None,
    });
    let pushed = ends.rfind(|frame| matches!(decode(frame), Ok(Message::Push(_)))).expect("passed on");
    sides[1].take_push(node.origin(), pushed).expect("taken");
    assert!(!sides[1].visible(id(1)));
}

/// A word of how much of a member is incorporated stands for ever, since the greatest wins. One from the far future made
/// every idle session stable at once.
#[test]
fn a_word_of_freshness_from_the_future_counts_for_no_more_than_now() {
    let (mut node, _) = node(&[Origin(1)]);
    node.handle(NOW, Input::Tick);
    let round = round_of(&mut node);
    let inc = vec![(FAR, 1 << 60)];
    let bytes = encode(
        WIRE_NEWEST,
        &Message::Equal(Equal { round, wall_ms: WALL_MS, ready: true, inc, incomplete: false }),
    );
    node.handle(NOW, Input::Frame { peer: Origin(1), bytes: &bytes });
    let held = node.freshness().get(&FAR).copied().expect("a member heard of");
    assert!((1..=WALL_MS + small().max_drift_ms).contains(&held), "{held}");
}

/// The same of the word that a life is over: it is served one day, however far in the future it was said to be.
#[test]
fn a_mark_of_the_gone_ends_whatever_a_peer_says() {
    let (mut node, _) = node(&[Origin(1)]);
    node.handle(NOW, Input::Tick);
    let round = round_of(&mut node);
    let inc = vec![(FAR, GONE | 1 << 62)];
    let bytes = encode(
        WIRE_NEWEST,
        &Message::Equal(Equal { round, wall_ms: WALL_MS, ready: true, inc, incomplete: false }),
    );
    node.handle(NOW, Input::Frame { peer: Origin(1), bytes: &bytes });
    let held = node.freshness().get(&FAR).copied().expect("known to be gone");
    let limits = small();
    assert!(held & GONE != 0);
    assert!(held & !GONE <= WALL_MS + limits.max_lifetime_ms + 2 * limits.max_drift_ms, "{held}");
}

/// What the transport refuses by the other side's word, the core refuses by its own: nothing of such a life counts.
#[test]
fn a_life_that_was_declared_over_is_not_linked_whatever_the_transport_lets_through() {
    let (mut node, _) = node(&[Origin(1), FAR]);
    node.handle(NOW, Input::LinkDown { peer: FAR });
    node.handle(NOW, Input::Forget(FAR));
    outputs(&mut node);
    node.handle(NOW, Input::LinkUp { peer: FAR, version: WIRE_NEWEST });
    let told = outputs(&mut node);
    let closed = |o: &Output| matches!(o, Output::CloseLink { peer, why } if *peer == FAR && why.contains("declared over"));
    assert!(told.iter().any(closed), "{told:?}");
    assert!(!told.iter().any(|o| matches!(o, Output::Send { peer, .. } if *peer == FAR)), "{told:?}");
}

/// What passes in one piece is waited for by all that comes behind it.
#[test]
fn a_record_that_others_would_wait_for_long_cannot_be_allowed() {
    let with = |max_record_bytes| Limits { max_record_bytes, ..Limits::default() }.validate();
    assert_eq!((with(1 << 10), with(16 << 20)), (Ok(()), Ok(())));
    for bytes in [(1 << 10) - 1, (16 << 20) + 1] {
        let why = with(bytes).expect_err("refused");
        assert_eq!(why, format!("max_record_bytes = {bytes}: must be between 1 KiB and 16 MiB"));
    }
}
