//! One of the core's hottest operations, so many times: what `cargo xtask instructions` counts the instructions of.
//!
//! `instructions OPERATION COUNT ROOM`: what is set up depends on ROOM alone, so that two runs that differ in COUNT differ
//! by the operations, and by nothing else. Every seed is fixed, time stands still meanwhile.

mod pair;

use std::hint::black_box;
use std::process::ExitCode;

use pair::{Pair, fields, id, linked_to, set};
use sessionmesh_core::causality::Origin;
use sessionmesh_core::membership::message::{Message, Packet, Pulse, Rumour, encode};
use sessionmesh_core::membership::{Config, Detector, Input, Listed};
use sessionmesh_core::node;
use sessionmesh_core::replica::Lookup;

/// Sessions of a node.
const SESSIONS: u64 = 4_096;
/// Sessions of a page: what a partition has of a million, 256 partitions deep, would be many pages.
const PAGE_SESSIONS: u64 = 64;
/// Members of the mesh whose detectors speak.
const MEMBERS: u128 = 50;

/// Reads one field of a session, as a request does.
fn get(count: u64, _room: u64) {
    let pair = Pair::new(256, SESSIONS);
    let now = pair.now;
    for n in 0..count {
        let Lookup::Found(view) = pair.store.lookup(id(n * 7 % SESSIONS), || now) else {
            panic!("session {n} is not shown")
        };
        black_box(view.packed().field("field_3").map(<[u8]>::len));
    }
    std::mem::forget(pair);
}

/// Writes one field of a session.
fn edit(count: u64, _room: u64) {
    let pair = Pair::new(256, SESSIONS);
    for n in 0..count {
        let value = n.to_le_bytes().repeat(16);
        let written = pair.store.edit(id(n * 7 % SESSIONS), pair.now, &set("field_3", &value));
        black_box(written.unwrap_or_else(|e| panic!("edit {n}: {e}")));
    }
    std::mem::forget(pair);
}

/// Takes in a page with one field of each of its sessions, which are all here, another field edited meanwhile.
fn page(count: u64, room: u64) {
    let mut pair = Pair::new(1, PAGE_SESSIONS);
    let whole = pair.pages();
    pair.edit_all("field_3");
    let edits = pair.pages();
    let from = pair.a.origin();
    let mut takers: Vec<_> = (0..room).map(|n| linked_to(from, 1, n, pair.now)).collect();
    for (taker, store) in &mut takers {
        whole.iter().for_each(|bytes| taker.handle(pair.now, node::Input::Frame { peer: from, bytes }));
        for n in 0..PAGE_SESSIONS {
            let written = store.edit(id(n), pair.now, &set("field_5", b"meanwhile"));
            written.unwrap_or_else(|e| panic!("edit {n}: {e}"));
        }
    }
    for (taker, _) in takers.iter_mut().take(count as usize) {
        edits.iter().for_each(|bytes| taker.handle(pair.now, node::Input::Frame { peer: from, bytes }));
        while let Some(output) = taker.poll_output() {
            black_box(output);
        }
    }
    let merged = |n: u64| {
        let Lookup::Found(view) = takers[0].1.lookup(id(n), || pair.now) else { return false };
        let (theirs, ours) = (view.packed().field("field_3"), view.packed().field("field_5"));
        theirs == Some(fields::EDITED) && ours == Some(b"meanwhile")
    };
    assert!(count == 0 || (0..PAGE_SESSIONS).all(merged), "the page was not taken in");
    std::mem::forget((pair, takers));
}

/// Answers a peer's digest, which is equal.
fn digest(count: u64, _room: u64) {
    let mut pair = Pair::new(256, SESSIONS);
    let asked = pair.digest();
    let peer = pair.b.origin();
    let before = pair.a.stats().sent_frames;
    for _ in 0..count {
        pair.a.handle(pair.now, node::Input::Frame { peer, bytes: &asked });
        while let Some(output) = pair.a.poll_output() {
            black_box(output);
        }
    }
    assert_eq!(pair.a.stats().sent_frames - before, count, "one answer a digest");
    std::mem::forget(pair);
}

/// Answers a ping that carries a piece of news.
fn swim(count: u64, room: u64) {
    let members: Vec<Origin> = (1..=MEMBERS).map(|n| Origin(n << 64)).collect();
    let mut detector = Detector::new(Origin(9), Config::default(), [7; 32], 0);
    let listed: Vec<Listed> =
        members.iter().map(|&origin| Listed { origin, alive: true, left: false }).collect();
    let mut handle = |input| detector.handle(100, input).unwrap_or_else(|e| panic!("{e}"));
    handle(Input::Board(&listed));
    members.iter().for_each(|&member| handle(Input::LinkUp(member)));
    let ping = |n: u64| {
        let pulse = Pulse { incarnation: 0, beat_ms: n };
        let rumours = vec![Rumour::Alive { subject: members[(n as usize + 1) % members.len()], pulse }];
        encode(&Packet { pulse, message: Message::Ping { seq: n as u16, rumours } })
    };
    let packets: Vec<Vec<u8>> = (0..room).map(ping).collect();
    while let Some(output) = detector.poll() {
        black_box(output);
    }
    let before = detector.stats().sent_packets;
    for (n, bytes) in packets.iter().take(count as usize).enumerate() {
        let from = members[n % members.len()];
        let taken = detector.handle(100, Input::Packet { from, reliable: false, bytes });
        taken.unwrap_or_else(|e| panic!("ping {n}: {e}"));
        while let Some(output) = detector.poll() {
            black_box(output);
        }
    }
    assert!(detector.stats().sent_packets - before >= count, "an answer a ping");
    std::mem::forget((detector, packets));
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args.get(at).and_then(|arg| arg.parse::<u64>().ok());
    let operation: Option<fn(u64, u64)> = match args.first().map(String::as_str) {
        Some("edit") => Some(edit),
        Some("get") => Some(get),
        Some("page") => Some(page),
        Some("digest") => Some(digest),
        Some("swim") => Some(swim),
        _ => None,
    };
    let (Some(operation), Some(count), Some(room)) = (operation, number(1), number(2)) else {
        eprintln!("instructions edit|get|page|digest|swim COUNT ROOM");
        return ExitCode::from(2);
    };
    if count > room {
        eprintln!("COUNT is {count}, ROOM {room}: no more operations than there is room for");
        return ExitCode::from(2);
    }
    operation(count, room);
    ExitCode::SUCCESS
}
