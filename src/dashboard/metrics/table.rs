//! Every metric: its name (prefixed `sessionmesh_`, suffixed by unit and kind), its help, and where it is read.

use prometheus_client::registry::Unit as Spelled;

use crate::core::histogram::{APPLY_BOUNDS_S, Histogram, NETWORK_BOUNDS_S, ROUND_BOUNDS_S};
use crate::core::membership::State;
use crate::core::replica::{GONE, Serving};
use crate::dashboard::parts::{known_islands, off_majority_ms, others, unlinked, verdict};
use crate::mesh::observe::Gathered;

/// Most series of one node, whatever the mesh. Prometheus takes it lightly; a mesh of hundreds of nodes adds up.
#[cfg(test)]
pub(super) const MOST_SERIES: usize = 200;

/// Units that Prometheus has names for.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// As the library spells it.
    pub(super) fn of(self) -> Spelled {
        match self {
            Self::Bytes => Spelled::Bytes,
            Self::Seconds => Spelled::Seconds,
        }
    }
}

/// Where a metric is read.
#[derive(Clone, Copy)]
pub(super) enum Read {
    /// Only rises.
    Count(fn(&Gathered) -> u64),
    /// Rises, by the values of one label.
    Counts(&'static str, fn(&Gathered) -> Vec<(&'static str, u64)>),
    /// Rises and falls.
    Level(fn(&Gathered) -> f64),
    /// Rises and falls, by the values of one label.
    Levels(&'static str, fn(&Gathered) -> Vec<(&'static str, u64)>),
    /// One fact.
    Info((&'static str, &'static str)),
    /// Times by how long they were.
    Times(fn(&Gathered) -> Histogram),
}

/// One metric.
pub(super) struct Metric {
    pub name: &'static str,
    pub unit: Option<Unit>,
    pub help: &'static str,
    pub read: Read,
}

const fn m(name: &'static str, help: &'static str, read: Read) -> Metric {
    Metric { name, unit: None, help, read }
}

const fn bytes(name: &'static str, help: &'static str, read: Read) -> Metric {
    Metric { name, unit: Some(Unit::Bytes), help, read }
}

const fn seconds(name: &'static str, help: &'static str, read: Read) -> Metric {
    Metric { name, unit: Some(Unit::Seconds), help, read }
}

use Read::{Count, Counts, Info, Level, Levels, Times};

/// All of them.
pub(super) const METRICS: &[Metric] = &[
    m("build", "The version that runs.", Info(("version", env!("CARGO_PKG_VERSION")))),
    seconds(
        "start_time",
        "When this process began, since the epoch.",
        Level(|g| g.started_wall_ms as f64 / 1e3),
    ),
    // What this node is and sees.
    m("ready", "Whether this node answers for sessions.", Level(ready)),
    m("serving", "1 for the state this node is in.", Levels("state", serving)),
    m("mesh", "1 for the word that describes the mesh as seen from here.", Levels("word", words)),
    m("members", "Members as seen from here, this node included.", Levels("state", members)),
    m("islands", "Groups of members that cannot be seen to agree.", Level(|g| known_islands(g) as f64)),
    m("linked_peers", "Peers frames can be exchanged with.", Level(|g| g.linked as f64)),
    m("unlinked_members", "Living members without a link for long, on either side.", Level(unlinked_long)),
    m("seeds_unresolved", "Seeds that do not resolve.", Level(unresolved)),
    m(
        "known_incarnations",
        "Lives the board remembers.",
        Level(|g| g.numbers.discovery.known_incarnations as f64),
    ),
    m("health_penalty", "How much this node doubts itself.", Level(|g| f64::from(g.numbers.penalty))),
    seconds("clock_offset_max", "Largest distance to a linked peer's wall clock.", Level(clock_offset)),
    seconds(
        "clock_off_majority",
        "This node's distance to the middle of all clocks.",
        Level(|g| off_majority_ms(g) as f64 / 1e3),
    ),
    // What it holds.
    m("sessions", "Live sessions held here.", Level(|g| live(g) as f64)),
    m("sessions_expired_retained", "Expired ones still kept.", Level(|g| g.counts.expired_retained as f64)),
    m(
        "sessions_expired_stubs",
        "What is left of expired ones with a log-in.",
        Level(|g| g.counts.stubs as f64),
    ),
    m(
        "sessions_expired_unheard",
        "Expired ones whose fields went though a member was missing.",
        Count(|g| g.counts.reaped_unheard),
    ),
    m(
        "sessions_expired_returned",
        "Expired ones that came back alive after they had gone.",
        Count(|g| g.counts.returned),
    ),
    m("members_forgotten", "Members declared over by operators.", Count(|g| g.numbers.node.forgotten)),
    m(
        "revocations",
        "Ends of all sessions of a principal, still remembered.",
        Level(|g| g.counts.revocations as f64),
    ),
    m("tombstones", "Ended sessions still remembered.", Level(|g| g.counts.tombstones as f64)),
    bytes("record", "Memory reserved for records.", Level(|g| g.record_bytes as f64)),
    bytes("held", "Records and all that is kept of them.", Level(|g| g.held_bytes as f64)),
    bytes("record_limit", "Near this writes are refused; 0: no limit.", Level(limit)),
    m("session_watchers", "Receivers of session events.", Level(|g| g.watchers as f64)),
    // How far behind others are.
    m(
        "backlog_partitions",
        "Partitions with writes a peer has not acknowledged.",
        Level(|g| g.backlog as f64),
    ),
    m("peers_differing", "Living peers that differed at the last comparison.", Level(differing)),
    seconds("equal_age_max", "Longest time since a living peer was found equal.", Level(equal_age)),
    seconds(
        "freshness_age_max",
        "Longest time up to which a living member's writes are here.",
        Level(fresh_age),
    ),
    // Writes.
    m("own_writes", "Write events of this process.", Count(|g| g.own_writes)),
    m(
        "catch_ups_here",
        "Reads that had to see certain writes and found them here.",
        Count(|g| g.caught_up.here),
    ),
    m("catch_ups_waited", "Those that waited until the writes arrived.", Count(|g| g.caught_up.waited)),
    m("catch_ups_fetched", "Those whose writes peers were asked for.", Count(|g| g.caught_up.fetched)),
    m("catch_ups_behind", "Those that nobody could help in time.", Count(|g| g.caught_up.behind)),
    m("unreplicated_writes", "Writes answered without a second copy.", Count(|g| g.unreplicated)),
    m("conflicts", "Concurrent overwrites that met here.", Count(|g| g.counts.conflicts)),
    m(
        "overwrites_unlabelled",
        "Overwrites of which nobody can tell whether they were concurrent.",
        Count(|g| g.counts.unlabelled),
    ),
    m("entries_received", "Entries that came in.", Count(|g| g.counts.entries)),
    m("entries_redundant", "Those that changed nothing.", Count(|g| g.counts.redundant)),
    m("entries_merged", "Those that changed a record held.", Count(|g| g.counts.merged)),
    m("entries_refused_drift", "Those from clocks too far ahead.", Count(|g| g.counts.refused_drift)),
    m("records_asked_whole", "Records asked for because a part came first.", Count(|g| g.counts.need_full)),
    m("violations", "Contents that differed where they must not: 0.", Count(|g| g.counts.violations)),
    m(
        "audit_diffs",
        "Audits with unequal contents under equal vectors: 0.",
        Count(|g| g.numbers.node.audit_diffs),
    ),
    m("new_lives", "Times this process began a new life.", Count(|g| g.numbers.node.new_lives)),
    // Replication.
    m("pushes", "Pushes sent.", Count(|g| g.numbers.node.pushes)),
    m("pushes_lost", "Pushes nobody acknowledged in time.", Count(|g| g.numbers.node.pushes_lost)),
    m("rounds", "Rounds of anti-entropy.", Counts("result", rounds)),
    m("pages_sent", "Pages of anti-entropy sent.", Count(|g| g.numbers.node.pages)),
    m("frames_sent", "Frames sent.", Count(|g| g.numbers.node.sent_frames)),
    m("frames_received", "Frames received.", Count(|g| g.numbers.node.received_frames)),
    m("frames_refused", "Frames and packets refused.", Count(|g| g.numbers.node.refused)),
    bytes("frames_sent", "Bytes of frames sent.", Count(|g| g.numbers.node.sent_bytes)),
    bytes("frames_received", "Bytes of frames received.", Count(|g| g.numbers.network.frame_bytes_received)),
    // Network.
    bytes("udp_sent", "UDP payload sent.", Count(|g| g.numbers.network.udp_sent_bytes)),
    bytes("udp_received", "UDP payload received.", Count(|g| g.numbers.network.udp_received_bytes)),
    bytes("gossip_sent", "The board's share of what is sent.", Count(|g| g.numbers.discovery.bytes_sent)),
    bytes(
        "gossip_received",
        "The board's share of what comes in.",
        Count(|g| g.numbers.discovery.bytes_received),
    ),
    m(
        "gossip_restarts",
        "Times the board's server died and ran again.",
        Count(|g| g.numbers.discovery.gossip_restarts),
    ),
    bytes(
        "probe_sent",
        "The failure detector's share of what is sent.",
        Count(|g| g.numbers.network.datagram_bytes_sent),
    ),
    m(
        "datagrams_dropped",
        "Datagrams dropped because this node lagged.",
        Count(|g| g.numbers.network.datagrams_dropped),
    ),
    m("dials", "Dials begun.", Count(|g| g.numbers.network.dials)),
    m("dials_failed", "Dials that met silence.", Count(|g| g.numbers.network.dial_failures)),
    m("links_up", "Links that came up.", Count(|g| g.numbers.network.links_up)),
    m("links_down", "Links that went down.", Count(|g| g.numbers.network.links_down)),
    m("handshakes_refused", "Handshakes refused by either side.", Count(|g| g.numbers.network.refusals)),
    // The failure detector.
    m("probes", "Probes begun.", Count(|g| g.numbers.members.probes)),
    m(
        "probes_escalated",
        "Probes without a direct answer in time.",
        Count(|g| g.numbers.members.probes_escalated),
    ),
    m("probes_failed", "Probes that failed in every way.", Count(|g| g.numbers.members.probes_failed)),
    m("suspicions", "Suspicions begun here or heard of.", Count(|g| g.numbers.members.suspicions)),
    m("suspicions_cleared", "Suspicions that were cleared.", Count(|g| g.numbers.members.cleared)),
    m("refutations", "Suspicions of this node that it refuted.", Count(|g| g.numbers.members.refuted)),
    m("deaths", "Members declared dead.", Count(|g| g.numbers.members.deaths)),
    m("revivals", "Dead members that came back.", Count(|g| g.numbers.members.revived)),
    // Times.
    seconds(
        "replication_delay",
        "From a write here to a peer's acknowledgement of it, sampled.",
        Times(delay),
    ),
    seconds("apply", "Taking in a push or a page, answer included.", Times(apply)),
    seconds("round", "Whole rounds of anti-entropy.", Times(round)),
    seconds("probe_rtt", "Probes and their answers.", Times(probe_rtt)),
];

fn ready(g: &Gathered) -> f64 {
    f64::from(u8::from(g.stopped.is_none() && g.serving == Serving::Ready))
}

fn serving(g: &Gathered) -> Vec<(&'static str, u64)> {
    let state = if g.stopped.is_some() { "stopped" } else { g.serving.word() };
    ["joining", "ready", "fenced", "stopped"].map(|s| (s, u64::from(s == state))).to_vec()
}

fn words(g: &Gathered) -> Vec<(&'static str, u64)> {
    let word = verdict(g).word;
    let all = ["converged", "catching up", "degraded", "split", "alone", "joining", "fenced", "stopped"];
    all.map(|w| (w, u64::from(w == word))).to_vec()
}

fn members(g: &Gathered) -> Vec<(&'static str, u64)> {
    let count = |state| g.members.iter().filter(|m| m.state == state).count() as u64;
    [State::Alive, State::Suspect, State::Dead, State::Left]
        .map(|state| (state.word(), count(state)))
        .to_vec()
}

fn rounds(g: &Gathered) -> Vec<(&'static str, u64)> {
    let stats = g.numbers.node;
    vec![("equal", stats.rounds_equal), ("pulled", stats.rounds_pulled), ("failed", stats.rounds_failed)]
}

fn unresolved(g: &Gathered) -> f64 {
    g.numbers.discovery.seeds.iter().filter(|s| s.last_error.is_some()).count() as f64
}

fn live(g: &Gathered) -> u64 {
    g.counts.sessions.saturating_sub(g.counts.expired_retained + g.counts.stubs)
}

fn limit(g: &Gathered) -> f64 {
    if g.max_memory_bytes == u64::MAX { 0.0 } else { g.max_memory_bytes as f64 }
}

fn unlinked_long(g: &Gathered) -> f64 {
    unlinked(g).iter().filter(|u| u.severity() != "info").count() as f64
}

fn clock_offset(g: &Gathered) -> f64 {
    let offsets = others(g).filter(|m| m.linked).map(|m| m.wall_offset_ms.unsigned_abs());
    offsets.max().unwrap_or(0) as f64 / 1e3
}

/// The comparisons with living peers.
fn compared(g: &Gathered) -> impl Iterator<Item = &crate::core::node::Compared> {
    let living = others(g).filter(|m| m.state.is_living());
    living.filter_map(|m| g.observed.as_ref()?.compared.get(&m.origin))
}

fn differing(g: &Gathered) -> f64 {
    compared(g).filter(|c| c.differing > 0).count() as f64
}

fn equal_age(g: &Gathered) -> f64 {
    let equal = compared(g).filter(|c| c.equal_at_ms > 0);
    equal.map(|c| g.wall_ms.saturating_sub(c.equal_at_ms)).max().unwrap_or(0) as f64 / 1e3
}

fn fresh_age(g: &Gathered) -> f64 {
    let living = others(g).filter(|m| m.state.is_living());
    let at = living.filter_map(|m| g.observed.as_ref()?.fresh.get(&m.origin));
    let at = at.filter(|at| **at & GONE == 0 && **at > 0);
    at.map(|at| g.wall_ms.saturating_sub(*at)).max().unwrap_or(0) as f64 / 1e3
}

fn delay(g: &Gathered) -> Histogram {
    g.observed.as_ref().map_or(Histogram::new(NETWORK_BOUNDS_S), |o| o.delay)
}

fn apply(g: &Gathered) -> Histogram {
    g.observed.as_ref().map_or(Histogram::new(APPLY_BOUNDS_S), |o| o.apply)
}

fn round(g: &Gathered) -> Histogram {
    g.observed.as_ref().map_or(Histogram::new(ROUND_BOUNDS_S), |o| o.round)
}

fn probe_rtt(g: &Gathered) -> Histogram {
    g.observed.as_ref().map_or(Histogram::new(NETWORK_BOUNDS_S), |o| o.probe_rtt)
}
