//! ALGORITHM.md §8: a process that stood still for longer than `fence_after_ms` may have missed logouts. Until it
//! has declared itself ready again it neither shows nor edits a session.

use std::collections::BTreeMap;

use super::{Invariant, Look, Verdict};
use crate::world::{OpKind, Reading, Seen};
use sessionmesh::core::replica::Serving;

/// What clocks that run at another rate make of a second (ms).
const SLACK_MS: u64 = 10;

/// One pause of a process.
#[derive(Clone, Copy)]
struct Pause {
    since_ms: u64,
    until_ms: u64,
    /// Until when a frozen process stands still; a suspend's end is told when it comes.
    freeze_until_ms: u64,
    suspended: bool,
}

/// The rule: since when and until when each machine's process stands still, while its fence has not opened again.
#[derive(Default)]
pub struct FenceGuardsReads {
    still: BTreeMap<usize, Pause>,
}

impl FenceGuardsReads {
    fn fenced(&self, look: &Look<'_>, at: usize) -> bool {
        let (now_ms, after_ms) = (look.world.time_ms, look.world.limits.fence_after_ms);
        let is_over = |p: &&Pause| !p.suspended && now_ms >= p.until_ms;
        self.still.get(&at).filter(is_over).is_some_and(|p| p.until_ms > p.since_ms + after_ms + SLACK_MS)
    }

    fn stands_still(&mut self, now_ms: u64, at: usize, how: &str, until_ms: u64) {
        let fresh = Pause { since_ms: now_ms, until_ms: now_ms, freeze_until_ms: now_ms, suspended: false };
        let held = self.still.get(&at).copied();
        let goes_on = |p: &Pause| p.suspended || now_ms <= p.until_ms;
        let mut pause = match (how, held) {
            ("thaw" | "resume", None) => return,
            ("freeze" | "suspend", Some(pause)) if !goes_on(&pause) => fresh,
            (_, held) => held.unwrap_or(fresh),
        };
        match how {
            "freeze" => pause.freeze_until_ms = pause.freeze_until_ms.max(until_ms),
            "thaw" => pause.freeze_until_ms = now_ms,
            "suspend" => pause.suspended = true,
            _ => pause.suspended = false,
        }
        pause.until_ms = pause.freeze_until_ms.max(now_ms);
        self.still.insert(at, pause);
    }
}

impl Invariant for FenceGuardsReads {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        match seen {
            Seen::Still { at, how, until_ms } => self.stands_still(look.world.time_ms, *at, how, *until_ms),
            Seen::Ended { at, .. } => _ = self.still.remove(at),
            Seen::Serving { at, serving: Serving::Ready, .. } if self.fenced(look, *at) => {
                self.still.remove(at);
            }
            Seen::Read { at, asked, reading, .. } if self.fenced(look, *at) => {
                verdict.case(!matches!(reading, Reading::Found(_)), *at, Some(asked.session), || {
                    "showed a session right after it stood still, before a round".into()
                });
            }
            Seen::Wrote { at, asked, result, .. } if self.fenced(look, *at) => {
                let edits =
                    !matches!(asked.kind, OpKind::Create { .. } | OpKind::Destroy(_) | OpKind::Revoke(_));
                verdict.case(!edits || result.is_err(), *at, Some(asked.session), || {
                    "edited a session right after it stood still, before a round".into()
                });
            }
            _ => {}
        }
    }
}
