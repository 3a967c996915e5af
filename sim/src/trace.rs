//! A run as JSON lines, for the viewer. The format is described in `docs/TRACE.md`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sessionmesh::core::causality::Origin;
use sessionmesh::core::frame::Kind;
use sessionmesh::core::replica::{Happened, Serving};

use crate::clock::EPOCH_MS;
use crate::invariant::Violation;
use crate::oracle::History;
use crate::scenario::Scenario;
use crate::world::{ClientOp, OpKind, Reading, Seen, World};

/// Collects the lines of one run.
pub struct Recorder {
    lines: Vec<String>,
    cuts: BTreeSet<(usize, usize)>,
    diverging: BTreeSet<u64>,
}

fn short(life: Origin) -> String {
    life.to_string()
}

fn session_name(world: &World, number: u64) -> String {
    world.session_id(number).log_hash(world.seed()).to_string()
}

/// The word of a frame's kind; 0 is gossip.
pub fn kind_word(kind: u8) -> Option<&'static str> {
    const WORDS: [&str; 13] = [
        "gossip",
        "digest",
        "equal",
        "unequal",
        "sync",
        "page",
        "adopted",
        "push",
        "ack",
        "ask",
        "tell",
        "audit",
        "audit_diff",
    ];
    const MEMBERSHIP: [&str; 6] = ["ping", "pong", "ping_req", "relayed", "nack", "rumours"];
    match kind.checked_sub(Kind::Ping.byte()) {
        Some(of_detectors) => MEMBERSHIP.get(usize::from(of_detectors)).copied(),
        None => WORDS.get(usize::from(kind)).copied(),
    }
}

impl Recorder {
    /// The trace of a scenario about to run.
    pub fn new(scenario: &Scenario) -> Self {
        let nodes: Vec<String> = (0..scenario.mesh.nodes).map(|at| format!("n{at}")).collect();
        let head = json!({
            "simtrace": 1, "name": scenario.name, "seed": scenario.seed, "nodes": nodes,
            "epoch_ms": EPOCH_MS, "partitions": scenario.mesh.partitions,
        });
        Self { lines: vec![head.to_string()], cuts: BTreeSet::new(), diverging: BTreeSet::new() }
    }

    fn line(&mut self, value: Value) {
        self.lines.push(value.to_string());
    }

    /// Writes down what happened.
    pub fn take_in(&mut self, world: &World, history: &History, seen: &[Seen]) {
        for one in seen {
            if let Some(value) = spell(world, history, one) {
                self.line(value);
            }
        }
        self.cuts(world);
    }

    /// Writes down the cuts in force, if they changed.
    pub fn cuts(&mut self, world: &World) {
        if self.cuts != world.net.cuts {
            self.cuts.clone_from(&world.net.cuts);
            let pairs: Vec<[usize; 2]> = self.cuts.iter().map(|&(a, b)| [a, b]).collect();
            self.line(json!({ "t": world.time_ms, "k": "cuts", "pairs": pairs }));
        }
    }

    /// Writes down how far nodes are apart.
    pub fn sample(&mut self, world: &World, history: &History) {
        let n = world.nodes.len();
        let mut lag = vec![vec![0u64; n]; n];
        self.diverging.clear();
        let up = world.up();
        let alive: u64 = up.iter().map(|at| 1u64 << at).sum();
        for op in &history.ops {
            if op.holders == 0 || op.holders & alive == alive {
                continue;
            }
            self.diverging.insert(op.session);
            for &at in up.iter().filter(|at| op.holders >> **at & 1 == 0) {
                lag[at][op.at] += 1;
            }
        }
        let (diverging, sessions) = (self.diverging.len(), history.sessions.len());
        self.line(json!({
            "t": world.time_ms, "k": "sample", "diverging": diverging, "sessions": sessions, "lag": lag,
        }));
    }

    /// Writes down a rule that was broken.
    pub fn violation(&mut self, world: &World, violation: &Violation) {
        let session = violation.session.map(|number| session_name(world, number));
        let text = match violation.session {
            Some(number) => format!("session {number}: {}", violation.text),
            None => violation.text.clone(),
        };
        self.line(json!({
            "t": violation.at_ms, "k": "violation", "invariant": violation.invariant, "text": text,
            "node": violation.node, "session": session,
        }));
    }

    /// Writes down the heal.
    pub fn healed(&mut self, world: &World) {
        self.line(json!({ "t": world.time_ms, "k": "phase", "as": "healed" }));
    }

    /// The whole trace.
    pub fn finish(mut self, time_ms: u64, hash: &str, passed: bool) -> Vec<String> {
        let text = if passed { "everything held" } else { "a rule was broken" };
        self.line(json!({ "t": time_ms, "k": "end", "hash": hash, "ok": passed, "text": text }));
        self.lines
    }
}

fn spell(world: &World, history: &History, seen: &Seen) -> Option<Value> {
    let t = world.time_ms;
    Some(match seen {
        Seen::Started { at, life, why } => {
            json!({ "t": t, "k": "start", "node": at, "life": short(*life), "why": why })
        }
        Seen::Ended { at, left, .. } => {
            json!({ "t": t, "k": if *left { "leave" } else { "crash" }, "node": at })
        }
        Seen::Event { at, event, cause } => event_line(world, history, *at, event, *cause)?,
        Seen::Wrote { at, op, asked, result, .. } => {
            let (ok, note) = (result.is_ok(), result.as_ref().err().map(ToString::to_string));
            let dot = result.as_ref().ok().map(|w| json!([short(w.dot.origin), w.dot.counter]));
            op_line(world, *at, *op, asked, json!({ "ok": ok, "note": note, "dot": dot }))
        }
        Seen::Read { at, op, asked, reading, .. } => {
            let (ok, note) = reading_words(reading);
            op_line(world, *at, *op, asked, json!({ "ok": ok, "note": note }))
        }
        Seen::Refused { at, op, asked } => op_line(
            world,
            *at,
            *op,
            asked,
            json!({ "ok": false, "note": "the node does not take clients now" }),
        ),
        Seen::Acked { op, .. } => json!({ "t": t, "k": "acked", "op": op, "copies": 2 }),
        Seen::Serving { at, serving, why } => {
            let word = match serving {
                Serving::Joining => "joining",
                Serving::Ready => "ready",
                Serving::Fenced => "fenced",
            };
            json!({ "t": t, "k": "serving", "node": at, "as": word, "why": why })
        }
        Seen::Members { at, alive } => {
            let dead: Vec<usize> = (0..world.nodes.len()).filter(|o| o != at && !alive.contains(o)).collect();
            json!({ "t": t, "k": "members", "node": at, "alive": alive, "dead": dead })
        }
        Seen::Judged { at, about, change } => {
            let text = format!("n{about} is {}: {}", change.state.word(), change.why);
            json!({ "t": t, "k": "warn", "node": at, "text": text })
        }
        Seen::Link { at, peer, up } => {
            let peer = world.at_origin(*peer).or_else(|| Some(history.lives.get(peer)?.at));
            json!({ "t": t, "k": "link", "node": at, "peer": peer, "up": up })
        }
        Seen::Closed { at, why, .. } => {
            json!({ "t": t, "k": "warn", "node": at, "text": format!("closed a link: {why}") })
        }
        Seen::Warned { at, text } => json!({ "t": t, "k": "warn", "node": at, "text": text }),
        Seen::Still { at, how: "freeze", until_ms } => {
            json!({ "t": t, "k": "freeze", "node": at, "until": until_ms })
        }
        Seen::Still { at, how: "suspend", .. } => json!({ "t": t, "k": "suspend", "node": at }),
        Seen::Still { at, how: "resume", .. } => {
            let life = world.origin(*at);
            json!({ "t": t, "k": "start", "node": at, "life": short(life), "why": "resume" })
        }
        Seen::Still { .. } => return None,
        Seen::Fault { text, nodes } => json!({ "t": t, "k": "fault", "text": text, "nodes": nodes }),
        Seen::Sent { id, from, to, kind, bytes, cause, arrive, fate } => json!({
            "t": t, "k": "msg", "id": id, "from": from, "to": to, "kind": kind_word(*kind).unwrap_or("unknown"), "bytes": bytes,
            "cause": cause, "arrive": arrive, "fate": fate.word(),
        }),
        // Watchers are told, and the line of the event says it.
        Seen::Gone { .. } | Seen::Step { .. } | Seen::Revoked { .. } => return None,
    })
}

/// Whether a read was answered, and with what.
fn reading_words(reading: &Reading) -> (bool, String) {
    match reading {
        Reading::Found(fields) => {
            let fields: Vec<String> = fields.iter().map(|(k, v)| format!("{k} = {v:.40}")).collect();
            (true, format!("found: {}", fields.join(", ")))
        }
        Reading::Absent => (true, "absent".into()),
        Reading::NotYetKnown => (false, "not yet known: the node is joining".into()),
        Reading::Fenced => (false, "fenced: the node does not trust its memory yet".into()),
        Reading::Behind => (false, "behind: the node lacks a write of this client".into()),
    }
}

fn op_line(world: &World, at: usize, id: u64, asked: &ClientOp, more: Value) -> Value {
    let keys: Vec<&String> = match &asked.kind {
        OpKind::Create { fields, .. } => fields.iter().map(|f| &f.0).collect(),
        OpKind::Edit(fields) | OpKind::Save(fields) => fields.iter().map(|f| &f.0).collect(),
        _ => Vec::new(),
    };
    let word = match &asked.kind {
        OpKind::Create { .. } => "create",
        OpKind::Edit(_) => "edit",
        OpKind::Touch => "touch",
        OpKind::SetTtl(_) => "ttl",
        OpKind::Destroy(_) => "destroy",
        OpKind::Login { .. } => "login",
        OpKind::Revoke(_) => "revoke",
        OpKind::Read => "read",
        OpKind::Load => "load",
        OpKind::Save(_) => "save",
    };
    let mut line = json!({
        "t": world.time_ms, "k": "op", "id": id, "node": at, "op": word,
        "session": session_name(world, asked.session), "keys": keys,
    });
    if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
        line.extend(more);
    }
    line
}

fn event_line(world: &World, history: &History, at: usize, event: &Happened, cause: u64) -> Option<Value> {
    let (word, id, text) = match event {
        Happened::Created(id) => ("created", *id, String::new()),
        Happened::Changed(id, keys) => ("changed", *id, keys.join(" ")),
        Happened::Destroyed(id) => ("destroyed", *id, String::new()),
        Happened::Expired(id) => ("expired", *id, String::new()),
        Happened::Returned(id) => ("returned", *id, String::new()),
        Happened::Conflict(c) => {
            let value = |v: &Option<Vec<u8>>| v.as_deref().map(|v| String::from_utf8_lossy(v).into_owned());
            let text = format!("{}: kept {:?}, lost {:?}", c.key, value(&c.kept.2), value(&c.lost.2));
            ("conflict", c.id, text)
        }
    };
    let session = session_name(world, history.number_of(id)?);
    let t = world.time_ms;
    Some(json!({
        "t": t, "k": "event", "node": at, "event": word, "session": session, "text": text, "cause": cause,
    }))
}
