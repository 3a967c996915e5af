//! Client traffic as statistics, turned into single operations: each drawn by its own number, so that leaving one
//! out changes no other.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::step::{Action, NodeIx, Step};
use crate::draw::Draw;

/// How many of a thousand operations on a session that exists are what; the rest set a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mix {
    /// Reads.
    pub read: u64,
    /// Touches.
    pub touch: u64,
    /// Logouts.
    pub destroy: u64,
    /// Logouts at a node that may not know the session.
    pub blind: u64,
    /// Changes of the time-to-live.
    pub ttl: u64,
    /// Removals of a field.
    pub remove: u64,
    /// Two fields set to the same value at once, which no reader may ever see differ.
    pub pair: u64,
    /// Requests of an adapter: a load, and a save half a second to three seconds later.
    pub request: u64,
}

impl Default for Mix {
    fn default() -> Self {
        Self { read: 200, touch: 100, destroy: 40, blind: 10, ttl: 20, remove: 60, pair: 100, request: 100 }
    }
}

/// Client traffic over a span of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// From when (ms).
    pub from_ms: u64,
    /// Until when (ms).
    pub until_ms: u64,
    /// How many operations.
    pub ops: u64,
    /// Over how many sessions, numbered from `first_session`.
    pub sessions: u64,
    /// The number of the first session.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub first_session: u64,
    /// At which nodes; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeIx>,
    /// What they are.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub mix: Mix,
    /// Sliding time-to-live of the sessions (ms).
    #[serde(default = "half_hour")]
    pub ttl_ms: u64,
    /// Longest life of the sessions (ms); the cluster's maximum if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life_ms: Option<u64>,
    /// Clients carry the token of their last write from node to node.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub tokens: bool,
    /// Of these, so many sessions are touched every third of their time-to-live at one node and never destroyed.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub sticky: u64,
}

fn half_hour() -> u64 {
    1_800_000
}

/// Names of the fields that operations write.
pub(crate) const KEYS: [&str; 5] = ["cart", "user", "lang", "seen", "theme"];

impl Workload {
    /// The single operations.
    pub(super) fn expand(&self, seed: u64, ix: u64, nodes: usize) -> Vec<Step> {
        let draw = Draw::new(seed).of("workload").within(ix);
        let mut nodes_of: Vec<NodeIx> = self.nodes.clone();
        if nodes_of.is_empty() {
            nodes_of = (0..nodes).map(NodeIx).collect();
        }
        let span = self.until_ms.saturating_sub(self.from_ms).max(1);
        let mut order: Vec<(u64, u64)> =
            (0..self.ops).map(|n| (self.from_ms + draw.within(n).at(0) % span, n)).collect();
        order.sort_unstable();
        let mut created = BTreeSet::new();
        let mut out = Vec::new();
        for (at_ms, n) in order {
            let draw = draw.within(n);
            let mut session = self.first_session + draw.at(1) % self.sessions.max(1);
            let others = self.sessions.saturating_sub(self.sticky);
            if others > 0 && session - self.first_session < self.sticky && created.contains(&session) {
                // A sticky session has its own operations: this one is another's.
                session = self.first_session + self.sticky + draw.at(10) % others;
            }
            let node = draw.pick(2, &nodes_of);
            // A client follows one session and moves from node to node.
            let client = (ix * 10_000 + session + 1) as u32;
            if created.insert(session) {
                out.push(Step { at_ms, action: self.create(node, session, client, draw) });
                if session - self.first_session < self.sticky {
                    self.stick(&mut out, node, session, at_ms);
                }
            } else if session - self.first_session >= self.sticky {
                self.one(&mut out, at_ms, (node, session, client), draw);
            }
        }
        out
    }

    fn create(&self, node: NodeIx, session: u64, client: u32, draw: Draw) -> Action {
        let fields = [("cart".to_owned(), format!("c{}", draw.at(3) % 1_000))].into();
        let (ttl_ms, life_ms) = (self.ttl_ms, self.life_ms);
        Action::Create {
            node,
            session,
            client,
            fields,
            big: BTreeMap::new(),
            ttl_ms,
            ends_in_ms: None,
            life_ms,
        }
    }

    fn stick(&self, out: &mut Vec<Step>, node: NodeIx, session: u64, from_ms: u64) {
        let every = (self.ttl_ms / 3).max(1);
        let times = (1..).map(|k| from_ms + k * every).take_while(|&at| at < self.until_ms).take(200);
        out.extend(times.map(|at_ms| Step { at_ms, action: Action::Touch { node, session, stalled_ms: 0 } }));
    }

    fn one(&self, out: &mut Vec<Step>, at_ms: u64, (node, session, client): (NodeIx, u64, u32), draw: Draw) {
        let (mix, token) = (self.mix, self.tokens);
        let key = draw.pick(5, &KEYS).to_owned();
        let value = format!("v{}", draw.at(6) % 100_000);
        let set = |fields: BTreeMap<String, String>, remove: Vec<String>| Action::Set {
            node,
            session,
            client,
            token,
            fields,
            big: BTreeMap::new(),
            remove,
            stalled_ms: 0,
        };
        let mut roll = draw.at(4) % 1_000;
        let mut within = |share: u64| {
            let hit = roll < share;
            roll = roll.wrapping_sub(share);
            hit
        };
        let action = if within(mix.read) {
            Action::Read { node, session, client, token }
        } else if within(mix.touch) {
            Action::Touch { node, session, stalled_ms: 0 }
        } else if within(mix.destroy) {
            Action::Destroy { node, session, blind: false }
        } else if within(mix.blind) {
            Action::Destroy { node, session, blind: true }
        } else if within(mix.ttl) {
            Action::Ttl { node, session, ttl_ms: self.ttl_ms / 2 + draw.at(7) % self.ttl_ms.max(1) }
        } else if within(mix.remove) {
            set(BTreeMap::new(), vec![key])
        } else if within(mix.pair) {
            set([("pair_a".to_owned(), value.clone()), ("pair_b".to_owned(), value)].into(), Vec::new())
        } else if within(mix.request) {
            // A request of its own: two of one user may overlap.
            let client = client + 1_000_000 + (draw.at(8) % 1_000) as u32 * 1_000_000;
            out.push(Step { at_ms, action: Action::Load { node, session, client } });
            let fields = [(key, value)].into();
            let at_ms = at_ms + 500 + draw.at(9) % 2_500;
            let action = Action::Save { node, session, client, fields, remove: Vec::new() };
            return out.push(Step { at_ms, action });
        } else {
            set([(key, value)].into(), Vec::new())
        };
        out.push(Step { at_ms, action });
    }
}
