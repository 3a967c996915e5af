//! What a principal costs: memory, writes, listing and revoking. `cargo bench --bench principals [-- --sessions N]`.
#![allow(missing_docs)]

mod support;

use std::time::Instant;

use sessionmesh::core::replica::{Change, Replica};
use sessionmesh::core::session::Ttl;
use support::{KEYS, all_fields, argument, id, now, replica, resident_bytes, value, values};

/// Devices of one user.
const EACH: u64 = 2;

fn create(replica: &Replica, n: u64, principal: Option<&str>) {
    let (now, values) = (now(), values(n, 0));
    let change = Change { principal: principal.map(Some), ..all_fields(&values) };
    let made = replica.create(id(n), now, &change, Ttl::Sliding(3_600_000), now.wall_ms + 24 * 3_600_000);
    assert!(made.is_ok(), "create {n}: {made:?}");
}

fn user(n: u64) -> String {
    format!("user-{:08}", n / EACH)
}

fn edits(replica: &Replica, sessions: u64) -> f64 {
    let (count, started) = (500_000_u32, Instant::now());
    for n in 0..u64::from(count) {
        let at = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % sessions;
        let value = value(n, 9, 9);
        let fields = vec![(KEYS[(n % 8) as usize], Some(&value[..]))];
        assert!(replica.edit(id(at), now(), &Change { fields, ..Change::default() }).is_ok());
    }
    f64::from(count) / started.elapsed().as_secs_f64()
}

fn main() {
    let sessions = argument("sessions", 500_000);
    for with in [false, true] {
        let (before, started) = (resident_bytes(), Instant::now());
        let replica = replica();
        (0..sessions).for_each(|n| create(&replica, n, with.then(|| user(n)).as_deref()));
        let (spent, grown) = (started.elapsed(), resident_bytes() - before);
        // The first edit of a record adds an op, for which those with a principal just no longer fit their slot: a cost
        // of this one size, paid once, and not of every edit.
        edits(&replica, sessions);
        let what = if with { "with a principal" } else { "without" };
        println!(
            "principals {what}: {sessions} sessions of 1 KiB, {:.0} bytes resident each, {:.2} us a create, {:.0} edits per second",
            grown as f64 / sessions as f64,
            spent.as_secs_f64() * 1e6 / sessions as f64,
            edits(&replica, sessions)
        );
        if with {
            list_and_revoke(&replica, sessions);
        }
        // So that the next does not find its memory free.
        std::mem::forget(replica);
    }
}

fn list_and_revoke(replica: &Replica, sessions: u64) {
    let (count, started) = (10_000_u64, Instant::now());
    let users = || (0..count).map(|n| user(n * (sessions / count)));
    let listed: usize = users().map(|user| replica.sessions_of(&user, now).len()).sum();
    let list = started.elapsed() / count as u32;
    let started = Instant::now();
    let revoked =
        users().enumerate().map(|(n, user)| replica.revoke(&user, None, id(sessions + n as u64), now()));
    let ended: usize = revoked.map(|r| r.map_or(0, |r| r.ended.len())).sum();
    println!(
        "principals {listed} sessions listed, {list:?} a user of {EACH}; {ended} ended, {:?} a revocation",
        started.elapsed() / count as u32
    );
}
