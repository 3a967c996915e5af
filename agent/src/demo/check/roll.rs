//! Every node is restarted in good order, one after the other, under load: nobody is logged out, and nothing that
//! was acknowledged is lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::fleet::{CEILING_S, Fleet};
use super::super::shopper::{Add, Shopper};
use super::{Outcome, is_late, settle};

/// Clients, each with a cookie jar of its own.
const CLIENTS: usize = 8;
/// A client's pause between two requests (ms): the load of people and not of a benchmark, on a shared machine.
const PAUSE_MS: u64 = 5;
/// Load before the first restart, between two and after the last (ms).
const BETWEEN_MS: u64 = 300;
/// Adds of one client: a session has a bound on its fields. Past it the client only reads.
const MAX_ADDS: usize = 600;

/// What one client met.
#[derive(Default)]
struct Trip {
    shopper: Shopper,
    /// Items whose add was acknowledged as held by two nodes.
    acknowledged: Vec<String>,
    /// Adds answered with "no second copy yet".
    unreplicated: usize,
    reads: usize,
    /// Requests that went to another node after an error.
    failovers: usize,
}

/// Rolls the fleet under load, then looks at every cart.
pub async fn is_not_noticed(fleet: &Fleet) -> Outcome {
    let nodes: Arc<[SocketAddr]> = fleet.places.iter().map(|place| place.shop).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(shop(client, Arc::clone(&nodes), Arc::clone(&stop)));
    }
    let rolled = roll(fleet).await;
    stop.store(true, Ordering::Relaxed);
    let trips: Result<Vec<Trip>, String> = clients.join_all().await.into_iter().collect();
    let (trips, slowest) = (trips?, rolled?);
    verify(fleet, &trips).await?;
    let sum = |of: fn(&Trip) -> usize| trips.iter().map(of).sum::<usize>();
    Ok(format!(
        "{CLIENTS} clients, {} adds acknowledged and none lost, {} answered as not replicated, {} reads, {} failovers; slowest restart {} ms",
        sum(|t| t.acknowledged.len()),
        sum(|t| t.unreplicated),
        sum(|t| t.reads),
        sum(|t| t.failovers),
        slowest.as_millis()
    ))
}

/// SIGTERM, wait for the end, start, wait for ready: node after node.
async fn roll(fleet: &Fleet) -> Result<Duration, String> {
    let mut slowest = Duration::ZERO;
    for at in 0..fleet.places.len() {
        tokio::time::sleep(Duration::from_millis(BETWEEN_MS)).await;
        let begun = Instant::now();
        fleet.leave(at).await?;
        fleet.restart(at).await?;
        fleet.until_ready(at).await?;
        slowest = slowest.max(begun.elapsed());
    }
    tokio::time::sleep(Duration::from_millis(BETWEEN_MS)).await;
    Ok(slowest)
}

/// One client: reads and adds in turn, goes to the next node on an error and stays there.
async fn shop(client: usize, nodes: Arc<[SocketAddr]>, stop: Arc<AtomicBool>) -> Result<Trip, String> {
    let mut trip = Trip::default();
    let mut at = client % nodes.len();
    let login = trip.shopper.login(nodes[at], &format!("client {client}")).await?;
    if !login.replicated {
        return Err("a login was answered before a second node had it".into());
    }
    let begun = Instant::now();
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let node = nodes[at];
        let served =
            if turn % 2 == 0 { add(&mut trip, node, turn).await? } else { read(&mut trip, node).await? };
        if !served {
            trip.failovers += 1;
            at = (at + 1) % nodes.len();
        }
        if is_late(begun) {
            return Err(format!("still shopping after {CEILING_S} s"));
        }
        tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
    }
    Ok(trip)
}

/// A new item each time: an item's count is a register, and one read too early on another node would be written
/// back. Whether the node served.
async fn add(trip: &mut Trip, node: SocketAddr, turn: usize) -> Result<bool, String> {
    if trip.acknowledged.len() >= MAX_ADDS {
        return Ok(true);
    }
    let item = format!("item {turn}");
    match trip.shopper.try_add(node, &item).await? {
        Add::Done(done) if done.replicated => trip.acknowledged.push(item),
        Add::Done(_) => trip.unreplicated += 1,
        Add::LoggedOut => return Err(format!("http://{node}/ logged a client out")),
        Add::NotServed => return Ok(false),
    }
    Ok(true)
}

/// Whether the node served; an error if it says that this client is logged out.
async fn read(trip: &mut Trip, node: SocketAddr) -> Result<bool, String> {
    match trip.shopper.try_me(node).await? {
        Some(me) if me.user.is_none() => Err(format!("http://{node}/ logged a client out")),
        Some(_) => {
            trip.reads += 1;
            Ok(true)
        }
        None => Ok(false),
    }
}

/// After the nodes agree, every acknowledged item is in its cart.
async fn verify(fleet: &Fleet, trips: &[Trip]) -> Result<(), String> {
    for (client, trip) in trips.iter().enumerate() {
        settle::all_equal(fleet, &trip.shopper).await?;
        let me = trip.shopper.known_me(fleet.places[client % fleet.places.len()].shop).await?;
        let lost = trip.acknowledged.iter().filter(|item| !me.items.contains_key(*item)).count();
        if lost > 0 {
            let all = trip.acknowledged.len();
            return Err(format!("{lost} of {all} acknowledged adds of client {client} are lost"));
        }
    }
    Ok(())
}
