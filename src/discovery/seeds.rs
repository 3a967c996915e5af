//! Seeds: addresses and names of ways into the mesh. Names are resolved again and again, for ever.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::config::{DiscoveryConfig, Families, limits};
use super::health::SeedHealth;
use super::lookup;
use super::member::DiscoveryEvent;

/// A resolver that takes longer has failed: one dead name server must not hold up a seed for ever.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often names are resolved while nobody is alive to us: what they lead to is nobody, or nobody any more, and a name
/// that leads elsewhere by now must not stay unknown for longer than it takes to be ready without the others.
const ALONE_REFRESH: Duration = Duration::from_secs(2);

/// What the watchers of names go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mood {
    /// Nobody is alive to us.
    pub(super) alone: bool,
    /// Rises to have every name resolved at once.
    pub(super) asked: u64,
}

/// Turns `host:port` into addresses. Replaceable for platforms with their own service discovery.
#[async_trait]
pub trait SeedResolver: Send + Sync + 'static {
    /// All current addresses of `seed`.
    ///
    /// # Errors
    /// Whatever the resolver says; shown in health, and retried.
    async fn resolve(&self, seed: &str) -> io::Result<Vec<SocketAddr>>;
}

/// The operating system's resolver. Each look-up runs on a thread of its own that nobody waits for: it cannot be ended, and
/// a runtime that is about to end would wait for it, for as long as name servers are silent.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl SeedResolver for SystemResolver {
    async fn resolve(&self, seed: &str) -> io::Result<Vec<SocketAddr>> {
        lookup::on_own_thread(seed).await
    }
}

/// A configured seed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seed {
    Address(SocketAddr),
    Name,
}

/// Reads a configured seed.
///
/// # Errors
/// What is wrong with it, in words for the operator.
pub(super) fn parse(seed: &str) -> Result<Seed, String> {
    if let Ok(addr) = seed.parse() {
        return Ok(Seed::Address(addr));
    }
    let (host, port) = seed.rsplit_once(':').ok_or_else(|| format!("{seed:?} has no port"))?;
    if port.parse::<u16>().map_or(true, |port| port == 0) {
        return Err(format!("{seed:?} has no valid port"));
    }
    let host_is_sound = !host.is_empty() && host.len() <= 253 && host.bytes().all(|b| b.is_ascii_graphic());
    if !host_is_sound || host.contains([':', '[', ']', '/']) {
        return Err(format!("{seed:?} is neither address:port, [address]:port nor name:port"));
    }
    Ok(Seed::Name)
}

/// What is known of all seeds.
#[derive(Debug)]
pub(super) struct SeedBook {
    seeds: Vec<SeedHealth>,
    announced: BTreeSet<SocketAddr>,
    families: Families,
}

/// What there is to say of a seed none of whose addresses a packet can be sent to.
fn other_family(addresses: &[SocketAddr], families: Families) -> String {
    let (theirs, ours) = if families.v4 { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
    let named = addresses.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("it leads to {theirs} only ({named}), and this node is bound to {ours}: bind [::] to reach both")
}

impl SeedBook {
    pub(super) fn new(seeds: &[String], families: Families) -> Self {
        let seeds = seeds.iter().map(|seed| {
            let addr: Option<SocketAddr> = seed.parse().ok();
            let lost = addr.filter(|addr| !families.reach(*addr));
            SeedHealth {
                seed: seed.clone(),
                resolved: addr.filter(|addr| families.reach(*addr)).into_iter().collect(),
                last_error: lost.map(|addr| other_family(&[addr], families)),
                ..SeedHealth::default()
            }
        });
        Self { seeds: seeds.collect(), announced: BTreeSet::new(), families }
    }

    /// The news about seeds that are addresses no packet can be sent to: nothing else would ever tell of them.
    pub(super) fn unreachable(&self) -> Vec<DiscoveryEvent> {
        let told = |seed: &SeedHealth| {
            let (seed, error) = (seed.seed.clone(), seed.last_error.clone()?);
            Some(DiscoveryEvent::SeedUnresolved { seed, error })
        };
        self.seeds.iter().filter_map(told).collect()
    }

    /// For health.
    pub(super) fn health(&self) -> Vec<SeedHealth> {
        self.seeds.clone()
    }

    /// How often each seed that is a name was tried.
    pub(super) fn attempts(&self) -> Vec<u64> {
        let names = self.seeds.iter().filter(|seed| parse(&seed.seed) == Ok(Seed::Name));
        names.map(|seed| seed.attempts).collect()
    }

    /// All addresses behind all seeds.
    pub(super) fn addresses(&self) -> BTreeSet<SocketAddr> {
        self.seeds.iter().flat_map(|seed| &seed.resolved).copied().collect()
    }

    /// The news about the whole set, if it changed since it was last asked for.
    pub(super) fn announcement(&mut self) -> Option<DiscoveryEvent> {
        let addresses = self.addresses();
        if addresses == self.announced {
            return None;
        }
        self.announced.clone_from(&addresses);
        Some(DiscoveryEvent::SeedsResolved(addresses.into_iter().collect()))
    }

    /// What a name leads to; news if none of it can be reached.
    fn resolved(&mut self, index: usize, all: Vec<SocketAddr>) -> Option<DiscoveryEvent> {
        let families = self.families;
        let mut addresses: Vec<SocketAddr> =
            all.iter().copied().filter(|addr| families.reach(*addr)).collect();
        if addresses.is_empty() {
            return self.failed(index, other_family(&all, families));
        }
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(limits::ADDRESSES_PER_SEED);
        let seed = &mut self.seeds[index];
        seed.attempts += 1;
        seed.last_error = None;
        seed.resolved = addresses;
        None
    }

    fn failed(&mut self, index: usize, error: String) -> Option<DiscoveryEvent> {
        let seed = &mut self.seeds[index];
        seed.attempts += 1;
        if seed.last_error.as_deref() == Some(&error) {
            debug!(seed = seed.seed, error, attempts = seed.attempts, "seed still does not resolve");
            return None;
        }
        // The driver warns: it knows whose seed it is.
        seed.last_error = Some(error.clone());
        Some(DiscoveryEvent::SeedUnresolved { seed: seed.seed.clone(), error })
    }
}

/// Starts one task per named seed; they end when the set is dropped or nobody reads their news.
pub(super) fn watch(
    config: &DiscoveryConfig,
    resolver: &Arc<dyn SeedResolver>,
    book: &Arc<Mutex<SeedBook>>,
    news: &mpsc::Sender<DiscoveryEvent>,
    mood: &watch::Sender<Mood>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for (index, seed) in config.seeds.iter().enumerate() {
        if parse(seed) == Ok(Seed::Name) {
            let watcher = Watcher {
                index,
                seed: seed.clone(),
                resolver: Arc::clone(resolver),
                book: Arc::clone(book),
                news: news.clone(),
                mood: mood.subscribe(),
                first_retry: config.interval(),
                refresh: Duration::from_millis(config.reseed_interval_ms),
            };
            tasks.spawn(watcher.run());
        }
    }
    tasks
}

struct Watcher {
    index: usize,
    seed: String,
    resolver: Arc<dyn SeedResolver>,
    book: Arc<Mutex<SeedBook>>,
    news: mpsc::Sender<DiscoveryEvent>,
    mood: watch::Receiver<Mood>,
    first_retry: Duration,
    refresh: Duration,
}

impl Watcher {
    async fn run(mut self) {
        let mut retry = self.first_retry;
        loop {
            let (news, pause) = match self.attempt().await {
                Ok(addresses) => {
                    retry = self.first_retry;
                    let mut book = self.book.lock();
                    let failed = book.resolved(self.index, addresses);
                    (failed.or_else(|| book.announcement()), self.refresh)
                }
                Err(error) => {
                    let pause = retry.min(self.refresh);
                    retry = pause * 2;
                    (self.book.lock().failed(self.index, error), pause)
                }
            };
            if let Some(news) = news
                && self.news.send(news).await.is_err()
            {
                return;
            }
            self.rest(pause).await;
        }
    }

    /// Waits for the next attempt: not for long while nobody is alive to us, and not at all when asked.
    async fn rest(&mut self, pause: Duration) {
        let begun = Instant::now();
        let asked = self.mood.borrow_and_update().asked;
        loop {
            let mood = *self.mood.borrow_and_update();
            if mood.asked != asked {
                return;
            }
            let due = begun + if mood.alone { pause.min(ALONE_REFRESH) } else { pause };
            tokio::select! {
                () = sleep_until(due) => return,
                changed = self.mood.changed() => if changed.is_err() {
                    // Nobody's mood any more: the task is about to be ended.
                    return sleep_until(due).await;
                },
            }
        }
    }

    async fn attempt(&self) -> Result<Vec<SocketAddr>, String> {
        match tokio::time::timeout(RESOLVE_TIMEOUT, self.resolver.resolve(&self.seed)).await {
            Err(_) => Err("the resolver did not answer within 5 s".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(addresses)) if addresses.is_empty() => Err("the name has no addresses".to_owned()),
            Ok(Ok(addresses)) => Ok(addresses),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_addresses_or_names_with_a_port() {
        for address in ["1.2.3.4:7946", "[::1]:7946", "[fe80::1]:1"] {
            assert!(matches!(parse(address), Ok(Seed::Address(_))), "{address}");
        }
        for name in ["shop-mesh.default.svc:7946", "localhost:1", "a:65535"] {
            assert_eq!(parse(name), Ok(Seed::Name), "{name}");
        }
        for wrong in
            ["", "host", ":7946", "host:", "host:0", "host:65536", "::1:7946", "http://h:1", "h h:1", "é:1"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn failures_are_told_when_they_begin_and_keep_the_last_addresses() {
        let mut book = SeedBook::new(&["a:1".to_owned(), "10.0.0.1:1".to_owned()], Families::BOTH);
        let addr: SocketAddr = "10.0.0.2:1".parse().unwrap();
        book.resolved(0, vec![addr, addr]);
        assert!(matches!(book.announcement(), Some(DiscoveryEvent::SeedsResolved(all)) if all.len() == 2));
        assert!(book.announcement().is_none());
        assert!(book.failed(0, "no such name".into()).is_some());
        assert!(book.failed(0, "no such name".into()).is_none());
        assert!(book.addresses().contains(&addr));
        assert_eq!(book.health()[0].last_error.as_deref(), Some("no such name"));
        book.resolved(0, vec![addr]);
        assert_eq!((book.health()[0].attempts, book.health()[0].last_error.clone()), (4, None));
    }

    /// A v6 seed of a v4 node was dialled 31 times in vain without a word.
    #[test]
    fn a_seed_of_the_other_family_is_told_and_one_of_both_is_not() {
        let v4: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let v6: SocketAddr = "[::1]:1".parse().unwrap();
        let only_v4 = Families::of("0.0.0.0:7946".parse().unwrap());
        let mut book = SeedBook::new(&["localhost:1".to_owned(), v6.to_string()], only_v4);
        assert!(matches!(&book.unreachable()[..], [DiscoveryEvent::SeedUnresolved { seed, error }]
            if *seed == v6.to_string() && error.contains("bind [::]")));
        assert!(book.resolved(0, vec![v6, v4]).is_none());
        assert_eq!(book.addresses(), BTreeSet::from([v4]), "what cannot be reached is no try");
        let told = book.resolved(0, vec![v6]);
        assert!(
            matches!(told, Some(DiscoveryEvent::SeedUnresolved { error, .. }) if error.contains("IPv6 only"))
        );
        let both = Families::of("[::]:7946".parse().unwrap());
        assert!(both.reach(v4) && both.reach(v6));
        let only_v6 = Families::of("[::1]:7946".parse().unwrap());
        assert!(!only_v6.reach(v4) && only_v6.reach(v6));
    }
}
