//! What is counted of memory against what a process has resident: alone in its process, so that nothing else is in it.

use sessionmesh::core::limits::Limits;
use sessionmesh::core::node::{Node, Setup};
use sessionmesh::core::replica::Change;
use sessionmesh::core::session::Ttl;
use sessionmesh::core::time::Now;
use sessionmesh_sim::id;

const NOW: Now = Now { mono_ms: 1_000_000, wall_ms: 1_800_000_000_000 };

#[cfg(target_os = "linux")]
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: u64 = text.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("resident pages");
    pages * 4_096
}

/// What is counted against what the process has: sessions of users, tombstones, revocations.
#[cfg(target_os = "linux")]
#[test]
fn what_is_counted_is_near_what_the_process_has() {
    let limits = Limits::default();
    let (_node, replica) = Node::new(Setup {
        limits,
        seed: [5; 32],
        hash_key: 7,
        has_seeds: false,
        watched: false,
        membership: None,
        now: NOW,
    });
    let (before, counted) = (resident_bytes(), replica.held_bytes());
    let many = 60_000;
    for n in 0..many {
        let (user, value) = (format!("user{n}"), [7; 200]);
        let fields = vec![("cart", Some(&value[..]))];
        let change = Change { fields, principal: Some(Some(&user)), ..Change::default() };
        replica.create(id(n), NOW, &change, Ttl::Sliding(600_000), u64::MAX).expect("created");
    }
    for n in many..2 * many {
        replica.destroy(id(n), NOW, true).expect("blind");
    }
    for n in 0..many / 4 {
        replica.revoke(&format!("nobody{n}"), None, id(10 * many + n), NOW).expect("revoked");
    }
    let (real, counted) = (resident_bytes() - before, replica.held_bytes() - counted);
    let share = 100 * counted / real;
    assert!((60..=140).contains(&share), "{counted} bytes counted, {real} resident: {share} %");
}
