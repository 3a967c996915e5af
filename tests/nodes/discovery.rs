//! Discovery over an in-memory hub: joining, dying, leaving, returning, splits, poison, restarts.
//!
//! Real time, gossip rounds of 50 ms. Every wait ends with what it waits for, or fails after 30 s.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chitchat::{ChitchatId, Serializable};
use parking_lot::Mutex;
use sessionmesh::core::causality::Origin;
use sessionmesh::discovery::{
    Discovery, DiscoveryConfig, DiscoveryEvent, GossipLink, Member, RefusedPackets, SeedResolver,
    SystemResolver, fresh_generation,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

const ROUND_MS: u64 = 50;
const CEILING: Duration = Duration::from_secs(30);

type Inbound = mpsc::Sender<(SocketAddr, Bytes)>;

/// Delivers packets between links at once; anything can be cut off.
#[derive(Default)]
struct Hub {
    nodes: Mutex<BTreeMap<SocketAddr, Inbound>>,
    /// Side of a split; nodes on different sides do not hear each other.
    side: Mutex<BTreeMap<SocketAddr, u8>>,
}

impl Hub {
    fn deliver(&self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        let same_side = {
            let side = self.side.lock();
            side.get(&from) == side.get(&to)
        };
        if let Some(inbound) = self.nodes.lock().get(&to).filter(|_| same_side) {
            let _ = inbound.try_send((from, bytes));
        }
    }

    fn inject(&self, to: SocketAddr, bytes: Vec<u8>) {
        self.nodes.lock()[&to].try_send((addr(9_999), bytes.into())).unwrap();
    }

    fn put_on_side(&self, nodes: &[&Node], side: u8) {
        self.side.lock().extend(nodes.iter().map(|node| (node.addr, side)));
    }
}

struct Link {
    hub: Arc<Hub>,
    own: SocketAddr,
    /// A bug in the link: the next send panics, inside the gossip server's task.
    explode: Arc<AtomicBool>,
}

impl GossipLink for Link {
    fn send(&self, to: SocketAddr, bytes: Bytes) {
        assert!(!self.explode.swap(false, Ordering::SeqCst), "link explodes");
        self.hub.deliver(self.own, to, bytes);
    }
}

struct Node {
    discovery: Discovery,
    events: mpsc::Receiver<DiscoveryEvent>,
    addr: SocketAddr,
    hub: Arc<Hub>,
    explode: Arc<AtomicBool>,
}

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn config(name: &str, port: u16, origin: u128) -> DiscoveryConfig {
    let wall_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let generation = fresh_generation(wall_ms, rand::random());
    let mut config = DiscoveryConfig::new("test", name, Origin(origin), addr(port), generation);
    config.gossip_interval_ms = ROUND_MS;
    config.reseed_interval_ms = 200;
    config
}

fn seeded(name: &str, port: u16, origin: u128, seed: &str) -> DiscoveryConfig {
    let mut config = config(name, port, origin);
    config.seeds = vec![seed.to_owned()];
    config
}

async fn start(hub: &Arc<Hub>, config: DiscoveryConfig) -> Node {
    start_with(hub, config, Arc::new(SystemResolver)).await
}

async fn start_with(hub: &Arc<Hub>, config: DiscoveryConfig, resolver: Arc<dyn SeedResolver>) -> Node {
    let addr = config.advertise;
    let (inbound_tx, inbound) = mpsc::channel(1_000);
    hub.nodes.lock().insert(addr, inbound_tx);
    let explode = Arc::new(AtomicBool::new(false));
    let link = Arc::new(Link { hub: Arc::clone(hub), own: addr, explode: Arc::clone(&explode) });
    let (discovery, events) = Discovery::start_with_resolver(config, link, inbound, resolver).await.unwrap();
    Node { discovery, events, addr, hub: Arc::clone(hub), explode }
}

impl Node {
    /// Waits for an event and returns what `pick` makes of it.
    async fn expect<T>(&mut self, what: &str, mut pick: impl FnMut(DiscoveryEvent) -> Option<T>) -> T {
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("events go on");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        };
        timeout(CEILING, wait).await.unwrap_or_else(|_| panic!("never: {what}"))
    }

    /// Waits until the current view satisfies `test`. Events only say when to look: one still queued from
    /// before may show a view long past.
    async fn view(&mut self, what: &str, test: impl Fn(&[Member]) -> bool) -> Vec<Member> {
        let discovery = self.discovery.clone();
        let now = discovery.members();
        if test(&now) {
            return now;
        }
        self.expect(what, |_event| Some(discovery.members()).filter(|members| test(members))).await
    }

    async fn sees_alive(&mut self, names: &[&str]) -> Vec<Member> {
        self.view(&format!("{names:?} alive"), |members| {
            alive(members) == BTreeSet::from_iter(names.iter().copied())
        })
        .await
    }

    /// Falls silent: no goodbye, nothing in, nothing out.
    async fn kill(self) {
        self.hub.nodes.lock().remove(&self.addr);
        self.discovery.shutdown().await;
    }
}

fn alive(members: &[Member]) -> BTreeSet<&str> {
    members.iter().filter(|member| member.alive).map(|member| member.node.as_str()).collect()
}

/// Whether `name` is among the members and `test` holds for it; a view may be too young to have it.
fn has(members: &[Member], name: &str, test: impl Fn(&Member) -> bool) -> bool {
    members.iter().any(|member| member.node == name && test(member))
}

fn knows(name: &'static str, key: &'static str) -> impl Fn(&[Member]) -> bool {
    move |members| has(members, name, |member| member.metadata.contains_key(key))
}

fn member<'a>(members: &'a [Member], name: &str) -> &'a Member {
    members.iter().find(|member| member.node == name).unwrap()
}

async fn pair(hub: &Arc<Hub>) -> (Node, Node) {
    let mut a = start(hub, config("a", 1, 0xa)).await;
    let mut b = start(hub, seeded("b", 2, 0xb, "127.0.0.1:1")).await;
    a.sees_alive(&["a", "b"]).await;
    b.sees_alive(&["a", "b"]).await;
    (a, b)
}

#[tokio::test]
async fn three_nodes_find_each_other_from_one_seed_and_share_keys() {
    let hub = Arc::new(Hub::default());
    let mut nodes = Vec::new();
    for (index, name) in ["a", "b", "c"].iter().enumerate() {
        let port = index as u16 + 1;
        let mut config = seeded(name, port, 0xa0 + index as u128, "127.0.0.1:1");
        config.metadata.insert("zone".into(), format!("z{index}"));
        nodes.push(start(&hub, config).await);
    }
    for node in &mut nodes {
        let members = node.sees_alive(&["a", "b", "c"]).await;
        for (index, name) in ["a", "b", "c"].iter().enumerate() {
            let member = member(&members, name);
            assert_eq!(member.origin, Origin(0xa0 + index as u128));
            assert_eq!(member.metadata["zone"], format!("z{index}"));
            assert_eq!(member.addr, addr(index as u16 + 1));
        }
        let mut others: Vec<_> = (1..=3).map(addr).collect();
        others.retain(|addr| *addr != node.addr);
        assert_eq!(node.discovery.addresses(), others, "never ourselves");
        assert_eq!(
            node.discovery.health().refused,
            RefusedPackets::default(),
            "honest gossip passes the guard"
        );
    }
    nodes[2].discovery.publish("load", "7".into()).await.unwrap();
    nodes[0].view("c's new key", knows("c", "load")).await;
    assert!(nodes[0].discovery.publish("été", String::new()).await.is_err());
    assert!(nodes[0].discovery.publish("big", "x".repeat(8_193)).await.is_err());
}

#[tokio::test]
async fn a_seed_may_be_a_name() {
    let hub = Arc::new(Hub::default());
    let mut a = start(&hub, config("a", 1, 0xa)).await;
    let mut b = start(&hub, seeded("b", 2, 0xb, "localhost:1")).await;
    let resolved = |event| match event {
        DiscoveryEvent::SeedsResolved(addresses) => Some(addresses),
        _ => None,
    };
    assert!(b.expect("localhost resolves", resolved).await.contains(&addr(1)));
    b.sees_alive(&["a", "b"]).await;
    a.sees_alive(&["a", "b"]).await;
}

/// Knows no name until told.
#[derive(Default)]
struct LateResolver(Mutex<Option<SocketAddr>>);

#[async_trait]
impl SeedResolver for LateResolver {
    async fn resolve(&self, _seed: &str) -> io::Result<Vec<SocketAddr>> {
        let known = *self.0.lock();
        known.map(|addr| vec![addr]).ok_or_else(|| io::Error::other("no such name"))
    }
}

#[tokio::test]
async fn an_unresolvable_seed_is_told_once_retried_for_ever_and_works_later() {
    let hub = Arc::new(Hub::default());
    let _a = start(&hub, config("a", 1, 0xa)).await;
    let resolver = Arc::new(LateResolver::default());
    let mut b = start_with(&hub, seeded("b", 2, 0xb, "mesh.example:1"), resolver.clone()).await;
    let unresolved = |event| match event {
        DiscoveryEvent::SeedUnresolved { seed, error } => Some((seed, error)),
        _ => None,
    };
    let (seed, error) = b.expect("the failure", unresolved).await;
    assert_eq!((seed.as_str(), error.as_str()), ("mesh.example:1", "no such name"));
    // Retries go on, and are silent: wait for the third in health.
    let retries = async {
        while b.discovery.health().seeds[0].attempts < 3 {
            tokio::task::yield_now().await;
        }
    };
    timeout(CEILING, retries).await.expect("retries");
    assert_eq!(b.discovery.health().seeds[0].last_error.as_deref(), Some("no such name"));
    *resolver.0.lock() = Some(addr(1));
    b.sees_alive(&["a", "b"]).await;
    assert_eq!(b.discovery.health().seeds[0].last_error, None);
}

/// A name that leads to a node that is no more, and from `moves_at` on to another; and how often it was asked.
struct Moving {
    moves_at: Instant,
    asked: AtomicU64,
}

#[async_trait]
impl SeedResolver for Moving {
    async fn resolve(&self, _seed: &str) -> io::Result<Vec<SocketAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(vec![addr(if Instant::now() < self.moves_at { 99 } else { 1 })])
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_leads_to_the_dead_is_looked_up_again_within_seconds_and_at_leisure_in_company() {
    let hub = Arc::new(Hub::default());
    let begun = Instant::now();
    let resolver = Arc::new(Moving { moves_at: begun + Duration::from_secs(3), asked: AtomicU64::new(0) });
    let _a = start(&hub, config("a", 1, 0xa)).await;
    let mut joiner = seeded("b", 2, 0xb, "moving.example:1");
    joiner.reseed_interval_ms = 30_000;
    let mut b = start_with(&hub, joiner, resolver.clone()).await;
    b.sees_alive(&["a", "b"]).await;
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    let before = resolver.asked.load(Ordering::SeqCst);
    assert!(before <= 5, "asked {before} times");
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert!(resolver.asked.load(Ordering::SeqCst) <= before + 1, "in company there is no hurry");
    // Asked for, it is looked up at once.
    let look = b.discovery.resolve_again().unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(b.discovery.resolved_since(&look));
    assert_eq!(b.discovery.seed_addresses(), BTreeSet::from([addr(1)]));
}

#[tokio::test]
async fn silence_is_death_and_a_return_is_life() {
    let hub = Arc::new(Hub::default());
    let (mut a, b) = pair(&hub).await;
    // Let the failure detector collect some heartbeats first.
    b.discovery.publish("warm", "1".into()).await.unwrap();
    a.view("the key", knows("b", "warm")).await;
    let began = Instant::now();
    hub.put_on_side(&[&b], 1);
    let members = a.sees_alive(&["a"]).await;
    eprintln!("fact: death noticed after {} rounds", began.elapsed().as_millis() as u64 / ROUND_MS);
    let dead = member(&members, "b");
    assert!(!dead.alive && !dead.left, "silent, not gone");
    assert!(a.discovery.addresses().contains(&b.addr), "still worth dialling");
    hub.put_on_side(&[&b], 0);
    hub.put_on_side(&[&a], 0);
    a.sees_alive(&["a", "b"]).await;
}

fn gone(event: DiscoveryEvent) -> Option<(String, Origin)> {
    match event {
        DiscoveryEvent::Gone { node, origin } => Some((node, origin)),
        _ => None,
    }
}

#[tokio::test]
async fn a_goodbye_is_known_at_once() {
    let hub = Arc::new(Hub::default());
    let (mut a, b) = pair(&hub).await;
    b.discovery.leave().await;
    assert!(!b.discovery.health().gossip_alive);
    assert!(b.discovery.publish("late", String::new()).await.is_err());
    assert_eq!(a.expect("b gone", gone).await, ("b".into(), Origin(0xb)));
    let members = a.view("b has left", |members| has(members, "b", |b| b.left)).await;
    assert!(!member(&members, "b").alive);
    assert!(a.discovery.addresses().is_empty(), "nobody dials who has left");
    b.discovery.leave().await;
}

/// In virtual time, so that this measures what is waited for and not the machine.
#[tokio::test(start_paused = true)]
async fn a_goodbye_takes_a_fraction_of_a_second_and_none_where_nobody_is() {
    let hub = Arc::new(Hub::default());
    let slow = |config| DiscoveryConfig {
        gossip_interval_ms: 1_000,
        dead_grace_ms: 60_000,
        reseed_interval_ms: 30_000,
        ..config
    };
    let mut a = start(&hub, slow(config("a", 1, 0xa))).await;
    let mut b = start(&hub, slow(seeded("b", 2, 0xb, "127.0.0.1:1"))).await;
    a.sees_alive(&["a", "b"]).await;
    b.sees_alive(&["a", "b"]).await;
    let begun = tokio::time::Instant::now();
    b.discovery.leave().await;
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    a.view("b has left", |members| has(members, "b", |b| b.left)).await;
    let begun = tokio::time::Instant::now();
    a.discovery.leave().await;
    assert!(begun.elapsed() < Duration::from_millis(50), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_restart_without_memory_ends_the_old_life() {
    let hub = Arc::new(Hub::default());
    let (mut a, b) = pair(&hub).await;
    b.kill().await;
    let reborn = seeded("b", 2, 0xbb, "127.0.0.1:1");
    let generation = reborn.generation;
    let _b = start(&hub, reborn).await;
    assert_eq!(a.expect("the old life ends", gone).await, ("b".into(), Origin(0xb)));
    let members = a.view("the new life", |members| has(members, "b", |b| b.origin == Origin(0xbb))).await;
    assert_eq!((member(&members, "b").generation, member(&members, "b").alive), (generation, true));
}

#[tokio::test]
async fn a_clone_is_told_to_the_older_of_the_two() {
    let hub = Arc::new(Hub::default());
    let (_a, mut b) = pair(&hub).await;
    let clone = seeded("b", 3, 0xc, "127.0.0.1:1");
    let expected = clone.generation;
    let _clone = start(&hub, clone).await;
    let told = |event| match event {
        DiscoveryEvent::Clone { node, origin, generation } => Some((node, origin, generation)),
        _ => None,
    };
    assert_eq!(b.expect("the clone", told).await, ("b".into(), Origin(0xc), expected));
}

#[tokio::test]
async fn a_split_longer_than_the_grace_heals_without_the_seed() {
    let hub = Arc::new(Hub::default());
    let mut nodes = Vec::new();
    for (index, name) in ["a", "b", "c"].iter().enumerate() {
        let mut config = seeded(name, index as u16 + 1, index as u128 + 1, "127.0.0.1:1");
        config.dead_grace_ms = 500;
        nodes.push(start(&hub, config).await);
    }
    for node in &mut nodes {
        node.sees_alive(&["a", "b", "c"]).await;
    }
    let [seed, mut b, mut c]: [Node; 3] = nodes.try_into().ok().unwrap();
    seed.kill().await;
    hub.put_on_side(&[&b], 1);
    for (node, own) in [(&mut b, "b"), (&mut c, "c")] {
        node.view("all others forgotten", |members| members.len() == 1 && members[0].node == own).await;
    }
    let began = Instant::now();
    hub.put_on_side(&[&b, &c], 2);
    for node in [&mut b, &mut c] {
        node.sees_alive(&["b", "c"]).await;
    }
    eprintln!("fact: split healed after {} rounds", began.elapsed().as_millis() as u64 / ROUND_MS);
}

/// A SYN naming incarnations, as a stranger could send it.
fn syn(ids: &[ChitchatId]) -> Vec<u8> {
    let mut packet = vec![0x53, 0xb0, 0, 0];
    (ids.len() as u16).serialize(&mut packet);
    for id in ids {
        id.serialize(&mut packet);
        [5u64, 0, 1].iter().for_each(|counter| counter.serialize(&mut packet));
    }
    "test".serialize(&mut packet);
    packet
}

/// An ACK with one node's keys in an uncompressed block.
fn ack(id: &ChitchatId, keys: &[(&str, &str, u64)]) -> Vec<u8> {
    let mut operations = vec![0u8];
    id.serialize(&mut operations);
    [0u64, 0].iter().for_each(|counter| counter.serialize(&mut operations));
    for (key, value, version) in keys {
        operations.push(1);
        key.serialize(&mut operations);
        value.serialize(&mut operations);
        version.serialize(&mut operations);
        operations.push(0);
    }
    let mut packet = vec![0x53, 0xb0, 0, 2, 2];
    (operations.len() as u16).serialize(&mut packet);
    packet.extend(operations);
    packet.push(0);
    packet
}

#[tokio::test]
async fn poison_is_refused_and_the_server_lives_on() {
    let hub = Arc::new(Hub::default());
    let mut a = start(&hub, config("a", 1, 0xa)).await;
    let stranger = ChitchatId::new("evil", 1, addr(9_999));
    // The stranger must be known, or chitchat ignores its keys and the poison would prove nothing.
    hub.inject(addr(1), syn(std::slice::from_ref(&stranger)));
    hub.inject(addr(1), ack(&stranger, &[("été", "x", 1)]));
    let own = ChitchatId::new("a", a.discovery.health().generation, addr(1));
    hub.inject(addr(1), ack(&own, &[("sm.origin", "x", 1 << 20)]));
    hub.inject(addr(1), ack(&stranger, &[("sm.origin", "x", u64::MAX - 1)]));
    hub.inject(addr(1), b"junk".to_vec());
    hub.inject(addr(1), vec![0; 70_000]);
    let mut b = start(&hub, seeded("b", 2, 0xb, "127.0.0.1:1")).await;
    a.sees_alive(&["a", "b"]).await;
    b.sees_alive(&["a", "b"]).await;
    a.discovery.publish("still", "here".into()).await.unwrap();
    b.view("a's key", knows("a", "still")).await;
    let health = a.discovery.health();
    assert!(health.gossip_alive && health.gossip_restarts == 0, "{health:?}");
    let refused = health.refused;
    assert_eq!((refused.bad_key, refused.forged_self, refused.absurd_state), (1, 1, 1));
    assert_eq!((refused.malformed, refused.oversize), (1, 1));
}

#[tokio::test]
async fn a_dead_gossip_server_is_started_again_and_nobody_seems_to_vanish() {
    let hub = Arc::new(Hub::default());
    // Longer rounds than elsewhere: a busy machine's stall must not pass for a vanishing.
    let slow = |mut config: DiscoveryConfig| {
        config.gossip_interval_ms = 250;
        config.reseed_interval_ms = 250;
        config
    };
    let mut a = start(&hub, slow(config("a", 1, 0xa))).await;
    let mut b = start(&hub, slow(seeded("b", 2, 0xb, "127.0.0.1:1"))).await;
    a.sees_alive(&["a", "b"]).await;
    b.sees_alive(&["a", "b"]).await;
    b.discovery.publish("kept", "yes".into()).await.unwrap();
    let before = b.discovery.health().generation;
    // Views from before a was found would look like its vanishing.
    while b.events.try_recv().is_ok() {}
    b.explode.store(true, Ordering::SeqCst);
    let mut views = Vec::new();
    let generation = b
        .expect("the restart", |event| match event {
            DiscoveryEvent::GossipRestarted { generation } => Some(generation),
            DiscoveryEvent::Changed(members) => {
                views.push(members);
                None
            }
            _ => None,
        })
        .await;
    let health = b.discovery.health();
    assert!(generation > before && health.generation == generation);
    assert!(health.gossip_alive && health.gossip_restarts == 1 && health.last_gossip_failure.is_some());
    let renewed = |members: &[Member]| {
        has(members, "b", |b| b.generation == generation && b.alive && b.origin == Origin(0xb))
            && knows("b", "kept")(members)
    };
    let members = a.view("b's new generation", renewed).await;
    assert_eq!(alive(&members).len(), 2);
    views.push(b.discovery.members());
    while let Ok(event) = b.events.try_recv() {
        views.extend(match event {
            DiscoveryEvent::Changed(members) => Some(members),
            _ => None,
        });
    }
    assert!(views.iter().all(|members| alive(members).contains("a")), "the restart made a vanish: {views:?}");
}

#[tokio::test]
async fn the_ceiling_on_incarnations_refuses_newcomers_and_keeps_members() {
    let hub = Arc::new(Hub::default());
    let mut small = config("a", 1, 0xa);
    small.max_incarnations = 10;
    let mut a = start(&hub, small).await;
    let mut b = start(&hub, seeded("b", 2, 0xb, "127.0.0.1:1")).await;
    a.sees_alive(&["a", "b"]).await;
    b.sees_alive(&["a", "b"]).await;
    let crowd: Vec<_> = (0..300).map(|n| ChitchatId::new(format!("crowd{n}"), 1, addr(5_000 + n))).collect();
    hub.inject(addr(1), syn(&crowd));
    let told = |event| match event {
        DiscoveryEvent::TooManyIncarnations { known } => Some(known),
        _ => None,
    };
    assert_eq!(a.expect("the ceiling", told).await, 10);
    // Members are still heard: a key written now arrives, although b itself may know the crowd.
    b.discovery.publish("heard", "yes".into()).await.unwrap();
    a.view("b is heard", knows("b", "heard")).await;
    let health = a.discovery.health();
    assert!(health.known_incarnations <= 10 && health.refused.over_ceiling >= 292, "{health:?}");
    assert!(health.gossip_alive && health.gossip_restarts == 0);
}

#[tokio::test]
async fn small_gossip_is_cheap() {
    let hub = Arc::new(Hub::default());
    let (mut a, b) = pair(&hub).await;
    let (began, before) = (Instant::now(), a.discovery.health());
    for write in (0..20).map(|write: u32| write.to_string()) {
        b.discovery.publish("tick", write.clone()).await.unwrap();
        a.view("the write", |members| has(members, "b", |b| b.metadata.get("tick") == Some(&write))).await;
    }
    let (after, rounds) = (a.discovery.health(), began.elapsed().as_millis() as u64 / ROUND_MS);
    let bytes = (after.bytes_sent - before.bytes_sent) / rounds;
    let packets = (after.packets_sent - before.packets_sent) as f64 / rounds as f64;
    eprintln!(
        "fact: two nodes, {bytes} bytes and {packets:.1} packets per node and round; {rounds} rounds for 20 keys"
    );
    assert!(bytes < 2_000, "{bytes}");
}
