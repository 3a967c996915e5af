//! A moment of a trace in the shapes of the dashboard's API (`docs/openapi.json`). What a trace does not hold is null, empty
//! or zero, and the evidence says that it is a replay: nothing is made up.

use serde_json::{Map, Value, json};

use super::replay::{Head, Node, WINDOW_MS, World};

/// All parts, by the name of their path.
pub const PARTS: [&str; 8] =
    ["mesh", "members", "matrix", "partitions", "divergence", "traffic", "tombstones", "health"];

/// One node's view of a moment.
pub(super) struct Seen<'a> {
    pub head: &'a Head,
    pub world: &'a World,
    pub at: usize,
}

impl Seen<'_> {
    fn wall(&self, t: u64) -> u64 {
        self.head.epoch_ms + t
    }

    fn me(&self) -> &Node {
        &self.world.nodes[self.at]
    }

    fn name(&self, at: usize) -> &str {
        self.head.nodes.get(at).map_or("?", String::as_str)
    }

    fn life(&self, at: usize) -> String {
        let life = self.world.nodes.get(at).map_or("", |node| node.life.as_str());
        format!("{life:0<32}")
    }

    fn others(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.head.nodes.len()).filter(|at| *at != self.at && self.me().sees.contains_key(at))
    }

    fn dead(&self) -> Vec<usize> {
        self.others().filter(|at| !self.me().sees[at].0).collect()
    }

    fn names(&self, of: &[usize]) -> Vec<&str> {
        of.iter().map(|at| self.name(*at)).collect()
    }

    /// Whose view it is.
    pub fn view(&self) -> Value {
        json!({
            "node": self.name(self.at),
            "cluster": self.head.name,
            "origin": self.life(self.at),
            "at_ms": self.wall(self.world.t),
        })
    }

    fn word(&self) -> (&'static str, &'static str, String) {
        let (dead, known) = (self.dead(), self.others().count());
        let silent =
            || format!("the trace: {} cannot hear {}", self.name(self.at), self.names(&dead).join(", "));
        match self.me().serving.as_str() {
            _ if !self.me().up => ("stopped", "critical", "the trace: it does not run now".into()),
            _ if dead.len() >= 2 || (dead.len() == known && known > 0) => ("split", "critical", silent()),
            "fenced" => ("fenced", "critical", self.me().why.clone()),
            "ready" if dead.len() == 1 => ("degraded", "warning", silent()),
            "ready" if known == 0 => ("alone", "info", "the trace: it sees nobody".into()),
            "ready" if self.world.diverging > 0 => {
                let all = self.world.sessions;
                (
                    "catching up",
                    "info",
                    format!("the trace: {} of {all} sessions differ", self.world.diverging),
                )
            }
            "ready" => ("converged", "ok", "the trace: no session differs between nodes".into()),
            _ => ("joining", "warning", self.me().why.clone()),
        }
    }

    /// A part with its view; `None` for no part's name.
    pub fn part(&self, name: &str) -> Option<Value> {
        let body = match name {
            "mesh" => self.mesh(),
            "members" => self.members(),
            "matrix" => self.matrix(),
            "partitions" => self.partitions(),
            "divergence" => self.divergence(),
            "traffic" => self.traffic(),
            "tombstones" => json!({
                "tombstones": 0, "expired_retained": 0, "margin_ms": 0, "due": [], "looked_at_ms": 0,
                "waits_for": "nothing", "holding_back": [], "advice": "a trace does not tell",
            }),
            "health" => self.health(),
            _ => return None,
        };
        Some(self.viewed(body))
    }

    /// An object with its view before it.
    pub fn viewed(&self, body: Value) -> Value {
        let mut whole = Map::from_iter([("view".to_owned(), self.view())]);
        if let Value::Object(body) = body {
            whole.extend(body);
        }
        Value::Object(whole)
    }

    fn mesh(&self) -> Value {
        let (word, severity, evidence) = self.word();
        let dead = self.dead().len();
        let serving = match self.me().serving.as_str() {
            _ if !self.me().up => "stopped",
            serving @ ("ready" | "fenced") => serving,
            _ => "joining",
        };
        json!({
            "word": word, "severity": severity, "evidence": [evidence, "a replay of a simulated run"],
            "serving": serving, "reason": self.me().why, "version": env!("CARGO_PKG_VERSION"),
            "started_at_ms": self.head.epoch_ms,
            "members": {
                "alive": 1 + self.others().count() - dead, "suspect": 0, "dead": dead, "left": 0,
            },
            "islands": if dead > 0 { 2 } else { 1 },
            "sessions": self.world.sessions, "expired_retained": 0, "tombstones": 0, "record_bytes": 0,
            "max_memory_bytes": null, "conflicts_total": 0, "overwrites_unlabelled_total": 0,
            "unreplicated_total": 0, "backlog_partitions": 0,
            "permissions": { "values": false, "actions": false },
            "dashboards": self.head.nodes.iter().map(|n| json!({ "node": n, "url": format!("/{n}/") })).collect::<Vec<_>>(),
        })
    }

    fn behind(&self, row: usize, column: usize) -> Option<u64> {
        self.world.lag.get(row)?.get(column).copied()
    }

    fn members(&self) -> Value {
        let shown = std::iter::once(self.at).chain(self.others());
        let mut shown: Vec<usize> = shown.collect();
        shown.sort_unstable();
        let one = |&at: &usize| {
            let own = at == self.at;
            let seen = self.me().sees.get(&at);
            let alive = own || seen.is_some_and(|seen| seen.0);
            let behind = (0..self.head.nodes.len())
                .filter_map(|column| self.behind(at, column))
                .reduce(u64::saturating_add);
            json!({
                "node": self.name(at), "origin": self.life(at), "this_node": own, "addr": format!("{}:0", self.name(at)),
                "state": if alive { "alive" } else { "dead" },
                "why": if own { "this node" } else { "as the trace tells" },
                "since_at_ms": seen.map(|seen| self.wall(seen.1)), "incarnation": 0, "accusers": [], "dead_at_ms": null,
                "rtt_ms": null, "linked": own || self.me().links.contains(&at), "clock_offset_ms": null,
                "backlog_partitions": 0, "behind_writes": behind, "island": if alive { 0 } else { 1 },
                "dashboard_url": format!("/{}/", self.name(at)), "metadata": {},
            })
        };
        json!({ "left_out": 0, "members": shown.iter().map(one).collect::<Vec<_>>() })
    }

    /// The trace sees all nodes at once: every row is what that node really lacks.
    fn matrix(&self) -> Value {
        let all: Vec<usize> = (0..self.head.nodes.len()).take(128).collect();
        let known = (!self.world.lag.is_empty()).then(|| self.wall(self.world.lag_at));
        let columns = all.iter().map(|&at| json!({ "node": self.name(at), "origin": self.life(at) }));
        let rows = all.iter().map(|&row| {
            let behind: Vec<Option<u64>> = all.iter().map(|&column| self.behind(row, column)).collect();
            json!({
                "node": self.name(row), "origin": self.life(row),
                "by": if known.is_some() { "self" } else { "never" },
                "behind_writes": behind, "known_at_ms": vec![known; all.len()],
            })
        });
        let left_out = self.head.nodes.len() - all.len();
        json!({ "columns": columns.collect::<Vec<_>>(), "rows": rows.collect::<Vec<_>>(), "left_out": left_out })
    }

    fn partitions(&self) -> Value {
        let dead = self.dead();
        let mut here: Vec<usize> = self.others().filter(|at| !dead.contains(at)).chain([self.at]).collect();
        here.sort_unstable();
        let island = |nodes: &[usize], own: bool, since: Option<u64>| {
            json!({
                "nodes": self.names(nodes), "this_side": own, "state": if own { "here" } else { "silent" },
                "alive_set": null, "silent_since_at_ms": since,
                "evidence": if own { "as the trace tells" } else { "this node cannot hear them, as the trace tells" },
            })
        };
        let mut islands = vec![island(&here, true, None)];
        if !dead.is_empty() {
            let since = dead.iter().map(|at| self.wall(self.me().sees[at].1)).min();
            islands.push(island(&dead, false, since));
        }
        json!({ "split": !dead.is_empty(), "islands": islands })
    }

    fn divergence(&self) -> Value {
        let peer = |at: usize| {
            json!({
                "node": self.name(at), "linked": self.me().links.contains(&at), "compared_at_ms": null, "equal": null,
                "differing_partitions": null, "equal_at_ms": null, "unacknowledged_writes": self.behind(at, self.at),
            })
        };
        json!({
            "partitions": self.head.partitions, "peers": self.others().map(peer).collect::<Vec<_>>(),
            "rounds_equal_total": 0, "rounds_pulled_total": 0, "rounds_failed_total": 0, "audit_diffs_total": 0,
            "violations_total": 0,
        })
    }

    fn traffic(&self) -> Value {
        let seconds = WINDOW_MS as f64 / 1e3;
        let rate = |from: Option<usize>, to: Option<usize>| {
            let sent = self.world.sent.iter();
            let sent = sent.filter(|s| from.is_none_or(|at| at == s.1) && to.is_none_or(|at| at == s.2));
            let (frames, bytes) = sent.fold((0_u64, 0_u64), |sum, s| (sum.0 + 1, sum.1 + s.3));
            (frames as f64 / seconds, bytes as f64 / seconds)
        };
        let total = |from, to| self.world.bytes.get(&(from, to)).copied().unwrap_or(0);
        let peer = |at: usize| {
            let (out, back) = (rate(Some(self.at), Some(at)), rate(Some(at), Some(self.at)));
            json!({
                "node": self.name(at), "linked": self.me().links.contains(&at),
                "sent_frames_per_s": out.0, "sent_bytes_per_s": out.1,
                "received_frames_per_s": back.0, "received_bytes_per_s": back.1,
                "sent_bytes_total": total(self.at, at), "received_bytes_total": total(at, self.at),
            })
        };
        let (out, back) = (rate(Some(self.at), None), rate(None, Some(self.at)));
        json!({
            "window_ms": WINDOW_MS, "redundant_ratio": null,
            "udp_sent_bytes_per_s": out.1, "udp_received_bytes_per_s": back.1, "frames_sent_bytes_per_s": out.1,
            "gossip_sent_bytes_per_s": 0.0, "probe_sent_bytes_per_s": 0.0, "pushes_per_s": 0.0, "pages_per_s": 0.0,
            "probes_per_s": 0.0, "peers": self.others().map(peer).collect::<Vec<_>>(),
        })
    }

    fn health(&self) -> Value {
        let (word, severity, evidence) = self.word();
        let finding = json!({
            "id": "replay", "severity": severity, "title": format!("the mesh is {word}"), "evidence": evidence,
            "advice": "This is a replay: nothing needs to be done.",
        });
        let findings = if severity == "ok" { Vec::new() } else { vec![finding] };
        json!({ "worst": severity, "findings": findings, "checks": ["replay"] })
    }

    /// Events of this node and of the whole run after number `seen`, oldest first.
    pub fn events(&self, seen: u64) -> Vec<Value> {
        let mine =
            self.world.events.iter().filter(|(seq, e)| *seq > seen && e.at.is_none_or(|at| at == self.at));
        let one = |(seq, e): &(u64, super::replay::Event)| {
            json!({
                "seq": seq, "at_ms": self.wall(e.t), "kind": e.kind, "severity": e.severity, "node": null, "text": e.text,
            })
        };
        mine.map(one).collect()
    }
}
