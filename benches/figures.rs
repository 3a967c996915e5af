//! The figures of docs/FIGURES.md that need a real mesh:
//! `cargo bench --bench figures [-- reads|writes|latency|join|bytes|idle|members]`.
//!
//! Both ends run in this process on loopback, so that a figure is what one machine of this kind can do, with the
//! rival parts (a peer's driver, QUIC's cryptography) on the same cores.
#![allow(missing_docs)]

mod support;

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use sessionmesh::{Config, Expiry, Mesh, Sessions};
use support::{KEYS, argument, id, value};

const SECRET: &str = "a secret for benches, at least thirty-two bytes";

async fn start(node: &str, seeds: &[&Mesh]) -> Mesh {
    let mesh = Mesh::builder()
        .cluster("bench")
        .node(node)
        .secret(SECRET)
        .seeds(seeds.iter().map(|m| m.addr().to_string()))
        .configure(|c| {
            // Loading a million sessions starves the beat on two cores; a fence would be the bench's, not the product's.
            (c.fence_after_ms, c.probe_timeout_ms) = (60_000, 60_000);
        })
        .start()
        .await;
    mesh.unwrap_or_else(|e| panic!("{node}: {e}"))
}

async fn linked(mesh: &Mesh, n: usize) {
    mesh.members_until(|m| m.len() == n && m.iter().all(|m| m.linked)).await;
}

fn fill(sessions: &Sessions, n: u64) {
    let created = sessions.create_with_id(id(n), Expiry::sliding(Duration::from_secs(36_000)), |s| {
        KEYS.iter().enumerate().for_each(|(f, key)| s.set_bytes(key, value(n, f, 0)));
        Ok(())
    });
    assert!(created.is_ok(), "session {n}: {created:?}");
}

fn pin(core: usize) {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    if let Some(core) = cores.get(core) {
        core_affinity::set_for_current(*core);
    }
}

/// A cheap sequence of uniform numbers.
fn uniform(state: &mut u64, below: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % below
}

async fn reads() {
    let total = argument("sessions", 1_000_000);
    let mesh = start("reads", &[]).await;
    let sessions = mesh.sessions();
    (0..total).for_each(|n| fill(&sessions, n));
    let spent = std::thread::spawn(move || {
        pin(0);
        let (mut state, mut bytes) = (88_172_645_463_325_252, 0);
        let count = 2_000_000u64;
        let started = Instant::now();
        for _ in 0..count {
            let found = sessions.get(&id(uniform(&mut state, total))).session();
            bytes += found.as_ref().and_then(|s| s.bytes("field_3")).map_or(0, <[u8]>::len);
        }
        assert_eq!(bytes as u64, 128 * count);
        started.elapsed() / count as u32
    });
    println!(
        "reads    get + one field, {total} sessions, one pinned thread: {:?} each",
        spent.join().unwrap_or_default()
    );
}

async fn writes() {
    let (total, count) = (argument("sessions", 1_000_000), argument("writes", 1_000_000));
    let a = start("writer", &[]).await;
    let sessions = a.sessions();
    (0..total).for_each(|n| fill(&sessions, n));
    let b = start("peer", &[&a]).await;
    b.ready().await.unwrap_or_else(|e| panic!("{e}"));
    linked(&a, 2).await;
    println!("writes   peer joined with {} sessions", b.sessions().len());
    let writer = std::thread::spawn({
        let sessions = sessions.clone();
        move || {
            pin(0);
            let mut state = 88_172_645_463_325_252;
            let started = Instant::now();
            let mut last = None;
            for n in 0..count {
                let key = KEYS[(n % 8) as usize];
                let written = sessions.edit(&id(uniform(&mut state, total)), |s| {
                    s.set_bytes(key, value(n, 9, 9));
                    Ok(())
                });
                last = written.ok();
            }
            (started.elapsed(), last)
        }
    });
    let joined = tokio::task::spawn_blocking(move || writer.join()).await;
    let Ok(Ok((spent, Some(last)))) = joined else { panic!("the writer failed") };
    let backlog = a.status().numbers.get("backlog").copied().unwrap_or(0);
    let caught_up = Instant::now();
    let copied = last.copies_within(2, Duration::from_secs(60)).await;
    println!(
        "writes   {count} edits of one 128-byte field, {total} sessions of 8 fields, one pinned thread, one peer: {:.0} per second",
        count as f64 / spent.as_secs_f64()
    );
    println!(
        "writes   at the end {backlog} partitions waited for the peer; the last write was there {:?} later ({copied:?})",
        caught_up.elapsed()
    );
}

async fn latency() {
    let a = start("near", &[]).await;
    let b = start("far", &[&a]).await;
    for mesh in [&a, &b] {
        mesh.ready().await.unwrap_or_else(|e| panic!("{e}"));
        linked(mesh, 2).await;
    }
    let sessions = a.sessions();
    (0..1_000).for_each(|n| fill(&sessions, n));
    let mut acked = Histogram::<u64>::new(3).unwrap_or_else(|e| panic!("{e}"));
    let mut seen = acked.clone();
    let far = b.sessions();
    for n in 0..20_000u64 {
        let (key, stamp) = (id(n % 1_000), n.to_le_bytes());
        let started = Instant::now();
        let receipt = sessions.edit(&key, |s| {
            s.set_bytes("stamp", stamp);
            Ok(())
        });
        let receipt = receipt.unwrap_or_else(|e| panic!("{e}"));
        while far.get(&key).session().is_none_or(|s| s.bytes("stamp") != Some(&stamp)) {
            tokio::task::yield_now().await;
        }
        let there = started.elapsed();
        let copied = receipt.copies_within(2, Duration::from_secs(5)).await;
        assert!(copied.is_ok(), "{copied:?}");
        if n >= 1_000 {
            let _ = seen.record(there.as_micros() as u64);
            let _ = acked.record(started.elapsed().as_micros() as u64);
        }
    }
    for (what, h) in [("visible on the peer", &seen), ("second copy acknowledged", &acked)] {
        println!(
            "latency  one write, {what}: p50 {} us, p99 {} us, max {} us",
            h.value_at_quantile(0.5),
            h.value_at_quantile(0.99),
            h.max()
        );
    }
}

async fn join() {
    let total = argument("sessions", 100_000);
    let a = start("old", &[]).await;
    let sessions = a.sessions();
    (0..total).for_each(|n| fill(&sessions, n));
    let started = Instant::now();
    let b = start("new", &[&a]).await;
    b.ready().await.unwrap_or_else(|e| panic!("{e}"));
    println!(
        "join     {total} sessions of 1 KiB: ready after {:?}, {} held",
        started.elapsed(),
        b.sessions().len()
    );
}

/// UDP payload of both directions for a change of 20 bytes, QUIC's acknowledgements included; the idle mesh's own
/// traffic of the same time is taken off.
async fn bytes() {
    let a = start("changes", &[]).await;
    let b = start("takes", &[&a]).await;
    for mesh in [&a, &b] {
        mesh.ready().await.unwrap_or_else(|e| panic!("{e}"));
        linked(mesh, 2).await;
    }
    let (sessions, far) = (a.sessions(), b.sessions());
    (0..10_000).for_each(|n| fill(&far, n));
    while sessions.len() < 10_000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let read = || a.status().numbers["udp_bytes_sent_total"] + a.status().numbers["udp_bytes_received_total"];
    let quiet = Duration::from_secs(4);
    let mut at = 0u64;
    for (what, batch) in [("nothing", 0u64), ("alone", 1), ("batched with 50", 50)] {
        tokio::time::sleep(Duration::from_millis(600)).await;
        let (before, until, mut changes) = (read(), Instant::now() + quiet, 0);
        while Instant::now() < until {
            for _ in 0..batch {
                at += 7;
                let edited = sessions.edit(&id(at % 10_000), |s| {
                    s.set_bytes("step", value(at, 0, 1)[..20].to_vec());
                    Ok(())
                });
                assert!(edited.is_ok(), "{edited:?}");
                changes += 1;
            }
            tokio::time::sleep(Duration::from_millis(if batch == 50 { 40 } else { 4 })).await;
        }
        tokio::time::sleep(Duration::from_millis(600)).await;
        let spent = read() - before;
        println!(
            "bytes    {what}: {spent} bytes of UDP payload both ways in 5 s, {changes} changes: {:.0} each, idle traffic included",
            spent as f64 / f64::from(changes.max(1))
        );
    }
}

async fn idle() {
    for total in [0, argument("sessions", 10_000)] {
        let first = start("idle-0", &[]).await;
        let sessions = first.sessions();
        (0..total).for_each(|n| fill(&sessions, n));
        let mut meshes = vec![first];
        for n in 1..5 {
            meshes.push(start(&format!("idle-{n}"), &[&meshes[0]]).await);
        }
        for mesh in &meshes {
            mesh.ready().await.unwrap_or_else(|e| panic!("{e}"));
            linked(mesh, 5).await;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let read = |name: &str| meshes.iter().map(|m| m.status().numbers[name]).sum::<u64>() as f64;
        let names = [
            "frame_bytes_sent_total",
            "frames_sent_total",
            "gossip_bytes_sent_total",
            "udp_bytes_sent_total",
        ];
        let before = names.map(read);
        let seconds = 10.0;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let each: Vec<f64> = names.iter().zip(before).map(|(n, b)| (read(n) - b) / seconds / 5.0).collect();
        println!(
            "idle     5 nodes, {total} sessions, per node and second: {:.0} bytes of {:.1} replication frames, {:.0} bytes of board gossip, {:.0} bytes of UDP payload in all",
            each[0], each[1], each[2], each[3]
        );
    }
}

/// What an idle mesh costs on real sockets, and which part is whose: probes, the board's gossip, keep-alives.
async fn members() {
    for n in [argument("few", 16), argument("many", 64)] {
        for (what, link_timeout_ms, gossip_interval_ms) in [
            ("as shipped", 3_000, 1_000),
            ("keep-alives every 10 s", 30_000, 1_000),
            ("the same, gossip every 20 s", 30_000, 20_000),
        ] {
            let tune = |c: &mut Config| {
                (c.link_timeout_ms, c.gossip_interval_ms) = (link_timeout_ms, gossip_interval_ms);
                c.dead_grace_ms = c.dead_grace_ms.max(10 * gossip_interval_ms);
                // Anti-entropy is another figure's.
                c.sync_interval_ms = 60_000;
            };
            idle_members(n as usize, what, &tune).await;
        }
    }
}

async fn idle_members(n: usize, what: &str, tune: &impl Fn(&mut Config)) {
    let builder = |n: usize| Mesh::builder().node(&format!("m{n}")).configure(tune);
    let first = builder(0).start().await.unwrap_or_else(|e| panic!("{e}"));
    let seed = first.addr().to_string();
    let mut meshes = vec![first];
    for at in 1..n {
        meshes.push(builder(at).seeds([&seed]).start().await.unwrap_or_else(|e| panic!("{e}")));
    }
    for mesh in &meshes {
        linked(mesh, n).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let read = |name: &str| meshes.iter().map(|m| m.status().numbers[name]).sum::<u64>() as f64;
    let names = [
        "probe_packets_sent_total",
        "probe_bytes_sent_total",
        "gossip_bytes_sent_total",
        "udp_bytes_sent_total",
    ];
    let before = names.map(read);
    let begun = std::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let all = begun.elapsed().as_secs_f64() * n as f64;
    let each: Vec<f64> = names.iter().zip(before).map(|(name, b)| (read(name) - b) / all).collect();
    println!(
        "members  {n} nodes, {what}: per node and second {:.1} probe packets of {:.0} bytes in all, {:.0} bytes of gossip, {:.0} bytes of UDP payload in all",
        each[0], each[1], each[2], each[3]
    );
    for mesh in meshes {
        drop(mesh);
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|e| panic!("{e}"));
    let names = ["latency", "join", "bytes", "idle", "members", "reads", "writes"];
    let chosen: Vec<String> = std::env::args().filter(|a| names.contains(&a.as_str())).collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|c| c == name);
    runtime.block_on(async {
        if wanted("latency") {
            latency().await;
        }
        if wanted("join") {
            join().await;
        }
        if wanted("bytes") {
            bytes().await;
        }
        if wanted("idle") {
            idle().await;
        }
        if wanted("members") {
            members().await;
        }
        if wanted("reads") {
            reads().await;
        }
        if wanted("writes") {
            writes().await;
        }
    });
}
