//! The task behind a dashboard: it notes what happens, reads counters once a second, and makes the frames of streams
//! while somebody watches. It holds the dashboard weakly and ends with it.

use std::sync::{Arc, Weak};

use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::answer::view;
use super::board::{Board, Due, Event, Frame, Met};
use super::limits::{
    BEAT, CANARY, CONFLICT_VALUE_BYTES, EVENT_TEXT_BYTES, PROBED, READINGS, STREAMED_MATRIX,
    TOMBSTONES_AGE_MS,
};
use super::parts::{
    ALIVE_FACT, NAMES, Past, UNLINKED_FACT, URL_FACT, alive_set, part, probed, reading, told_unlinked,
    verdict,
};
use crate::core::membership::State;
use crate::core::replica::ConflictEvent;
use crate::core::session::SessionId;
use crate::driver::told::{Heard, Listener};
use crate::mesh::observe::{Gathered, Note, NoteKind};
use crate::mesh::{Expiry, Mesh};

/// Tombstones are counted by these times to their end (ms): a minute, an hour, a day, thirty days.
const DUE_MS: [u64; 4] = [60_000, 3_600_000, 86_400_000, 2_592_000_000];
/// A canary outlives its node by this long.
const CANARY_TTL: std::time::Duration = std::time::Duration::from_secs(60);

/// What the task remembers between beats.
#[derive(Default)]
struct Feed {
    beats: u64,
    was_split: bool,
    published: String,
    unlinked: String,
    canary: Option<SessionId>,
    canary_at: Option<Instant>,
}

/// Starts the task.
pub(super) fn start(board: &Arc<Board>) {
    board.mesh.observe();
    let notes = board.mesh.notes();
    tokio::spawn(run(Arc::downgrade(board), notes));
}

async fn run(board: Weak<Board>, mut notes: Listener<Note>) {
    let mut feed = Feed::default();
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            note = notes.next() => {
                let Some(board) = board.upgrade() else { return };
                match note {
                    Heard::Item(note) => {
                        // A split shorter than a beat is one too.
                        let is_verdict = matches!(note.kind, NoteKind::Member(_));
                        board.noted(note);
                        if is_verdict {
                            feed.notice_split(&board, &board.mesh.gather());
                        }
                    }
                    Heard::Missed(missed) => board.memory.lock().missed += missed,
                    // The node is gone: the last frames say so.
                    Heard::Over => return,
                }
            }
            _ = beat.tick() => {
                let Some(board) = board.upgrade() else { return };
                feed.beat(&board).await;
            }
        }
    }
}

impl Feed {
    async fn beat(&mut self, board: &Arc<Board>) {
        let seen = board.mesh.gather();
        self.notice_split(board, &seen);
        {
            let mut memory = board.memory.lock();
            if seen.unreplicated > memory.unreplicated.1 {
                memory.unreplicated = (seen.wall_ms, seen.unreplicated);
            }
            if memory.readings.len() == READINGS {
                memory.readings.pop_front();
            }
            memory.readings.push_back(reading(&seen));
            if memory.probed.len() == PROBED {
                memory.probed.pop_front();
            }
            memory.probed.push_back(probed(&seen.numbers.members));
        }
        self.publish(board, &seen).await;
        self.sing(board);
        if board.frames.receiver_count() > 0 {
            board.count_tombstones().await;
            let with_matrix = seen.members.len() <= STREAMED_MATRIX || self.beats.is_multiple_of(5);
            board.frames.send_replace(Arc::new(board.frame(with_matrix)));
        }
        self.beats += 1;
    }

    /// The moments a banner turns red and back.
    fn notice_split(&mut self, board: &Board, seen: &Gathered) {
        let now = verdict(seen);
        let is_split = now.word == "split";
        if is_split != std::mem::replace(&mut self.was_split, is_split) {
            let (kind, severity) = if is_split { ("split", "critical") } else { ("healed", "info") };
            let text = if is_split { now.evidence.join("; ") } else { format!("{} again", now.word) };
            board.remember(Event {
                at_ms: seen.wall_ms,
                mono_ms: seen.mono_ms,
                kind,
                severity,
                peer: None,
                node: None,
                text,
            });
        }
    }

    /// Tells others whom this node sees alive, when that changes, and once where its dashboard is.
    async fn publish(&mut self, board: &Board, seen: &Gathered) {
        if self.beats == 0
            && let Some(url) = &board.config.url
        {
            board.mesh.publish_own(URL_FACT, url).await;
        }
        let set = alive_set(seen);
        if set != self.published {
            board.mesh.publish_own(ALIVE_FACT, &set).await;
            self.published = set;
        }
        let unlinked = told_unlinked(seen);
        if unlinked != self.unlinked {
            board.mesh.publish_own(UNLINKED_FACT, &unlinked).await;
            self.unlinked = unlinked;
        }
    }

    /// Writes the canary, if one is wanted and due. A node that does not serve has none.
    fn sing(&mut self, board: &Board) {
        if !board.config.canary || self.canary_at.is_some_and(|at| at.elapsed() < CANARY) {
            return;
        }
        self.canary_at = Some(Instant::now());
        self.canary = write_canary(&board.mesh, self.canary);
    }
}

fn write_canary(mesh: &Mesh, held: Option<SessionId>) -> Option<SessionId> {
    let sessions = mesh.sessions();
    let at = mesh.wall_ms();
    let written = held.map(|id| sessions.edit(&id, |s| s.set("sessionmesh.canary", &at)));
    match written {
        Some(Ok(receipt)) => Some(receipt.id()),
        // Never written, or expired while this node stood still.
        _ => {
            let expiry = Expiry::sliding(CANARY_TTL);
            sessions.create(expiry, |s| s.set("sessionmesh.canary", &at)).ok().map(|receipt| receipt.id())
        }
    }
}

impl Board {
    /// Every part as JSON, without its view.
    pub(super) fn frame(&self, with_matrix: bool) -> Frame {
        let seen = self.mesh.gather_lag();
        let past = Past::of(&self.memory.lock(), self.config.values);
        let text = |name| part(name, &seen, &past).unwrap_or(Value::Null).to_string().into();
        let last = self.frames.borrow().parts.get("matrix").cloned();
        let parts = NAMES.iter().map(|name| match (*name, &last) {
            ("matrix", Some(last)) if !with_matrix => (*name, Arc::clone(last)),
            (name, _) => (name, text(name)),
        });
        Frame { view: view(&seen), parts: parts.collect() }
    }

    pub(super) fn remember(&self, mut event: Event) {
        if event.text.len() > EVENT_TEXT_BYTES {
            let cut = event.text.floor_char_boundary(EVENT_TEXT_BYTES);
            event.text.truncate(cut);
            event.text.push('…');
        }
        self.memory.lock().events.push(event);
    }

    fn noted(&self, note: Note) {
        let Note { wall_ms: at_ms, mono_ms, kind, peer, node, text, conflict } = note;
        if let Some(conflict) = conflict {
            let conflict = Arc::new(cut(*conflict));
            return self.memory.lock().conflicts.push(Met { at_ms, mono_ms, conflict });
        }
        let (kind, severity) = words(kind);
        self.remember(Event { at_ms, mono_ms, kind, severity, peer, node, text });
    }

    /// Counts tombstones by when they go, unless that was done a moment ago.
    pub(super) async fn count_tombstones(&self) {
        let seen = self.mesh.gather();
        let fresh = seen.wall_ms.saturating_sub(self.memory.lock().due.at_ms) < TOMBSTONES_AGE_MS;
        if fresh {
            return;
        }
        let mut within = DUE_MS.map(|ms| (ms, 0)).to_vec();
        let margin_ms = 2 * seen.max_drift_ms;
        for ix in 0..if seen.counts.tombstones > 0 { seen.partitions } else { 0 } {
            self.mesh.with_partition(ix, |p| {
                for record in p.records().filter(|r| r.is_dead()) {
                    let goes_in = (record.hard_ms() + margin_ms).saturating_sub(seen.wall_ms);
                    within.iter_mut().filter(|(ms, _)| goes_in <= *ms).for_each(|(_, n)| *n += 1);
                }
            });
            tokio::task::yield_now().await;
        }
        self.memory.lock().due = Due { at_ms: seen.wall_ms, within };
    }
}

/// A conflict with its values cut to what is worth keeping.
fn cut(mut conflict: ConflictEvent) -> ConflictEvent {
    for value in [&mut conflict.kept.2, &mut conflict.lost.2].into_iter().flatten() {
        value.truncate(CONFLICT_VALUE_BYTES);
    }
    conflict
}

/// An event's kind and how bad it is.
fn words(kind: NoteKind) -> (&'static str, &'static str) {
    match kind {
        NoteKind::Member(State::Alive) => ("member_alive", "info"),
        NoteKind::Member(State::Suspect) => ("member_suspect", "warning"),
        NoteKind::Member(State::Dead) => ("member_dead", "critical"),
        NoteKind::Member(State::Left) => ("member_left", "info"),
        NoteKind::Forgotten => ("member_forgotten", "warning"),
        NoteKind::LinkUp => ("link_up", "info"),
        NoteKind::LinkDown => ("link_down", "warning"),
        NoteKind::LinkClosed => ("link_closed", "warning"),
        NoteKind::Serving(crate::core::replica::Serving::Fenced) => ("serving", "critical"),
        NoteKind::Serving(_) => ("serving", "info"),
        NoteKind::NewLife => ("new_life", "warning"),
        NoteKind::Warning | NoteKind::Conflict => ("warning", "warning"),
    }
}
