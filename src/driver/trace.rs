//! `--trace FILE`: inputs and outputs of the core as JSON lines, ids and values hashed. Format: `docs/TRACE.md`.
//!
//! Lines go through a bounded channel to a thread of their own; when the disk is slower than the node, lines are
//! dropped and counted, and the next line that fits says how many. A full disk stops the trace, never the node.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::core::causality::Origin;
use crate::core::frame::kind_byte;
use crate::core::membership::{Change, Listed};
use crate::core::node::{Input, Output};
use crate::core::replica::Happened;
use crate::core::session::SessionId;
use crate::core::time::Now;
use crate::limits::MAX_QUEUED_TRACE_LINES;

/// The version every trace's first line names.
pub(crate) const TRACE_VERSION: u32 = 1;
/// Writes trace lines.
pub(crate) struct Tracer {
    lines: mpsc::SyncSender<String>,
    dropped: AtomicU64,
}

impl Tracer {
    /// Starts writing to `out`.
    pub fn new(node: &str, out: impl Write + Send + 'static) -> Self {
        let (lines, receiver) = mpsc::sync_channel::<String>(MAX_QUEUED_TRACE_LINES);
        let head = format!("{{\"trace\":{TRACE_VERSION},\"node\":{}}}", quoted(node));
        std::thread::spawn(move || write_lines(head, &receiver, out));
        Self { lines, dropped: AtomicU64::new(0) }
    }

    fn line(&self, now: Now, body: &str) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let lost = if dropped > 0 { format!(",\"dropped\":{dropped}") } else { String::new() };
        let line = format!("{{\"mono_ms\":{},\"wall_ms\":{},{body}{lost}}}", now.mono_ms, now.wall_ms);
        if self.lines.try_send(line).is_err() {
            self.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
        }
    }

    /// Records what came in.
    pub fn input(&self, now: Now, input: &Input<'_>, key: u64) {
        let body = match input {
            Input::LinkUp { peer, version } => {
                format!("\"in\":\"link_up\",\"peer\":\"{:032x}\",\"version\":{version}", peer.0)
            }
            Input::LinkDown { peer } => format!("\"in\":\"link_down\",\"peer\":\"{:032x}\"", peer.0),
            Input::Frame { peer, bytes } => format!(
                "\"in\":\"frame\",\"peer\":\"{:032x}\",\"kind\":{},\"bytes\":{}",
                peer.0,
                kind_byte(bytes),
                bytes.len()
            ),
            Input::News => "\"in\":\"news\"".into(),
            // Ticks carry nothing and would be most of the file.
            Input::Tick => return,
            // As ticks: several a second, and what they bring about is told.
            Input::Datagram { .. } => return,
            Input::Board(listed) => format!("\"in\":\"members\",\"peers\":[{}]", origins(listed)),
            Input::Fact { of, key, value } => format!(
                "\"in\":\"fact\",\"peer\":\"{:032x}\",\"key\":{},\"value\":{}",
                of.0,
                quoted(key),
                quoted(value)
            ),
            Input::Full { peer } => format!("\"in\":\"full\",\"peer\":\"{:032x}\"", peer.0),
            Input::Overflow => "\"in\":\"overflow\"".into(),
            Input::Leaving => "\"in\":\"leaving\"".into(),
            Input::Gone(origin) => format!("\"in\":\"gone\",\"peer\":\"{:032x}\"", origin.0),
            Input::Forget(origin) => format!("\"in\":\"forget\",\"peer\":\"{:032x}\"", origin.0),
            Input::CalledGone { by } => format!("\"in\":\"called_gone\",\"peer\":\"{:032x}\"", by.0),
            Input::Ask { id, .. } => format!("\"in\":\"ask\",\"session\":{}", session(*id, key)),
            Input::Inspect { id, .. } => format!("\"in\":\"inspect\",\"session\":{}", session(*id, key)),
            Input::InspectOver { .. } => return,
            Input::Hold(why) => format!("\"in\":\"hold\",\"why\":{}", quoted(why.unwrap_or_default())),
            Input::SeedsMoved => "\"in\":\"seeds_moved\"".into(),
            Input::Watched => "\"in\":\"watched\"".into(),
            Input::Refused { why } => format!("\"in\":\"refused\",\"why\":{}", quoted(why)),
            Input::Clock { peer, wall_ms, sound } => format!(
                "\"in\":\"clock\",\"peer\":\"{:032x}\",\"said_ms\":{wall_ms},\"sound\":{sound}",
                peer.0
            ),
            Input::Clone => "\"in\":\"clone\"".into(),
        };
        self.line(now, &body);
    }

    /// Records what went out.
    pub fn output(&self, now: Now, output: &Output, key: u64) {
        let body = match output {
            Output::Send { peer, frame, .. } => format!(
                "\"out\":\"send\",\"peer\":\"{:032x}\",\"kind\":{},\"bytes\":{}",
                peer.0,
                kind_byte(frame),
                frame.len()
            ),
            Output::Datagram { .. } => return,
            Output::Member(Change { member, state, incarnation, why }) => format!(
                "\"out\":\"member\",\"peer\":\"{:032x}\",\"state\":\"{}\",\"incarnation\":{incarnation},\"why\":{}",
                member.0,
                state.word(),
                quoted(&why.to_string())
            ),
            Output::Publish { key, value } => {
                format!("\"out\":\"publish\",\"key\":\"{key}\",\"value\":{}", quoted(value))
            }
            Output::Event(event) => format!("\"out\":\"event\",{}", happened(event, key)),
            Output::Adopted { peer, partition, lo, hi } => format!(
                "\"out\":\"adopted\",\"peer\":\"{:032x}\",\"partition\":{partition},\"lo\":{lo},\"hi\":{hi}",
                peer.0
            ),
            Output::Covers { peer, shown } => {
                format!("\"out\":\"covers\",\"peer\":\"{:032x}\",\"partitions\":{}", peer.0, shown.len())
            }
            Output::Asked { found, left, .. } => {
                format!("\"out\":\"asked\",\"found\":{found},\"left\":{left}")
            }
            Output::Inspected { peer, copy, .. } => {
                format!("\"out\":\"inspected\",\"peer\":\"{:032x}\",\"found\":{}", peer.0, copy.is_some())
            }
            Output::CloseLink { peer, why } => {
                format!("\"out\":\"close_link\",\"peer\":\"{:032x}\",\"why\":{}", peer.0, quoted(why))
            }
            Output::Fault { peer, gravity, why } => format!(
                "\"out\":\"fault\",\"peer\":\"{:032x}\",\"gravity\":\"{gravity:?}\",\"why\":{}",
                peer.0,
                quoted(why)
            ),
            Output::Serving(serving, why) => {
                format!("\"out\":\"serving\",\"as\":\"{serving:?}\",\"why\":{}", quoted(why))
            }
            Output::NewLife(origin) => format!("\"out\":\"new_life\",\"origin\":\"{:032x}\"", origin.0),
            Output::Forgotten { life, by } => {
                let by = by.map_or("null".into(), |by| format!("\"{:032x}\"", by.0));
                format!("\"out\":\"forgotten\",\"peer\":\"{:032x}\",\"by\":{by}", life.0)
            }
            Output::Warn(text) => format!("\"out\":\"warn\",\"text\":{}", quoted(text)),
        };
        self.line(now, &body);
    }
}

fn write_lines(head: String, lines: &mpsc::Receiver<String>, mut out: impl Write) {
    let first = std::iter::once(head);
    for line in first.chain(lines.iter()) {
        if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
            tracing::error!("the trace stops: {error}");
            // Keep emptying the queue: a dead trace must not look like a slow disk for ever.
            lines.iter().for_each(drop);
            return;
        }
    }
}

/// Text as JSON has it: `{:?}` spells control characters in Rust's own way.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

/// The live ones of a board.
fn origins(listed: &[Listed]) -> String {
    let alive = listed.iter().filter(|l| l.alive && !l.left);
    alive.map(|l| format!("\"{:032x}\"", l.origin.0)).collect::<Vec<_>>().join(",")
}

fn session(id: SessionId, key: u64) -> String {
    format!("\"{}\"", id.log_hash(key))
}

fn value(value: Option<&[u8]>, key: u64) -> String {
    value.map_or("null".into(), |v| format!("\"{:016x}\"", xxh3_64_with_seed(v, key)))
}

fn happened(event: &Happened, key: u64) -> String {
    match event {
        Happened::Created(id) => format!("\"event\":\"created\",\"session\":{}", session(*id, key)),
        Happened::Changed(id, keys) => {
            let keys: Vec<String> = keys.iter().map(|k| quoted(k)).collect();
            let keys = keys.join(",");
            format!("\"event\":\"changed\",\"session\":{},\"keys\":[{keys}]", session(*id, key))
        }
        Happened::Destroyed(id) => format!("\"event\":\"destroyed\",\"session\":{}", session(*id, key)),
        Happened::Expired(id) => format!("\"event\":\"expired\",\"session\":{}", session(*id, key)),
        Happened::Returned(id) => format!("\"event\":\"returned\",\"session\":{}", session(*id, key)),
        Happened::Conflict(c) => {
            let side = |(origin, hlc, v): &(Origin, crate::core::time::Hlc, Option<Vec<u8>>)| {
                format!(
                    "{{\"origin\":\"{:032x}\",\"hlc\":{},\"value\":{}}}",
                    origin.0,
                    hlc.0,
                    value(v.as_deref(), key)
                )
            };
            let (kept, lost) = (side(&c.kept), side(&c.lost));
            format!(
                "\"event\":\"conflict\",\"session\":{},\"key\":{},\"kept\":{kept},\"lost\":{lost}",
                session(c.id, key),
                quoted(&c.key)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_as_json_has_it() {
        assert_eq!(quoted("a \"b\" \\ \u{1b}\n ü"), "\"a \\\"b\\\" \\\\ \\u001b\\u000a ü\"");
    }
}
