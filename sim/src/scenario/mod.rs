//! Scenarios: what happens to a mesh, as data. A file, a swarm's draw and a shrinker's result are all one of these.
//!
//! `file.rs` reads and writes TOML, `check.rs` and `check_step.rs` refuse what makes no sense, `place.rs` finds its
//! line, `workload.rs` turns statistics into single operations, `step.rs` is the vocabulary of the timeline,
//! `schema.rs` tells editors, `prose.rs` and `words.rs` tell people, `template.rs` begins a new one.

mod check;
mod check_step;
mod file;
mod place;
mod prose;
mod schema;
mod step;
mod template;
mod words;
mod workload;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sessionmesh::core::limits::Limits;

pub use self::check::Complaint;
pub use self::file::{FileError, parse, read, to_toml};
pub use self::prose::explain;
pub use self::schema::json_schema;
pub use self::step::{Action, NodeIx, Step};
pub use self::template::template;
pub use self::workload::{Mix, Workload};
use crate::net::Faults;

/// A whole scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name; the file's name without `.toml` if absent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it would catch, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// Seeds every draw.
    #[serde(default)]
    pub seed: u64,
    /// The nodes and their settings.
    #[serde(default)]
    pub mesh: Mesh,
    /// What the network does throughout; steps may change it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub network: Faults,
    /// Statistical client traffic, expanded into single operations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workload: Vec<Workload>,
    /// The timeline: faults, operations, checks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub step: Vec<Step>,
    /// When and how the faults end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub heal: Heal,
    /// What must hold.
    #[serde(default)]
    pub expect: Expect,
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How nodes learn of each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Membership {
    /// By a modelled chitchat board.
    #[default]
    Board,
    /// Whoever can be reached is a member at once.
    Direct,
}

/// The nodes `n0`, `n1`, … and their settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mesh {
    /// How many nodes there are, 1 to 64.
    pub nodes: usize,
    /// Through whom nodes join.
    pub seeds: Vec<NodeIx>,
    /// Nodes that a step starts later; all others start at 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<NodeIx>,
    /// How nodes learn of each other.
    #[serde(skip_serializing_if = "is_default")]
    pub membership: Membership,
    /// Partitions of the data, a power of two.
    pub partitions: u16,
    /// Longest life of a session (ms).
    pub max_lifetime_ms: u64,
    /// Bytes of one page of a round: small ones exercise cuts.
    pub page_bytes: usize,
    /// Mean time between rounds of one node (ms).
    pub sync_interval_ms: u64,
    /// Mean time between audits (ms).
    pub audit_interval_ms: u64,
    /// Largest record (bytes).
    pub max_record_bytes: usize,
    /// Most live fields of a session.
    pub max_fields: usize,
    /// How far honest clocks may be apart (ms).
    pub skew_ms: u64,
    /// Clocks further apart than this (ms) do not exchange data.
    pub max_drift_ms: u64,
    /// How long past its deadline an expired payload stays at least (ms).
    pub grace_ms: u64,
    /// How long past its last possible deadline an expired session waits for a member that is not heard of (ms).
    pub expire_wait_ms: u64,
    /// Above this many bytes of records no session is created; unlimited if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory_bytes: Option<u64>,
    /// Above this many bytes of records nothing is adopted from peers; unlimited if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hard_memory_bytes: Option<u64>,
    /// A process that stood still for longer (ms) trusts nothing until a full round.
    pub fence_after_ms: u64,
    /// How long it waits for one at most (ms).
    pub fence_timeout_ms: u64,
}

impl Default for Mesh {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            nodes: 3,
            seeds: vec![NodeIx(0)],
            late: Vec::new(),
            membership: Membership::Board,
            partitions: 8,
            max_lifetime_ms: 24 * 3_600_000,
            page_bytes: 4 * 1_024,
            sync_interval_ms: limits.sync_interval_ms,
            audit_interval_ms: limits.audit_interval_ms,
            max_record_bytes: limits.max_record_bytes,
            max_fields: limits.max_fields,
            skew_ms: limits.skew_ms,
            max_drift_ms: limits.max_drift_ms,
            grace_ms: limits.grace_ms,
            expire_wait_ms: limits.expire_wait_ms,
            max_memory_bytes: None,
            hard_memory_bytes: None,
            fence_after_ms: limits.fence_after_ms,
            fence_timeout_ms: limits.fence_timeout_ms,
        }
    }
}

impl Mesh {
    /// The core's settings.
    pub fn limits(&self) -> Limits {
        Limits {
            partitions: self.partitions,
            max_lifetime_ms: self.max_lifetime_ms,
            page_bytes: self.page_bytes,
            sync_interval_ms: self.sync_interval_ms,
            audit_interval_ms: self.audit_interval_ms,
            max_record_bytes: self.max_record_bytes,
            max_fields: self.max_fields,
            skew_ms: self.skew_ms,
            max_drift_ms: self.max_drift_ms,
            grace_ms: self.grace_ms,
            expire_wait_ms: self.expire_wait_ms,
            max_memory_bytes: self.max_memory_bytes.unwrap_or(u64::MAX),
            hard_memory_bytes: self.hard_memory_bytes.unwrap_or(u64::MAX),
            fence_after_ms: self.fence_after_ms,
            fence_timeout_ms: self.fence_timeout_ms,
            ..Limits::default()
        }
    }
}

/// The end of the faults: from here on the mesh must become whole again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Heal {
    /// When (ms). A second after the last step if 0.
    pub at_ms: u64,
    /// Only these nodes are healed; the others stay as they are and are cut off. All if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub core: Vec<NodeIx>,
    /// How long to go on after everything is equal, until everything must have ended (ms); 0: not at all.
    pub linger_ms: u64,
}

/// What must hold besides the invariants, which always must.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// All nodes hold the same this long after the heal (ms); the floor computed from the settings if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub converged_within_ms: Option<u64>,
    /// Writes with two copies that are not there at the end, at most.
    pub acked_writes_lost: u64,
    /// Times a node showed a session that it knew destroyed, at most.
    pub resurrections: u64,
    /// A crash is noticed by all that can notice it within this time (ms).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_at_all_within_ms: Option<u64>,
    /// Times a node declared a member dead whose process runs and is neither frozen nor suspended, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub false_deaths_at_most: Option<u64>,
    /// Every started node is ready within this time (ms).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_within_ms: Option<u64>,
    /// Conflicts reported, at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflicts_at_least: Option<u64>,
    /// Conflicts reported, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflicts_at_most: Option<u64>,
    /// Overwrites that the nodes of the core count at the end as neither causal nor a conflict, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlabelled_at_most: Option<u64>,
    /// The same, at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlabelled_at_least: Option<u64>,
    /// Links closed because a peer broke a rule, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links_closed_at_most: Option<u64>,
    /// Texts of which each must be part of some node's warning.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Bytes of replication sent in the whole run, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_at_most: Option<u64>,
    /// Operations of clients that a node did not take or answered with an error, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_at_most: Option<u64>,
    /// Marks of the core that must be hit: the rare thing this scenario is about did happen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<String>,
    /// The invariant (or `expect`) that must be violated: a canary, which shows that the alarm works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violation: Option<String>,
}

impl Scenario {
    /// The timeline with every workload expanded, in order of time.
    pub fn expanded(&self) -> Scenario {
        let mut out = self.clone();
        for (ix, workload) in std::mem::take(&mut out.workload).iter().enumerate() {
            out.step.extend(workload.expand(self.seed, ix as u64, self.mesh.nodes));
        }
        out.step.sort_by_key(|step| step.at_ms);
        if out.heal.at_ms == 0 {
            out.heal.at_ms = out.step.last().map_or(5_000, |s| s.at_ms) + 1_000;
        }
        out
    }

    /// How long after the heal everything must be equal and ready (ms), computed from the settings: lost links are
    /// noticed and dialled again, joiners and fenced nodes wait at most their time-outs, views meet through gossip,
    /// and rounds between random pairs reach everybody in about log2 n steps, each of which may fail once.
    pub fn liveness_floor_ms(&self) -> u64 {
        let limits = self.mesh.limits();
        let n = self.mesh.nodes as u64;
        let hops = u64::from(64 - n.leading_zeros());
        let links = crate::world::LINK_TIMEOUT_MS + 2_000;
        let waits = limits.fence_timeout_ms.max(limits.solo_after_ms).max(limits.source_wait_ms)
            + limits.round_timeout_ms
            + limits.push_timeout_ms;
        let gossip = 1_000 * (10 + 2 * hops);
        links + waits + gossip + limits.sync_interval_ms * (6 * hops + 2 * n)
    }
}
