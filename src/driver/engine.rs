//! The node's task: every input of the core meets here, every output leaves from here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tracing::{debug, error, info, warn};

use super::absent::Remembered;
use super::acks::Acks;
use super::clock::Clock;
use super::conduct::Conduct;
use super::hold::Holds;
use super::life::{Life, entropy, numbers, start_life};
use super::lines::Lines;
use super::observe::{Delays, NOTES, NoteKind, Observer, ToldOffset};
use super::pulse::{Pulse, watch_pulse, with_pulse};
use super::refusals::Refusals;
use super::shared::{Asker, CaughtUpCounts, Command, Shared, Stopped};
use super::trace::Tracer;
use super::watchers::told_of;
use crate::core::causality::Origin;
use crate::core::limits::Limits;
use crate::core::membership::{self, Listed};
use crate::core::node::{Class, Input, Node, Output, Setup};
use crate::core::replica::Serving;
use crate::discovery::{DiscoveryError, Member};
use crate::transport::{self, Drill, Event, Identity, SendError, TransportError};

/// The engine looks around at least this often (ms): the beat that freezes are measured against.
const BEAT_MS: u64 = 250;
/// How long a write that began before `leave` may take to end (ms); microseconds in practice.
const LAST_WRITES_MS: u64 = 5;
/// How long `leave` waits for peers to adopt what they lack (ms).
const DRAIN_MS: u64 = 5_000;

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
}

/// Runs one node until it is told to stop.
pub(crate) struct Engine {
    pub(super) config: EngineConfig,
    pub(super) shared: Arc<Shared>,
    pub(super) node: Node,
    pub(super) life: Life,
    commands: mpsc::Receiver<Command>,
    /// The current link of each peer, and its clock's offset.
    pub(super) links: BTreeMap<Origin, (u64, i64)>,
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

impl Engine {
    /// Starts the node; its task runs until the last handle is gone or it is told to leave.
    pub async fn start(config: EngineConfig) -> Result<Arc<Shared>, StartError> {
        config.limits.validate().map_err(StartError::Config)?;
        config.membership.validate().map_err(StartError::Config)?;
        let clock = Clock::new(config.clock_offset_ms);
        let (node, replica) = Node::new(setup(&config, clock)?);
        let (remembered, conduct) = (Remembered::default(), Conduct::default());
        let barred = (&remembered.over, &conduct.kept_out);
        let life = start_life(&config, (clock, &replica), barred, node.origin(), config.bind, 0).await?;
        let events = told_of(&replica);
        let holds = Holds::new(life.discovery.seed_addresses());
        let (commands, receiver) = mpsc::channel(1_024);
        let shared = Arc::new(Shared {
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
            stats: Mutex::new(numbers(&node, &life, clock.now())),
            unreplicated: 0.into(),
            ack_timeout_ms: config.ack_timeout_ms,
            ask_timeout_ms: config.ask_timeout_ms,
            backlog: 0.into(),
            notes: broadcast::channel(NOTES).0,
            observed: Mutex::new(None),
            delays: Delays::new(),
            told_offset: ToldOffset::default(),
        });
        let engine = Self {
            config,
            shared: Arc::clone(&shared),
            node,
            life,
            commands: receiver,
            links: BTreeMap::new(),
            asks: BTreeMap::new(),
            next_token: 0,
            members: Vec::new(),
            names: BTreeMap::new(),
            facts: BTreeMap::new(),
            dropped: 0,
            reborn: false,
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
        tokio::spawn(with_pulse(engine.run(), Arc::clone(&shared)));
        Ok(shared)
    }

    async fn run(mut self) {
        self.drain();
        let stopped = self.turn_until_stopped().await;
        if let Stopped::Clone { .. } | Stopped::NameTaken { .. } | Stopped::NewLife(_) = stopped {
            error!(node = self.config.node, "{stopped}");
        }
        // Reads after the end must not pretend: without a beat the replica fences itself, and this is sooner.
        self.shared.replica.set_serving(Serving::Fenced);
        self.life.discovery.shutdown().await;
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
                && let Err(error) = self.rebirth().await
            {
                return Stopped::NewLife(error.to_string());
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

    fn drain(&mut self) {
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
                debug!(node = self.config.node, peer = %peer, "closing the link: {why}");
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
                warn!(node = self.config.node, "{text}");
                self.note(NoteKind::Warning, None, || text);
            }
        }
    }

    fn network(&mut self, event: Event) -> Option<Stopped> {
        match event {
            Event::Up(peer) => {
                self.remember_linked(&peer);
                self.conduct_of(&peer);
                self.refused_no_more(peer.addr);
                if self.may_log(peer.origin) {
                    info!(
                        node = self.config.node,
                        peer = peer.node,
                        "link up, wire version {}",
                        peer.version
                    );
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
                    self.links.remove(&origin);
                    self.conduct_over(origin);
                    self.shared.acks.link_down(origin);
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

    async fn command(&mut self, command: Command) -> Option<Stopped> {
        match command {
            Command::Ask(id, asker) => {
                let token = self.fresh_token();
                self.asks.retain(|_, waiting| !waiting.is_closed());
                self.asks.insert(token, asker);
                self.input(Input::Ask { token, id });
            }
            Command::Observe => self.observe(),
            Command::Inspect(id, answers) => self.inspect(id, answers),
            Command::Publish(key, value) => {
                // Kept for the next life, should one begin.
                self.config.metadata.insert(key.clone(), value.clone());
                if let Err(error) = self.life.discovery.publish(&key, value).await {
                    warn!(node = self.config.node, "not published: {error}");
                }
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
            Command::Stop => return Some(Stopped::Dropped),
        }
        None
    }

    /// Hands over what peers lack, then says goodbye. Returns whether a peer has adopted everything.
    async fn leave(&mut self) -> bool {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(DRAIN_MS);
        // From here on writes are refused: nobody would hand them over.
        self.shared.leaving.store(true, Ordering::SeqCst);
        // A successor under this name need not wait until the last write is handed over.
        self.life.transport.set_serving(false);
        let rounds_before = self.node.stats().rounds_equal;
        tokio::time::sleep(Duration::from_millis(LAST_WRITES_MS)).await;
        self.input(Input::News);
        let drained = loop {
            // Writes of an earlier life are another origin's now: only an equal round shows that they are elsewhere.
            let stats = self.node.stats();
            let old_lives = stats.new_lives == 0 || stats.rounds_equal > rounds_before;
            if self.handed_over() && old_lives {
                break true;
            }
            if self.links.is_empty() {
                break false;
            }
            let wake = tokio::time::Instant::now() + Duration::from_millis(20);
            tokio::select! {
                event = self.life.events.recv() => match event {
                    Some(event) => { let _ = self.network(event); }
                    None => break false,
                },
                () = tokio::time::sleep_until(wake) => self.input(Input::Tick),
            }
            if tokio::time::Instant::now() >= deadline {
                break false;
            }
        };
        self.say_goodbye().await;
        drained
    }

    /// A goodbye takes answers from peers, so that gossip must go on flowing to discovery; frames no longer count.
    async fn say_goodbye(&mut self) {
        self.input(Input::Leaving);
        let Life { discovery, events, gossip, .. } = &mut self.life;
        let pump = async {
            while let Some(event) = events.recv().await {
                if let Event::Gossip { from, bytes } = event {
                    // A full queue drops the packet: gossip is made for loss.
                    let _ = gossip.try_send((from, bytes));
                }
            }
            // The transport has ended: only the goodbye itself can end the wait.
            std::future::pending::<()>().await;
        };
        tokio::select! { () = discovery.leave() => {} () = pump => {} }
    }

    /// Whether some linked peer has adopted every own write, or there is none to adopt.
    fn handed_over(&self) -> bool {
        let last: BTreeMap<u16, u64> = (0..self.config.limits.partitions)
            .map(|ix| (ix, self.shared.replica.shared(ix, |p| p.own_last())))
            .filter(|(_, last)| *last > 0)
            .collect();
        last.is_empty() || self.shared.acks.any_holds_all(&last)
    }

    fn publish_status(&mut self) {
        *self.shared.stats.lock() = numbers(&self.node, &self.life, self.shared.clock.now());
        self.look_after_missing();
        self.publish_members();
        self.publish_refusals();
        self.publish_conduct();
        self.publish_observed();
        self.publish_reason();
    }

    /// Reconnects everything under the node's new origin, on the same port.
    async fn rebirth(&mut self) -> Result<(), StartError> {
        let bind = self.life.transport.local_addr();
        self.life.discovery.shutdown().await;
        self.life.transport.close().await;
        for peer in std::mem::take(&mut self.links).into_keys().collect::<BTreeSet<_>>() {
            self.shared.acks.link_down(peer);
        }
        let (clock, before) = ((self.shared.clock, &self.shared.replica), self.life.generation);
        let mut tries = 0;
        self.life = loop {
            let barred = (&self.remembered.over, &self.conduct.kept_out);
            match start_life(&self.config, clock, barred, self.node.origin(), bind, before).await {
                Ok(life) => break life,
                // The old socket may take a moment to go.
                Err(error) if tries == 20 => return Err(error),
                Err(_) => tries += 1,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        self.hold_in_new_life();
        *self.shared.life.write() = (self.node.origin(), self.life.transport.advertise_addr());
        self.remembered.told_again();
        self.drain();
        Ok(())
    }
}
