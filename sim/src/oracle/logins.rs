//! What the simulator knows of logins and revocations: who had seen which, by coverage, and never by the product's
//! own vectors.

use std::collections::{BTreeMap, BTreeSet};

use sessionmesh::core::causality::Dot;
use sessionmesh::core::replica::Written;

use crate::world::{OpKind, World};

/// One revocation.
#[derive(Clone, Debug)]
pub struct RevocationOf {
    /// Whose sessions it ends.
    pub principal: String,
    /// The write of its record.
    pub dot: Dot,
    /// Where that lies.
    pub partition: u16,
    /// From when on no session can be left that it could end (wall ms).
    pub until_ms: u64,
    /// Revocations of the same principal that were before it, by index.
    pub saw: BTreeSet<usize>,
}

/// One login.
#[derive(Clone, Debug)]
pub struct LoginOf {
    /// Whose.
    pub principal: String,
    /// Revocations of this principal that were before it, by index.
    pub saw: BTreeSet<usize>,
}

/// Everything known of them.
#[derive(Debug, Default)]
pub struct Logins {
    /// All revocations, in the order they were made.
    pub revocations: Vec<RevocationOf>,
    by_dot: BTreeMap<Dot, LoginOf>,
    by_session: BTreeMap<u64, Vec<Dot>>,
}

impl Logins {
    /// Whether there was any login or revocation.
    pub fn any(&self) -> bool {
        !self.by_dot.is_empty() || !self.revocations.is_empty()
    }

    /// The login that a write was.
    pub fn by_dot(&self, dot: Dot) -> Option<&LoginOf> {
        self.by_dot.get(&dot)
    }

    /// All logins a session ever had.
    pub fn of_session(&self, session: u64) -> impl Iterator<Item = &LoginOf> {
        self.by_session.get(&session).into_iter().flatten().filter_map(|dot| self.by_dot.get(dot))
    }

    /// The revocations that a login had not seen.
    pub fn unseen(&self, login: &LoginOf) -> impl Iterator<Item = &RevocationOf> {
        let all = self.revocations.iter().enumerate();
        all.filter(|(ix, r)| r.principal == login.principal && !login.saw.contains(ix)).map(|(_, r)| r)
    }

    pub(crate) fn wrote(
        &mut self,
        world: &World,
        at: usize,
        session: u64,
        kind: &OpKind,
        written: &Written,
        wall_ms: u64,
    ) {
        match kind {
            OpKind::Login { principal, .. } => {
                let login = LoginOf { principal: principal.clone(), saw: self.before(world, at, principal) };
                self.by_dot.insert(written.dot, login);
                self.by_session.entry(session).or_default().push(written.dot);
            }
            OpKind::Revoke(principal) => {
                let saw = self.before(world, at, principal);
                let until_ms = wall_ms + world.limits.max_lifetime_ms;
                let (dot, partition, principal) = (written.dot, written.partition, principal.clone());
                self.revocations.push(RevocationOf { principal, dot, partition, until_ms, saw });
            }
            _ => {}
        }
    }

    /// What a node has received, and what that had seen.
    fn before(&self, world: &World, at: usize, principal: &str) -> BTreeSet<usize> {
        let mut before = BTreeSet::new();
        for (ix, r) in self.revocations.iter().enumerate().filter(|(_, r)| r.principal == principal) {
            let covers = |p: &sessionmesh::core::replica::Partition| p.covers(r.dot.origin, r.dot.counter);
            if world.replica(at).shared(r.partition, covers) {
                before.insert(ix);
                before.extend(&r.saw);
            }
        }
        before
    }
}
