//! When sessions end, and what it costs to keep them: kinds of expiry, and touches that cost next to nothing.
//!
//! Virtual time: the replica is told what time it is. That expired sessions also leave memory, on every node and
//! without a message, is the simulator's to show (`docs/SIMULATOR.md`).

use sessionmesh::core::causality::Origin;
use sessionmesh::core::limits::Limits;
use sessionmesh::core::replica::{Change, Lookup, Replica, WriteError, Written};
use sessionmesh::core::session::{SessionId, Ttl};
use sessionmesh::core::time::Now;

const ID: SessionId = SessionId::from_bytes([1; 16]);
const START_MS: u64 = 1_700_000_000_000;
const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

struct Node(Replica);

impl Node {
    fn new(limits: Limits) -> Self {
        let replica = Replica::new(limits, Origin(1), 7, at(0));
        replica.set_serving(sessionmesh::core::replica::Serving::Ready);
        Self(replica)
    }

    /// With a session of this ttl and hard end (ms from the start).
    fn with(limits: Limits, ttl: Ttl, hard_ms: u64) -> Self {
        let node = Self::new(limits);
        let hard_ms = START_MS.saturating_add(hard_ms);
        node.0.create(ID, at(0), &Change::default(), ttl, hard_ms).unwrap();
        node
    }

    fn touch(&self, ms: u64) -> Result<Written, WriteError> {
        self.0.beat(at(ms));
        self.0.edit(ID, at(ms), &Change::default())
    }

    fn lives(&self, ms: u64) -> bool {
        self.0.beat(at(ms));
        matches!(self.0.lookup(ID, || at(ms)), Lookup::Found(_))
    }

    /// Until when it lives if nobody touches it (ms from the start).
    fn ends(&self) -> u64 {
        (0..200 * DAY_MS).step_by(MINUTE_MS as usize).take_while(|ms| self.lives(*ms)).last().unwrap()
            + MINUTE_MS
    }
}

fn at(ms: u64) -> Now {
    Now { wall_ms: START_MS + ms, mono_ms: ms }
}

#[test]
fn each_kind_of_expiry_ends_when_it_says() {
    let half_hour = Ttl::Sliding(30 * MINUTE_MS);
    let never = Ttl::Sliding(u64::MAX >> 16);
    let limits = Limits::default();
    // What is asked for, its hard end, whether it is touched each minute, and when it ends.
    let kinds = [
        ("sliding, idle", half_hour, u64::MAX, false, 30 * MINUTE_MS),
        ("sliding, used", half_hour, u64::MAX, true, limits.max_lifetime_ms),
        ("sliding, at most two hours, used", half_hour, 120 * MINUTE_MS, true, 120 * MINUTE_MS),
        ("absolute, used", Ttl::Absolute(START_MS + 45 * MINUTE_MS), u64::MAX, true, 45 * MINUTE_MS),
        ("none, idle", never, u64::MAX, false, limits.max_lifetime_ms),
    ];
    for (what, ttl, hard_ms, used, ends_ms) in kinds {
        let node = Node::with(limits.clone(), ttl, hard_ms);
        if !used {
            assert_eq!(node.ends(), ends_ms, "{what}");
            continue;
        }
        for ms in (0..ends_ms).step_by(MINUTE_MS as usize) {
            node.touch(ms).unwrap_or_else(|e| panic!("{what}: {e} after {ms} ms"));
        }
        assert!(node.lives(ends_ms - 1) && !node.lives(ends_ms), "{what}");
        assert_eq!(
            node.touch(ends_ms),
            Err(WriteError::Absent),
            "{what}: what has ended is not touched back"
        );
    }
}

#[test]
fn a_touch_costs_nothing_until_it_moves_the_deadline_by_its_share() {
    for (touch_share, quantum_ms) in [(16, 112_500), (4, 450_000), (1_000, 1_800)] {
        let limits = Limits { touch_share, ..Limits::default() };
        let node = Node::with(limits, Ttl::Sliding(30 * MINUTE_MS), u64::MAX);
        assert!(!node.touch(quantum_ms - 1).unwrap().wrote, "share {touch_share}");
        let written = node.touch(quantum_ms).unwrap();
        assert!(written.wrote, "share {touch_share}");
        assert_eq!(written.deadline_ms, START_MS + quantum_ms + 30 * MINUTE_MS);
    }
    let brief = Node::with(Limits::default(), Ttl::Sliding(4_000), u64::MAX);
    assert!(
        !brief.touch(999).unwrap().wrote && brief.touch(1_000).unwrap().wrote,
        "never more than one a second"
    );
}

#[test]
fn a_storm_of_touches_is_one_write_a_quantum() {
    let node = Node::with(Limits::default(), Ttl::Sliding(30 * MINUTE_MS), u64::MAX);
    let (quanta, quantum_ms) = (4, 112_500);
    let before = node.0.counter();
    let storm = quanta * 1_000;
    assert!((0..storm).all(|n| node.touch(n * quantum_ms / 1_000).is_ok()));
    let written = node.0.counter() - before;
    assert!((quanta - 1..=quanta).contains(&written), "{storm} touches made {written} writes");
}

#[test]
fn an_unchanged_save_is_a_touch() {
    let node = Node::with(Limits::default(), Ttl::Sliding(30 * MINUTE_MS), u64::MAX);
    let fields = vec![("user", Some(&b"ada"[..]))];
    let save =
        Change { fields, skip_unchanged: true, ttl: Some(Ttl::Sliding(30 * MINUTE_MS)), ..Change::default() };
    assert!(node.0.edit(ID, at(1), &save).unwrap().wrote);
    let before = node.0.counter();
    (2..1_000).for_each(|ms| assert!(!node.0.edit(ID, at(ms), &save).unwrap().wrote));
    assert_eq!(node.0.counter(), before);
    node.0.beat(at(112_501));
    assert!(node.0.edit(ID, at(112_501), &save).unwrap().wrote, "it extends the session, as a touch does");
}
