//! The small language tests are written in: create, edit, destroy, read, settle.

use std::collections::BTreeMap;

use sessionmesh::core::node::Input;
use sessionmesh::core::replica::{Change, Dumped, Lookup, Revoked, WriteError, Written};
use sessionmesh::core::session::{SessionId, Ttl};

use super::World;
use super::client::change_of;

impl World {
    /// A fresh id, the same for the same seed and call.
    pub fn fresh_id(&mut self) -> SessionId {
        self.next_id += 1;
        self.session_id(self.next_id | 1 << 48)
    }

    /// Creates a session with a sliding half hour on a node.
    ///
    /// # Panics
    /// If the node refuses: a mistake in the test.
    pub fn create(&mut self, at: usize, fields: &[(&str, &str)]) -> SessionId {
        let id = self.fresh_id();
        let made = self.create_with(at, id, fields, Ttl::Sliding(1_800_000), 24 * 3_600_000);
        assert!(made.is_ok(), "create on node {at}: {made:?}");
        id
    }

    /// Creates a session with everything given.
    ///
    /// # Errors
    /// As the product's.
    pub fn create_with(
        &mut self,
        at: usize,
        id: SessionId,
        fields: &[(&str, &str)],
        ttl: Ttl,
        life_ms: u64,
    ) -> Result<Written, WriteError> {
        let now = self.now(at);
        let change = change_of(fields.iter().map(|(k, v)| (*k, Some(*v))));
        let written = self.replica(at).create(id, now, &change, ttl, now.wall_ms + life_ms);
        self.input(at, Input::News);
        written
    }

    /// Sets (or removes) fields.
    ///
    /// # Errors
    /// As the product's.
    pub fn edit(
        &mut self,
        at: usize,
        id: SessionId,
        fields: &[(&str, Option<&str>)],
    ) -> Result<Written, WriteError> {
        let now = self.now(at);
        let written = self.replica(at).edit(id, now, &change_of(fields.iter().copied()));
        self.input(at, Input::News);
        written
    }

    /// Changes the time-to-live.
    ///
    /// # Errors
    /// As the product's.
    pub fn set_ttl(&mut self, at: usize, id: SessionId, ttl: Ttl) -> Result<Written, WriteError> {
        let now = self.now(at);
        let change = Change { ttl: Some(ttl), ..Change::default() };
        let written = self.replica(at).edit(id, now, &change);
        self.input(at, Input::News);
        written
    }

    /// Destroys a session, blind if need be.
    ///
    /// # Panics
    /// If the node refuses, which a blind destroy gives it no reason for.
    pub fn destroy(&mut self, at: usize, id: SessionId) {
        let now = self.now(at);
        let written = self.replica(at).destroy(id, now, true);
        assert!(written.is_ok(), "a blind destroy succeeds: {written:?}");
        self.input(at, Input::News);
    }

    /// Logs a session in as a principal's, on a node that shows it.
    ///
    /// # Errors
    /// As the product's.
    pub fn login(&mut self, at: usize, id: SessionId, principal: &str) -> Result<Written, WriteError> {
        let now = self.now(at);
        let change = Change { principal: Some(Some(principal)), ..Change::default() };
        let written = self.replica(at).edit(id, now, &change);
        self.input(at, Input::News);
        written
    }

    /// Creates a session of a principal with a sliding half hour.
    ///
    /// # Panics
    /// If the node refuses: a mistake in the test.
    pub fn create_of(&mut self, at: usize, principal: &str) -> SessionId {
        let (id, now) = (self.fresh_id(), self.now(at));
        let change = Change { principal: Some(Some(principal)), ..Change::default() };
        let hard_ms = now.wall_ms + 24 * 3_600_000;
        let made = self.replica(at).create(id, now, &change, Ttl::Sliding(1_800_000), hard_ms);
        assert!(made.is_ok(), "create on node {at}: {made:?}");
        self.input(at, Input::News);
        id
    }

    /// Ends all sessions of a principal, but not `spared`.
    ///
    /// # Panics
    /// If the node refuses: a mistake in the test.
    pub fn revoke(&mut self, at: usize, principal: &str, spared: Option<SessionId>) -> Revoked {
        let (id, now) = (self.fresh_id(), self.now(at));
        let revoked = self.replica(at).revoke(principal, spared, id, now);
        self.input(at, Input::News);
        revoked.unwrap_or_else(|e| panic!("revoke on node {at}: {e}"))
    }

    /// The sessions of a principal as a node shows them.
    pub fn sessions_of(&self, at: usize, principal: &str) -> Vec<SessionId> {
        self.replica(at).sessions_of(principal, || self.now(at))
    }

    /// Whether a node shows a session.
    pub fn visible(&self, at: usize, id: SessionId) -> bool {
        matches!(self.lookup(at, id), Lookup::Found(_))
    }

    /// A field of a visible session.
    pub fn field(&self, at: usize, id: SessionId, key: &str) -> Option<String> {
        match self.lookup(at, id) {
            Lookup::Found(view) => view.packed().field(key).map(|v| String::from_utf8_lossy(v).into_owned()),
            _ => None,
        }
    }

    /// Everything a node holds.
    pub fn dump(&self, at: usize) -> BTreeMap<String, Dumped> {
        self.replica(at).dump()
    }

    /// Whether all nodes that are up hold the same.
    pub fn converged(&self) -> bool {
        let up = self.up();
        let Some((&first, rest)) = up.split_first() else { return true };
        let expected = self.dump(first);
        rest.iter().all(|&at| self.dump(at) == expected)
    }

    /// Runs until all are ready and hold the same.
    ///
    /// # Panics
    /// If that takes more than five virtual minutes.
    pub fn settle(&mut self) {
        let limit = self.time_ms + 300_000;
        while self.time_ms < limit {
            self.run(500);
            if self.up().iter().all(|&at| self.ready(at)) && self.converged() {
                self.check_indices();
                return;
            }
        }
        for at in self.up() {
            let node = self.nodes[at].as_ref();
            let why = node.map_or("", |n| n.node.phase_reason());
            let warnings = node.map(|n| n.warnings.clone()).unwrap_or_default();
            eprintln!(
                "node {at}: ready {}, {why}; {} records; {warnings:?}",
                self.ready(at),
                self.dump(at).len()
            );
        }
        panic!("not settled after five virtual minutes (seed {})", self.seed);
    }

    /// The invariants of the dot index and of the index of principals on every node.
    ///
    /// # Panics
    /// If an index disagrees with its records.
    pub fn check_indices(&self) {
        for at in self.up() {
            assert_eq!(self.replica(at).check_principals(), Ok(()), "node {at}");
            for ix in 0..self.limits.partitions {
                let checked = self.replica(at).shared(ix, |p| p.check_index());
                assert_eq!(checked, Ok(()), "node {at}");
            }
        }
    }
}
