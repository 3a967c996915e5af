//! ALGORITHM.md §8: a process that stood still for longer than `fence_after_ms` may have missed logouts. Until it
//! has declared itself ready again it neither shows nor edits a session.
//!
//! A process can tell by its two clocks only. A freeze shows in the monotonic one. A suspend shows in the wall clock,
//! which steps by as much as the machine slept and was set meanwhile: where both come to nothing, or to a small step
//! back, nobody can know (CLOCKS.md, "A step may hide a sleep"). And who knows nobody else has nobody whose logout it
//! could have missed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Invariant, Look, Verdict};
use crate::world::{OpKind, Reading, Seen};
use sessionmesh::core::causality::Origin;
use sessionmesh::core::limits::Limits;
use sessionmesh::core::replica::Serving;
use sessionmesh::core::time::Now;

/// What clocks that run at another rate make of a second (ms).
const SLACK_MS: u64 = 10;

/// One pause of a process.
#[derive(Clone, Copy, Default)]
struct Pause {
    since_ms: u64,
    until_ms: u64,
    /// Until when a frozen process stands still; a suspend's end is told when it comes.
    freeze_until_ms: u64,
    /// Since when the machine sleeps, and its offsets then.
    asleep: Option<(u64, Offsets)>,
    /// How long it slept: its monotonic clock stood still (ms).
    slept_ms: u64,
    /// Its wall clock tells that it slept, and it knows somebody who may have logged users out meanwhile.
    told: bool,
}

impl Pause {
    fn goes_on(&self, now_ms: u64) -> bool {
        self.asleep.is_some() || now_ms <= self.until_ms
    }
}

/// One machine and its process.
#[derive(Default)]
struct Machine {
    /// Since when and until when the process stands still, while its fence has not opened again.
    still: Option<Pause>,
    /// Lives it has been linked with, and that are not over as far as it was told.
    met: BTreeSet<Origin>,
}

/// The rule.
#[derive(Default)]
pub struct FenceGuardsReads {
    machines: BTreeMap<usize, Machine>,
}

/// How far the wall clock is from the monotonic one (ms).
#[derive(Clone, Copy)]
struct Offsets {
    machine: i128,
    believed: i128,
}

impl Offsets {
    fn now(look: &Look<'_>, at: usize) -> Self {
        let offset = |now: Now| i128::from(now.wall_ms) - i128::from(now.mono_ms);
        Self { machine: offset(look.world.machine(at)), believed: offset(look.world.now(at)) }
    }

    /// Whether the wall clock tells after a sleep that there was one.
    fn tell(&self, after: i128, limits: &Limits) -> bool {
        let least = i128::from(limits.fence_after_ms + SLACK_MS);
        let bound = i128::from(limits.step_bound_ms() + SLACK_MS);
        let in_doubt = after > self.believed + least || after < self.believed - bound;
        after - self.machine > least || self.machine - after > least && in_doubt
    }
}

impl FenceGuardsReads {
    fn fenced(&self, look: &Look<'_>, at: usize) -> bool {
        let (now_ms, after_ms) = (look.world.time_ms, look.world.limits.fence_after_ms + SLACK_MS);
        let Some(pause) = self.machines.get(&at).and_then(|m| m.still) else { return false };
        let silent_ms = pause.until_ms - pause.since_ms - pause.slept_ms;
        pause.asleep.is_none() && now_ms >= pause.until_ms && (pause.told || silent_ms > after_ms)
    }

    fn stands_still(&mut self, look: &Look<'_>, at: usize, how: &str, until_ms: u64) {
        let (now_ms, offsets) = (look.world.time_ms, Offsets::now(look, at));
        let machine = self.machines.entry(at).or_default();
        let begins = matches!(how, "freeze" | "suspend");
        let fresh = Pause { since_ms: now_ms, until_ms: now_ms, freeze_until_ms: now_ms, ..Pause::default() };
        let mut pause = match machine.still {
            None if !begins => return,
            Some(pause) if !begins || pause.goes_on(now_ms) => pause,
            _ => fresh,
        };
        match how {
            "freeze" => pause.freeze_until_ms = pause.freeze_until_ms.max(until_ms),
            "thaw" => pause.freeze_until_ms = now_ms,
            "suspend" => pause.asleep = Some((now_ms, offsets)),
            _ => {
                if let Some((since_ms, before)) = pause.asleep.take() {
                    pause.slept_ms += now_ms - since_ms;
                    pause.told |= before.tell(offsets.machine, &look.world.limits) && !machine.met.is_empty();
                }
            }
        }
        pause.until_ms = pause.freeze_until_ms.max(now_ms);
        machine.still = Some(pause);
    }
}

impl Invariant for FenceGuardsReads {
    fn seen(&mut self, look: &Look<'_>, seen: &Seen, verdict: &mut Verdict) {
        match seen {
            Seen::Still { at, how, until_ms } => self.stands_still(look, *at, how, *until_ms),
            Seen::Ended { at, .. } => _ = self.machines.remove(at),
            Seen::Link { at, peer, up: true } => {
                self.machines.entry(*at).or_default().met.insert(*peer);
            }
            Seen::Gone { at, life } => {
                self.machines.entry(*at).or_default().met.remove(life);
            }
            Seen::Serving { at, serving: Serving::Ready, .. } if self.fenced(look, *at) => {
                self.machines.entry(*at).or_default().still = None;
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
