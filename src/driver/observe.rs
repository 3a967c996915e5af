//! What is kept for whoever looks at this node from outside: notes of what happened, traffic per peer, measured times.
//! Nothing here is kept before somebody observes, but for the core's own counts.

// Without the dashboard nobody does.
#![cfg_attr(not(feature = "dashboard"), allow(dead_code))]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::acks::Acks;
use super::engine::Engine;
use super::told::{Weigh, conflict_bytes};
use crate::core::causality::Origin;
use crate::core::frame::Kind;
use crate::core::histogram::{APPLY_BOUNDS_S, Histogram, NETWORK_BOUNDS_S};
use crate::core::membership::{Detector, State};
use crate::core::node::{ClockView, Compared, Input};
use crate::core::replica::{ConflictEvent, Dumped, Happened, Serving, Written};
use crate::core::session::SessionId;
use crate::core::time::Now;

/// Frames whose taking in is timed.
const TIMED_KINDS: [Kind; 2] = [Kind::Page, Kind::Push];
/// A write's delay is waited for this long (ms); then another write is taken as the sample.
const SAMPLE_MS: u128 = 10_000;

/// A peer's copy of a session, if it has one.
pub(crate) type Copied = (Origin, Option<Box<Dumped>>);

/// What happened, for an event log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoteKind {
    Member(State),
    LinkUp,
    LinkDown,
    LinkClosed,
    Serving(Serving),
    NewLife,
    Forgotten,
    Warning,
    Conflict,
}

/// One entry of an event log.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub wall_ms: u64,
    pub mono_ms: u64,
    pub kind: NoteKind,
    pub peer: Option<Origin>,
    /// The peer's name, if it is known.
    pub node: Option<String>,
    pub text: String,
    /// Two writes that met, for [`NoteKind::Conflict`].
    pub conflict: Option<Box<ConflictEvent>>,
}

impl Weigh for Note {
    fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.conflict.as_deref().map_or(0, conflict_bytes)
    }
}

/// Frames exchanged with one peer since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    pub sent_frames: u64,
    pub sent_bytes: u64,
    pub received_frames: u64,
    pub received_bytes: u64,
}

/// What the node's task shows an observer.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// How each peer compared last.
    pub compared: BTreeMap<Origin, Compared>,
    /// Members and the wall time (ms) up to which their writes are here.
    pub fresh: BTreeMap<Origin, u64>,
    /// This node's wall clock.
    pub clock: ClockView,
    pub flows: BTreeMap<Origin, Flow>,
    /// Taking in a push or a page.
    pub apply: Histogram,
    /// Whole rounds of anti-entropy.
    pub round: Histogram,
    /// Answers to probes.
    pub probe_rtt: Histogram,
    /// From a local write to a peer's acknowledgement.
    pub delay: Histogram,
}

/// How far the distance between both clocks may wander before observers are told a new one (ms): each is read to the
/// millisecond, and a moment told as another millisecond every second would look like news.
const OFFSET_SLACK_MS: u64 = 50;

/// Wall minus monotonic time, as observers are told it.
#[derive(Default)]
pub(crate) struct ToldOffset(AtomicU64);

impl ToldOffset {
    /// The distance (ms) by which monotonic times are told as wall times; it follows jumps, not wavering.
    pub fn at(&self, now: Now) -> u64 {
        let (offset, told) = (now.wall_ms.saturating_sub(now.mono_ms), self.0.load(Ordering::Relaxed));
        if offset.abs_diff(told) <= OFFSET_SLACK_MS {
            return told;
        }
        self.0.store(offset, Ordering::Relaxed);
        offset
    }
}

/// One write whose way is timed.
struct Sample {
    partition: u16,
    counter: u64,
    begun: Instant,
    seen: Vec<Origin>,
}

/// Times the way of one local write at a time to every linked peer and back: one clock, so that skew does not matter.
pub(crate) struct Delays {
    /// Whether the next write shall be the sample.
    armed: AtomicBool,
    held: Mutex<(Option<Sample>, Histogram)>,
}

impl Delays {
    pub fn new() -> Self {
        Self { armed: false.into(), held: Mutex::new((None, Histogram::new(NETWORK_BOUNDS_S))) }
    }

    /// A local write happened.
    pub fn wrote(&self, written: &Written, acks: &Acks) {
        if self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::AcqRel) {
            let (partition, counter) = (written.partition, written.dot.counter);
            self.held.lock().0 = Some(Sample { partition, counter, begun: Instant::now(), seen: Vec::new() });
            // The engine may have sent it meanwhile, and a peer be done with it. Nothing would come for this sample from
            // that peer, and for so long no other write would be timed: let it be the next one.
            if acks.holders(partition, counter) > 0 {
                self.held.lock().0 = None;
                self.armed.store(true, Ordering::Release);
            }
        }
    }

    /// A peer has adopted own counters `lo..=hi`.
    fn adopted(&self, peer: Origin, partition: u16, (lo, hi): (u64, u64)) {
        let mut held = self.held.lock();
        let (Some(sample), times) = &mut *held else { return };
        let is_it = sample.partition == partition && (lo..=hi).contains(&sample.counter);
        if is_it && !sample.seen.contains(&peer) {
            sample.seen.push(peer);
            times.observe(sample.begun.elapsed().as_secs_f64());
        }
    }

    /// Lets the next write be the sample once the last one is everywhere, or has taken too long.
    fn rearm(&self, acks: &Acks) {
        let mut held = self.held.lock();
        let done = held.0.as_ref().is_none_or(|s| {
            s.seen.len() >= acks.linked().max(1) || s.begun.elapsed().as_millis() > SAMPLE_MS
        });
        if done {
            held.0 = None;
            self.armed.store(true, Ordering::Release);
        }
    }

    fn times(&self) -> Histogram {
        self.held.lock().1
    }
}

/// The observing side of the node's task.
pub(super) struct Observer {
    flows: BTreeMap<Origin, Flow>,
    apply: Histogram,
    inspections: BTreeMap<u64, mpsc::UnboundedSender<Copied>>,
}

impl Default for Observer {
    fn default() -> Self {
        Self { flows: BTreeMap::new(), apply: Histogram::new(APPLY_BOUNDS_S), inspections: BTreeMap::new() }
    }
}

impl Engine {
    /// Tells observers. Nobody observing is no error, and costs no text.
    pub(super) fn note(&self, kind: NoteKind, peer: Option<Origin>, text: impl FnOnce() -> String) {
        if self.shared.notes.listeners() > 0 {
            let Now { wall_ms, mono_ms } = self.shared.now();
            let node = peer.map(|origin| self.name_of(origin));
            let note = Note { wall_ms, mono_ms, kind, peer, node, text: text(), conflict: None };
            self.shared.notes.send(note);
        }
    }

    /// Tells observers of two writes that met.
    pub(super) fn note_conflict(&self, event: &Happened) {
        if let Happened::Conflict(conflict) = event
            && self.shared.notes.listeners() > 0
        {
            let Now { wall_ms, mono_ms } = self.shared.now();
            let (kind, conflict) = (NoteKind::Conflict, Some(conflict.clone()));
            let note = Note { wall_ms, mono_ms, kind, peer: None, node: None, text: String::new(), conflict };
            self.shared.notes.send(note);
        }
    }

    /// Somebody observes from now on.
    pub(super) fn observe(&mut self) {
        self.node.observe();
        self.publish_observed();
    }

    pub(super) fn count_sent(&mut self, peer: Origin, bytes: usize) {
        let flow = self.observer.flows.entry(peer).or_default();
        flow.sent_frames += 1;
        flow.sent_bytes += bytes as u64;
    }

    /// Takes in a frame, counted and, if somebody observes, timed.
    pub(super) fn frame(&mut self, peer: Origin, bytes: &[u8]) {
        let flow = self.observer.flows.entry(peer).or_default();
        flow.received_frames += 1;
        flow.received_bytes += bytes.len() as u64;
        let timed =
            Kind::of(bytes).is_some_and(|kind| TIMED_KINDS.contains(&kind)) && self.node.compared().is_some();
        let begun = timed.then(Instant::now);
        self.input(Input::Frame { peer, bytes });
        if let Some(begun) = begun {
            self.observer.apply.observe(begun.elapsed().as_secs_f64());
        }
    }

    pub(super) fn time_adopted(&self, peer: Origin, partition: u16, range: (u64, u64)) {
        if self.node.compared().is_some() {
            self.shared.delays.adopted(peer, partition, range);
        }
    }

    /// Forgets the traffic of lives that are neither listed nor linked: also while nobody looks.
    pub(super) fn forget_flows(&mut self) {
        let (members, links) = (&self.members, &self.links);
        let known =
            |origin: &Origin| links.contains_key(origin) || members.iter().any(|m| m.origin == *origin);
        self.observer.flows.retain(|origin, _| known(origin));
    }

    /// Publishes what observers may read, if there is one.
    pub(super) fn publish_observed(&mut self) {
        let Some(compared) = self.node.compared() else { return };
        self.shared.delays.rearm(&self.shared.acks);
        let observed = Observed {
            compared: compared.clone(),
            fresh: self.node.freshness().clone(),
            clock: self.node.clock(self.shared.clock.now()),
            flows: self.observer.flows.clone(),
            apply: self.observer.apply,
            round: self.node.round_time(),
            probe_rtt: self.node.detector().map_or(Histogram::new(NETWORK_BOUNDS_S), Detector::rtts),
            delay: self.shared.delays.times(),
        };
        *self.shared.observed.lock() = Some(Arc::new(observed));
    }

    /// Passes on what peers have of a session, as they answer.
    pub(super) fn inspect(&mut self, id: SessionId, answers: mpsc::UnboundedSender<Copied>) {
        let over = self.observer.inspections.extract_if(.., |_, waiting| waiting.is_closed());
        let over: Vec<u64> = over.map(|(token, _)| token).collect();
        for token in over {
            self.input(Input::InspectOver { token });
        }
        let token = self.fresh_token();
        self.observer.inspections.insert(token, answers);
        self.input(Input::Inspect { token, id });
    }

    pub(super) fn inspected(&mut self, token: u64, peer: Origin, copy: Option<Box<Dumped>>) {
        if let Some(answers) = self.observer.inspections.get(&token) {
            // Whoever asked may have stopped waiting.
            let _ = answers.send((peer, copy));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::causality::Dot;
    use crate::core::time::Hlc;

    #[test]
    fn moments_are_told_the_same_until_a_clock_jumps() {
        let told = ToldOffset::default();
        let at = |mono_ms, wall_ms| told.at(Now { mono_ms, wall_ms });
        assert_eq!([at(100, 5_000_100), at(1_100, 5_001_101), at(2_100, 5_002_099)], [5_000_000; 3]);
        assert_eq!([at(3_100, 5_004_100), at(4_100, 5_005_099)], [5_001_000; 2], "set forward by a second");
    }

    fn written(counter: u64) -> Written {
        let dot = Dot { origin: Origin(1), counter };
        Written { partition: 3, dot, hlc: Hlc::from_ms(1), wrote: true, deadline_ms: 9 }
    }

    #[test]
    fn a_write_acknowledged_before_it_was_sampled_holds_up_no_other() {
        let (delays, acks, peer) = (Delays::new(), Acks::default(), Origin(2));
        acks.link_up(peer);
        delays.rearm(&acks);
        acks.adopted(peer, 3, 5, 5);
        delays.adopted(peer, 3, (5, 5));
        delays.wrote(&written(5), &acks);
        delays.wrote(&written(6), &acks);
        acks.adopted(peer, 3, 6, 6);
        delays.adopted(peer, 3, (6, 6));
        assert_eq!(delays.times().count(), 1, "the next write was timed");
    }
}
