//! The event log a real node writes (`docs/TRACE.md`), told in the words of a simulated run's trace: one lane for
//! the node, one for every peer life it meets. What a node cannot know, such as when a frame it sent arrives, stays
//! unsaid: its messages have the fate `sent` or `received` and the page draws them as stubs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::data::{Data, Message, Num};
use super::{MAX_LANES, plain};
use crate::trace::kind_word;

/// Reads a node's log.
pub(super) struct NodeLog {
    pub data: Data,
    /// Lanes of peer lives; the node itself is lane 0.
    peers: BTreeMap<String, usize>,
    lanes: Vec<String>,
    lives: Vec<String>,
    dead: BTreeSet<usize>,
    alive: BTreeSet<usize>,
    /// The monotonic time of the first line: the page counts from there.
    start: Option<u64>,
}

#[derive(Deserialize)]
struct Head {
    node: String,
}

/// Any line but the first; which fields there must be depends on its kind.
#[derive(Deserialize)]
struct Line {
    mono_ms: Num,
    wall_ms: Num,
    r#in: Option<String>,
    out: Option<String>,
    dropped: Option<Num>,
    peer: Option<String>,
    peers: Option<Vec<String>>,
    version: Option<u64>,
    kind: Option<usize>,
    bytes: Option<Num>,
    session: Option<String>,
    event: Option<String>,
    keys: Option<Vec<String>>,
    key: Option<String>,
    kept: Option<Side>,
    lost: Option<Side>,
    partition: Option<u64>,
    lo: Option<u64>,
    hi: Option<u64>,
    found: Option<bool>,
    left: Option<u64>,
    why: Option<String>,
    r#as: Option<String>,
    origin: Option<String>,
    text: Option<String>,
}

/// One side of a conflict.
#[derive(Deserialize)]
struct Side {
    origin: String,
    value: Option<String>,
}

/// A field its kind of line must have.
fn need<'a, T>(field: &'a Option<T>, name: &str) -> Result<&'a T, String> {
    field.as_ref().ok_or_else(|| format!("missing field `{name}`"))
}

/// A life's first digits, as people compare them.
fn short(life: &str) -> &str {
    life.get(..8).unwrap_or(life)
}

impl NodeLog {
    /// Reads the first line.
    pub fn new(text: &str) -> Result<Self, String> {
        let head: Head = serde_json::from_str(text).map_err(|e| plain(&e))?;
        let mut log = Self {
            data: Data::new("node"),
            peers: BTreeMap::new(),
            lanes: vec![head.node.clone()],
            lives: vec![String::new()],
            dead: BTreeSet::new(),
            alive: BTreeSet::new(),
            start: None,
        };
        log.data.head.insert("name".into(), head.node.into());
        log.name_lanes();
        Ok(log)
    }

    fn name_lanes(&mut self) {
        self.data.head.insert("nodes".into(), json!(self.lanes));
        self.data.head.insert("lives".into(), json!(self.lives));
    }

    /// The lane of a peer's life.
    fn lane(&mut self, life: &str) -> Result<usize, String> {
        if let Some(&lane) = self.peers.get(life) {
            return Ok(lane);
        }
        let lane = self.lanes.len();
        if lane >= MAX_LANES {
            return Err(format!("more than {MAX_LANES} peer lives"));
        }
        if life.len() != 32 || !life.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("`{life:.40}` is not a life's 32 hex digits"));
        }
        self.peers.insert(life.to_string(), lane);
        self.lanes.push(short(life).to_string());
        self.lives.push(life.to_string());
        self.name_lanes();
        Ok(lane)
    }

    fn peer(&mut self, line: &Line) -> Result<usize, String> {
        self.lane(need(&line.peer, "peer")?)
    }

    /// Reads any other line.
    pub fn line(&mut self, text: &str, n: u64) -> Result<(), String> {
        let line: Line = serde_json::from_str(text).map_err(|e| plain(&e))?;
        let start = *self.start.get_or_insert(line.mono_ms.0);
        if !self.data.head.contains_key("epoch_ms") {
            self.data.head.insert("epoch_ms".into(), json!(line.wall_ms));
        }
        let t = line.mono_ms.0.saturating_sub(start);
        if let Some(lost) = line.dropped {
            let text = format!("{} lines of the log are missing before this one", lost.0);
            self.data.line(t, n, &json!({"k": "warn", "node": 0, "text": text}))?;
        }
        match (line.r#in.as_deref(), line.out.as_deref()) {
            (Some(kind), None) => self.input(t, n, kind, &line),
            (None, Some(kind)) => self.output(t, n, kind, &line),
            _ => Err("exactly one of `in` and `out` must be there".into()),
        }
    }

    fn input(&mut self, t: u64, n: u64, kind: &str, line: &Line) -> Result<(), String> {
        let body = match kind {
            "link_up" => {
                let peer = self.peer(line)?;
                let text = format!("wire version {}", need(&line.version, "version")?);
                json!({"k": "link", "node": 0, "peer": peer, "up": true, "text": text})
            }
            "link_down" => json!({"k": "link", "node": 0, "peer": self.peer(line)?, "up": false}),
            "frame" => return self.frame(t, n, line, false),
            "news" => {
                json!({"k": "op", "id": n, "node": 0, "op": "write", "ok": true, "note": "local writes"})
            }
            "members" => {
                let lives = need(&line.peers, "peers")?;
                let lanes = lives.iter().map(|life| self.lane(life)).collect::<Result<_, _>>()?;
                self.members(lanes)
            }
            "gone" => {
                let peer = self.peer(line)?;
                self.note(t, n, &format!("the life {} is over for good", self.lives[peer]))?;
                let rest = self.alive.iter().copied().filter(|&lane| lane != peer).collect();
                self.dead.insert(peer);
                self.members(rest)
            }
            "ask" => {
                let session = need(&line.session, "session")?;
                json!({"k": "note", "node": 0, "session": session, "text": "read-through of a session missing here"})
            }
            "watched" => return self.note(t, n, "watched from here on"),
            "clone" => return self.note(t, n, "a clone of this node was met"),
            other => {
                self.data.ignore(other);
                return Ok(());
            }
        };
        self.data.line(t, n, &body)
    }

    fn output(&mut self, t: u64, n: u64, kind: &str, line: &Line) -> Result<(), String> {
        let body = match kind {
            "send" => return self.frame(t, n, line, true),
            "event" => event(line)?,
            "adopted" => {
                let peer = self.peer(line)?;
                let (lo, hi) = (need(&line.lo, "lo")?, need(&line.hi, "hi")?);
                let text = format!(
                    "writes {lo} to {hi} in partition {} adopted",
                    need(&line.partition, "partition")?
                );
                json!({"k": "note", "node": 0, "peer": peer, "text": text})
            }
            "asked" => {
                let found = if *need(&line.found, "found")? { "found" } else { "not found" };
                return self.note(t, n, &format!("asked: {found}, {} to answer", need(&line.left, "left")?));
            }
            "close_link" => {
                let peer = self.peer(line)?;
                json!({"k": "link", "node": 0, "peer": peer, "up": false, "text": need(&line.why, "why")?})
            }
            "serving" => {
                let serving = need(&line.r#as, "as")?.to_lowercase();
                json!({"k": "serving", "node": 0, "as": serving, "why": line.why})
            }
            "new_life" => {
                json!({"k": "start", "node": 0, "life": need(&line.origin, "origin")?, "why": "new life"})
            }
            "warn" => json!({"k": "warn", "node": 0, "text": need(&line.text, "text")?}),
            other => {
                self.data.ignore(other);
                return Ok(());
            }
        };
        self.data.line(t, n, &body)
    }

    fn note(&mut self, t: u64, n: u64, text: &str) -> Result<(), String> {
        self.data.line(t, n, &json!({"k": "note", "node": 0, "text": text}))
    }

    fn members(&mut self, alive: BTreeSet<usize>) -> Value {
        self.dead.extend(self.alive.difference(&alive));
        self.dead.retain(|lane| !alive.contains(lane));
        self.alive = alive;
        let alive: Vec<usize> = std::iter::once(0).chain(self.alive.iter().copied()).collect();
        json!({"k": "members", "node": 0, "alive": alive, "dead": self.dead})
    }

    fn frame(&mut self, t: u64, n: u64, line: &Line, sent: bool) -> Result<(), String> {
        let peer = self.peer(line)?;
        let number = *need(&line.kind, "kind")?;
        let other = format!("kind {number}");
        let word = match number {
            // Gossip is not in a node's log: a frame without a kind is.
            0 => Some("unknown"),
            _ => u8::try_from(number).ok().and_then(kind_word),
        };
        let arrive = [Num(t)];
        let row = Message {
            t,
            id: n,
            from: if sent { 0 } else { peer },
            to: if sent { peer } else { 0 },
            kind: word.unwrap_or(&other),
            fate: if sent { "sent" } else { "received" },
            bytes: need(&line.bytes, "bytes")?.0,
            cause: None,
            arrive: if sent { &[] } else { &arrive },
        };
        self.data.message(&row, n)
    }
}

/// An event's line. Conflicts say who wrote what; values are hashes already.
fn event(line: &Line) -> Result<Value, String> {
    let kind = need(&line.event, "event")?;
    let text = match kind.as_str() {
        "changed" => need(&line.keys, "keys")?.join(" "),
        "conflict" => {
            let side = |side: &Side| {
                format!("{} of {}", side.value.as_deref().unwrap_or("removal"), short(&side.origin))
            };
            let (kept, lost) = (need(&line.kept, "kept")?, need(&line.lost, "lost")?);
            format!("{}: kept {}, lost {}", need(&line.key, "key")?, side(kept), side(lost))
        }
        _ => String::new(),
    };
    let session = need(&line.session, "session")?;
    Ok(json!({"k": "event", "node": 0, "event": kind, "session": session, "text": text}))
}
