//! A simulated run's trace, stepped through in time: what each node sees at a moment, and what has happened until then.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::BufRead;

use serde::Deserialize;
use serde_json::Value;

/// Lines a trace may have, as for the viewer.
const MAX_LINES: usize = 2_000_000;
/// Events kept.
const EVENTS: usize = 1_000;
/// Traffic is averaged over this long (virtual ms).
pub(super) const WINDOW_MS: u64 = 5_000;

/// What the first line says.
#[derive(Clone, Debug, Deserialize)]
pub struct Head {
    /// The run's name.
    pub name: String,
    /// Its nodes, by name.
    pub nodes: Vec<String>,
    /// Virtual time zero (ms since the Unix epoch).
    pub epoch_ms: u64,
    /// Partitions of the key space.
    pub partitions: u16,
}

/// One node as the trace tells it.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub up: bool,
    pub life: String,
    pub serving: String,
    pub why: String,
    /// Who else it sees alive or dead, and since when (virtual ms).
    pub sees: BTreeMap<usize, (bool, u64)>,
    pub links: BTreeSet<usize>,
}

/// Something that happened at a node.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub t: u64,
    pub at: Option<usize>,
    pub kind: &'static str,
    pub severity: &'static str,
    pub text: String,
}

/// All nodes at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub t: u64,
    pub nodes: Vec<Node>,
    pub events: VecDeque<(u64, Event)>,
    pub events_total: u64,
    /// In row i, column j: own writes of node j that node i does not cover, and when that was looked at.
    pub lag: Vec<Vec<u64>>,
    pub lag_at: u64,
    pub diverging: u64,
    pub sessions: u64,
    /// Messages of the last seconds: time, from, to, bytes.
    pub sent: VecDeque<(u64, usize, usize, u64)>,
    /// Bytes sent since the start, by pair.
    pub bytes: BTreeMap<(usize, usize), u64>,
}

/// A trace and the moment it is played at.
pub struct Player {
    head: Head,
    lines: Vec<(u64, Value)>,
    next: usize,
    world: World,
}

impl Player {
    /// Reads a simulated run's trace.
    ///
    /// # Errors
    /// The line that is none of such a trace, and why.
    pub fn read(trace: impl BufRead) -> Result<Self, String> {
        let mut lines = trace.lines();
        let first = lines.next().ok_or("the trace is empty")?.map_err(|e| e.to_string())?;
        let head: Head = serde_json::from_str(&first).map_err(|e| {
            format!("line 1: not the head of a simulated run: {e}; a node's log has one view only")
        })?;
        let mut read = Vec::new();
        for (n, line) in lines.enumerate() {
            let line = line.map_err(|e| e.to_string())?;
            let value: Value = serde_json::from_str(&line).map_err(|e| format!("line {}: {e}", n + 2))?;
            let t = value["t"].as_u64().ok_or_else(|| format!("line {}: no time", n + 2))?;
            read.push((t, value));
            if read.len() > MAX_LINES {
                return Err(format!(
                    "more than {MAX_LINES} lines; cut the trace down to the time of interest"
                ));
            }
        }
        let mut player = Self { head, lines: read, next: 0, world: World::default() };
        player.rewind();
        Ok(player)
    }

    /// What the first line says.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// When the trace ends (virtual ms).
    pub fn end_ms(&self) -> u64 {
        self.lines.last().map_or(0, |(t, _)| *t)
    }

    fn rewind(&mut self) {
        self.next = 0;
        self.world = World { nodes: vec![Node::default(); self.head.nodes.len()], ..World::default() };
    }

    /// Steps to a moment (virtual ms); one before the present plays from the start.
    pub fn seek(&mut self, t: u64) {
        if t < self.world.t {
            self.rewind();
        }
        while let Some((at, line)) = self.lines.get(self.next).filter(|(at, _)| *at <= t) {
            self.world.take(*at, line);
            self.next += 1;
        }
        self.world.t = t.min(self.end_ms());
        let oldest = self.world.t.saturating_sub(WINDOW_MS);
        while self.world.sent.front().is_some_and(|sent| sent.0 < oldest) {
            self.world.sent.pop_front();
        }
    }

    pub(super) fn world(&self) -> &World {
        &self.world
    }
}

fn index(line: &Value, key: &str) -> Option<usize> {
    line[key].as_u64().and_then(|n| usize::try_from(n).ok())
}

fn indices(line: &Value, key: &str) -> Vec<usize> {
    let all = line[key].as_array().into_iter().flatten();
    all.filter_map(|n| n.as_u64().and_then(|n| usize::try_from(n).ok())).collect()
}

impl World {
    fn note(
        &mut self,
        at: Option<usize>,
        t: u64,
        (kind, severity): (&'static str, &'static str),
        text: String,
    ) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events_total += 1;
        self.events.push_back((self.events_total, Event { t, at, kind, severity, text }));
    }

    fn take(&mut self, t: u64, line: &Value) {
        let at = index(line, "node").filter(|at| *at < self.nodes.len());
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        match (line["k"].as_str().unwrap_or_default(), at) {
            ("start", Some(at)) => {
                self.nodes[at].up = true;
                self.nodes[at].life = text("life");
                self.note(Some(at), t, ("new_life", "info"), text("why"));
            }
            (kind @ ("crash" | "leave" | "suspend"), Some(at)) => {
                self.nodes[at].up = false;
                self.nodes[at].links.clear();
                self.note(Some(at), t, ("warning", "warning"), format!("the trace: {kind}"));
            }
            ("serving", Some(at)) => {
                (self.nodes[at].serving, self.nodes[at].why) = (text("as"), text("why"));
                self.note(Some(at), t, ("serving", "info"), format!("{}: {}", text("as"), text("why")));
            }
            ("members", Some(at)) => self.members(t, at, line),
            ("link", Some(at)) => self.link(t, at, line),
            ("event", Some(at)) if line["event"] == "conflict" => {
                let what = format!("conflict in {}: {}", text("session"), text("text"));
                self.note(Some(at), t, ("warning", "info"), what);
            }
            ("warn", Some(at)) => self.note(Some(at), t, ("warning", "warning"), text("text")),
            ("fault", _) => {
                self.note(None, t, ("warning", "warning"), format!("done to the mesh: {}", text("text")))
            }
            ("violation", _) => {
                self.note(at, t, ("warning", "critical"), format!("{}: {}", text("invariant"), text("text")))
            }
            ("sample", _) => self.sample(t, line),
            ("msg", _) => self.message(t, line),
            _ => {}
        }
    }

    fn members(&mut self, t: u64, at: usize, line: &Value) {
        let alive = indices(line, "alive").into_iter().map(|other| (other, true));
        let seen: BTreeMap<usize, bool> =
            alive.chain(indices(line, "dead").into_iter().map(|other| (other, false))).collect();
        let nodes = self.nodes.len();
        for (other, alive) in seen.into_iter().filter(|(other, _)| *other != at && *other < nodes) {
            let held = self.nodes[at].sees.get(&other).copied();
            if held.map(|held| held.0) != Some(alive) {
                self.nodes[at].sees.insert(other, (alive, t));
                let kind = if alive { ("member_alive", "info") } else { ("member_dead", "critical") };
                self.note(Some(at), t, kind, format!("node {other} of the run"));
            }
        }
    }

    fn link(&mut self, t: u64, at: usize, line: &Value) {
        let Some(peer) = index(line, "peer") else { return };
        if line["up"] == true {
            self.nodes[at].links.insert(peer);
            self.note(Some(at), t, ("link_up", "info"), format!("node {peer} of the run"));
        } else {
            self.nodes[at].links.remove(&peer);
            self.note(Some(at), t, ("link_down", "warning"), format!("node {peer} of the run"));
        }
    }

    fn sample(&mut self, t: u64, line: &Value) {
        self.diverging = line["diverging"].as_u64().unwrap_or(0);
        self.sessions = line["sessions"].as_u64().unwrap_or(0);
        let rows = line["lag"].as_array().into_iter().flatten();
        let row =
            |row: &Value| row.as_array().into_iter().flatten().map(|n| n.as_u64().unwrap_or(0)).collect();
        (self.lag, self.lag_at) = (rows.map(row).collect(), t);
    }

    fn message(&mut self, t: u64, line: &Value) {
        let (Some(from), Some(to)) = (index(line, "from"), index(line, "to")) else { return };
        let bytes = line["bytes"].as_u64().unwrap_or(0);
        self.sent.push_back((t, from, to, bytes));
        *self.bytes.entry((from, to)).or_default() += bytes;
    }
}
