//! Rates: of this node, and per peer.

use serde_json::{Value, json};

use super::{Past, others};
use crate::dashboard::board::Reading;
use crate::dashboard::limits::MEMBERS;
use crate::mesh::observe::{Flow, Gathered, MemberView};

/// The counters read now. Their order is the one of [`COUNTERS`].
pub(in crate::dashboard) fn reading(seen: &Gathered) -> Reading {
    let numbers = &seen.numbers;
    Reading {
        mono_ms: seen.mono_ms,
        counters: [
            numbers.network.udp_sent_bytes,
            numbers.network.udp_received_bytes,
            numbers.node.sent_bytes,
            numbers.discovery.bytes_sent,
            numbers.network.datagram_bytes_sent,
            numbers.node.pushes,
            numbers.node.pages,
            numbers.members.probes,
        ],
        flows: seen.observed.as_ref().map(|o| o.flows.clone()).unwrap_or_default(),
    }
}

/// What the counters of a reading are called as rates.
const COUNTERS: [&str; 8] = [
    "udp_sent_bytes_per_s",
    "udp_received_bytes_per_s",
    "frames_sent_bytes_per_s",
    "gossip_sent_bytes_per_s",
    "probe_sent_bytes_per_s",
    "pushes_per_s",
    "pages_per_s",
    "probes_per_s",
];

/// A rate to a tenth: what is finer only keeps streams busy.
fn rate(from: u64, to: u64, window_ms: u64) -> f64 {
    if window_ms == 0 {
        return 0.0;
    }
    (to.saturating_sub(from) as f64 * 10_000.0 / window_ms as f64).round() / 10.0
}

/// The part.
pub(super) fn body(seen: &Gathered, past: &Past) -> Value {
    let (first, last) = (past.readings.first(), past.readings.last());
    let window_ms = first.zip(last).map_or(0, |(a, b)| b.mono_ms - a.mono_ms);
    let mut body = json!({ "window_ms": window_ms, "redundant_ratio": redundant(seen) });
    for (at, name) in COUNTERS.iter().enumerate() {
        body[*name] =
            first.zip(last).map_or(0.0, |(a, b)| rate(a.counters[at], b.counters[at], window_ms)).into();
    }
    let peers = others(seen).take(MEMBERS).map(|m| {
        let flow = |reading: Option<&Reading>| reading.and_then(|r| r.flows.get(&m.origin)).copied();
        // Without a first reading of its own a peer has begun within the window.
        peer(m, flow(first).unwrap_or_default(), flow(last).unwrap_or_default(), window_ms)
    });
    body["peers"] = peers.collect::<Vec<Value>>().into();
    body
}

/// Of the entries received, the part that changed nothing, to a thousandth.
fn redundant(seen: &Gathered) -> Option<f64> {
    let counts = seen.counts;
    (counts.entries > 0)
        .then(|| (counts.redundant as f64 / counts.entries as f64 * 1_000.0).round() / 1_000.0)
}

fn peer(m: &MemberView, from: Flow, to: Flow, window_ms: u64) -> Value {
    json!({
        "node": m.node,
        "linked": m.linked,
        "sent_frames_per_s": rate(from.sent_frames, to.sent_frames, window_ms),
        "sent_bytes_per_s": rate(from.sent_bytes, to.sent_bytes, window_ms),
        "received_frames_per_s": rate(from.received_frames, to.received_frames, window_ms),
        "received_bytes_per_s": rate(from.received_bytes, to.received_bytes, window_ms),
        "sent_bytes_total": to.sent_bytes,
        "received_bytes_total": to.received_bytes,
    })
}
