//! The network between simulated nodes: latency, loss, bursts, duplication, reordering, replay, damage, bandwidth,
//! queues, one-way cuts. Every draw is keyed by (link, time of sending, number within that millisecond).

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::draw::Draw;

/// What the network does to frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Frames lost, of a thousand.
    pub drop_per_mille: u64,
    /// Frames delivered twice, of a thousand.
    pub duplicate_per_mille: u64,
    /// Shortest delay (ms).
    pub delay_min_ms: u64,
    /// Longest usual delay (ms); a spread means reordering.
    pub delay_max_ms: u64,
    /// Frames that arrive very late, of a thousand.
    pub late_per_mille: u64,
    /// How late those may be (ms).
    pub late_max_ms: u64,
    /// Frames in which one bit is flipped, of a thousand. Links authenticate: the decoder must refuse such a frame
    /// without panic, and then it is lost. See `unsealed`.
    pub flip_per_mille: u64,
    /// Frames cut short, of a thousand; as above.
    pub truncate_per_mille: u64,
    /// Damaged frames reach the node as if links did not authenticate: only bounds can be promised then.
    pub unsealed: bool,
    /// Frames of which a copy arrives again long after, of a thousand: an old packet replayed.
    pub replay_per_mille: u64,
    /// How long after (ms) at most.
    pub replay_max_ms: u64,
    /// Windows of time, of a thousand, in which a link loses nine frames of ten.
    pub burst_per_mille: u64,
    /// The length of such a window (ms).
    pub burst_ms: u64,
    /// Bytes a second one direction of a link carries; 0: unlimited.
    pub bandwidth_bytes: u64,
    /// Bytes that may wait for the bandwidth; what comes on top is lost. 0: unlimited.
    pub queue_bytes: u64,
    /// Gossip packets above this size are lost (bytes); 0: unlimited. Frames travel in streams and have no limit.
    pub datagram_bytes: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            drop_per_mille: 0,
            duplicate_per_mille: 0,
            delay_min_ms: 1,
            delay_max_ms: 5,
            late_per_mille: 0,
            late_max_ms: 0,
            flip_per_mille: 0,
            truncate_per_mille: 0,
            unsealed: false,
            replay_per_mille: 0,
            replay_max_ms: 120_000,
            burst_per_mille: 0,
            burst_ms: 500,
            bandwidth_bytes: 0,
            queue_bytes: 0,
            datagram_bytes: 0,
        }
    }
}

impl Faults {
    /// 5 % loss, duplication, reordering, stragglers.
    pub fn hostile() -> Self {
        Self {
            drop_per_mille: 50,
            duplicate_per_mille: 30,
            delay_max_ms: 60,
            late_per_mille: 5,
            late_max_ms: 60_000,
            ..Self::default()
        }
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Arrives once, in time.
    Ok,
    /// Lost at random.
    Lost,
    /// Sent into a cut.
    Cut,
    /// The link's queue was full.
    Queue,
    /// Larger than a datagram may be.
    Size,
    /// Arrives late.
    Late,
    /// Arrives damaged.
    Corrupt,
    /// Arrives twice.
    Duplicate,
    /// Arrives, and again long after.
    Replay,
}

impl Fate {
    /// Its word in traces.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Lost => "lost",
            Self::Cut => "cut",
            Self::Queue => "queue",
            Self::Size => "size",
            Self::Late => "late",
            Self::Corrupt => "corrupt",
            Self::Duplicate => "duplicate",
            Self::Replay => "replay",
        }
    }
}

/// Damage to the bytes of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// This bit (modulo the length) is flipped.
    Flip(u64),
    /// Only this many bytes (modulo the length) are left.
    Truncate(u64),
}

impl Damage {
    /// Does it.
    pub fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            _ if bytes.is_empty() => {}
            Self::Flip(bit) => {
                let at = bit as usize % (bytes.len() * 8);
                bytes[at / 8] ^= 1 << (at % 8);
            }
            Self::Truncate(keep) => bytes.truncate(keep as usize % bytes.len()),
        }
    }
}

/// Copies of a frame on their way: delay (ms) and damage of each.
#[derive(Clone, Copy, Debug)]
pub struct Carried {
    copies: [(u64, Option<Damage>); 3],
    n: usize,
    /// What became of it, in a word.
    pub fate: Fate,
}

impl Carried {
    fn none(fate: Fate) -> Self {
        Self { copies: [(0, None); 3], n: 0, fate }
    }

    fn add(&mut self, delay_ms: u64, damage: Option<Damage>) {
        self.copies[self.n] = (delay_ms, damage);
        self.n += 1;
    }

    /// The copies that arrive.
    pub fn copies(&self) -> &[(u64, Option<Damage>)] {
        &self.copies[..self.n]
    }
}

/// One direction of a link: what is in its queue, and how many frames were sent in this millisecond.
#[derive(Clone, Copy, Default)]
struct Lane {
    sent_ms: u64,
    nth: u64,
    free_at_us: u64,
}

/// The links between all nodes, and the cuts in force.
pub struct Net {
    draw: Draw,
    /// The faults in force wherever [`Net::links`] says nothing else.
    pub faults: Faults,
    /// Links with faults of their own: (from, to).
    pub links: BTreeMap<(usize, usize), Faults>,
    /// One-way cuts: (from, to).
    pub cuts: BTreeSet<(usize, usize)>,
    lanes: Vec<Vec<Lane>>,
}

impl Net {
    /// A network without faults.
    pub fn new(seed: u64) -> Self {
        Self {
            draw: Draw::new(seed).of("net"),
            faults: Faults::default(),
            links: BTreeMap::new(),
            cuts: BTreeSet::new(),
            lanes: Vec::new(),
        }
    }

    /// The faults of one direction of a link.
    pub fn faults_of(&self, from: usize, to: usize) -> &Faults {
        if self.links.is_empty() {
            return &self.faults;
        }
        self.links.get(&(from, to)).unwrap_or(&self.faults)
    }

    /// Carries a frame sent now: when which copies of it arrive.
    pub fn carry(&mut self, now_ms: u64, from: usize, to: usize, bytes: usize, datagram: bool) -> Carried {
        let lane = self.lane(from, to);
        lane.nth = if lane.sent_ms == now_ms { lane.nth + 1 } else { 0 };
        lane.sent_ms = now_ms;
        let nth = lane.nth;
        if !self.cuts.is_empty() && self.cuts.contains(&(from, to)) {
            return Carried::none(Fate::Cut);
        }
        let faults = *self.faults_of(from, to);
        let link = self.draw.within((from * 4_096 + to) as u64);
        let draw = link.within(now_ms).within(nth);
        if datagram && faults.datagram_bytes > 0 && bytes as u64 > faults.datagram_bytes {
            return Carried::none(Fate::Size);
        }
        if self.lost(&faults, link, draw, now_ms) {
            return Carried::none(Fate::Lost);
        }
        let Some(wait_ms) = queued(&faults, self.lane(from, to), now_ms, bytes) else {
            return Carried::none(Fate::Queue);
        };
        let mut carried = Carried::none(Fate::Ok);
        let copies = if draw.chance(1, faults.duplicate_per_mille) { 2 } else { 1 };
        for copy in 0..copies {
            let draw = draw.within(10 + copy);
            let spread = faults.delay_max_ms.saturating_sub(faults.delay_min_ms).max(1);
            let mut delay = wait_ms + faults.delay_min_ms + draw.at(0) % spread;
            if draw.chance(1, faults.late_per_mille) {
                delay += draw.at(2) % faults.late_max_ms.max(1);
                carried.fate = Fate::Late;
            }
            let damage = damage(&faults, draw);
            if damage.is_some() {
                carried.fate = Fate::Corrupt;
            }
            carried.add(delay.max(1), damage);
        }
        if copies == 2 {
            carried.fate = Fate::Duplicate;
        }
        if draw.chance(2, faults.replay_per_mille) {
            carried.add(wait_ms + draw.range(3, 1, faults.replay_max_ms.max(1)), None);
            carried.fate = Fate::Replay;
        }
        carried
    }

    fn lost(&self, faults: &Faults, link: Draw, draw: Draw, now_ms: u64) -> bool {
        let window = now_ms / faults.burst_ms.max(1);
        draw.chance(0, faults.drop_per_mille)
            || link.of("burst").chance(window, faults.burst_per_mille) && draw.chance(4, 900)
    }

    fn lane(&mut self, from: usize, to: usize) -> &mut Lane {
        if self.lanes.len() <= from {
            self.lanes.resize_with(from + 1, Vec::new);
        }
        let lanes = &mut self.lanes[from];
        if lanes.len() <= to {
            lanes.resize_with(to + 1, Lane::default);
        }
        &mut lanes[to]
    }
}

/// How long (ms) a frame waits for the link, or `None` if its queue is full.
fn queued(faults: &Faults, lane: &mut Lane, now_ms: u64, bytes: usize) -> Option<u64> {
    if faults.bandwidth_bytes == 0 {
        return Some(0);
    }
    let now_us = now_ms * 1_000;
    let backlog_us = lane.free_at_us.saturating_sub(now_us);
    let backlog = backlog_us * faults.bandwidth_bytes / 1_000_000;
    if faults.queue_bytes > 0 && backlog + bytes as u64 > faults.queue_bytes {
        return None;
    }
    lane.free_at_us = now_us + backlog_us + bytes as u64 * 1_000_000 / faults.bandwidth_bytes;
    Some((lane.free_at_us - now_us) / 1_000)
}

fn damage(faults: &Faults, draw: Draw) -> Option<Damage> {
    if draw.chance(3, faults.flip_per_mille) {
        return Some(Damage::Flip(draw.at(4)));
    }
    draw.chance(5, faults.truncate_per_mille).then(|| Damage::Truncate(draw.at(6)))
}
