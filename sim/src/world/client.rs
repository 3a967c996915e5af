//! Clients: what web applications do to sessions, through the same reads and writes `Mesh` makes.
//!
//! A write goes to the replica and then wakes the node (`Sessions::edit`); a read of a session that is unknown
//! here asks the peers first (`Sessions::fetch`); a save by an adapter changes only what its client saw
//! (`web::tower_sessions`). A client with a token carries the receipt of its last write to the next node.

use std::collections::BTreeMap;

use sessionmesh::core::causality::{Dot, origin_at};
use sessionmesh::core::node::Input;
use sessionmesh::core::replica::{Change, Lookup, WriteError, Written};
use sessionmesh::core::session::{SessionId, Ttl, is_reserved};
use sessionmesh::core::time::Hlc;

use super::World;
use super::node::Unacked;
use super::seen::Seen;

/// How long a read waits for peers (ms): `ask_timeout_ms` of the product.
pub const ASK_TIMEOUT_MS: u64 = 500;

/// Receipts a client carries at most: its latest.
const MOST_TOKENS: usize = 16;

/// One operation of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOp {
    /// Who asks; 0 is anybody. A client keeps the snapshot it loaded and its token.
    pub client: u32,
    /// The session, by its number in the run.
    pub session: u64,
    /// What is asked.
    pub kind: OpKind,
    /// Whether the client presents the token of its last write.
    pub token: bool,
    /// How long before it gets to write its thread read the clock (ms).
    pub stalled_ms: u64,
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpKind {
    /// Creates the session.
    Create {
        /// Its fields.
        fields: Vec<(String, String)>,
        /// Its time-to-live.
        ttl: Ttl,
        /// How long it may live at most (ms).
        life_ms: u64,
    },
    /// Sets (or removes) fields.
    Edit(Vec<(String, Option<String>)>),
    /// Extends it.
    Touch,
    /// Changes its time-to-live.
    SetTtl(Ttl),
    /// Logs in as a principal; creates the session where it is unknown.
    Login {
        /// Whose session it is from now on.
        principal: String,
        /// The time-to-live of a new one.
        ttl: Ttl,
    },
    /// Ends all sessions of a principal.
    Revoke(String),
    /// Ends it: `true` also where it is unknown.
    Destroy(bool),
    /// Reads it, asking peers if it is unknown here.
    Read,
    /// Reads it and keeps the snapshot for a later save, as a web adapter does at the start of a request.
    Load,
    /// Saves the snapshot with these changes, as a web adapter does at the end of a request: only what differs.
    Save(Vec<(String, Option<String>)>),
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The session's fields.
    Found(BTreeMap<String, String>),
    /// No such session.
    Absent,
    /// Joining, and nobody asked has it.
    NotYetKnown,
    /// The node does not trust its memory.
    Fenced,
    /// The node does not hold the write the client's token names yet: a layer would wait.
    Behind,
}

/// A receipt that a client carries from node to node. It carries those of its last writes, not the last one's only:
/// a node that holds a client's last write need not hold the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The partition of its last write.
    pub partition: u16,
    /// The write.
    pub dot: Dot,
    /// Its stamp.
    pub hlc: Hlc,
}

/// What one client remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    /// The receipts of its last writes.
    pub tokens: Vec<Token>,
    /// Per session: the fields it loaded, with the write each came from.
    snapshots: BTreeMap<u64, BTreeMap<String, (String, Dot)>>,
}

/// A read that waits for peers.
pub(crate) struct Asking {
    op: u64,
    asked: ClientOp,
    tokens: Vec<Token>,
}

impl World {
    /// The id of a session by its number: the same for the same seed.
    pub fn session_id(&self, number: u64) -> SessionId {
        let draw = self.draw.of("session").within(number);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&draw.at(0).to_le_bytes());
        bytes[8..].copy_from_slice(&draw.at(1).to_le_bytes());
        SessionId::from_bytes(bytes)
    }

    /// Whether a node takes operations of clients now.
    pub fn takes_clients(&self, at: usize) -> bool {
        let awake = |n: &super::SimNode| {
            n.frozen_until_ms <= self.time_ms
                && n.suspended_since_ms.is_none()
                && n.leaving_since_ms.is_none()
        };
        self.nodes.get(at).and_then(Option::as_ref).is_some_and(awake)
    }

    /// Carries out a client's operation on a node; what comes of it is among the things seen.
    pub fn client(&mut self, at: usize, asked: ClientOp) {
        self.next_message += 1;
        let op = self.next_message;
        if !self.takes_clients(at) {
            self.see(Seen::Refused { at, op, asked });
            return;
        }
        self.cause = op;
        let id = self.session_id(asked.session);
        if asked.token {
            self.present_token(at, asked.client);
        }
        match &asked.kind {
            OpKind::Read | OpKind::Load => self.client_read(at, op, id, asked),
            _ => self.client_write(at, op, id, asked),
        }
    }

    /// A node takes a client's stamp into account before anything else, if it is believable (docs/ALGORITHM.md §10).
    fn present_token(&mut self, at: usize, client: u32) {
        let Some(client) = self.clients.get(&client) else { return };
        let latest_ms = self.now(at).wall_ms + self.limits.max_drift_ms;
        let believable = client.tokens.iter().map(|t| t.hlc).filter(|hlc| hlc.ms() <= latest_ms);
        if let Some(hlc) = believable.max() {
            self.replica(at).clock().observe(hlc);
        }
    }

    fn client_write(&mut self, at: usize, op: u64, id: SessionId, asked: ClientOp) {
        let now = self.now(at);
        let (result, ended) = match &asked.kind {
            OpKind::Revoke(principal) => self.revoke_all(at, op, principal),
            _ => (self.write(at, id, &asked), Vec::new()),
        };
        let code = result.as_ref().map_or(u64::MAX, |w| w.dot.counter);
        self.hash.absorb([self.time_ms, at as u64 | 1 << 32, code, op]);
        if let Ok(written) = &result {
            self.remember_write(at, op, asked.client, written);
        }
        self.see(Seen::Wrote { at, op, asked, result, wall_ms: now.wall_ms });
        ended.into_iter().for_each(|id| self.see_revoked(at, id));
        self.input(at, Input::News);
    }

    fn revoke_all(
        &mut self,
        at: usize,
        op: u64,
        principal: &str,
    ) -> (Result<Written, WriteError>, Vec<SessionId>) {
        let id = self.session_id(op | 1 << 49);
        match self.replica(at).revoke(principal, None, id, self.now(at)) {
            Ok(revoked) => (Ok(revoked.written), revoked.ended),
            Err(error) => (Err(error), Vec::new()),
        }
    }

    /// A session was destroyed on a node. If the node did it by itself, because of a revocation, that is a write.
    pub(crate) fn see_revoked(&mut self, at: usize, id: SessionId) {
        let partition = id.partition(self.limits.partitions);
        let (own, wall_ms) = (self.origin(at), self.now(at).wall_ms);
        let written = self.replica(at).shared(partition, |p| {
            let dead = p.get(id).filter(|r| r.is_dead())?;
            let ver = dead.ver(0);
            let dot = Dot { origin: origin_at(p.origins(), ver.origin), counter: ver.counter };
            let deadline_ms = dead.hard_ms();
            (dot.origin == own).then_some(Written { partition, dot, hlc: ver.hlc, wrote: true, deadline_ms })
        });
        if let Some(written) = written {
            self.next_message += 1;
            self.see(Seen::Revoked { at, op: self.next_message, id, written, wall_ms });
        }
    }

    fn remember_write(&mut self, at: usize, op: u64, client: u32, written: &Written) {
        let token = Token { partition: written.partition, dot: written.dot, hlc: written.hlc };
        if client > 0 {
            let tokens = &mut self.clients.entry(client).or_default().tokens;
            if tokens.len() == MOST_TOKENS {
                tokens.remove(0);
            }
            tokens.push(token);
        }
        let Some(node) = self.nodes[at].as_mut().filter(|_| written.wrote) else { return };
        let (partition, counter) = (written.partition, written.dot.counter);
        node.unacked.push(Unacked { op, partition, counter });
    }

    fn write(&mut self, at: usize, id: SessionId, asked: &ClientOp) -> Result<Written, WriteError> {
        let (mut now, replica) = (self.now(at), self.replica(at));
        now.wall_ms = now.wall_ms.saturating_sub(asked.stalled_ms);
        now.mono_ms = now.mono_ms.saturating_sub(asked.stalled_ms);
        match &asked.kind {
            OpKind::Create { fields, ttl, life_ms } => {
                let change = change_of(fields.iter().map(|(k, v)| (k.as_str(), Some(v.as_str()))));
                replica.create(id, now, &change, *ttl, now.wall_ms.saturating_add(*life_ms))
            }
            OpKind::Edit(fields) => replica.edit(id, now, &change_of(optional(fields))),
            OpKind::Touch => replica.edit(id, now, &Change::default()),
            OpKind::SetTtl(ttl) => replica.edit(id, now, &Change { ttl: Some(*ttl), ..Change::default() }),
            OpKind::Destroy(blind) => replica.destroy(id, now, *blind),
            OpKind::Login { principal, ttl } => {
                let change = Change { principal: Some(Some(principal)), ..Change::default() };
                match replica.edit(id, now, &change) {
                    Err(WriteError::Absent) => {
                        replica.create(id, now, &change, *ttl, now.wall_ms + self.limits.max_lifetime_ms)
                    }
                    other => other,
                }
            }
            OpKind::Save(changes) => {
                let snapshot = self.clients.entry(asked.client).or_default().snapshots.remove(&asked.session);
                let snapshot = snapshot.unwrap_or_default();
                let (set, removed): (Vec<_>, Vec<_>) = optional(changes).partition(|(_, v)| v.is_some());
                // What the client kept unchanged is not written; what it removed, only if it is still what it saw.
                let mut change = change_of(set.into_iter());
                change.skip_unchanged = true;
                let seen = |key: &str| snapshot.get(key).map(|(_, dot)| *dot);
                change.remove_seen = removed.iter().filter_map(|(k, _)| Some((*k, seen(k)?))).collect();
                replica.edit(id, now, &change)
            }
            OpKind::Revoke(_) | OpKind::Read | OpKind::Load => Err(WriteError::Absent),
        }
    }

    fn client_read(&mut self, at: usize, op: u64, id: SessionId, asked: ClientOp) {
        let replica = self.replica(at);
        let unknown = match self.lookup(at, id) {
            Lookup::NotYetKnown => true,
            Lookup::Absent => replica.shared(id.partition(self.limits.partitions), |p| p.get(id).is_none()),
            Lookup::Found(_) | Lookup::Fenced => false,
        };
        let linked = self.nodes[at].as_ref().is_some_and(|n| !n.links.is_empty());
        let client = self.clients.get(&asked.client).filter(|_| asked.token);
        let tokens = client.map(|c| c.tokens.clone()).unwrap_or_default();
        let asking = Asking { op, tokens, asked };
        if !unknown || !linked {
            self.answer(at, asking);
            return;
        }
        self.asking.insert((at, op), asking);
        self.schedule(ASK_TIMEOUT_MS, super::Event::AskOver(at, op));
        self.input(at, Input::Ask { token: op, id });
    }

    /// The peers have answered a read, or it has waited long enough.
    pub(crate) fn ask_over(&mut self, at: usize, token: u64) {
        if let Some(asking) = self.asking.remove(&(at, token))
            && self.nodes[at].is_some()
        {
            self.answer(at, asking);
        }
    }

    fn answer(&mut self, at: usize, Asking { op, asked, tokens }: Asking) {
        let id = self.session_id(asked.session);
        let wall_ms = self.now(at).wall_ms;
        let mut reading = self.reading(at, id);
        let partition = id.partition(self.limits.partitions);
        let lacks = self.replica(at).shared(partition, |p| {
            let here = tokens.iter().filter(|t| t.partition == partition).map(|t| t.dot);
            here.filter(|dot| !p.covers(dot.origin, dot.counter)).count() > 0
        });
        if lacks {
            reading = Reading::Behind;
        }
        if let (OpKind::Load, Reading::Found(fields)) = (&asked.kind, &reading) {
            self.keep_snapshot(at, id, &asked, fields);
        }
        self.hash.absorb([
            self.time_ms,
            at as u64 | 2 << 32,
            matches!(reading, Reading::Found(_)).into(),
            op,
        ]);
        self.see(Seen::Read { at, op, asked, reading, wall_ms });
    }

    fn keep_snapshot(
        &mut self,
        at: usize,
        id: SessionId,
        asked: &ClientOp,
        fields: &BTreeMap<String, String>,
    ) {
        let seen = self.replica(at).shared(id.partition(self.limits.partitions), |p| p.seen(id));
        let dots = seen.map(|s| s.fields).unwrap_or_default();
        let snapshot = fields.iter().zip(dots).map(|((k, v), dot)| (k.clone(), (v.clone(), dot)));
        let client = self.clients.entry(asked.client).or_default();
        client.snapshots.insert(asked.session, snapshot.collect());
    }

    fn reading(&self, at: usize, id: SessionId) -> Reading {
        match self.lookup(at, id) {
            Lookup::Found(view) => {
                let fields = view
                    .packed()
                    .fields()
                    .filter(|f| !is_reserved(f.key))
                    .filter_map(|f| Some((f.key, f.value?)));
                let text = |v: &[u8]| String::from_utf8_lossy(v).into_owned();
                Reading::Found(fields.map(|(k, v)| (k.to_owned(), text(v))).collect())
            }
            Lookup::Absent => Reading::Absent,
            Lookup::NotYetKnown => Reading::NotYetKnown,
            Lookup::Fenced => Reading::Fenced,
        }
    }
}

fn optional(fields: &[(String, Option<String>)]) -> impl Iterator<Item = (&str, Option<&str>)> {
    fields.iter().map(|(k, v)| (k.as_str(), v.as_deref()))
}

/// A change that sets and removes fields.
pub(crate) fn change_of<'a>(fields: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Change<'a> {
    Change { fields: fields.map(|(k, v)| (k, v.map(str::as_bytes))).collect(), ..Change::default() }
}
