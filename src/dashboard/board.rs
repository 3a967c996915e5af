//! What all handlers of one dashboard share: the node, the histories, what streams are fed with.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use rand::TryRng;
use rand::rngs::SysRng;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, watch};

use super::config::{Access, DashboardConfig};
use super::limits::{CONFLICTS, EVENTS, INSPECTIONS};
use super::metrics;
use super::ring::Ring;
use super::streams::Streams;
use crate::core::causality::Origin;
use crate::core::replica::ConflictEvent;
use crate::mesh::Mesh;
use crate::mesh::observe::Flow;

/// One entry of the event log.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub at_ms: u64,
    pub mono_ms: u64,
    pub kind: &'static str,
    pub severity: &'static str,
    pub peer: Option<Origin>,
    pub node: Option<String>,
    pub text: String,
}

/// A conflict and when it met here.
#[derive(Clone, Debug)]
pub(super) struct Met {
    pub at_ms: u64,
    pub mono_ms: u64,
    pub conflict: Arc<ConflictEvent>,
}

/// Counters at one moment; two of them make a rate.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub mono_ms: u64,
    pub counters: [u64; 8],
    pub flows: BTreeMap<Origin, Flow>,
}

/// Tombstones by when they are due.
#[derive(Clone, Debug, Default)]
pub(super) struct Due {
    pub at_ms: u64,
    /// Time from then (ms) and how many are due within.
    pub within: Vec<(u64, u64)>,
}

/// The histories.
pub(super) struct Memory {
    pub events: Ring<Event>,
    pub conflicts: Ring<Met>,
    /// Notes that came too fast.
    pub missed: u64,
    pub readings: VecDeque<Reading>,
    pub due: Due,
    /// When the count of unreplicated writes last rose (wall ms), and to what.
    pub unreplicated: (u64, u64),
    /// Probes so far, and those without a direct answer in time, beat by beat.
    pub probed: VecDeque<(u64, u64)>,
}

/// What a stream is fed with: every part as JSON, without its view.
#[derive(Clone, Default)]
pub(super) struct Frame {
    pub view: Value,
    pub parts: BTreeMap<&'static str, Arc<str>>,
}

/// One dashboard.
pub(super) struct Board {
    pub mesh: Mesh,
    pub config: DashboardConfig,
    pub memory: Mutex<Memory>,
    pub frames: watch::Sender<Arc<Frame>>,
    pub streams: Arc<Streams>,
    pub inspections: Semaphore,
    /// What a browser that has logged in presents: it changes with every start.
    pub cookie: String,
    /// The second of the last wrong token, and how many there were in it.
    pub wrong: Mutex<(u64, u64)>,
    pub registry: Registry,
}

impl Board {
    pub(super) fn new(mesh: Mesh, config: DashboardConfig) -> Self {
        let memory = Memory {
            events: Ring::new(EVENTS),
            conflicts: Ring::new(CONFLICTS),
            missed: 0,
            readings: VecDeque::new(),
            due: Due::default(),
            unreplicated: (0, 0),
            probed: VecDeque::new(),
        };
        Self {
            cookie: fresh_cookie(&config),
            registry: metrics::of(mesh.clone()),
            mesh,
            config,
            memory: Mutex::new(memory),
            frames: watch::channel(Arc::new(Frame::default())).0,
            streams: Arc::default(),
            inspections: Semaphore::new(INSPECTIONS),
            wrong: Mutex::new((0, 0)),
        }
    }
}

/// Not the token itself: a browser's store of cookies is read by more than one program. Empty, which admits nobody,
/// without randomness or without a token.
fn fresh_cookie(config: &DashboardConfig) -> String {
    let mut salt = [0; 32];
    match (&config.access, SysRng.try_fill_bytes(&mut salt)) {
        (Access::Token(token), Ok(())) => {
            let digest = Sha256::new().chain_update(salt).chain_update(token).finalize();
            digest.iter().map(|byte| format!("{byte:02x}")).collect()
        }
        _ => String::new(),
    }
}
