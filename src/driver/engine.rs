//! The node's task: every input of the core meets here, every output leaves from here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

use super::absent::Remembered;
use super::acks::Acks;
use super::clock::Clock;
use super::conduct::Conduct;
use super::hold::Holds;
use super::life::{Life, Place, entropy, start_life};
use super::lines::Lines;
use super::lives::{PastLives, numbers};
use super::observe::{Delays, NoteKind, Observer, ToldOffset};
use super::pulse::{Pulse, watch_pulse};
use super::refusals::Refusals;
use super::seeds::is_this_node;
use super::shared::{Asker, CaughtUpCounts, Command, Shared, Stopped};
use super::told::Told;
use super::trace::Tracer;
use super::watchers::told_of;
use crate::core::causality::Origin;
use crate::core::limits::Limits;
use crate::core::membership::{self, Listed};
use crate::core::node::{Class, Input, Node, Output, Setup};
use crate::core::replica::{Replica, Serving};
use crate::discovery::{DiscoveryError, Member};
use crate::limits::{NOTES, NOTES_BYTES};
use crate::transport::{self, Drill, Event, Identity, SendError, TransportError};

/// How long discovery may take to end.
pub(super) const MAX_SHUTDOWN: Duration = Duration::from_secs(1);
/// The engine looks around at least this often (ms): the beat that freezes are measured against.
const BEAT_MS: u64 = 250;
/// Everything an engine is started from.
#[derive(Clone)]
pub(crate) struct EngineConfig {
    pub cluster: String,
    pub node: String,
    pub bind: SocketAddr,
    pub advertise: Option<SocketAddr>,
    pub seeds: Vec<String>,
    pub identity: Identity,
    pub limits: Limits,
    pub membership: membership::Config,
    pub gossip_interval_ms: u64,
    pub dead_grace_ms: u64,
    pub link_timeout_ms: u64,
    pub ack_timeout_ms: u64,
    pub ask_timeout_ms: u64,
    pub metadata: BTreeMap<String, String>,
    /// What the node itself publishes beside that.
    pub own_metadata: BTreeMap<String, String>,
    pub own_thread: bool,
    pub wire: (u16, u16),
    pub drill: Option<Drill>,
    pub clock_offset_ms: i64,
    pub tracer: Option<Arc<Tracer>>,
    pub log_key: u64,
    pub client_keys: Vec<[u8; 32]>,
}

/// Why a mesh could not start. Nothing runs then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is impossible.
    #[error("configuration: {0}")]
    Config(String),
    /// The transport could not start.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Discovery could not start.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Entropy(String),
    /// The operating system gave no thread or runtime for the node.
    #[error("no thread for the node: {0}")]
    Thread(std::io::Error),
}

/// The one line that says what starts, for whoever reads the log later.
fn tell_start(config: &EngineConfig, life: &Life) {
    let (bound, advertised) = (life.transport.local_addr(), life.transport.advertise_addr());
    let (version, cluster) = (env!("CARGO_PKG_VERSION"), &config.cluster);
    let seeds = if config.seeds.is_empty() { "none".into() } else { config.seeds.join(", ") };
    info!(
        node = config.node,
        "sessionmesh {version} of cluster {cluster}: bound to {bound}, known as {advertised}, seeds: {seeds}"
    );
}

/// Runs one node until it is told to stop.
pub(crate) struct Engine {
    pub(super) config: EngineConfig,
    pub(super) shared: Arc<Shared>,
    pub(super) node: Node,
    pub(super) life: Life,
    pub(super) commands: mpsc::Receiver<Command>,
    /// The current link of each peer, and its clock's offset.
    pub(super) links: BTreeMap<Origin, (u64, i64)>,
    /// Since when living members have no link (monotonic ms).
    pub(super) unlinked: BTreeMap<Origin, u64>,
    asks: BTreeMap<u64, Asker>,
    next_token: u64,
    pub(super) members: Vec<Member>,
    /// Names of lives, for sentences.
    pub(super) names: BTreeMap<String, String>,
    /// What detectors wrote on the board, as it was passed on last.
    facts: BTreeMap<(Origin, String), String>,
    /// Datagrams dropped because this loop lagged, as of the last look.
    dropped: u64,
    reborn: bool,
    pub(super) past_lives: PastLives,
    pub(super) refusals: Refusals,
    pub(super) conduct: Conduct,
    pub(super) lines: Lines,
    /// Linked lives that the board calls over, and since when (monotonic ms).
    pub(super) said_gone: BTreeMap<Origin, u64>,
    /// Peers for which a page found no room.
    full: BTreeSet<Origin>,
    pub(super) holds: Holds,
    pub(super) remembered: Remembered,
    pub(super) observer: Observer,
}

fn setup(config: &EngineConfig, clock: Clock) -> Result<Setup, StartError> {
    Ok(Setup {
        limits: config.limits.clone(),
        seed: entropy()?,
        hash_key: u64::from_le_bytes(entropy()?),
        has_seeds: !config.seeds.is_empty(),
        watched: true,
        membership: Some(config.membership.clone()),
        now: clock.now(),
    })
}

/// What the task and all handles share.
fn share(
    config: &EngineConfig,
    (node, replica): (&Node, Arc<Replica>),
    life: &Life,
    (clock, commands): (Clock, mpsc::Sender<Command>),
) -> Shared {
    let events = told_of(&replica);
    Shared {
        node: config.node.clone(),
        cluster: config.cluster.clone(),
        replica,
        clock,
        log_key: config.log_key,
        client_keys: config.client_keys.clone(),
        asks: Mutex::new((0, 0)),
        vain_asks: Mutex::default(),
        acks: Acks::default(),
        leaving: false.into(),
        news: Notify::new(),
        stop: Notify::new(),
        started_wall_ms: clock.wall_ms(),
        gossip_interval_ms: config.gossip_interval_ms,
        draining: watch::channel(None).0,
        commands,
        events,
        arrived: watch::channel(()).0,
        caught_up: CaughtUpCounts::default(),
        serving: watch::channel((Serving::Joining, String::new())).0,
        stopped: watch::channel(None).0,
        pulse: Pulse::new(clock.now().mono_ms),
        members: RwLock::new(Vec::new()),
        members_changed: watch::channel(0).0,
        refusals: RwLock::new(Vec::new()),
        faulty: RwLock::new(Vec::new()),
        life: RwLock::new((node.origin(), life.transport.advertise_addr())),
        stats: Mutex::new(numbers(node, (life, &PastLives::default()), clock.now())),
        unreplicated: 0.into(),
        ack_timeout_ms: config.ack_timeout_ms,
        ask_timeout_ms: config.ask_timeout_ms,
        backlog: 0.into(),
        notes: Told::new(NOTES, NOTES_BYTES),
        observed: Mutex::new(None),
        delays: Delays::new(),
        told_offset: ToldOffset::default(),
    }
}

impl Engine {
    /// A node that is bound and has not run yet. Its task shall run on the runtime this is called on, until the last handle
    /// is gone or it is told to leave.
    pub async fn begin(mut config: EngineConfig) -> Result<(Self, Arc<Shared>), StartError> {
        config.seeds = config.seeds.iter().filter(|seed| !is_this_node(&config, seed)).cloned().collect();
        config.limits.validate().map_err(StartError::Config)?;
        config.membership.validate().map_err(StartError::Config)?;
        let clock = Clock::new(config.clock_offset_ms);
        let (node, replica) = Node::new(setup(&config, clock)?);
        let (remembered, conduct) = (Remembered::default(), Conduct::default());
        let barred = (&remembered.over, &conduct.kept_out);
        let place = Place { bind: config.bind, advertise: config.advertise, before: 0 };
        let life = start_life(&config, (clock, &replica), barred, node.origin(), place).await?;
        tell_start(&config, &life);
        let holds = Holds::new(life.discovery.seed_addresses());
        let (commands, receiver) = mpsc::channel(1_024);
        let shared = Arc::new(share(&config, (&node, replica), &life, (clock, commands)));
        let engine = Self {
            config,
            shared: Arc::clone(&shared),
            node,
            life,
            commands: receiver,
            links: BTreeMap::new(),
            unlinked: BTreeMap::new(),
            asks: BTreeMap::new(),
            next_token: 0,
            members: Vec::new(),
            names: BTreeMap::new(),
            facts: BTreeMap::new(),
            dropped: 0,
            reborn: false,
            past_lives: PastLives::default(),
            refusals: Refusals::default(),
            conduct,
            lines: Lines::default(),
            said_gone: BTreeMap::new(),
            full: BTreeSet::new(),
            holds,
            remembered,
            observer: Observer::default(),
        };
        watch_pulse(&shared);
        Ok((engine, shared))
    }

    pub async fn run(mut self) {
        self.drain();
        let stopped = self.turn_until_stopped().await;
        if let Stopped::Clone { .. } | Stopped::NameTaken { .. } | Stopped::NewLife(_) = stopped {
            error!(node = self.config.node, "{stopped}");
        }
        // Reads after the end must not pretend: without a beat the replica fences itself, and this is sooner.
        self.shared.replica.set_serving(Serving::Fenced);
        // Bounded: its task may be in the middle of something that hangs, and ends with this thread at the latest.
        let _ = timeout(MAX_SHUTDOWN, self.life.discovery.shutdown()).await;
        self.life.transport.close().await;
        self.shared.stopped.send_replace(Some(stopped));
    }

    async fn turn_until_stopped(&mut self) -> Stopped {
        loop {
            let wake = self.node.next_wake_ms().min(self.shared.clock.now().mono_ms + BEAT_MS);
            let wake = tokio::time::sleep_until(self.shared.clock.instant_at(wake).into());
            let shared = Arc::clone(&self.shared);
            let stopped = tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => Some(Stopped::Dropped),
                },
                event = self.life.events.recv() => match event {
                    Some(event) => self.network(event),
                    None => Some(Stopped::Dropped),
                },
                () = shared.stop.notified() => Some(Stopped::Dropped),
                () = shared.news.notified() => { self.input(Input::News); None }
                found = self.life.found.recv() => match found {
                    Some(found) => self.found(found),
                    None => Some(Stopped::NewLife("discovery ended".into())),
                },
                () = wake => { self.tick(); None }
            };
            drop(shared);
            if let Some(stopped) = stopped {
                return stopped;
            }
            if std::mem::take(&mut self.reborn)
                && let Some(stopped) = self.rebirth().await
            {
                return stopped;
            }
        }
    }

    fn tick(&mut self) {
        let dropped = self.life.transport.stats().datagrams_dropped;
        if dropped > std::mem::replace(&mut self.dropped, dropped) {
            self.input(Input::Overflow);
        }
        self.look_before_solo();
        self.input(Input::Tick);
        self.publish_status();
    }

    pub(super) fn input(&mut self, input: Input<'_>) {
        let now = self.shared.clock.now();
        if let Some(tracer) = &self.config.tracer {
            tracer.input(now, &input, self.config.log_key);
        }
        self.node.handle(now, input);
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        loop {
            while let Some(output) = self.node.poll_output() {
                if let Some(tracer) = &self.config.tracer {
                    tracer.output(self.shared.clock.now(), &output, self.config.log_key);
                }
                self.output(output);
            }
            let Some(peer) = self.full.pop_first() else { break };
            let now = self.shared.clock.now();
            if let Some(tracer) = &self.config.tracer {
                tracer.input(now, &Input::Full { peer }, self.config.log_key);
            }
            self.node.handle(now, Input::Full { peer });
        }
        let backlog: usize = self.node.backlog().map(|(_, dirty, out)| dirty + usize::from(out)).sum();
        self.shared.backlog.store(backlog as u64, Ordering::Release);
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Send { peer, class, frame } => {
                let class = match class {
                    Class::Control => transport::Class::Control,
                    Class::Bulk => transport::Class::Bulk,
                };
                self.count_sent(peer, frame.len());
                // A full queue or a lost link loses the frame; the core repairs by a round.
                let sent = self.life.transport.send(peer, class, frame.into());
                if class == transport::Class::Bulk && matches!(sent, Err(SendError::Backlog { .. })) {
                    self.full.insert(peer);
                }
            }
            Output::Datagram { peer, packet } => self.life.transport.datagram(peer, &packet),
            Output::Member(change) => self.member_changed(change),
            Output::Publish { key, value } => self.life.discovery.publish_fact(key, value),
            // Watchers were told when it happened.
            Output::Event(event) => self.note_conflict(&event),
            Output::Adopted { peer, partition, lo, hi } => {
                self.shared.acks.adopted(peer, partition, lo, hi);
                self.time_adopted(peer, partition, (lo, hi));
            }
            Output::Covers { peer, shown } => self.shared.acks.covers(peer, shown),
            Output::Inspected { token, peer, copy } => self.inspected(token, peer, copy),
            Output::Asked { token, answered, found, left } => {
                if self.asks.get_mut(&token).is_some_and(|asker| asker.heard(answered, found)) || left == 0 {
                    self.asks.remove(&token).into_iter().for_each(Asker::answer);
                }
            }
            Output::CloseLink { peer, why } => {
                // The core has warned of it, once in a while.
                debug!(node = self.config.node, peer = self.name_of(peer), "closing the link: {why}");
                self.note(NoteKind::LinkClosed, Some(peer), || why.clone());
                self.life.transport.disconnect(peer, &why);
            }
            Output::Fault { peer, gravity, why } => self.fault(peer, gravity, why),
            Output::Serving(serving, why) => {
                let why = self.named(&why);
                info!(node = self.config.node, "{}: {why}", serving.word());
                self.note(NoteKind::Serving(serving), None, || format!("{}: {why}", serving.word()));
                self.serving_changed(serving);
                self.shared.serving.send_replace((serving, why));
            }
            Output::NewLife(origin) => {
                self.note(NoteKind::NewLife, None, || format!("this node goes on as life {origin}"));
                self.reborn = true;
            }
            Output::Forgotten { life, by } => self.forgotten(life, by),
            Output::Warn(text) => {
                let text = self.named(&text);
                warn!(node = self.config.node, "{text}");
                self.note(NoteKind::Warning, None, || text);
            }
        }
    }

    /// What is remembered of a link for as long as it stands.
    pub(super) fn link_gone(&mut self, peer: Origin) {
        self.links.remove(&peer);
        self.conduct_over(peer);
        self.shared.acks.link_down(peer);
    }

    pub(super) fn network(&mut self, event: Event) -> Option<Stopped> {
        match event {
            Event::Up(peer) => {
                self.remember_linked(&peer);
                self.conduct_of(&peer);
                self.refused_no_more(peer.addr);
                self.learn_name(peer.origin, &peer.node);
                if self.may_log(peer.origin) {
                    let (node, version) = (&self.config.node, peer.version);
                    info!(node, peer = peer.node, "link up, wire version {version}");
                }
                self.links.insert(peer.origin, (peer.link, peer.wall_offset_ms));
                self.shared.acks.link_up(peer.origin);
                self.input(Input::LinkUp { peer: peer.origin, version: peer.version });
                self.note(NoteKind::LinkUp, Some(peer.origin), || format!("wire version {}", peer.version));
                self.publish_members();
            }
            Event::Down { origin, link, node, reason } => {
                if self.links.get(&origin).is_some_and(|l| l.0 == link) {
                    if self.may_log(origin) {
                        info!(node = self.config.node, peer = node, "link down: {reason}");
                    }
                    self.link_gone(origin);
                    self.input(Input::LinkDown { peer: origin });
                    self.note(NoteKind::LinkDown, Some(origin), || reason.to_string());
                    self.gone_with_its_link(origin);
                    self.publish_members();
                }
            }
            Event::Frame { origin, link, bytes } => {
                if self.links.get(&origin).is_some_and(|l| l.0 == link) {
                    self.frame(origin, &bytes);
                    self.shared.arrived.send_replace(());
                }
            }
            Event::Datagram { origin, link, bytes } => {
                if self.links.get(&origin).is_some_and(|l| l.0 == link) {
                    self.input(Input::Datagram { peer: origin, bytes: &bytes });
                }
            }
            Event::Gossip { from, bytes } => {
                // A full queue drops the packet: gossip is made for loss.
                let _ = self.life.gossip.try_send((from, bytes));
            }
            Event::Refused { addr, dialled, reason } => self.refused(addr, dialled, &reason),
            Event::Namesake { addr, asked } => self.namesake(addr, asked),
            Event::NameTaken { node, addr } => return self.name_taken(node, addr),
            Event::Clock { origin, wall_ms, is_sound } => {
                self.input(Input::Clock { peer: origin, wall_ms, sound: is_sound });
            }
            Event::Clone { node, origin } => return Some(Stopped::Clone { node, origin }),
        }
        None
    }

    /// The board has changed.
    pub(super) fn board_changed(&mut self, members: Vec<Member>) {
        self.remember(&members);
        self.members = members;
        self.learn_names();
        self.want_addresses();
        let list = |m: &Member| Listed { origin: m.origin, alive: m.alive, left: m.left };
        let listed: Vec<Listed> = self.members.iter().map(list).collect();
        self.input(Input::Board(&listed));
        let own = self.node.origin();
        let others = self.members.iter().filter(|m| m.origin != own);
        let facts: BTreeMap<(Origin, String), String> = others
            .flat_map(|m| m.facts.iter().map(|(key, value)| ((m.origin, key.clone()), value.clone())))
            .collect();
        for ((of, key), value) in &facts {
            if self.facts.get(&(*of, key.clone())) != Some(value) {
                self.input(Input::Fact { of: *of, key, value });
            }
        }
        self.facts = facts;
        self.publish_members();
    }

    pub(super) fn fresh_token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    pub(super) async fn command(&mut self, command: Command) -> Option<Stopped> {
        match command {
            Command::Ask(id, asker) => {
                let token = self.fresh_token();
                self.asks.retain(|_, waiting| !waiting.is_closed());
                self.asks.insert(token, asker);
                self.input(Input::Ask { token, id });
            }
            Command::Observe => self.observe(),
            Command::Inspect(id, answers) => self.inspect(id, answers),
            Command::Publish { key, value, own, answer } => {
                // The asker may have stopped waiting.
                let _ = answer.send(self.publish(key, value, own));
            }
            Command::Forget(node, answer) => {
                // The asker may have stopped waiting.
                let _ = answer.send(self.forget(&node));
            }
            Command::Leave(answer) => {
                let drained = self.leave().await;
                // The asker may have stopped waiting.
                let _ = answer.send(drained);
                return Some(Stopped::Left);
            }
        }
        None
    }

    /// Publishes what a handle asks for, and keeps it for the next life: only what is possible, or that could not begin.
    fn publish(&mut self, key: String, value: String, own: bool) -> Result<(), DiscoveryError> {
        self.life.discovery.publish_soon(&key, &value, own)?;
        let held = if own { &mut self.config.own_metadata } else { &mut self.config.metadata };
        held.insert(key, value);
        Ok(())
    }

    fn publish_status(&mut self) {
        let network = (&self.life, &self.past_lives);
        *self.shared.stats.lock() = numbers(&self.node, network, self.shared.clock.now());
        self.look_after_missing();
        self.publish_members();
        self.publish_refusals();
        self.publish_conduct();
        self.forget_flows();
        self.publish_observed();
        self.publish_reason();
    }
}
