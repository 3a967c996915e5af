//! A simulated run's trace: checks each line and hands it on. The format: `docs/TRACE.md`, "The simulator's trace".

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::data::{Data, Message, Num};
use super::{MAX_LANES, plain};

/// Reads a simulated run.
pub(super) struct SimTrace {
    pub data: Data,
    nodes: usize,
    ids: HashSet<u64>,
}

#[derive(Deserialize)]
struct Head {
    name: String,
    seed: u64,
    nodes: Vec<String>,
    epoch_ms: Num,
    partitions: Num,
}

/// What every line but the first has.
#[derive(Deserialize)]
struct Any {
    t: Num,
    k: String,
}

#[derive(Deserialize)]
struct Msg {
    id: Num,
    from: usize,
    to: usize,
    kind: String,
    bytes: Num,
    cause: Option<Num>,
    #[serde(default)]
    arrive: Vec<Num>,
    fate: String,
}

/// Every kind of line but `msg`.
#[derive(Deserialize, Serialize)]
#[serde(tag = "k", rename_all = "snake_case")]
enum Body {
    Start {
        node: usize,
        life: String,
        why: String,
    },
    Crash {
        node: usize,
    },
    Suspend {
        node: usize,
    },
    Leave {
        node: usize,
    },
    Freeze {
        node: usize,
        until: Num,
    },
    Serving {
        node: usize,
        r#as: String,
        why: Option<String>,
    },
    Op(Op),
    Acked {
        op: Num,
        copies: Num,
    },
    Fault {
        text: String,
        nodes: Option<Vec<usize>>,
    },
    Cuts {
        pairs: Vec<(usize, usize)>,
    },
    Link {
        node: usize,
        peer: usize,
        up: bool,
    },
    Members {
        node: usize,
        alive: Vec<usize>,
        dead: Option<Vec<usize>>,
    },
    Event(Event),
    Warn {
        node: usize,
        text: String,
    },
    Sample {
        diverging: Num,
        sessions: Num,
        lag: Vec<Vec<Num>>,
    },
    Violation {
        invariant: String,
        text: String,
        node: Option<usize>,
        session: Option<String>,
    },
    Phase {
        r#as: String,
    },
    End {
        hash: String,
        ok: bool,
        text: Option<String>,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize, Serialize)]
struct Op {
    id: Num,
    node: usize,
    op: String,
    session: Option<String>,
    keys: Option<Vec<String>>,
    ok: bool,
    note: Option<String>,
    dot: Option<(String, Num)>,
}

#[derive(Deserialize, Serialize)]
struct Event {
    node: usize,
    event: String,
    session: String,
    text: Option<String>,
    cause: Option<Num>,
}

impl Body {
    /// The nodes the line speaks of, all of which must exist.
    fn nodes(&self) -> Vec<usize> {
        match self {
            Self::Start { node, .. }
            | Self::Crash { node }
            | Self::Suspend { node }
            | Self::Leave { node }
            | Self::Freeze { node, .. }
            | Self::Serving { node, .. }
            | Self::Warn { node, .. }
            | Self::Op(Op { node, .. })
            | Self::Event(Event { node, .. }) => vec![*node],
            Self::Link { node, peer, .. } => vec![*node, *peer],
            Self::Fault { nodes, .. } => nodes.clone().unwrap_or_default(),
            Self::Cuts { pairs } => pairs.iter().flat_map(|(a, b)| [*a, *b]).collect(),
            Self::Members { node, alive, dead } => {
                [*node].iter().chain(alive).chain(dead.iter().flatten()).copied().collect()
            }
            Self::Violation { node, .. } => node.iter().copied().collect(),
            Self::Acked { .. }
            | Self::Sample { .. }
            | Self::Phase { .. }
            | Self::End { .. }
            | Self::Unknown => {
                vec![]
            }
        }
    }
}

impl SimTrace {
    /// Reads the first line.
    pub fn new(text: &str) -> Result<Self, String> {
        let head: Head = serde_json::from_str(text).map_err(|e| plain(&e))?;
        if !(1..=MAX_LANES).contains(&head.nodes.len()) {
            return Err(format!("{} nodes; a page shows 1 to {MAX_LANES}", head.nodes.len()));
        }
        let mut data = Data::new("sim");
        let nodes = head.nodes.len();
        // The seed as text: JavaScript would round it.
        let about = json!({"name": head.name, "seed": head.seed.to_string(), "nodes": head.nodes,
            "epoch_ms": head.epoch_ms, "partitions": head.partitions});
        if let Value::Object(about) = about {
            data.head = about;
        }
        Ok(Self { data, nodes, ids: HashSet::new() })
    }

    /// Reads any other line.
    pub fn line(&mut self, text: &str, line: u64) -> Result<(), String> {
        let Any { t: Num(t), k } = serde_json::from_str(text).map_err(|e| plain(&e))?;
        if k == "msg" {
            let msg: Msg = serde_json::from_str(text).map_err(|e| plain(&e))?;
            return self.message(t, &msg, line);
        }
        let body: Body = serde_json::from_str(text).map_err(|e| plain(&e))?;
        for node in body.nodes() {
            self.node(node)?;
        }
        match &body {
            Body::Unknown => {
                self.data.ignore(&k);
                return Ok(());
            }
            Body::Op(op) => self.id(op.id)?,
            Body::Freeze { until, .. } if until.0 < t => {
                return Err(format!("frozen until {}, before {t}", until.0));
            }
            Body::Sample { lag, .. } if lag.iter().any(|row| row.len() != lag.len()) => {
                return Err("the lag matrix is not square".into());
            }
            Body::Sample { lag, .. } if lag.len() > self.nodes => {
                return Err(format!("a lag matrix of {}, but {} nodes", lag.len(), self.nodes));
            }
            _ => {}
        }
        self.data.line(t, line, &body)
    }

    fn message(&mut self, t: u64, msg: &Msg, line: u64) -> Result<(), String> {
        self.node(msg.from)?;
        self.node(msg.to)?;
        self.id(msg.id)?;
        if let Some(early) = msg.arrive.iter().find(|at| at.0 < t) {
            return Err(format!("message {} arrives at {}, before it was sent", msg.id.0, early.0));
        }
        let row = Message {
            t,
            id: msg.id.0,
            from: msg.from,
            to: msg.to,
            kind: &msg.kind,
            fate: &msg.fate,
            bytes: msg.bytes.0,
            cause: msg.cause.map(|c| c.0),
            arrive: &msg.arrive,
        };
        self.data.message(&row, line)
    }

    fn node(&self, node: usize) -> Result<(), String> {
        if node < self.nodes { Ok(()) } else { Err(format!("node {node}, but there are {}", self.nodes)) }
    }

    fn id(&mut self, id: Num) -> Result<(), String> {
        if self.ids.insert(id.0) { Ok(()) } else { Err(format!("id {} was given before", id.0)) }
    }
}
