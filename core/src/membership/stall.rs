//! Time in which this process did not run: nobody was heard in it, and that proves nothing.

use rand::RngExt;

use super::Detector;
use super::suspicion::OwnCheck;

/// A gap between two inputs longer than this (ms) means that everything is asked anew.
const STOOD_STILL_MS: u64 = 1_000;
/// The driver gives an input at least this often (ms).
const LOOK_AROUND_MS: u64 = 500;
/// Later than its own timers by this (ms), a process has not run.
const LATE_MS: u64 = 40;

impl Detector {
    /// A process that stood still has heard nobody, and that proves nothing: every clock in it stands still as well.
    pub(super) fn notice_stall(&mut self, now_ms: u64) {
        let due_ms = self.next_wake_ms().min(self.last_ms + LOOK_AROUND_MS);
        let gap_ms = now_ms.saturating_sub(std::mem::replace(&mut self.last_ms, now_ms));
        let late_ms = now_ms.saturating_sub(due_ms);
        if late_ms < LATE_MS {
            return;
        }
        self.stall_ms = now_ms;
        self.stalled_ms += late_ms;
        // Well behind one's own timers: the others' silence may be one's own.
        if late_ms > self.config.probe_interval_ms / 2 {
            self.health.worse(1);
        }
        if mutant!(StallNotForgiven) {
            return;
        }
        if gap_ms <= STOOD_STILL_MS {
            self.put_off_probes(late_ms);
            for origin in &self.suspects {
                if let Some(suspicion) = self.members.get_mut(origin).and_then(|m| m.suspicion.as_mut()) {
                    suspicion.paused_ms += late_ms;
                }
            }
            return;
        }
        self.stats.stood_still += 1;
        self.health.worse(1);
        self.probes.clear();
        self.relays.clear();
        self.next_probe_ms = now_ms + self.rng.random_range(0..self.config.probe_interval_ms);
        for origin in &self.suspects {
            if let Some(suspicion) = self.members.get_mut(origin).and_then(|m| m.suspicion.as_mut()) {
                suspicion.began_ms += gap_ms;
                suspicion.check = OwnCheck::Due(now_ms);
            }
        }
        self.judge_ms = now_ms;
    }

    /// The machine was suspended, and with it the clock that everything here is dated by.
    pub(super) fn suspended(&mut self, for_ms: u64) {
        // Beats count time as the others see it, or they would take all that is told of us for old.
        self.skipped_ms += for_ms;
        // Theirs went on: read by the clock that stood still, what they produced meanwhile would be from the future.
        self.members.values_mut().for_each(|member| member.evidence.suspended(for_ms));
    }

    /// What looked like a suspend was a step of the wall clock. Our own beats stay ahead: back they would look old, and
    /// ahead only until the next answer of ours.
    pub(super) fn not_suspended(&mut self) {
        self.members.values_mut().for_each(|member| member.evidence.not_suspended());
    }

    /// This process ran late by so much: what it waits for may lie in its sockets.
    fn put_off_probes(&mut self, by_ms: u64) {
        for probe in &mut self.probes {
            probe.next_ms += by_ms;
            probe.deadline_ms += by_ms;
        }
        for relay in &mut self.relays {
            relay.next_ms += by_ms;
            relay.until_ms += by_ms;
        }
    }
}
