//! An invented mesh of any size, as one of its nodes would see it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::core::causality::Origin;
use crate::core::histogram::{APPLY_BOUNDS_S, Histogram, NETWORK_BOUNDS_S, ROUND_BOUNDS_S};
use crate::core::limits::Limits;
use crate::core::membership::{self, State};
use crate::core::node::{ClockView, Compared, Input, Node, Output, Setup, Stats};
use crate::core::replica::{Change, Counts, Replica, Serving};
use crate::core::session::{SessionId, Ttl};
use crate::core::time::Now;
use crate::core::wire::WIRE_NEWEST;
use crate::discovery::DiscoveryHealth;
use crate::mesh::observe::{Flow, Gathered, MemberView, Numbers, Observed};
use crate::transport;

/// Now, in the invented mesh (wall ms).
pub(super) const WALL_MS: u64 = 1_795_440_600_000;

fn origin(at: usize) -> Origin {
    Origin(0x1111_0000_0000_0000_0000_0000_0000_0000 + at as u128)
}

/// A member that answers.
pub(super) fn member(at: usize) -> MemberView {
    MemberView {
        node: format!("n{at}"),
        origin: origin(at),
        addr: SocketAddr::from(([10, 0, (at / 256) as u8, (at % 256) as u8], 7946)),
        state: State::Alive,
        why: "it answers".into(),
        since_ms: 500_000,
        since_mono_ms: (at > 0).then_some(100_000),
        incarnation: 0,
        accusers: Vec::new(),
        dead_in_ms: None,
        dead_mono_ms: None,
        rtt_ms: Some(0.4),
        linked: true,
        unlinked_mono_ms: None,
        wall_offset_ms: at as i64,
        backlog_partitions: 0,
        metadata: BTreeMap::new(),
    }
}

/// What `n0` sees of a mesh of `members`, of which the last few are not well when there are many.
pub(super) fn synthetic(members: usize) -> Gathered {
    let mut all: Vec<MemberView> = (0..members).map(member).collect();
    if members >= 8 {
        all[members - 1].state = State::Dead;
        all[members - 2].state = State::Dead;
        all[members - 3].state = State::Suspect;
        all[members - 4].state = State::Left;
    }
    let seen: Arc<BTreeMap<Origin, u64>> = Arc::new((0..members).map(|at| (origin(at), 90)).collect());
    let compared = Compared { at_ms: WALL_MS - 900, differing: 0, equal_at_ms: WALL_MS - 900, seen };
    let observed = Observed {
        compared: (1..members).map(|at| (origin(at), compared.clone())).collect(),
        fresh: (1..members).map(|at| (origin(at), WALL_MS - 1_000 * at as u64)).collect(),
        clock: ClockView::default(),
        flows: (1..members).map(|at| (origin(at), Flow::default())).collect(),
        apply: Histogram::new(APPLY_BOUNDS_S),
        round: Histogram::new(ROUND_BOUNDS_S),
        probe_rtt: Histogram::new(NETWORK_BOUNDS_S),
        delay: Histogram::new(NETWORK_BOUNDS_S),
    };
    Gathered {
        node: "n0".into(),
        cluster: "invented".into(),
        origin: origin(0),
        wall_ms: WALL_MS,
        mono_ms: 660_000,
        wall_minus_mono_ms: WALL_MS - 660_000,
        started_wall_ms: WALL_MS - 600_000,
        serving: Serving::Ready,
        reason: "invented".into(),
        stopped: None,
        members: all,
        numbers: Numbers {
            clock: ClockView::default(),
            node: Stats::default(),
            members: membership::Stats::default(),
            penalty: 0,
            network: transport::Stats::default(),
            discovery: DiscoveryHealth::default(),
        },
        observed: Some(Arc::new(observed)),
        counts: Counts { sessions: 1_000_000, ..Counts::default() },
        faulty: Vec::new(),
        record_bytes: 1_400_000_000,
        held_bytes: 1_600_000_000,
        max_memory_bytes: u64::MAX,
        partitions: 256,
        max_drift_ms: 60_000,
        gossip_interval_ms: 1_000,
        backlog: 0,
        unreplicated: 0,
        caught_up: Default::default(),
        linked: members - 1,
        watchers: 0,
        own_writes: 100,
        newest: (0..members).map(|at| (origin(at), 100)).collect(),
        unacked: (1..members).map(|at| (origin(at), 0)).collect(),
    }
}

/// A time in the invented mesh.
fn now(mono_ms: u64) -> Now {
    Now { mono_ms: 60_000 + mono_ms, wall_ms: WALL_MS - 600_000 + mono_ms }
}

fn core_node(at: usize) -> (Node, Arc<Replica>) {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&(at as u64 + 1).to_le_bytes());
    Node::new(Setup {
        limits: Limits::default(),
        seed,
        hash_key: 7,
        has_seeds: false,
        watched: false,
        membership: None,
        now: now(0),
    })
}

/// The replica of a core node that has taken in `each` sessions of every one of `members`, itself included.
pub(super) fn fed(members: usize, each: usize) -> Arc<Replica> {
    let (mut taker, replica) = core_node(0);
    taker.observe();
    for at in 0..members {
        let (mut giver, theirs) = core_node(at + 1);
        for n in 0..each {
            let mut id = [at as u8; 16];
            id[8..].copy_from_slice(&(n as u64).to_le_bytes());
            let ttl = Ttl::Sliding(3_600_000);
            let written = theirs.create(SessionId::from_bytes(id), now(1), &Change::default(), ttl, u64::MAX);
            assert!(written.is_ok());
        }
        meet(&mut taker, &mut giver);
    }
    assert_eq!(replica.counts().sessions, (members * each) as u64);
    replica
}

/// Links two nodes and carries their frames until they are equal.
fn meet(a: &mut Node, b: &mut Node) {
    let (one, two) = (a.origin(), b.origin());
    a.handle(now(10), Input::LinkUp { peer: two, version: WIRE_NEWEST });
    b.handle(now(10), Input::LinkUp { peer: one, version: WIRE_NEWEST });
    let mut quiet = false;
    let mut mono_ms = 10;
    while !quiet {
        quiet = true;
        mono_ms += 1;
        for turn in [true, false] {
            let (from, to) = if turn { (&mut *a, &mut *b) } else { (&mut *b, &mut *a) };
            let peer = from.origin();
            while let Some(output) = from.poll_output() {
                if let Output::Send { frame, .. } = output {
                    quiet = false;
                    to.handle(now(mono_ms), Input::Frame { peer, bytes: &frame });
                }
            }
        }
    }
    a.handle(now(mono_ms), Input::LinkDown { peer: two });
}
