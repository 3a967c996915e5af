//! The board as it ships: the product's discovery with the real chitchat in it, in virtual time.
//!
//! Each process has a paused single-threaded tokio runtime of its own, driven in lock-step with the world. One
//! runtime for all would be cheaper by little, and could not freeze a process: discovery and chitchat spawn tasks
//! that nothing outside can hold. A runtime that is not driven is a frozen process; when it thaws, its clock jumps
//! to the present at once, as a real one's does.
//!
//! No call leaves anything ready to run behind: the runtime's park hook says when nothing is. So a packet never
//! meets a timer in one poll, where tokio's `select!` would choose between them by chance, and a seed can be
//! repeated, also within one program. For this the board must live on a thread of [`super::run_seeded`].
//!
//! When a runtime has a timer next cannot be asked. A process is therefore woken every [`QUANTUM_MS`], counted
//! from its start: the product's timers are multiples of that for any usual gossip interval and thus exact, any
//! other fires at its own instant of the process's clock but is told to the world up to a quantum late.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use sessionmesh::discovery::{Discovery, DiscoveryConfig, DiscoveryEvent, GossipLink, Member};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::{Instant, advance, sleep_until};

use super::{Board, BoardConfig, BoardMember, BoardOut, CLUSTER, Entry, Packet, entropy};

/// How often a process is woken (ms).
const QUANTUM_MS: u64 = 10;
/// Gossip packets that may wait for discovery: as in the product's engine.
const GOSSIP_QUEUE: usize = 256;
/// The port of every process.
const PORT: u16 = 7_946;

/// The address of a process: 10.x.y.z, counted from 10.0.0.1.
fn address(at: usize) -> SocketAddr {
    let number = u32::from(Ipv4Addr::new(10, 0, 0, 1)) + at as u32;
    SocketAddr::from((Ipv4Addr::from(number), PORT))
}

/// The process at an address, if it is one of ours.
fn index(address: SocketAddr) -> Option<usize> {
    let SocketAddr::V4(address) = address else { return None };
    let number = u32::from(*address.ip()).checked_sub(u32::from(Ipv4Addr::new(10, 0, 0, 1)))?;
    (address.port() == PORT && number < 1 << 24).then_some(number as usize)
}

/// A packet on its way out: from, to, bytes.
type Outbound = (usize, usize, Bytes);

/// Hands packets to the board.
struct Link {
    at: usize,
    sent: mpsc::UnboundedSender<Outbound>,
}

impl GossipLink for Link {
    fn send(&self, to: SocketAddr, bytes: Bytes) {
        // The product's transport refuses to talk to itself.
        if let Some(to) = index(to).filter(|to| *to != self.at) {
            // An error means the board is being dropped.
            let _ = self.sent.send((self.at, to, bytes));
        }
    }
}

/// Tells when a runtime has nothing left to run, without its clock moving on.
#[derive(Default)]
struct Idle {
    waiting: Mutex<Option<Waker>>,
    reached: AtomicBool,
}

impl Idle {
    /// Called when the runtime is about to park.
    fn park(&self) {
        let waiting = self.waiting.lock().take();
        if let Some(waker) = waiting {
            self.reached.store(true, Ordering::Relaxed);
            waker.wake();
        }
    }

    /// Completes when every other task of the runtime is waiting.
    async fn reached(&self) {
        poll_fn(|context| {
            if self.reached.swap(false, Ordering::Relaxed) {
                return Poll::Ready(());
            }
            *self.waiting.lock() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// One process.
struct Process {
    at: usize,
    started_ms: u64,
    /// How far its clock has come, in the world's time.
    clock_ms: u64,
    frozen: bool,
    /// What arrived although it is frozen.
    held: Vec<(SocketAddr, Bytes)>,
    /// The view last told.
    told: Vec<BoardMember>,
    discovery: Discovery,
    events: mpsc::Receiver<DiscoveryEvent>,
    inbound: mpsc::Sender<(SocketAddr, Bytes)>,
    idle: Arc<Idle>,
    epoch: Instant,
    /// Last, so that it outlives what talks to its tasks.
    runtime: Runtime,
}

impl Process {
    fn start(
        now_ms: u64,
        at: usize,
        entry: &Entry,
        config: &BoardConfig,
        sent: mpsc::UnboundedSender<Outbound>,
    ) -> Self {
        let idle = Arc::new(Idle::default());
        let parked = Arc::clone(&idle);
        let mut builder = Builder::new_current_thread();
        builder.enable_time().start_paused(true).on_thread_park(move || parked.park());
        let runtime = builder.build().unwrap_or_else(|error| panic!("no runtime for process {at}: {error}"));
        let (inbound, packets) = mpsc::channel(GOSSIP_QUEUE);
        let config = discovery_config(at, entry, config);
        let (epoch, started) = runtime.block_on(async {
            (Instant::now(), Discovery::start(config, Arc::new(Link { at, sent }), packets).await)
        });
        let (discovery, events) =
            started.unwrap_or_else(|error| panic!("discovery of process {at} does not start: {error}"));
        Self {
            at,
            started_ms: now_ms,
            clock_ms: now_ms,
            frozen: false,
            held: Vec::new(),
            told: Vec::new(),
            discovery,
            events,
            inbound,
            idle,
            epoch,
            runtime,
        }
    }

    /// Lets its clock run to `now_ms`, each timer at its own instant, and everything run that then can.
    fn drive(&mut self, now_ms: u64) {
        if self.frozen {
            return;
        }
        self.clock_ms = self.clock_ms.max(now_ms);
        let target = self.epoch + Duration::from_millis(self.clock_ms - self.started_ms);
        self.runtime.block_on(async {
            sleep_until(target).await;
            self.idle.reached().await;
        });
    }

    /// The clock of a thawed process is in the present at once; then its timers find out.
    fn thaw(&mut self, now_ms: u64) {
        self.frozen = false;
        let asleep = now_ms.saturating_sub(self.clock_ms);
        self.clock_ms += asleep;
        self.runtime.block_on(async {
            advance(Duration::from_millis(asleep)).await;
            self.idle.reached().await;
        });
    }

    fn receive(&mut self, now_ms: u64, from: SocketAddr, bytes: Bytes) {
        self.drive(now_ms);
        // A full queue drops the packet: gossip is made for loss.
        let _ = self.inbound.try_send((from, bytes));
        self.drive(now_ms);
    }

    fn next_wake_ms(&self) -> u64 {
        let quanta = (self.clock_ms - self.started_ms) / QUANTUM_MS + 1;
        self.started_ms + quanta * QUANTUM_MS
    }
}

fn discovery_config(at: usize, entry: &Entry, config: &BoardConfig) -> DiscoveryConfig {
    let mut discovery =
        DiscoveryConfig::new(CLUSTER, &entry.name, entry.origin, address(at), entry.generation);
    discovery.seeds = entry.seeds.iter().map(|seed| address(*seed).to_string()).collect();
    discovery.gossip_interval_ms = config.gossip_interval_ms;
    discovery.dead_grace_ms = config.dead_grace_ms;
    discovery.max_incarnations = config.max_incarnations;
    discovery.reseed_interval_ms = discovery.reseed_interval_ms.max(config.gossip_interval_ms);
    discovery
}

fn board_member(member: Member) -> Option<BoardMember> {
    Some(BoardMember {
        at: index(member.addr)?,
        name: member.node,
        origin: member.origin,
        generation: member.generation,
        alive: member.alive,
        left: member.left,
        facts: member.facts.into_iter().collect(),
    })
}

/// The product's discovery and the real chitchat, as a board.
pub struct FullBoard {
    config: BoardConfig,
    processes: Vec<Option<Box<Process>>>,
    sent: (mpsc::UnboundedSender<Outbound>, mpsc::UnboundedReceiver<Outbound>),
    out: VecDeque<BoardOut>,
    gossip_deaths: u64,
}

impl FullBoard {
    /// A board without processes. The seed is the thread's; of `config` the product sets its own threshold.
    ///
    /// # Panics
    /// If the thread is not one of [`super::run_seeded`].
    pub fn new(config: BoardConfig) -> Self {
        assert!(entropy::is_seeded(), "a full board can only be repeated on a thread of run_seeded");
        Self {
            config,
            processes: Vec::new(),
            sent: mpsc::unbounded_channel(),
            out: VecDeque::new(),
            gossip_deaths: 0,
        }
    }

    /// How often a gossip server died and was started again: more than never is a defect, of chitchat's or of the
    /// guard before it.
    pub fn gossip_deaths(&self) -> u64 {
        self.gossip_deaths
    }

    /// Runs `act` on a process that exists, then tells what came of it.
    fn with(&mut self, at: usize, act: impl FnOnce(&mut Process)) {
        if let Some(mut process) = self.processes.get_mut(at).and_then(Option::take) {
            act(&mut process);
            self.collect(&mut process);
            self.processes[at] = Some(process);
        }
    }

    fn collect(&mut self, process: &mut Process) {
        loop {
            while let Ok((from, to, bytes)) = self.sent.1.try_recv() {
                self.out.push_back(BoardOut::Send {
                    from,
                    to,
                    bytes: bytes.len(),
                    packet: Packet::Bytes(bytes),
                });
            }
            let Ok(event) = process.events.try_recv() else { return };
            self.told(process, event);
            // The queue was perhaps full, with more behind it.
            process.drive(process.clock_ms);
        }
    }

    fn told(&mut self, process: &mut Process, event: DiscoveryEvent) {
        let at = process.at;
        match event {
            DiscoveryEvent::Changed(members) => {
                let members: Vec<_> = members.into_iter().filter_map(board_member).collect();
                // Published metadata changes the product's view too, but not the world's.
                if members != process.told {
                    process.told.clone_from(&members);
                    self.out.push_back(BoardOut::Members { at, members });
                }
            }
            DiscoveryEvent::Gone { origin, .. } => self.out.push_back(BoardOut::Gone { at, origin }),
            DiscoveryEvent::Clone { .. } => self.out.push_back(BoardOut::Clone { at }),
            DiscoveryEvent::GossipRestarted { .. } => self.gossip_deaths += 1,
            DiscoveryEvent::SeedUnresolved { .. }
            | DiscoveryEvent::Namesake { .. }
            | DiscoveryEvent::SeedsResolved(_)
            | DiscoveryEvent::TooManyIncarnations { .. } => {}
        }
    }
}

impl Board for FullBoard {
    fn start(&mut self, now_ms: u64, at: usize, entry: Entry) {
        if at >= self.processes.len() {
            self.processes.resize_with(at + 1, || None);
        }
        self.processes[at] = None;
        let process = Process::start(now_ms, at, &entry, &self.config, self.sent.0.clone());
        self.processes[at] = Some(Box::new(process));
        self.with(at, |process| process.drive(now_ms));
    }

    fn stop(&mut self, _now_ms: u64, at: usize) {
        if let Some(process) = self.processes.get_mut(at) {
            *process = None;
        }
    }

    fn leave(&mut self, now_ms: u64, at: usize) {
        self.with(at, |process| {
            process.drive(now_ms);
            let discovery = process.discovery.clone();
            // A task, because the goodbye takes two rounds.
            process.runtime.spawn(async move { discovery.leave().await });
            process.drive(now_ms);
        });
    }

    fn freeze(&mut self, now_ms: u64, at: usize, frozen: bool) {
        self.with(at, |process| match (process.frozen, frozen) {
            (false, true) => {
                process.drive(now_ms);
                process.frozen = true;
            }
            (true, false) => {
                process.thaw(now_ms);
                for (from, bytes) in std::mem::take(&mut process.held) {
                    process.receive(now_ms, from, bytes);
                }
            }
            _ => {}
        });
    }

    fn publish(&mut self, now_ms: u64, at: usize, key: &str, value: &str) {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.with(at, |process| {
            process.drive(now_ms);
            let discovery = process.discovery.clone();
            // A task, because the answer may have to wait. An error means the process has left.
            process.runtime.spawn(async move { discovery.publish(&key, value).await });
            process.drive(now_ms);
        });
    }

    fn publish_fact(&mut self, now_ms: u64, at: usize, key: &str, value: &str) {
        self.with(at, |process| {
            process.drive(now_ms);
            process.discovery.publish_fact(key, value.to_owned());
            process.drive(now_ms);
        });
    }

    fn deliver(&mut self, now_ms: u64, from: usize, to: usize, packet: Packet) {
        let Packet::Bytes(bytes) = packet else { return };
        let from = address(from);
        self.with(to, |process| {
            if process.frozen {
                process.held.push((from, bytes));
            } else {
                process.receive(now_ms, from, bytes);
            }
        });
    }

    fn wake(&mut self, now_ms: u64) {
        for at in 0..self.processes.len() {
            let due = |process: &Process| !process.frozen && process.next_wake_ms() <= now_ms;
            if self.processes[at].as_deref().is_some_and(due) {
                self.with(at, |process| process.drive(now_ms));
            }
        }
    }

    fn next_wake_ms(&self) -> Option<u64> {
        let awake = self.processes.iter().flatten().filter(|process| !process.frozen);
        awake.map(|process| process.next_wake_ms()).min()
    }

    fn poll(&mut self) -> Option<BoardOut> {
        self.out.pop_front()
    }

    fn read(&self, by: usize, of: usize, key: &str) -> Option<String> {
        let members = self.processes.get(by)?.as_ref()?.discovery.members();
        members.into_iter().find(|member| member.addr == address(of))?.metadata.remove(key)
    }
}
