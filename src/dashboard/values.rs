//! Writes and values as answers show them. A value's content appears only if it is permitted and was asked for.

use serde_json::{Value, json};

use super::answer::life;
use super::board::{Event, Met};
use super::limits::{DIFFERING, SHOWN_HEX_BYTES, SHOWN_JSON_BYTES};
use crate::core::causality::Origin;
use crate::core::replica::{Dumped, DumpedLive, Stamp};
use crate::core::session::{ENDS_KEY, SessionId, end_in, is_reserved, reserved_word};
use crate::core::time::Hlc;
use crate::mesh::observe::Gathered;

/// What is needed to show a session: names of lives, of sessions, and whether values are shown.
pub(super) struct Showing<'a> {
    pub seen: &'a Gathered,
    pub log_key: u64,
    pub values: bool,
}

/// A session's short hash, as in the logs, without the `#`.
pub(super) fn hash(id: SessionId, log_key: u64) -> String {
    format!("{:08x}", id.log_hash(log_key).0)
}

impl Showing<'_> {
    /// A write's version.
    pub(super) fn stamp(&self, origin: Origin, hlc: Hlc, counter: u64) -> Value {
        json!({
            "node": self.seen.name_of(origin),
            "origin": life(origin.0),
            "counter": counter,
            "at_ms": hlc.ms(),
            "logical": hlc.logical(),
        })
    }

    fn spelled(&self, (hlc, origin, counter): &Stamp) -> Value {
        let origin = u128::from_str_radix(origin, 16).unwrap_or_default();
        self.stamp(Origin(origin), Hlc(*hlc), *counter)
    }

    /// A value; its content only if it is shown.
    pub(super) fn value(&self, bytes: &[u8]) -> Value {
        let mut out = json!({ "bytes": bytes.len(), "shown": self.values, "hex": null, "cut": false });
        if !self.values {
            return out;
        }
        let decoded = (bytes.len() <= SHOWN_JSON_BYTES).then(|| decode(bytes)).flatten();
        match decoded {
            Some(json) => out["json"] = json,
            None => {
                let head = bytes.get(..SHOWN_HEX_BYTES).unwrap_or(bytes);
                out["hex"] = head.iter().map(|b| format!("{b:02x}")).collect::<String>().into();
                out["cut"] = (head.len() < bytes.len()).into();
            }
        }
        out
    }

    fn side(&self, (origin, hlc, value): &(Origin, Hlc, Option<Vec<u8>>)) -> Value {
        json!({
            "stamp": self.stamp(*origin, *hlc, 0),
            "removed": value.is_none(),
            "value": value.as_ref().map(|bytes| self.value(bytes)),
        })
    }

    /// A conflict.
    pub(super) fn conflict(&self, (seq, met): &(u64, Met)) -> Value {
        let conflict = &met.conflict;
        json!({
            "seq": seq,
            "at_ms": met.at_ms,
            "session": hash(conflict.id, self.log_key),
            "field": conflict.key,
            "kept": self.side(&conflict.kept),
            "lost": self.side(&conflict.lost),
        })
    }

    /// A session as one node holds it, with what its fields beat here.
    pub(super) fn session(&self, copy: &Dumped, beaten: &[(u64, Met)]) -> Value {
        let at = |(at_ms, stamp): &(u64, Stamp)| json!({ "at_ms": at_ms, "stamp": self.spelled(stamp) });
        let live = copy.live.as_ref();
        json!({
            "state": state(copy, self.seen.wall_ms),
            "hard_at_ms": copy.hard_ms,
            "expires_at_ms": live.map(|live| deadline_ms(live, copy.hard_ms)),
            "created": live.map(|live| at(&live.birth)),
            "touched": live.map(|live| at(&live.touch)),
            "ttl": live.map(|live| json!({
                "sliding": live.ttl.0,
                "ttl_ms": live.ttl.1,
                "stamp": self.spelled(&live.ttl.2),
            })),
            "ended": copy.destroyed.as_ref().map(|stamp| self.spelled(stamp)),
            "fields": live.map(|live| self.fields(live, beaten)).unwrap_or_default(),
        })
    }

    /// Reserved fields are told of by what they are, and their contents to nobody: they name principals and sessions.
    fn fields(&self, live: &DumpedLive, beaten: &[(u64, Met)]) -> Vec<Value> {
        let hiding = Showing { values: false, ..*self };
        let one = |(name, (value, stamp)): (&String, &(Option<String>, Stamp))| {
            let beat = beaten.iter().filter(|(_, met)| met.conflict.key == *name).map(|(_, met)| {
                let mut side = self.side(&met.conflict.lost);
                side["at_ms"] = met.at_ms.into();
                side
            });
            let beat: Vec<Value> = beat.collect();
            let showing = if is_reserved(name) { &hiding } else { self };
            json!({
                "name": told(name),
                "removed": value.is_none(),
                "value": value.as_ref().map(|hex| showing.value(&unhex(hex))),
                "stamp": self.spelled(stamp),
                "beat_note": if beat.is_empty() { "not kept" } else { "kept here" },
                "beat": beat,
            })
        };
        live.fields.iter().map(one).collect()
    }
}

/// What a field is called in answers.
fn told(key: &str) -> String {
    if is_reserved(key) { reserved_word(key).into() } else { key.to_owned() }
}

/// An event.
pub(super) fn event((seq, event): &(u64, Event)) -> Value {
    json!({
        "seq": seq,
        "at_ms": event.at_ms,
        "kind": event.kind,
        "severity": event.severity,
        "node": event.node,
        "text": event.text,
    })
}

/// The state a list names.
pub(super) fn state(copy: &Dumped, wall_ms: u64) -> &'static str {
    match &copy.live {
        None => "ended",
        Some(live) if deadline_ms(live, copy.hard_ms) <= wall_ms => "expired",
        Some(_) => "live",
    }
}

/// As `core::session::deadline_ms`, from the spelled-out form.
fn deadline_ms(live: &DumpedLive, hard_ms: u64) -> u64 {
    let soft = if live.ttl.0 { live.touch.0.saturating_add(live.ttl.1) } else { live.ttl.1 };
    let end = live.fields.get(ENDS_KEY).and_then(|(hex, _)| hex.as_deref()).map(unhex);
    soft.min(hard_ms).min(end_in(end.as_deref()))
}

/// The components in which two copies differ; empty if they are the same.
pub(super) fn differing(ours: &Dumped, theirs: &Dumped) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    if ours.destroyed != theirs.destroyed {
        out.push("ended".into());
    }
    if let (Some(a), Some(b)) = (&ours.live, &theirs.live) {
        let parts =
            [("created", a.birth == b.birth), ("touched", a.touch == b.touch), ("ttl", a.ttl == b.ttl)];
        out.extend(parts.iter().filter(|(_, same)| !same).map(|(name, _)| (*name).to_owned()));
        let names = a.fields.keys().chain(b.fields.keys().filter(|name| !a.fields.contains_key(*name)));
        out.extend(names.filter(|name| a.fields.get(*name) != b.fields.get(*name)).map(|name| told(name)));
    }
    out.truncate(DIFFERING);
    out
}

fn decode(bytes: &[u8]) -> Option<Value> {
    crate::mesh::value::decode(bytes).ok().map(|crate::mesh::AsJson(value)| value)
}

fn unhex(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks_exact(2).filter_map(|pair| std::str::from_utf8(pair).ok());
    pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_comes_back() {
        assert_eq!(unhex("00ff7f"), [0, 255, 127]);
    }
}
