//! Two linked nodes, what passes between them passed by hand, in a time that moves only when told.

use std::sync::Arc;

use sessionmesh_core::causality::Origin;
use sessionmesh_core::limits::Limits;
use sessionmesh_core::node::{Class, Input, Node, Output, Setup};
use sessionmesh_core::replica::{Change, Replica};
use sessionmesh_core::session::{SessionId, Ttl};
use sessionmesh_core::time::Now;
use sessionmesh_core::wire::{Message, WIRE_NEWEST, decode};

/// The wall time of the start (ms).
const WALL_MS: u64 = 1_700_000_000_000;
/// Time passes in such steps (ms): longer ones would be taken for a process that stood still.
const STEP_MS: u64 = 100;

/// What sessions hold.
pub mod fields {
    /// Names of fields.
    pub const NAMES: [&str; 8] =
        ["field_0", "field_1", "field_2", "field_3", "field_4", "field_5", "field_6", "field_7"];
    /// A value before any edit.
    pub const FRESH: &[u8] = &[3; 128];
    /// A value after one.
    pub const EDITED: &[u8] = &[4; 128];
}

/// A session's id by its number.
pub fn id(n: u64) -> SessionId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    SessionId::from_bytes(bytes)
}

/// A change of one field.
pub fn set<'a>(key: &'a str, value: &'a [u8]) -> Change<'a> {
    Change { fields: vec![(key, Some(value))], ..Change::default() }
}

fn node(partitions: u16, seed: u8, has_seeds: bool, now: Now) -> (Node, Arc<Replica>) {
    let limits = Limits { partitions, ..Limits::default() };
    let seed = [seed; 32];
    Node::new(Setup { limits, seed, hash_key: 7, has_seeds, watched: false, membership: None, now })
}

/// A node that begins now and is linked to another.
pub fn linked_to(peer: Origin, partitions: u16, n: u64, now: Now) -> (Node, Arc<Replica>) {
    let (mut node, store) = node(partitions, (n % 200) as u8 + 10, false, now);
    node.handle(now, Input::LinkUp { peer, version: WIRE_NEWEST });
    while node.poll_output().is_some() {}
    (node, store)
}

/// Two nodes with a link: `b` came later and has fetched nothing yet.
pub struct Pair {
    /// The one that holds everything.
    pub a: Node,
    /// What it holds.
    pub store: Arc<Replica>,
    /// The other.
    pub b: Node,
    /// The time.
    pub now: Now,
    sessions: u64,
    pages: Vec<Vec<u8>>,
    digests: Vec<Vec<u8>>,
}

impl Pair {
    /// `a` with so many sessions of eight fields.
    pub fn new(partitions: u16, sessions: u64) -> Self {
        let now = Now { mono_ms: 1_000, wall_ms: WALL_MS };
        let ((a, store), (b, _)) = (node(partitions, 1, false, now), node(partitions, 2, true, now));
        let change =
            Change { fields: fields::NAMES.map(|k| (k, Some(fields::FRESH))).to_vec(), ..Change::default() };
        for n in 0..sessions {
            let ttl = Ttl::Sliding(3_600_000);
            let made = store.create(id(n), now, &change, ttl, now.wall_ms + 24 * 3_600_000);
            made.unwrap_or_else(|e| panic!("session {n}: {e}"));
        }
        let mut pair = Self { a, store, b, now, sessions, pages: Vec::new(), digests: Vec::new() };
        let (own, peer) = (pair.a.origin(), pair.b.origin());
        pair.a.handle(now, Input::LinkUp { peer, version: WIRE_NEWEST });
        pair.b.handle(now, Input::LinkUp { peer: own, version: WIRE_NEWEST });
        pair
    }

    /// `a` sets this field of every session, and tells nobody: the next round must fetch it.
    pub fn edit_all(&mut self, key: &str) {
        for n in 0..self.sessions {
            let edited = self.store.edit(id(n), self.now, &set(key, fields::EDITED));
            edited.unwrap_or_else(|e| panic!("session {n}: {e}"));
        }
    }

    /// Lets `b` fetch what it lacks; the pages that `a` sent.
    pub fn pages(&mut self) -> Vec<Vec<u8>> {
        self.pages.clear();
        self.pass(10_000);
        assert!(!self.pages.is_empty(), "nothing was fetched");
        std::mem::take(&mut self.pages)
    }

    /// Lets `b` fetch what it lacks; a digest of it that then equals `a`'s.
    pub fn digest(&mut self) -> Vec<u8> {
        self.pass(10_000);
        self.digests.clear();
        let equal = self.b.stats().rounds_equal;
        self.pass(5_000);
        assert!(self.b.stats().rounds_equal > equal, "the two never became equal");
        self.digests.pop().unwrap_or_else(|| panic!("no digest was sent"))
    }

    fn pass(&mut self, for_ms: u64) {
        for _ in 0..for_ms / STEP_MS {
            self.now = Now { mono_ms: self.now.mono_ms + STEP_MS, wall_ms: self.now.wall_ms + STEP_MS };
            self.a.handle(self.now, Input::Tick);
            self.b.handle(self.now, Input::Tick);
            while self.carry() {}
        }
    }

    /// Brings what both have sent to the other; whether there was anything.
    fn carry(&mut self) -> bool {
        let (a, b, mut any) = (self.a.origin(), self.b.origin(), false);
        while let Some(output) = self.a.poll_output() {
            let Output::Send { class, frame, .. } = output else { continue };
            any = true;
            self.b.handle(self.now, Input::Frame { peer: a, bytes: &frame });
            if class == Class::Bulk {
                self.pages.push(frame);
            }
        }
        while let Some(output) = self.b.poll_output() {
            let Output::Send { frame, .. } = output else { continue };
            any = true;
            self.a.handle(self.now, Input::Frame { peer: b, bytes: &frame });
            if matches!(decode(&frame), Ok(Message::Digest(_))) {
                self.digests.push(frame);
            }
        }
        any
    }
}
