//! What a node says of itself: for operators, the agent's API and the dashboard.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use crate::core::node::ClockView;
use crate::driver::{Faulty, MemberView, Numbers, Refusal, Shared};

/// A member as this node sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberInfo {
    /// Its name.
    pub node: String,
    /// The life of its memory: 32 hex digits.
    pub origin: String,
    /// Where it is dialled.
    pub addr: SocketAddr,
    /// `alive`, `suspect` (silent so far, still a member), `dead` (silent) or `left` (said goodbye).
    pub state: String,
    /// Why it is in that state.
    pub why: String,
    /// How long it has been (ms).
    pub since_ms: u64,
    /// How often it had to refute a suspicion.
    pub incarnation: u32,
    /// Who suspects it.
    pub accusers: Vec<String>,
    /// How much longer it has to be heard of before it is dead (ms), while it is suspected.
    pub dead_in_ms: Option<u64>,
    /// Round-trip time of this node's probes of it (ms).
    pub rtt_ms: Option<f64>,
    /// Whether frames can be exchanged with it now.
    pub linked: bool,
    /// Its wall clock minus ours at the last handshake (ms).
    pub wall_offset_ms: i64,
    /// Partitions with writes of this node that it has not acknowledged.
    pub backlog_partitions: usize,
    /// What it published.
    pub metadata: BTreeMap<String, String>,
}

impl From<&MemberView> for MemberInfo {
    fn from(view: &MemberView) -> Self {
        Self {
            node: view.node.clone(),
            origin: format!("{:032x}", view.origin.0),
            addr: view.addr,
            state: view.state.word().into(),
            why: view.why.clone(),
            since_ms: view.since_ms,
            incarnation: view.incarnation,
            accusers: view.accusers.clone(),
            dead_in_ms: view.dead_in_ms,
            rtt_ms: view.rtt_ms,
            linked: view.linked,
            wall_offset_ms: view.wall_offset_ms,
            backlog_partitions: view.backlog_partitions,
            metadata: view.metadata.clone(),
        }
    }
}

/// What a node thinks of its machine's wall clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockInfo {
    /// `followed`; `in doubt` (it stepped, and nothing has confirmed it yet) or `wrong` (peers contradict it): the node
    /// then goes by its own count of time.
    pub state: String,
    /// How far it is ahead of what the node goes by (ms; negative: behind).
    pub ahead_ms: i64,
    /// How far the stamps of this node's writes are ahead of the time (ms). Beyond `max_drift_ms`, peers refuse edits of
    /// what was written while its clock was ahead.
    pub stamps_ahead_ms: u64,
}

impl From<ClockView> for ClockInfo {
    fn from(view: ClockView) -> Self {
        Self {
            state: view.trust.word().into(),
            ahead_ms: view.ahead_ms,
            stamps_ahead_ms: view.stamps_ahead_ms,
        }
    }
}

/// A snapshot of one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The node's name.
    pub node: String,
    /// The cluster's name.
    pub cluster: String,
    /// The life of its memory: 32 hex digits.
    pub origin: String,
    /// The address peers dial.
    pub addr: SocketAddr,
    /// `joining`, `ready` or `fenced`.
    pub serving: String,
    /// Why.
    pub reason: String,
    /// The members as this node sees them.
    pub members: Vec<MemberInfo>,
    /// Its wall clock.
    #[serde(default)]
    pub clock: ClockInfo,
    /// Counters and gauges by name.
    pub numbers: BTreeMap<String, u64>,
    /// Seeds that do not resolve, with the resolver's words.
    pub unresolved_seeds: BTreeMap<String, String>,
    /// Handshakes refused lately, by either side.
    #[serde(default)]
    pub refused: Vec<RefusedInfo>,
    /// Peers that did lately what honest ones do not.
    #[serde(default)]
    pub misbehaving: Vec<MisbehavingInfo>,
}

/// A node with which there is no link because one of the two sides refuses the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedInfo {
    /// The address it was dialled at, or came from.
    pub addr: SocketAddr,
    /// Whether this node dialled it: then it is a seed or a member.
    pub dialled: bool,
    /// A word for the cause, such as `wrong_secret` or `config_mismatch`.
    pub word: String,
    /// The cause: which setting, and both values, as far as this side can know.
    pub why: String,
    /// How long it has been so (ms).
    pub for_ms: u64,
    /// How often it was told.
    pub count: u64,
}

impl From<&Refusal> for RefusedInfo {
    fn from(refusal: &Refusal) -> Self {
        Self {
            addr: refusal.addr,
            dialled: refusal.dialled,
            word: refusal.word.into(),
            why: refusal.why.clone(),
            for_ms: refusal.for_ms(),
            count: refusal.count,
        }
    }
}

/// A peer that did what honest ones do not. Who breaks rules again and again is kept out for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MisbehavingInfo {
    /// Its name, as it gave it.
    pub node: String,
    /// The address its packets come from.
    pub addr: SocketAddr,
    /// What it did last.
    pub why: String,
    /// How often it broke a rule, and lost its link for it.
    pub broke: u64,
    /// How often it did what was not answered or left out. An honest peer may pass such on.
    pub strange: u64,
    /// How long ago it did so last (ms).
    pub ago_ms: u64,
    /// How much longer it is kept out (ms), if it is.
    pub kept_out_ms: Option<u64>,
}

impl MisbehavingInfo {
    fn of(faulty: &Faulty, now_ms: u64) -> Self {
        Self {
            node: faulty.node.clone(),
            addr: faulty.addr,
            why: faulty.why.clone(),
            broke: faulty.broke,
            strange: faulty.strange,
            ago_ms: now_ms.saturating_sub(faulty.last_ms),
            kept_out_ms: faulty.kept_out_until_ms.map(|until_ms| until_ms.saturating_sub(now_ms)),
        }
    }
}

impl Status {
    pub(crate) fn of(shared: &Shared) -> Self {
        let (origin, addr) = *shared.life.read();
        let now_ms = shared.clock.now().mono_ms;
        let (serving, reason) = shared.served();
        let Numbers { node: stats, members, clock, penalty, network, discovery } =
            shared.stats.lock().clone();
        let seeds = discovery.seeds.iter().filter_map(|s| Some((s.seed.clone(), s.last_error.clone()?)));
        let counts = shared.replica.counts();
        let numbers = [
            ("sessions", counts.sessions.saturating_sub(counts.expired_retained + counts.stubs)),
            ("expired_retained", counts.expired_retained),
            ("expired_stubs", counts.stubs),
            ("expired_unheard_total", counts.reaped_unheard),
            ("expired_returned_total", counts.returned),
            ("tombstones", counts.tombstones),
            ("conflicts_total", counts.conflicts),
            ("overwrites_unlabelled_total", counts.unlabelled),
            ("violations_total", counts.violations),
            ("refused_drift_total", counts.refused_drift),
            ("need_full_total", counts.need_full),
            ("record_bytes", shared.replica.record_bytes()),
            ("held_bytes", shared.replica.held_bytes()),
            ("backlog", shared.backlog.load(Ordering::Relaxed)),
            ("unreplicated_total", shared.unreplicated.load(Ordering::Relaxed)),
            ("rounds_equal_total", stats.rounds_equal),
            ("rounds_pulled_total", stats.rounds_pulled),
            ("rounds_failed_total", stats.rounds_failed),
            ("pushes_total", stats.pushes),
            ("pushes_lost_total", stats.pushes_lost),
            ("pages_total", stats.pages),
            ("frames_sent_total", stats.sent_frames),
            ("frame_bytes_sent_total", stats.sent_bytes),
            ("frames_received_total", stats.received_frames),
            ("frames_refused_total", stats.refused),
            ("audit_diffs_total", stats.audit_diffs),
            ("new_lives_total", stats.new_lives),
            ("members_forgotten_total", stats.forgotten),
            ("udp_bytes_sent_total", network.udp_sent_bytes),
            ("udp_bytes_received_total", network.udp_received_bytes),
            ("gossip_bytes_sent_total", discovery.bytes_sent),
            ("probe_packets_sent_total", network.datagrams_sent),
            ("probe_bytes_sent_total", network.datagram_bytes_sent),
            ("probes_total", members.probes),
            ("probes_failed_total", members.probes_failed),
            ("suspicions_total", members.suspicions),
            ("suspicions_cleared_total", members.cleared),
            ("refutations_total", members.refuted),
            ("deaths_total", members.deaths),
            ("revivals_total", members.revived),
            ("health_penalty", u64::from(penalty)),
            ("gossip_rounds_skipped_total", discovery.rounds_skipped),
            ("watch_events_missed_total", shared.events.missed()),
            ("gossip_restarts_total", discovery.gossip_restarts),
            ("known_incarnations", discovery.known_incarnations as u64),
        ];
        Self {
            node: shared.node.clone(),
            cluster: shared.cluster.clone(),
            origin: format!("{:032x}", origin.0),
            addr,
            serving: serving.word().into(),
            reason,
            clock: ClockInfo::from(clock),
            members: shared.members.read().iter().map(MemberInfo::from).collect(),
            numbers: numbers.into_iter().map(|(name, n)| (name.to_owned(), n)).collect(),
            unresolved_seeds: seeds.collect(),
            refused: shared.refusals.read().iter().map(RefusedInfo::from).collect(),
            misbehaving: shared.faulty.read().iter().map(|f| MisbehavingInfo::of(f, now_ms)).collect(),
        }
    }
}
