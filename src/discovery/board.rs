//! The one task that owns the gossip server: it looks, dials, publishes, and starts the server again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use rand::seq::SliceRandom;
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, interval_at, sleep_until};
use tracing::{error, info, warn};

use super::bridge::{Bridge, GossipLink, Traffic};
use super::config::{DiscoveryConfig, next_generation};
use super::error::DiscoveryError;
use super::gossip::{self, Incarnation};
use super::guard::Guard;
use super::handle::{Posts, RunHealth, Shared};
use super::keys;
use super::member::DiscoveryEvent;
use super::outbox::Outbox;
use super::peers::RememberedPeers;
use super::rivals::Rivals;
use super::seeds::{self, Mood, SeedBook, SeedResolver};
use super::server::{Carried, Run, RunNews};
use super::view::View;
use crate::core::limits::MAX_GENERATION_AHEAD_MS;

/// The look that nothing asks for: notices incarnations that expired, which chitchat tells nobody.
/// At rounds shorter than that once a round, which lives are proven by.
const SAFETY_LOOK: Duration = Duration::from_secs(1);
/// While others are alive, one SYN in this many rounds goes to a seed or remembered peer who is not: enough to
/// find the other half of a split, at a fifth of a packet per round.
const DIAL_EVERY_ROUNDS: u64 = 5;
/// SYNs per round while alone: chitchat's own fan-out.
const DIALS_ALONE: usize = 3;
/// Peers told directly of a goodbye; gossip tells the rest.
const GOODBYES: usize = 16;
/// A goodbye is said twice, with this much time for the answers it takes: one way and back between continents. Whoever
/// does not hear it has been told by the failure detector, or notices the silence.
const GOODBYE_ROUND: Duration = Duration::from_millis(150);
/// Longest pause between two restarts of the gossip server.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// A run this long forgives earlier deaths.
const SETTLED: Duration = Duration::from_secs(60);
/// Least time between two [`DiscoveryEvent::TooManyIncarnations`].
const CEILING_NEWS: Duration = Duration::from_secs(60);

/// What the handle asks of the task.
#[derive(Debug)]
pub(super) enum Command {
    /// Set a key, already checked and prefixed.
    Publish { key: String, value: String, done: oneshot::Sender<()> },
    /// Say goodbye and stop.
    Leave { done: oneshot::Sender<()> },
    /// Stop.
    Shutdown { done: oneshot::Sender<()> },
}

/// What woke the task.
enum Step {
    Command(Option<Command>),
    Run(RunNews),
    Restart,
    /// The dial's timer, and when it was due.
    Dial(Instant),
    Look,
    Seed(DiscoveryEvent),
    /// Something is to be written on the board.
    Posted,
    /// One event went out, or its reader is gone.
    Delivered(bool),
}

struct Board {
    config: DiscoveryConfig,
    bridge: Bridge,
    shared: Arc<Shared>,
    /// Our keys: what the next run of the gossip server starts with.
    published: BTreeMap<String, String>,
    run: Option<Run>,
    /// What times are counted from, for judging lives.
    epoch: Instant,
    generation: u64,
    /// Since when it is in use.
    generation_from: Instant,
    restart_at: Instant,
    backoff: Duration,
    view: View,
    carried: Option<Carried>,
    rivals: Rivals,
    outbox: Outbox,
    dial_round: u64,
    over_ceiling_told: u64,
    ceiling_told_at: Option<Instant>,
}

/// The channels and timers the loop waits on, apart from the board so that both can be borrowed at once.
struct Wires {
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<DiscoveryEvent>,
    seed_news: mpsc::Receiver<DiscoveryEvent>,
    dial: Interval,
    look: Interval,
    /// Ends the seed watchers with the loop.
    _seed_tasks: JoinSet<()>,
}

type Started = (Arc<Shared>, mpsc::Sender<Command>, mpsc::Receiver<DiscoveryEvent>);

/// Starts the gossip server and the task around it. The configuration has been validated.
pub(super) async fn start(
    config: DiscoveryConfig,
    link: Arc<dyn GossipLink>,
    inbound: mpsc::Receiver<(SocketAddr, Bytes)>,
    resolver: Arc<dyn SeedResolver>,
) -> Result<Started, DiscoveryError> {
    let own = gossip::own_id(&config, config.generation);
    let guard = Arc::new(Mutex::new(Guard::new(&config.cluster, own, config.max_incarnations)));
    let inbound = Arc::new(AsyncMutex::new(inbound));
    let traffic = Arc::new(Traffic::new(config.interval()));
    let bridge = Bridge { link, inbound, guard, traffic };
    let published = own_keys(&config);
    let run = Run::start(&config, config.generation, &published, &bridge).await?;
    let shared = Arc::new(shared_state(&config, &bridge));
    let (command_tx, commands) = mpsc::channel(16);
    let (events, event_rx) = mpsc::channel(16);
    let (seed_tx, seed_news) = mpsc::channel(16);
    let announced: Vec<DiscoveryEvent> = {
        let mut book = shared.seeds.lock();
        book.unreachable().into_iter().chain(book.announcement()).collect()
    };
    let seed_tasks = seeds::watch(&config, &resolver, &shared.seeds, &seed_tx, &shared.mood);
    let wires = Wires {
        commands,
        events,
        seed_news,
        dial: dial_ticker(config.interval()),
        look: ticker(SAFETY_LOOK.min(config.interval())),
        _seed_tasks: seed_tasks,
    };
    let mut board = Board::new(config, bridge, Arc::clone(&shared), published, run);
    announced.into_iter().for_each(|event| board.outbox.push(event));
    board.look().await;
    tokio::spawn(board.run(wires, seed_tx));
    Ok((shared, command_tx, event_rx))
}

fn own_keys(config: &DiscoveryConfig) -> BTreeMap<String, String> {
    let metadata = config.own_metadata.iter().chain(&config.metadata);
    let mut board: BTreeMap<_, _> =
        metadata.map(|(name, value)| (format!("{}{name}", keys::METADATA), value.clone())).collect();
    board.insert(keys::ORIGIN.to_owned(), keys::origin_to_hex(config.origin));
    board
}

fn shared_state(config: &DiscoveryConfig, bridge: &Bridge) -> Shared {
    let run = RunHealth { gossip_alive: true, generation: config.generation, ..RunHealth::default() };
    Shared {
        own_addr: config.advertise,
        members: RwLock::new(Vec::new()),
        peers: Mutex::new(RememberedPeers::default()),
        seeds: Arc::new(Mutex::new(SeedBook::new(&config.seeds, config.families))),
        mood: watch::Sender::new(Mood { alone: true, asked: 0 }),
        guard: Arc::clone(&bridge.guard),
        traffic: Arc::clone(&bridge.traffic),
        run: Mutex::new(run),
        posts: Mutex::new(Posts::new(config.metadata.keys().cloned().collect())),
        posted: Notify::new(),
    }
}

fn ticker(period: Duration) -> Interval {
    let mut ticker = interval(period);
    // After a stall one tick is as good as many.
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker
}

/// Half a round out of step with the gossip server's rounds, and it stays so after a stall: what the server has
/// to do in the same instant, it does in no particular order.
fn dial_ticker(round: Duration) -> Interval {
    let mut ticker = interval_at(Instant::now() + round / 2, round);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticker
}

impl Board {
    fn new(
        config: DiscoveryConfig,
        bridge: Bridge,
        shared: Arc<Shared>,
        published: BTreeMap<String, String>,
        run: Run,
    ) -> Self {
        Self {
            generation: config.generation,
            generation_from: Instant::now(),
            restart_at: Instant::now(),
            backoff: config.interval(),
            view: View::new(&config.node, config.origin),
            epoch: Instant::now(),
            run: Some(run),
            carried: None,
            rivals: Rivals::default(),
            outbox: Outbox::default(),
            dial_round: 0,
            over_ceiling_told: 0,
            ceiling_told_at: None,
            config,
            bridge,
            shared,
            published,
        }
    }

    /// The loop. `_seed_tx` keeps the seed channel open when there are no named seeds.
    async fn run(mut self, mut wires: Wires, _seed_tx: mpsc::Sender<DiscoveryEvent>) {
        self.dial();
        let done = loop {
            match self.next(&mut wires).await {
                Step::Command(Some(Command::Publish { key, value, done })) => {
                    self.publish(BTreeMap::from([(key, value)])).await;
                    // An error means the caller no longer waits for the answer.
                    let _ = done.send(());
                }
                Step::Posted => {
                    let posts = self.shared.posts.lock().take();
                    self.publish(posts).await;
                }
                Step::Command(Some(Command::Leave { done })) => {
                    self.say_goodbye().await;
                    break Some(done);
                }
                Step::Command(Some(Command::Shutdown { done })) => break Some(done),
                Step::Command(None) => break None,
                Step::Run(RunNews::Changed) | Step::Look => self.look().await,
                Step::Run(RunNews::Ended(reason)) => self.buried(reason),
                Step::Restart => self.restart().await,
                // After a stall the server makes up for every missed round at once, which is more than a dial.
                Step::Dial(due) if due.elapsed() >= self.config.interval() => {}
                Step::Dial(_) => self.dial(),
                Step::Seed(event) => {
                    self.outbox.push(event);
                    self.dial();
                }
                Step::Delivered(reader_is_there) => self.delivered(reader_is_there),
            }
        };
        self.stop(&wires.events).await;
        done.map(|done| done.send(()));
    }

    async fn next(&mut self, wires: &mut Wires) -> Step {
        let (run, posted) = (&mut self.run, &self.shared.posted);
        let restart_due = run.is_none();
        let news = async {
            match run {
                Some(run) => run.news().await,
                None => std::future::pending().await,
            }
        };
        // Biased, so that a run in virtual time can be repeated; nothing here is ready often enough to starve
        // what follows it.
        tokio::select! {
            biased;
            command = wires.commands.recv() => Step::Command(command),
            () = posted.notified() => Step::Posted,
            news = news => Step::Run(news),
            () = sleep_until(self.restart_at), if restart_due => Step::Restart,
            due = wires.dial.tick() => Step::Dial(due),
            _ = wires.look.tick() => Step::Look,
            Some(event) = wires.seed_news.recv() => Step::Seed(event),
            permit = wires.events.reserve(), if !self.outbox.is_empty() => match permit {
                Ok(permit) => {
                    if let Some(event) = self.outbox.pop() {
                        permit.send(event);
                    }
                    Step::Delivered(true)
                }
                Err(_) => Step::Delivered(false),
            },
        }
    }

    fn delivered(&mut self, reader_is_there: bool) {
        if !reader_is_there {
            // Nobody will read again; members() and health() still work.
            self.outbox = Outbox::default();
        }
    }

    /// Reads chitchat, rebuilds the view, and queues what changed.
    async fn look(&mut self) {
        let Some(run) = &mut self.run else { return };
        let incarnations = {
            let chitchat = run.handle.chitchat();
            let chitchat = chitchat.lock().await;
            self.bridge.guard.lock().sync(chitchat.node_states().keys());
            gossip::read(&chitchat)
        };
        let now = Instant::now();
        let times = (now.duration_since(self.epoch).as_millis() as u64, self.config.gossip_interval_ms);
        let mut members = self.view.condense(times, &incarnations);
        self.carried = self.carried.take().filter(|carried| !carried.is_over(now));
        if let Some(carried) = &self.carried {
            carried.complete(&mut members, |node, origin| self.view.is_over(node, origin), now);
        }
        let mut events = self.view.replace(members);
        let own = (self.config.origin, self.config.advertise);
        events.extend(self.rivals.namesakes(&incarnations, &self.config.node, own));
        events.extend(self.rival_news(&incarnations, times));
        events.extend(self.ceiling_news(now));
        self.remember();
        events.into_iter().for_each(|event| self.outbox.push(event));
        self.shared.run.lock().events_dropped = self.outbox.dropped();
    }

    fn rival_news(&mut self, incarnations: &[Incarnation], times: (u64, u64)) -> Vec<DiscoveryEvent> {
        let served = self.published.contains_key(&format!("{}{}", keys::FACT, keys::SERVED));
        let (node, own) = (&self.config.node, ((self.generation, self.config.origin), served));
        let clock = next_generation(self.generation, self.generation_from.elapsed());
        let latest = clock.saturating_add(MAX_GENERATION_AHEAD_MS << 16);
        let news = self.rivals.look(incarnations, node, own, latest, times);
        if !news.is_empty() {
            error!(node, "another process runs under this node's name: every node needs its own");
        }
        news
    }

    fn ceiling_news(&mut self, now: Instant) -> Option<DiscoveryEvent> {
        let (over_ceiling, known) = {
            let guard = self.bridge.guard.lock();
            (guard.refused().over_ceiling, guard.known())
        };
        let recently = self.ceiling_told_at.is_some_and(|told| now < told + CEILING_NEWS);
        if over_ceiling == self.over_ceiling_told || recently {
            return None;
        }
        self.over_ceiling_told = over_ceiling;
        self.ceiling_told_at = Some(now);
        Some(DiscoveryEvent::TooManyIncarnations { known })
    }

    /// Shows the view to the handle and keeps its live addresses for worse times.
    fn remember(&self) {
        let members = self.view.members();
        {
            let mut peers = self.shared.peers.lock();
            let others = || members.iter().filter(|member| member.addr != self.config.advertise);
            others().filter(|member| member.left).for_each(|member| peers.forget(member.addr));
            peers.observe(others().filter(|member| member.alive).map(|member| member.addr));
        }
        {
            let mut shown = self.shared.members.write();
            if *shown != members {
                *shown = members.to_vec();
            }
        }
        let alone = self.shared.live_addresses().is_empty();
        self.shared.mood.send_if_modified(|mood| std::mem::replace(&mut mood.alone, alone) != alone);
    }

    /// Sends SYNs to seeds and remembered peers who are not alive to us: always when alone, else now and then.
    fn dial(&mut self) {
        let Some(run) = &self.run else { return };
        self.dial_round += 1;
        let live = self.shared.live_addresses();
        if !live.is_empty() && !self.dial_round.is_multiple_of(DIAL_EVERY_ROUNDS) {
            return;
        }
        let fallback = self.shared.fallback_addresses();
        let mut strangers: Vec<_> = fallback.difference(&live).copied().collect();
        strangers.shuffle(&mut rand::rng());
        for addr in strangers.into_iter().take(if live.is_empty() { DIALS_ALONE } else { 1 }) {
            self.bridge.traffic.expect_syn();
            // An error means the server has just died, which its watcher tells.
            let _ = run.handle.gossip(addr);
        }
    }

    /// Writes on the board. How many there may be was seen to before.
    async fn publish(&mut self, posts: BTreeMap<String, String>) {
        // While the server is down its successor will start with the keys.
        if let Some(run) = &mut self.run {
            let write = |chitchat: &mut chitchat::Chitchat| {
                posts.iter().for_each(|(key, value)| chitchat.self_node_state().set(key, value));
            };
            run.handle.with_chitchat(write).await;
        }
        self.published.extend(posts);
        self.look().await;
    }

    /// The gossip server has ended unasked.
    fn buried(&mut self, reason: String) {
        let lasted = self.run.take().map_or(Duration::ZERO, |run| run.started.elapsed());
        if lasted > SETTLED {
            self.backoff = self.config.interval();
        }
        error!(reason, lasted_ms = lasted.as_millis() as u64, "gossip server died; it will be started again");
        self.restart_at = Instant::now() + self.backoff;
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        let mut health = self.shared.run.lock();
        health.gossip_alive = false;
        health.last_gossip_failure = Some(reason);
    }

    /// Starts the next gossip server under a new generation: the old one's versions must not be used again.
    async fn restart(&mut self) {
        let generation = next_generation(self.generation, self.generation_from.elapsed());
        self.bridge.guard.lock().restart(gossip::own_id(&self.config, generation));
        match Run::start(&self.config, generation, &self.published, &self.bridge).await {
            Ok(run) => self.run = Some(run),
            Err(error) => return self.buried(error.to_string()),
        }
        self.generation = generation;
        self.generation_from = Instant::now();
        self.carried = Some(Carried::new(self.view.members(), &self.config, Instant::now()));
        info!(generation, "gossip server started again");
        {
            let mut health = self.shared.run.lock();
            health.gossip_alive = true;
            health.generation = generation;
            health.gossip_restarts += 1;
        }
        self.outbox.push(DiscoveryEvent::GossipRestarted { generation });
        self.rejoin();
        self.look().await;
    }

    /// The new server knows nobody: tell it about those we know to be alive.
    fn rejoin(&self) {
        let Some(run) = &self.run else { return };
        for addr in self.shared.live_addresses().into_iter().take(GOODBYES) {
            self.bridge.traffic.expect_syn();
            // An error means the server has just died again, which its watcher tells.
            let _ = run.handle.gossip(addr);
        }
    }

    /// Sets `left` and gossips it twice.
    async fn say_goodbye(&mut self) {
        let Some(run) = &mut self.run else { return };
        run.handle.with_chitchat(|chitchat| chitchat.self_node_state().set(keys::LEFT, "1")).await;
        let mut live: Vec<_> = self.shared.live_addresses().into_iter().collect();
        live.shuffle(&mut rand::rng());
        live.truncate(GOODBYES);
        // Nobody to tell is nobody to wait for.
        for _round in 0..if live.is_empty() { 0 } else { 2 } {
            for addr in &live {
                self.bridge.traffic.expect_syn();
                // An error means the server died: then the goodbye is lost, and silence will tell.
                let _ = run.handle.gossip(*addr);
            }
            tokio::time::sleep(self.config.interval().min(GOODBYE_ROUND)).await;
        }
        self.look().await;
    }

    /// Ends the server and hands out the events that fit.
    async fn stop(mut self, events: &mpsc::Sender<DiscoveryEvent>) {
        if let Some(run) = self.run.take()
            && let Err(error) = run.handle.shutdown().await
        {
            warn!(%error, "gossip server ended badly");
        }
        self.shared.run.lock().gossip_alive = false;
        while let Some(event) = self.outbox.pop() {
            if events.try_send(event).is_err() {
                break;
            }
        }
    }
}
