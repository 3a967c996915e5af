//! An invented mesh of any size, as one of its nodes would see it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::core::causality::Origin;
use crate::core::histogram::{APPLY_BOUNDS_S, Histogram, NETWORK_BOUNDS_S, ROUND_BOUNDS_S};
use crate::core::membership::{self, State};
use crate::core::node::{Compared, Stats};
use crate::core::replica::{Counts, Serving};
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
        reap_frozen: false,
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
        serving: Serving::Ready,
        reason: "invented".into(),
        stopped: None,
        members: all,
        numbers: Numbers {
            node: Stats::default(),
            members: membership::Stats::default(),
            penalty: 0,
            network: transport::Stats::default(),
            discovery: DiscoveryHealth::default(),
        },
        observed: Some(Arc::new(observed)),
        counts: Counts { sessions: 1_000_000, ..Counts::default() },
        record_bytes: 1_400_000_000,
        max_memory_bytes: u64::MAX,
        partitions: 256,
        max_drift_ms: 60_000,
        backlog: 0,
        unreplicated: 0,
        linked: members - 1,
        watchers: 0,
        newest: (0..members).map(|at| (origin(at), 100)).collect(),
        unacked: (1..members).map(|at| (origin(at), 0)).collect(),
    }
}
