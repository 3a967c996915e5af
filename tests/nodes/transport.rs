//! The transport over real sockets: nodes in one process, each on its own loopback port.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::Mutex;
use sessionmesh::{
    core::causality::Origin,
    transport::{
        Class, Drill, Event, Identity, MEMBER_NAME, PeerInfo, RefusedReason, Rule, Secret, SendError,
        Transport, TransportConfig, TransportError,
    },
};
use tokio::{net::UdpSocket, sync::mpsc, time::timeout};

const CEILING: Duration = Duration::from_secs(20);

fn secret(fill: u8) -> Secret {
    Secret::new((0..32).map(|n| n ^ fill).collect::<Vec<u8>>()).expect("32 bytes are enough")
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn config(node: &str) -> TransportConfig {
    static ORIGINS: AtomicU64 = AtomicU64::new(1);
    let origin = Origin(u128::from(ORIGINS.fetch_add(1, Ordering::Relaxed)));
    TransportConfig::new("shop", node, origin, loopback(), Identity::Secrets(vec![secret(1)]))
}

/// A running node and its events.
struct Node {
    transport: Transport,
    events: mpsc::Receiver<Event>,
    origin: Origin,
}

impl Node {
    async fn start(config: TransportConfig) -> Self {
        let origin = config.origin;
        let (transport, events) = Transport::start(config).await.expect("the node starts");
        Self { transport, events, origin }
    }

    fn addr(&self) -> SocketAddr {
        self.transport.advertise_addr()
    }

    fn want(&self, other: &Self) {
        self.transport.want(vec![other.addr()]);
    }

    /// The first event from now on that `pick` takes; others are dropped.
    async fn until<T>(&mut self, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the transport runs");
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        timeout(CEILING, found).await.unwrap_or_else(|_| panic!("no {what} within {CEILING:?}"))
    }

    async fn up(&mut self) -> PeerInfo {
        self.until("Up", |event| if let Event::Up(info) = event { Some(info) } else { None }).await
    }

    async fn down(&mut self) -> (u64, String) {
        let pick =
            |event| if let Event::Down { link, reason, .. } = event { Some((link, reason)) } else { None };
        self.until("Down", pick).await
    }

    async fn refused(&mut self) -> (SocketAddr, RefusedReason) {
        let pick = |event| match event {
            Event::Refused { addr, reason, .. } => Some((addr, reason)),
            Event::Up(info) => panic!("linked with {info:?}, which should have been refused"),
            _ => None,
        };
        self.until("Refused", pick).await
    }

    async fn frame(&mut self) -> Bytes {
        let pick = |event| match event {
            Event::Frame { bytes, .. } => Some(bytes),
            Event::Down { reason, .. } => panic!("link lost: {reason}"),
            _ => None,
        };
        self.until("Frame", pick).await
    }

    async fn gossip(&mut self) -> (SocketAddr, Bytes) {
        let pick = |event| if let Event::Gossip { from, bytes } = event { Some((from, bytes)) } else { None };
        self.until("Gossip", pick).await
    }

    fn links_up(&self) -> u64 {
        self.transport.stats().links_up
    }
}

async fn pair(a: TransportConfig, b: TransportConfig) -> (Node, Node) {
    let (mut a, mut b) = (Node::start(a).await, Node::start(b).await);
    a.want(&b);
    a.up().await;
    b.up().await;
    (a, b)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_exchange_frames_of_both_classes_and_gossip() {
    let (mut a, mut b) = pair(config("a"), config("b")).await;
    assert_eq!(a.transport.peers()[0].node, "b");
    assert_eq!(b.transport.peers()[0].addr, a.addr());
    assert_eq!(b.transport.peers()[0].version, 1);

    for n in 0..200u32 {
        let body = Bytes::copy_from_slice(&n.to_be_bytes());
        a.transport.send(b.origin, Class::Control, body).expect("queued");
    }
    for n in 0..200u32 {
        assert_eq!(b.frame().await, n.to_be_bytes().as_slice(), "in order");
    }
    let page = Bytes::from(vec![7u8; 3 << 20]);
    b.transport.send(a.origin, Class::Bulk, page.clone()).expect("queued");
    assert_eq!(a.frame().await, page);
    b.transport.send(a.origin, Class::Bulk, Bytes::new()).expect("queued");
    assert!(a.frame().await.is_empty(), "an empty frame is a frame");

    for size in [100, 40_000] {
        let packet = Bytes::from(vec![9u8; size]);
        a.transport.gossip(b.addr(), packet.clone());
        assert_eq!(b.gossip().await, (a.addr(), packet));
    }
    let stats = a.transport.stats();
    assert!(stats.udp_sent_bytes > 40_000 && stats.udp_received_bytes > 3 << 20, "{stats:?}");
    assert_eq!((stats.frames_sent, stats.frames_received, stats.gossip_sent), (200, 2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn gossip_dials_on_demand_and_what_cannot_be_sent_is_dropped() {
    let (mut a, mut b) = (Node::start(config("a")).await, Node::start(config("b")).await);
    a.transport.gossip(b.addr(), Bytes::from_static(b"hello"));
    assert_eq!(b.gossip().await, (a.addr(), Bytes::from_static(b"hello")));
    a.up().await;

    assert_eq!(a.transport.send(Origin(99_999), Class::Control, Bytes::new()), Err(SendError::NotConnected));
    let too_large = Bytes::from(vec![0; (4 << 20) + 1]);
    assert!(matches!(
        a.transport.send(b.origin, Class::Bulk, too_large),
        Err(SendError::TooLarge { max_bytes: 4_194_304, .. })
    ));
    let before = a.transport.stats().gossip_dropped;
    a.transport.gossip(b.addr(), Bytes::from(vec![0; 1 << 20]));
    assert_eq!(a.transport.stats().gossip_dropped, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_not_read_fills_the_queue_and_no_more() {
    let (a, b) = pair(config("a"), config("b")).await;
    let page = Bytes::from(vec![0u8; 1 << 20]);
    let deadline = Instant::now() + CEILING;
    // B's events are not read: its slots fill with the small frames, then QUIC's windows, then A's queue.
    let full = loop {
        assert!(Instant::now() < deadline, "the queue never fills");
        match a.transport.send(b.origin, Class::Bulk, page.slice(..1 << 16)) {
            Ok(()) => tokio::task::yield_now().await,
            Err(err) => break err,
        }
    };
    assert!(matches!(full, SendError::Backlog { queued_bytes } if queued_bytes <= 8 << 20), "{full:?}");
    a.transport.send(b.origin, Class::Control, page).expect("the other class has its own queue");
}

/// A record that many sides of a partition filled makes a frame larger than a queue. It is not starved by small ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_frame_larger_than_the_queue_arrives_behind_others() {
    let roomy = |name| TransportConfig { max_frame_bytes: 64 << 20, ..config(name) };
    let (a, mut b) = pair(roomy("a"), roomy("b")).await;
    let large: Vec<u8> = (0..20 << 20).map(|n: u32| (n % 251) as u8).collect();
    a.transport.send(b.origin, Class::Bulk, Bytes::from(vec![0; 1 << 20])).expect("a page");
    a.transport.send(b.origin, Class::Bulk, large.clone().into()).expect("behind a queue that is not full");
    assert_eq!(b.frame().await.len(), 1 << 20);
    assert!(b.frame().await == large, "whole, and read piece by piece");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_refused_and_hears_no_hello() {
    let stranger = TransportConfig { identity: Identity::Secrets(vec![secret(2)]), ..config("b") };
    let (mut a, mut b) = (Node::start(config("a")).await, Node::start(stranger).await);
    b.want(&a);
    assert_eq!(b.refused().await, (a.addr(), RefusedReason::WrongSecret), "as the dialer sees it");
    assert_eq!(a.refused().await, (b.addr(), RefusedReason::WrongSecret), "as the acceptor sees it");
    for stats in [a.transport.stats(), b.transport.stats()] {
        assert_eq!((stats.hellos_sent, stats.hellos_received, stats.links_up), (0, 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_acceptor_checks_the_dialer_too() {
    // B would accept A, but signs with a secret A does not know: only A can refuse.
    let half = TransportConfig { identity: Identity::Secrets(vec![secret(2), secret(1)]), ..config("b") };
    let (mut a, mut b) = (Node::start(config("a")).await, Node::start(half).await);
    b.want(&a);
    assert_eq!(a.refused().await, (b.addr(), RefusedReason::WrongSecret));
    assert_eq!(b.refused().await, (a.addr(), RefusedReason::WrongSecret));
    assert_eq!((a.transport.stats().hellos_sent, a.transport.stats().hellos_received), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_cluster_is_refused_though_it_holds_the_secret() {
    let other = TransportConfig { cluster: "blog".into(), ..config("b") };
    let (mut a, mut b) = (Node::start(config("a")).await, Node::start(other).await);
    b.want(&a);
    assert_eq!(b.refused().await, (a.addr(), RefusedReason::WrongCluster));
    assert_eq!(a.refused().await, (b.addr(), RefusedReason::WrongCluster));
    assert_eq!(a.transport.stats().hellos_sent, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_rotate_without_an_outage() {
    let with = |node, secrets| TransportConfig { identity: Identity::Secrets(secrets), ..config(node) };
    let (old, new) = (secret(1), secret(2));
    let both_old_first = vec![old.clone(), new.clone()];
    let both_new_first = vec![new.clone(), old.clone()];
    pair(with("a", vec![old]), with("b", both_old_first.clone())).await;
    pair(with("a", both_old_first), with("b", both_new_first.clone())).await;
    pair(with("a", both_new_first), with("b", vec![new])).await;
}

/// An authority, and a certificate of it for each name asked for.
fn own_pki(names: [&str; 3]) -> [Identity; 3] {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = params.self_signed(&ca_key).expect("an authority").pem();
    let issuer = Issuer::new(params, ca_key);
    names.map(|name| {
        let key = KeyPair::generate().expect("a key");
        let cert =
            CertificateParams::new(vec![name.to_owned()]).and_then(|params| params.signed_by(&key, &issuer));
        let cert_pem = cert.expect("a certificate").pem();
        Identity::OwnPki { ca_pem: ca_pem.clone(), cert_pem, key_pem: key.serialize_pem() }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_pki_makes_members_of_those_it_names_so_in_both_directions() {
    let [one, two, web_server] = own_pki([MEMBER_NAME, MEMBER_NAME, "www.example.com"]);
    let with = |node, identity: &Identity| TransportConfig { identity: identity.clone(), ..config(node) };
    pair(with("a", &one), with("b", &two)).await;
    for dialled_by_member in [true, false] {
        let mut member = Node::start(with("a", &one)).await;
        let mut stranger = Node::start(with("b", &web_server)).await;
        if dialled_by_member {
            member.want(&stranger)
        } else {
            stranger.want(&member)
        }
        assert_eq!(member.refused().await, (stranger.addr(), RefusedReason::WrongSecret));
        assert_eq!(stranger.refused().await, (member.addr(), RefusedReason::WrongSecret));
        assert_eq!(member.transport.stats().hellos_sent, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_only_loopback_is_bound() {
    let insecure = || TransportConfig { identity: Identity::Insecure, ..config("a") };
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = Transport::start(TransportConfig { bind: everywhere, ..insecure() }).await;
    assert!(matches!(refused, Err(TransportError::InsecureBind { addr }) if addr == everywhere));
    let outside = SocketAddr::from(([192, 0, 2, 7], 7946));
    let refused = Transport::start(TransportConfig { advertise: Some(outside), ..insecure() }).await;
    assert!(matches!(refused, Err(TransportError::InsecureBind { addr }) if addr == outside));
    pair(insecure(), TransportConfig { identity: Identity::Insecure, ..config("b") }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_and_a_foreign_address_are_named() {
    let a = Node::start(config("a")).await;
    let taken = TransportConfig { bind: a.transport.local_addr(), ..config("b") };
    let err = Transport::start(taken).await.err().expect("the port is taken");
    assert!(matches!(err, TransportError::PortInUse { .. }));
    assert!(err.to_string().contains(&a.addr().to_string()), "{err}");

    let foreign = TransportConfig { bind: SocketAddr::from(([192, 0, 2, 7], 0)), ..config("b") };
    let err = Transport::start(foreign).await.err().expect("not our address");
    assert!(matches!(err, TransportError::Bind { .. }) && err.to_string().contains("192.0.2.7"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_frame_costs_the_link_and_nothing_else() {
    let small = TransportConfig { max_frame_bytes: 1_000, ..config("b") };
    let (mut a, mut b) = pair(config("a"), small).await;
    let mut c = Node::start(config("c")).await;
    c.want(&b);
    c.up().await;
    a.transport.want(Vec::new());
    a.transport.send(b.origin, Class::Control, Bytes::from(vec![0; 1_001])).expect("fits A's limit");
    let (_, reason) = a.down().await;
    assert!(reason.contains("1001 bytes"), "the culprit is told why: {reason}");
    let (addr, refused) = b.refused_after_up().await;
    assert!(matches!(refused, RefusedReason::Protocol(_)) && addr == a.addr(), "{refused}");

    c.transport.send(b.origin, Class::Control, Bytes::from_static(b"still here")).expect("C's link lives");
    assert_eq!(b.until_frame().await, "still here");
    a.want(&b);
    a.up().await;
}

impl Node {
    async fn refused_after_up(&mut self) -> (SocketAddr, RefusedReason) {
        let pick =
            |event| if let Event::Refused { addr, reason, .. } = event { Some((addr, reason)) } else { None };
        self.until("Refused", pick).await
    }

    async fn until_frame(&mut self) -> Bytes {
        self.until("Frame", |event| if let Event::Frame { bytes, .. } = event { Some(bytes) } else { None })
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skewed_clock_other_limits_and_other_versions_are_refused() {
    let ahead = |now: u64| -> Arc<dyn Fn() -> u64 + Send + Sync> { Arc::new(move || now) };
    let base = |node| TransportConfig { wall_ms: ahead(1_000_000), max_drift_ms: 500, ..config(node) };
    let mut a =
        Node::start(TransportConfig { versions: (2, 3), limits: "v1 max_fields=9".into(), ..base("a") })
            .await;

    let mut skewed =
        Node::start(TransportConfig { wall_ms: ahead(1_060_000), versions: (1, 2), ..base("b") }).await;
    skewed.want(&a);
    let (_, reason) = skewed.refused().await;
    assert!(
        matches!(reason, RefusedReason::ClockSkew { offset_ms: -60_100..=-59_900, max_ms: 500 }),
        "{reason:?}"
    );
    let (addr, reason) = a.refused().await;
    assert!(matches!(reason, RefusedReason::ClockSkew { offset_ms: 59_900..=60_100, .. }), "{reason:?}");
    assert_eq!(addr, skewed.addr());

    let mut old = Node::start(TransportConfig { versions: (1, 1), ..base("c") }).await;
    old.want(&a);
    let expected = RefusedReason::NoCommonVersion { ours: (1, 1), theirs: (2, 3) };
    assert_eq!(old.refused().await.1, expected);
    let other =
        TransportConfig { versions: (2, 2), config_hash: 9, limits: "v1 max_fields=7".into(), ..base("d") };
    let mut other = Node::start(other).await;
    other.want(&a);
    assert_eq!(
        other.refused().await.1,
        RefusedReason::ConfigMismatch { differ: "max_fields is 7 here and 9 there".into() }
    );

    let mut fits = Node::start(TransportConfig { versions: (1, 2), ..base("e") }).await;
    fits.want(&a);
    assert_eq!(fits.up().await.version, 2, "the highest both speak");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_takes_both_sides_down_and_a_heal_brings_them_up() {
    let drill = Drill::new(7);
    let with = |node| TransportConfig { drill: Some(drill.clone()), idle_timeout_ms: 1_000, ..config(node) };
    let (mut a, mut b) = pair(with("a"), with("b")).await;
    b.want(&a);

    let cut_at = Instant::now();
    drill.cut("a", "b");
    b.down().await;
    let b_down_ms = cut_at.elapsed().as_millis();
    a.down().await;
    let a_down_ms = cut_at.elapsed().as_millis();
    assert!(a.transport.peers().is_empty() && b.transport.peers().is_empty());
    // Several dials fail while the cut lasts.
    while a.transport.stats().dial_failures < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let heal_at = Instant::now();
    drill.heal("a", "b");
    a.up().await;
    b.up().await;
    println!(
        "down after {b_down_ms} ms (receiver), {a_down_ms} ms (sender); up {} ms after the heal",
        heal_at.elapsed().as_millis()
    );
    a.transport.send(b.origin, Class::Control, Bytes::from_static(b"again")).expect("the new link");
    assert_eq!(b.frame().await, "again");
    assert!(a.transport.stats().drill_dropped_packets > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_set_on_the_receiver_works_and_loss_and_delay_are_survived() {
    let drill = Drill::new(7);
    let drilled = TransportConfig { drill: Some(drill.clone()), idle_timeout_ms: 1_000, ..config("b") };
    let (mut a, mut b) = pair(TransportConfig { idle_timeout_ms: 1_000, ..config("a") }, drilled).await;
    drill.set("b", "a", Rule { drop_per_mille: 200, delay_ms: 20, cut: false });
    for n in 0..50u8 {
        b.transport.send(a.origin, Class::Control, Bytes::copy_from_slice(&[n])).expect("queued");
    }
    for n in 0..50u8 {
        assert_eq!(a.frame().await, [n].as_slice());
    }
    drill.heal_all();
    drill.cut("a", "b");
    b.down().await;
    a.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_is_down_at_its_peers() {
    let mut a = Node::start(config("a")).await;
    let addr = a.addr();
    // A runtime of its own, dropped with everything on it: what is left of a killed process.
    let (up, is_up) = tokio::sync::oneshot::channel();
    let (kill, killed) = std::sync::mpsc::channel::<()>();
    let victim = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let node = runtime.block_on(async {
            let mut b = Node::start(config("b")).await;
            b.transport.want(vec![addr]);
            b.up().await;
            b
        });
        let _ = up.send(());
        let _ = killed.recv();
        runtime.shutdown_timeout(Duration::from_secs(5));
        drop(node);
    });
    a.up().await;
    is_up.await.expect("B is up");
    let died = Instant::now();
    kill.send(()).expect("B waits");
    let (_, reason) = a.down().await;
    println!("down {} ms after the death: {reason}", died.elapsed().as_millis());
    victim.join().expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn close_delivers_what_was_queued_and_says_leaving() {
    let (a, mut b) = pair(config("a"), config("b")).await;
    let local = a.transport.local_addr();
    for n in 0..100u32 {
        a.transport.send(b.origin, Class::Bulk, Bytes::from(vec![n as u8; 10_000])).expect("queued");
    }
    let begun = Instant::now();
    a.transport.close().await;
    println!("closed in {} ms", begun.elapsed().as_millis());
    for n in 0..100u32 {
        assert_eq!(b.frame().await[0], n as u8);
    }
    let (_, reason) = b.down().await;
    assert!(reason.contains("leaving"), "{reason}");
    assert_eq!(a.transport.send(b.origin, Class::Bulk, Bytes::new()), Err(SendError::NotConnected));
    // The port is free at once, though the handle still exists.
    Node::start(TransportConfig { bind: local, ..config("a") }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_both_sides_dial_each_gets_exactly_one_link() {
    for _ in 0..20 {
        let (mut a, mut b) = (Node::start(config("a")).await, Node::start(config("b")).await);
        a.want(&b);
        b.want(&a);
        a.up().await;
        b.up().await;
        // A frame each way proves that both mean the same link; the losing dial is over when it comes.
        a.transport.send(b.origin, Class::Control, Bytes::from_static(b"ping")).expect("queued");
        assert_eq!(b.frame().await, "ping");
        b.transport.send(a.origin, Class::Control, Bytes::from_static(b"pong")).expect("queued");
        assert_eq!(a.frame().await, "pong");
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!((a.links_up(), b.links_up()), (1, 1));
        assert_eq!((a.transport.stats().links_down, b.transport.stats().links_down), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ipv6_works() {
    let v6 = |node| TransportConfig { bind: "[::1]:0".parse().expect("an address"), ..config(node) };
    let (a, mut b) = pair(v6("a"), v6("b")).await;
    a.transport.send(b.origin, Class::Control, Bytes::from_static(b"six")).expect("queued");
    assert_eq!(b.frame().await, "six");
}

#[tokio::test(flavor = "multi_thread")]
async fn dialling_ourselves_is_noticed_and_not_repeated() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let advertise = Some(loopback());
    let mut a = Node::start(TransportConfig { bind: everywhere, advertise, ..config("a") }).await;
    let mut b = Node::start(config("b")).await;
    // Another name of ourselves, which only the handshake can tell.
    let alias = SocketAddr::from(([127, 0, 0, 2], a.addr().port()));
    a.transport.want(vec![a.addr(), alias]);
    while a.transport.stats().hellos_received < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    b.want(&a);
    b.up().await;
    a.up().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let stats = a.transport.stats();
    assert_eq!((stats.dials, stats.links_up, stats.refusals), (1, 1, 0), "{stats:?}");
}

/// A virtual address: packets that come to it go on to whoever it stands for now.
struct Virtual {
    addr: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
}

impl Virtual {
    async fn of(target: SocketAddr) -> Self {
        let (front, back) =
            (UdpSocket::bind(loopback()).await.unwrap(), UdpSocket::bind(loopback()).await.unwrap());
        let this = Self { addr: front.local_addr().unwrap(), target: Arc::new(Mutex::new(target)) };
        let target = Arc::clone(&this.target);
        tokio::spawn(async move {
            let (mut there, mut here, mut client) =
                (vec![0; 2_048], vec![0; 2_048], front.local_addr().unwrap());
            loop {
                tokio::select! {
                    Ok((len, from)) = front.recv_from(&mut there) => {
                        client = from;
                        let to = *target.lock();
                        let _ = back.send_to(&there[..len], to).await;
                    }
                    Ok((len, _)) = back.recv_from(&mut here) => { let _ = front.send_to(&here[..len], client).await; }
                }
            }
        });
        this
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_led_to_ourselves_for_a_moment_is_dialled_again() {
    let mut a = Node::start(TransportConfig { dial_timeout_ms: 200, ..config("a") }).await;
    let mut b = Node::start(config("b")).await;
    let balancer = Virtual::of(a.addr()).await;
    a.transport.want(vec![balancer.addr]);
    while a.transport.stats().hellos_received < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    *balancer.target.lock() = b.addr();
    assert_eq!(a.up().await.node, "b");
    assert_eq!(b.up().await.node, "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_the_socket_cannot_reach_is_no_try() {
    let (mut a, mut b) = (Node::start(config("a")).await, Node::start(config("b")).await);
    let other_family = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, b.addr().port()));
    a.transport.want(vec![other_family, b.addr()]);
    a.up().await;
    b.up().await;
    assert_eq!(a.transport.stats().dials, 1, "{:?}", a.transport.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_the_same_name_and_port_is_a_new_peer_at_once() {
    let (mut a, b) = pair(config("a"), config("b")).await;
    let (bind, first) = (b.transport.local_addr(), b.origin);
    b.transport.close().await;
    drop(b);
    let mut again = Node::start(TransportConfig { bind, ..config("b") }).await;
    let restarted = Instant::now();
    a.down().await;
    let info = a.up().await;
    println!("new life linked {} ms after its start", restarted.elapsed().as_millis());
    assert_eq!((info.node.as_str(), info.origin), ("b", again.origin));
    assert_ne!(info.origin, first);
    again.up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_the_next_life_resets_the_links_of_the_last() {
    let patient = |node| TransportConfig { idle_timeout_ms: 15_000, ..config(node) };
    let mut a = Node::start(patient("a")).await;
    let addr = a.addr();
    let (told, bound) = tokio::sync::oneshot::channel();
    let crashed = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let node = runtime.block_on(async {
            let mut b = Node::start(patient("b")).await;
            b.transport.want(vec![addr]);
            b.up().await;
            b
        });
        let _ = told.send(node.transport.local_addr());
        // Without its tasks the node has no voice left for a farewell.
        runtime.shutdown_timeout(Duration::from_secs(5));
        drop(node);
    });
    a.up().await;
    let bind = bound.await.expect("B was up");
    crashed.join().expect("no panic");
    let free_by = Instant::now() + CEILING;
    while std::net::UdpSocket::bind(bind).is_err() {
        assert!(Instant::now() < free_by, "the crashed socket stays");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The new life dials nobody. What A sends to the old one is answered with a reset.
    let b = Node::start(TransportConfig { bind, ..patient("b") }).await;
    let restarted = Instant::now();
    a.want(&b);
    let (_, reason) = a.down().await;
    assert!(reason.contains("reset"), "{reason}");
    println!("reset {} ms after the restart", restarted.elapsed().as_millis());
    assert_eq!(a.up().await.origin, b.origin);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_on_loopback_is_a_matter_of_milliseconds() {
    let mut took_us = Vec::new();
    for _ in 0..20 {
        let (mut a, b) = (Node::start(config("a")).await, Node::start(config("b")).await);
        let begun = Instant::now();
        a.want(&b);
        a.up().await;
        took_us.push(begun.elapsed().as_micros());
    }
    took_us.sort_unstable();
    println!("from want to Up: {} us median, {} us worst of 20", took_us[10], took_us[19]);
    assert!(took_us[10] < 1_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_under_one_name_the_older_is_told() {
    for dialled_by_newer in [true, false] {
        let mut older = Node::start(TransportConfig { generation: 1, ..config("a") }).await;
        let mut newer = Node::start(TransportConfig { generation: 2, ..config("a") }).await;
        // Of two that serve; of two newcomers the newer one is told, below.
        older.transport.set_serving(true);
        newer.transport.set_serving(true);
        if dialled_by_newer {
            newer.want(&older)
        } else {
            older.want(&newer)
        }
        let pick =
            |event| if let Event::Clone { node, origin } = event { Some((node, origin)) } else { None };
        assert_eq!(older.until("Clone", pick).await, ("a".to_owned(), newer.origin));
        assert_eq!(newer.refused().await, (older.addr(), RefusedReason::IdentityClash));
    }
}

fn clone(event: Event) -> Option<String> {
    if let Event::Clone { node, .. } = event { Some(node) } else { None }
}

fn name_taken(event: Event) -> Option<SocketAddr> {
    if let Event::NameTaken { addr, .. } = event { Some(addr) } else { None }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_newcomers_under_one_name_the_newer_is_told() {
    let mut older = Node::start(TransportConfig { generation: 1, ..config("a") }).await;
    let mut newer = Node::start(TransportConfig { generation: 2, ..config("a") }).await;
    newer.want(&older);
    assert_eq!(newer.until("Clone", clone).await, "a");
    assert_eq!(older.refused().await.1, RefusedReason::IdentityClash);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_under_the_name_of_a_member_that_serves_is_told_and_the_member_is_not() {
    for (generation, dialled_by_newcomer) in [(1, true), (1, false), (3, true), (3, false)] {
        let mut member = Node::start(TransportConfig { generation: 2, ..config("a") }).await;
        let mut newcomer = Node::start(TransportConfig { generation, ..config("a") }).await;
        member.transport.set_serving(true);
        if dialled_by_newcomer {
            newcomer.want(&member)
        } else {
            member.want(&newcomer)
        }
        assert_eq!(newcomer.until("NameTaken", name_taken).await, member.addr());
        assert_eq!(member.refused().await.1, RefusedReason::NameTaken);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_is_told_of_its_namesake_before_its_link_is_up_and_asks_it() {
    let (a, b) = pair(config("a"), config("b")).await;
    b.transport.set_serving(true);
    let mut second = Node::start(config("b")).await;
    second.want(&a);
    let mut told = Vec::new();
    let pick = |event| match event {
        Event::Namesake { addr, asked } => {
            told.push((addr, asked));
            None
        }
        Event::Up(peer) => {
            told.push((peer.addr, true));
            None
        }
        Event::NameTaken { addr, .. } => Some(addr),
        _ => None,
    };
    assert_eq!(second.until("NameTaken", pick).await, b.addr());
    assert_eq!(told[0], (b.addr(), false), "first of all: {told:?}");
    let asked = |event| matches!(event, Event::Namesake { asked: true, .. }).then_some(());
    second.until("it has been asked", asked).await;
    // A link to the newcomer came up meanwhile, or will: nothing of the member's is harmed by it.
    assert_eq!(a.transport.peers().iter().filter(|peer| peer.addr == b.addr()).count(), 1);
}
