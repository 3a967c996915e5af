//! What the bench binaries share: sessions of 1 KiB in 8 fields, and readings of the process.
#![allow(dead_code, missing_docs)]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sessionmesh::SessionId;
use sessionmesh::core::causality::Origin;
use sessionmesh::core::limits::Limits;
use sessionmesh::core::replica::{Change, Replica, Serving};
use sessionmesh::core::session::Ttl;
use sessionmesh::core::time::Now;

pub const KEYS: [&str; 8] =
    ["field_0", "field_1", "field_2", "field_3", "field_4", "field_5", "field_6", "field_7"];

pub fn now() -> Now {
    let wall_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    // No node beats here: a standing monotonic clock keeps the fence open.
    Now { mono_ms: 0, wall_ms }
}

pub fn id(n: u64) -> SessionId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    bytes[8..].copy_from_slice(&n.to_le_bytes());
    SessionId::from_bytes(bytes)
}

/// 128 bytes that differ by session, field and round.
pub fn value(n: u64, field: usize, round: u64) -> [u8; 128] {
    let mut value = [0; 128];
    for (i, chunk) in value.chunks_exact_mut(8).enumerate() {
        let word = n.wrapping_mul(31).wrapping_add((field * 16 + i) as u64) ^ round.wrapping_mul(0x9e37_79b9);
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    value
}

pub fn replica() -> Arc<Replica> {
    let replica = Replica::new(Limits::default(), Origin(0x1234_5678 << 96), 7, now());
    replica.set_serving(Serving::Ready);
    Arc::new(replica)
}

pub fn all_fields(values: &[[u8; 128]; 8]) -> Change<'_> {
    let fields = KEYS.iter().zip(values).map(|(k, v)| (*k, Some(&v[..]))).collect();
    Change { fields, ..Change::default() }
}

pub fn values(n: u64, round: u64) -> [[u8; 128]; 8] {
    std::array::from_fn(|f| value(n, f, round))
}

pub fn create(replica: &Replica, n: u64, now: Now) {
    let values = values(n, 0);
    let ttl = Ttl::Sliding(3_600_000);
    let made = replica.create(id(n), now, &all_fields(&values), ttl, now.wall_ms + 24 * 3_600_000);
    assert!(made.is_ok(), "create {n}: {made:?}");
}

pub fn overwrite(replica: &Replica, n: u64, round: u64, now: Now) {
    let values = values(n, round);
    let written = replica.edit(id(n), now, &all_fields(&values));
    assert!(written.is_ok(), "overwrite {n}: {written:?}");
}

/// Resident bytes of this process.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|p| p.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// CPU time of this process (user and system).
pub fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

pub fn argument(name: &str, default: u64) -> u64 {
    let mut args = std::env::args();
    while let Some(arg) = args.next() {
        if arg == format!("--{name}") {
            return args.next().and_then(|v| v.parse().ok()).unwrap_or(default);
        }
    }
    default
}

/// The memory figure: resident bytes a session, fresh and after every record was overwritten twice from other
/// threads.
pub fn memory(allocator: &str) {
    let sessions = argument("sessions", 1_000_000);
    let before = resident_bytes();
    let replica = replica();
    let started = std::time::Instant::now();
    (0..sessions).for_each(|n| create(&replica, n, now()));
    let report = |what: &str| {
        let each = (resident_bytes() - before) as f64 / sessions as f64;
        let records = replica.record_bytes() as f64 / sessions as f64;
        println!(
            "{allocator:9} {sessions} sessions of 1 KiB in 8 fields, {what}: {each:.0} bytes resident each ({records:.0} in record chunks)"
        );
    };
    report("fresh");
    println!("{allocator:9} created in {:.1} s", started.elapsed().as_secs_f64());
    for round in 1..=2 {
        let started = std::time::Instant::now();
        let threads: Vec<_> = (0..2)
            .map(|half| {
                let replica = Arc::clone(&replica);
                std::thread::spawn(move || {
                    (0..sessions)
                        .filter(|n| n % 2 == half)
                        .for_each(|n| overwrite(&replica, n, round, now()));
                })
            })
            .collect();
        threads.into_iter().for_each(|t| assert!(t.join().is_ok()));
        report(&format!("overwritten {round}x from other threads"));
        println!("{allocator:9} overwritten in {:.1} s", started.elapsed().as_secs_f64());
    }
}
