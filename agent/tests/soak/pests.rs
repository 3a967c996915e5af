//! Who wants to take room, time or trust, all the while: garbage on every port, clients that are slow or never read, and a
//! member that holds the secret and lies. None of it writes a session in a form that honest members use, since that is
//! believed (docs/SECURITY.md).

use std::fmt;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use sessionmesh::core::causality::{Origin, RangeSet};
use sessionmesh::core::limits::Limits;
use sessionmesh::core::membership::message::{self, Packet, Pulse, Rumour};
use sessionmesh::core::replica::Base;
use sessionmesh::core::wire::{
    Adopted, AuditDiff, Digest, Hashes, Inc, Message, PageHeader, Purpose, Sync, SyncItem, Unequal,
    WIRE_NEWEST, WIRE_OLDEST, decode, encode,
};
use sessionmesh::transport::{Class, Event, Identity, Secret, Transport, TransportConfig};
use tokio::sync::mpsc;

use super::{CLUSTER, Fleet, SECRET, Trouble};
use sessionmesh_testkit::Target;
use sessionmesh_testkit::http::Connection;

/// Connections that each agent is to hold for clients that say a byte now and then.
const SLOW: usize = 40;
/// Event streams that nobody reads, at each agent.
const UNREAD: usize = 6;
/// How long one life of the liar lasts: a new one has new bounds.
const LIAR_LIVES: Duration = Duration::from_secs(6);

/// What was done so far.
#[derive(Default)]
struct Done {
    over: AtomicBool,
    packets: AtomicU64,
    requests: AtomicU64,
    slow_bytes: AtomicU64,
    lies: AtomicU64,
    lives: AtomicU64,
}

impl Done {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn count(&self, which: impl Fn(&Self) -> &AtomicU64) {
        which(self).fetch_add(1, Ordering::Relaxed);
    }
}

/// All of them, until they are told to end.
pub struct Pests {
    done: Arc<Done>,
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Display for Pests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |which: &AtomicU64| which.load(Ordering::Relaxed);
        let Done { packets, requests, slow_bytes, lies, lives, .. } = &*self.done;
        write!(f, "{} packets and {} requests of garbage, ", of(packets), of(requests))?;
        write!(f, "{} bytes of slow clients, {} lies in {} lives", of(slow_bytes), of(lies), of(lives))
    }
}

impl Pests {
    pub fn start(fleet: &Fleet, seed: u64) -> Self {
        let mesh: Vec<SocketAddr> =
            fleet.places.iter().map(|p| p.agent.mesh.parse().expect("an address")).collect();
        let http: Vec<Target> = fleet.places.iter().map(|p| p.agent.http.clone()).collect();
        let done = Arc::new(Done::default());
        let rng = move |n: u64| StdRng::seed_from_u64(seed ^ n << 32);
        let of = |run: Box<dyn FnOnce(&Done) + Send>| {
            let done = Arc::clone(&done);
            std::thread::spawn(move || run(&done))
        };
        let (to, at) = (mesh.clone(), http.clone());
        let threads = vec![
            of(Box::new(move |done| garbage(done, &to, rng(1)))),
            of(Box::new(move |done| nonsense(done, &at, rng(2)))),
            of(Box::new(move |done| slow_clients(done, &http))),
            of(Box::new(move |done| liar(done, &mesh, rng(3)))),
        ];
        Self { done, threads }
    }
}

impl Trouble for Pests {
    fn turn(&mut self, _: &mut Fleet, _: &mut StdRng) -> Option<usize> {
        None
    }

    /// Ends all of them, and says so if one has panicked.
    fn end(&mut self, _: &mut Fleet) {
        self.done.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a pest has found something");
        }
    }
}

/// Packets to the mesh's ports: noise, and what looks like the beginning of a handshake.
fn garbage(done: &Done, mesh: &[SocketAddr], mut rng: StdRng) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let mut packet = [0; 1_400];
    while !done.is_over() {
        for to in mesh {
            for _ in 0..8 {
                let len = rng.random_range(1..packet.len());
                rng.fill_bytes(&mut packet[..len]);
                if rng.random_bool(0.5) {
                    // A long header of QUIC version 1, with an id of eight bytes.
                    packet[0] |= 0xc0;
                    packet[1..6].copy_from_slice(&[0, 0, 0, 1, 8]);
                }
                // Full buffers drop it, as they may.
                let _ = socket.send_to(&packet[..len], to);
                done.count(|d| &d.packets);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Requests that are none.
fn nonsense(done: &Done, http: &[Target], mut rng: StdRng) {
    let mut noise = [0; 4_096];
    while !done.is_over() {
        for at in http {
            let Ok(mut connection) = at.connect() else { continue };
            rng.fill_bytes(&mut noise);
            let deep = "[".repeat(20_000);
            let head = |len: usize| {
                format!(
                    "POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len}\r\n\r\n"
                )
            };
            let bytes = match rng.random_range(0..5) {
                0 => noise.to_vec(),
                1 => format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(60_000)).into_bytes(),
                2 => [head(deep.len()).into_bytes(), deep.into_bytes()].concat(),
                3 => head(usize::MAX / 4).into_bytes(),
                _ => [head(noise.len()).into_bytes(), noise.to_vec()].concat(),
            };
            // It may be cut off in the middle.
            let _ = connection.write_all(&bytes);
            done.count(|d| &d.requests);
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// Clients that take for ever, and readers that do not read.
fn slow_clients(done: &Done, http: &[Target]) {
    let begin = |at: &Target, head: &str| -> Option<Connection> {
        let mut connection = at.connect().ok()?;
        connection.write_all(head.as_bytes()).ok()?;
        Some(connection)
    };
    let head = "POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n";
    let unread = "GET /dashboard/api/v1/stream HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut slow: Vec<(&Target, Option<Connection>)> =
        http.iter().flat_map(|at| (0..SLOW).map(move |_| (at, None))).collect();
    let _unread: Vec<Option<Connection>> =
        http.iter().flat_map(|at| (0..UNREAD).map(|_| begin(at, unread)).collect::<Vec<_>>()).collect();
    while !done.is_over() {
        for (at, connection) in &mut slow {
            let sent = connection.as_mut().is_some_and(|c| c.write_all(b" ").is_ok());
            if !sent {
                *connection = begin(at, head);
            }
            done.count(|d| &d.slow_bytes);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// A member that holds the secret. It is kept out again and again, and comes back under another name and address.
fn liar(done: &Done, mesh: &[SocketAddr], mut rng: StdRng) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        // One that breaks rules is kept out soon; one that does not lies on.
        for rude in [true, false].into_iter().cycle().take_while(|_| !done.is_over()) {
            done.count(|d| &d.lives);
            let (transport, mut events) = join(&mut rng).await;
            transport.want(mesh.to_vec());
            let life = lie(done, &transport, &mut events, (rude, &mut rng));
            // Its time is over, or the test's.
            let _ = tokio::time::timeout(LIAR_LIVES, life).await;
            transport.close().await;
        }
    });
}

async fn join(rng: &mut StdRng) -> (Transport, mpsc::Receiver<Event>) {
    let (limits, bind) = (Limits::default(), SocketAddr::from(([127, 0, 0, 1], 0)));
    let identity = Identity::Secrets(vec![Secret::new(SECRET.as_bytes().to_vec()).expect("long enough")]);
    let origin = Origin(rng.random());
    let config = TransportConfig {
        versions: (WIRE_OLDEST, WIRE_NEWEST),
        config_hash: limits.config_hash(),
        limits: limits.cluster_wide(),
        max_drift_ms: limits.max_drift_ms,
        ..TransportConfig::new(CLUSTER, &format!("mallory-{:x}", origin.0 >> 112), origin, bind, identity)
    };
    Transport::start(config).await.expect("it starts")
}

async fn lie(
    done: &Done,
    transport: &Transport,
    events: &mut mpsc::Receiver<Event>,
    (rude, rng): (bool, &mut StdRng),
) {
    let mut peers: Vec<Origin> = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    while !done.is_over() {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Up(peer)) => peers.push(peer.origin),
                Some(Event::Down { origin, .. }) => peers.retain(|peer| *peer != origin),
                Some(Event::Frame { origin, bytes, .. }) => answer(transport, origin, &bytes, rng),
                Some(_) => {}
                None => return,
            },
            _ = pace.tick() => {
                let (Some(&to), Some(&of)) = (peers.choose(rng), peers.choose(rng)) else { continue };
                done.count(|d| &d.lies);
                if rude && rng.random_bool(0.05) {
                    break_a_rule(transport, to, rng);
                }
                tell(transport, to, of, rng);
            }
        }
    }
}

fn item(partition: u16) -> SyncItem {
    SyncItem { partition, nonce: (1, 1), base: Base::new(), force: vec![], have: 0 }
}

/// A frame that no honest member sends: noise, or a message without its end, which every version takes for broken.
fn break_a_rule(transport: &Transport, to: Origin, rng: &mut StdRng) {
    let whole = AuditDiff { request: Purpose::Routine, partitions: vec![0, 1, 2, 3] }.encode(WIRE_NEWEST);
    let noise: Vec<u8> = (0..rng.random_range(0..600)).map(|_| rng.random()).collect();
    let frame = match rng.random_bool(0.5) {
        true => whole[..whole.len() - 1].to_vec(),
        false => [&[WIRE_NEWEST as u8][..], &noise].concat(),
    };
    // A link that is gone meanwhile loses it.
    let _ = transport.send(to, Class::Control, Bytes::from(frame));
}

/// A lie nobody asked for.
fn tell(transport: &Transport, to: Origin, of: Origin, rng: &mut StdRng) {
    let pulse = Pulse { incarnation: rng.random_range(0..2_000), beat_ms: rng.random_range(0..1 << 40) };
    let wall_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let wall_ms = wall_ms.as_millis() as u64;
    let rumour = match rng.random_range(0..3) {
        0 => Rumour::Alive { subject: of, pulse },
        1 => Rumour::Left { subject: of, incarnation: pulse.incarnation },
        _ => {
            let Pulse { incarnation, beat_ms } = pulse;
            Rumour::Suspect { subject: of, incarnation, accuser: accuser(rng, of), began_beat_ms: beat_ms }
        }
    };
    let message = match rng.random_range(0..12) {
        0..=7 => {
            let packet = Packet { pulse, message: message::Message::Gossip { rumours: vec![rumour] } };
            return transport.datagram(to, &message::encode(&packet));
        }
        8 => Message::Sync(Sync { round: 1, wall_ms, origins: vec![], items: (0..4).map(item).collect() }),
        9 => Message::AuditDiff(AuditDiff { request: Purpose::Routine, partitions: vec![0, 1, 2, 3] }),
        10 => Message::Digest(Digest {
            round: rng.random(),
            root: rng.random(),
            wall_ms,
            want_inc: true,
            ready: true,
            incomplete: false,
        }),
        _ => Message::Adopted(Adopted { upto: vec![(0, rng.random_range(0..1 << 30))] }),
    };
    // As above.
    let _ = transport.send(to, Class::Control, encode(WIRE_NEWEST, &message).into());
}

/// Somebody who never was, or the accused itself.
fn accuser(rng: &mut StdRng, of: Origin) -> Origin {
    if rng.random_bool(0.5) { Origin(rng.random()) } else { of }
}

/// Answers what it was asked: all differs, and lives that never were have written much.
fn answer(transport: &Transport, to: Origin, bytes: &[u8], rng: &mut StdRng) {
    let partitions = usize::from(Limits::default().partitions);
    let bytes = match decode(bytes) {
        Ok(Message::Digest(Digest { round, wall_ms, .. })) => {
            let hashes: Vec<u64> = (0..partitions).map(|_| rng.random()).collect();
            let (bytes, inc) = (Hashes::to_bytes(&hashes), Inc::new());
            let hashes = Hashes::of(&bytes);
            Unequal { round, wall_ms, ready: true, inc, hashes, incomplete: false }.encode(WIRE_NEWEST)
        }
        Ok(Message::Sync(Sync { round, wall_ms, items, .. })) => {
            let Some(item) = items.choose(rng) else { return };
            let origins: Vec<Origin> = (0..50).map(|_| Origin(rng.random())).collect();
            let claim = |&origin: &Origin| (origin, RangeSet::from_range(1, 9), wall_ms + 5_000);
            let claims = origins.iter().map(claim).collect();
            let header = PageHeader {
                round,
                partition: item.partition,
                nonce: item.nonce,
                epoch: 1,
                wall_ms,
                complete: true,
                source: true,
                base_counter: 0,
                origins,
                claims,
                inc: Inc::new(),
            };
            header.encode(WIRE_NEWEST, 0, &[])
        }
        _ => return,
    };
    // As above.
    let _ = transport.send(to, Class::Bulk, bytes.into());
}
