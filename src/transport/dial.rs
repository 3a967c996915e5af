//! Dials: kept up for the wanted addresses, on demand for gossip.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::time::{sleep, timeout_at};

use super::limits::MAX_PENDING_PACKETS;
use super::{
    identity::MEMBER_NAME,
    refuse::{Failure, classify},
    shake::{self, Shake},
    shared::Shared,
};

/// Shortest pause before another dial after silence, in milliseconds: short, because a healed cable should be noticed at
/// once, and jittered, because a whole mesh redials together.
const PAUSE_MS: std::ops::Range<u64> = 250..1_000;

/// Pause after a refusal, in milliseconds: each costs the peer a TLS handshake and is unlikely to change soon.
const REFUSED_PAUSE_MS: std::ops::Range<u64> = 1_000..2_000;

/// Who was silent for long is dialled after pauses of this share of its silence: a peer that comes back is found after an
/// eighth of the time it was away, and one that will not costs less and less.
const PAUSE_SHARE: u32 = 8;

/// Longest pause. Peers of before are remembered by the dozen, and most of them are gone.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// What is dialled now and what shall stay connected.
#[derive(Default)]
pub(super) struct Dialer {
    /// Addresses to keep connected, each with the ticket of the task that does so.
    wanted: BTreeMap<SocketAddr, u64>,
    next_ticket: u64,
    /// Dials under way, each with the gossip that waits for it.
    pending: HashMap<SocketAddr, Vec<Bytes>>,
}

/// Replaces the set of addresses to keep connected.
pub(super) fn want(shared: &Arc<Shared>, addrs: BTreeSet<SocketAddr>) {
    let mut dialer = shared.dialer.lock();
    dialer.wanted.retain(|addr, _| addrs.contains(addr));
    for addr in addrs {
        if dialer.wanted.contains_key(&addr) {
            continue;
        }
        dialer.next_ticket += 1;
        let ticket = dialer.next_ticket;
        dialer.wanted.insert(addr, ticket);
        match no_way(shared, addr) {
            // No packet to it can leave: that is no try, and does not change.
            Some(why) => shared.no_way(addr, &why),
            None => shared.spawn(keep(shared.clone(), addr, ticket)),
        }
    }
    drop(dialer);
    // Wakes those that are no longer wanted, to end.
    shared.table.wake();
}

/// Why no packet to this address can leave the socket, if that is so.
fn no_way(shared: &Shared, addr: SocketAddr) -> Option<String> {
    let bound = shared.endpoint.local_addr().ok()?;
    let reached = match (bound, addr) {
        (SocketAddr::V4(_), SocketAddr::V4(_)) | (SocketAddr::V6(_), SocketAddr::V6(_)) => true,
        (SocketAddr::V4(_), SocketAddr::V6(_)) => false,
        // Only a socket bound to [::] reaches both.
        (SocketAddr::V6(bound), SocketAddr::V4(_)) => bound.ip().is_unspecified(),
    };
    let family = if addr.is_ipv4() { "IPv4" } else { "IPv6" };
    (!reached).then(|| {
        format!("this node is bound to {bound}, from where no {family} address is reached: bind [::]")
    })
}

/// Sends gossip to an address without a link: waits with a dial under way, or begins one.
pub(super) fn gossip(shared: &Arc<Shared>, addr: SocketAddr, bytes: Bytes) {
    if let Some(waiting) = shared.dialer.lock().pending.get_mut(&addr) {
        if waiting.len() < MAX_PENDING_PACKETS {
            waiting.push(bytes);
        } else {
            shared.counters.gossip_dropped.one();
        }
        return;
    }
    let dialling = shared.clone();
    shared.spawn(async move {
        // An error is told by the dial itself, and the packet is dropped and counted by it.
        let _ = dial(&dialling, addr, Some(bytes)).await;
    });
}

/// Keeps one wanted address connected until it is wanted no more.
async fn keep(shared: Arc<Shared>, addr: SocketAddr, ticket: u64) {
    let mut changed = shared.table.watch();
    let mut silent_since: Option<Instant> = None;
    loop {
        if shared.is_closing() || shared.dialer.lock().wanted.get(&addr) != Some(&ticket) {
            return;
        }
        let seen = changed.borrow_and_update();
        drop(seen);
        if shared.table.is_served(addr) {
            silent_since = None;
            tokio::select! {
                _ = changed.changed() => {}
                () = shared.closing() => {}
            }
            continue;
        }
        let begun = Instant::now();
        let pause_ms = match dial_in_turn(&shared, addr, silent_since.is_some()).await {
            // A link that did not live for a second is no reason to redial as fast as handshakes go.
            Ok(()) => {
                silent_since = None;
                served(&shared, addr, &mut changed).await;
                if begun.elapsed() > Duration::from_secs(1) { 0..1 } else { PAUSE_MS }
            }
            Err(Failure::Refused(_)) => REFUSED_PAUSE_MS,
            Err(_) => pause_ms(silent_since.get_or_insert(begun).elapsed(), shared.table.is_empty()),
        };
        tokio::select! {
            () = sleep(Duration::from_millis(rand::random_range(pause_ms))) => {}
            () = shared.closing() => {}
        }
    }
}

/// The pause after a silence that has lasted so long. Whoever has no link at all tries in earnest.
fn pause_ms(silent_for: Duration, alone: bool) -> std::ops::Range<u64> {
    if alone {
        return PAUSE_MS;
    }
    let most_ms = (silent_for / PAUSE_SHARE).min(MAX_PAUSE).as_millis() as u64;
    PAUSE_MS.start.max(most_ms / 2)..PAUSE_MS.end.max(most_ms)
}

/// A dial; one to an address that was silent before waits its turn, unless there is no link at all.
async fn dial_in_turn(shared: &Arc<Shared>, addr: SocketAddr, was_silent: bool) -> Result<(), Failure> {
    if shared.table.is_self(addr) {
        return Err(Failure::NotNeeded);
    }
    let turn = match was_silent && !shared.table.is_empty() {
        // The semaphore is never closed.
        true => shared.turns.acquire().await.ok(),
        false => None,
    };
    let dialled = dial(shared, addr, None).await;
    drop(turn);
    dialled
}

/// Returns when the address is served no longer.
async fn served(shared: &Shared, addr: SocketAddr, changed: &mut tokio::sync::watch::Receiver<u64>) {
    while shared.table.is_served(addr) && !shared.is_closing() {
        tokio::select! {
            _ = changed.changed() => {}
            () = shared.closing() => {}
        }
    }
}

/// One dial. Gossip that waits for it is sent or dropped at its end, whatever that is.
async fn dial(shared: &Arc<Shared>, addr: SocketAddr, first: Option<Bytes>) -> Result<(), Failure> {
    let held = Pending::begin(shared, addr, first)?;
    shared.counters.dials.one();
    let result = connect(shared, addr).await;
    match &result {
        Ok(()) | Err(Failure::NotNeeded) => {}
        Err(Failure::Unreachable(why)) => {
            shared.counters.dial_failures.one();
            tracing::debug!(%addr, why, "dial failed");
        }
        Err(Failure::Refused(reason)) => shared.refused(addr, None, true, reason.clone()),
    }
    drop(held);
    result
}

/// One dial to learn who is there. Boxed, because a handshake may ask for another.
pub(super) fn ask(shared: &Arc<Shared>, addr: SocketAddr) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let shared = shared.clone();
    Box::pin(async move {
        shared.counters.dials.one();
        if let Err(failure) = connect(&shared, addr).await {
            tracing::debug!(%addr, ?failure, "no node of this node's name lives there, or it said no");
        }
    })
}

async fn connect(shared: &Arc<Shared>, addr: SocketAddr) -> Result<(), Failure> {
    let deadline = tokio::time::Instant::now() + Duration::from_millis(shared.config.dial_timeout_ms);
    let silence = |_| Failure::Unreachable("no answer within the dial timeout".into());
    let connecting =
        shared.endpoint.connect(addr, MEMBER_NAME).map_err(|err| Failure::Unreachable(err.to_string()))?;
    let conn = timeout_at(deadline, connecting).await.map_err(silence)?.map_err(|err| classify(&err))?;
    let shake = Shake::dial(shared.clone(), conn.clone(), addr);
    let result = timeout_at(deadline, shake).await.map_err(silence).flatten();
    if let Err(failure) = &result {
        shake::close(&conn, failure, shared.table.is_self(addr));
    }
    result
}

/// A dial under way. Its end, by whatever path, settles the gossip that waited.
struct Pending<'a> {
    shared: &'a Arc<Shared>,
    addr: SocketAddr,
}

impl<'a> Pending<'a> {
    fn begin(shared: &'a Arc<Shared>, addr: SocketAddr, first: Option<Bytes>) -> Result<Self, Failure> {
        let mut dialer = shared.dialer.lock();
        if let Some(waiting) = dialer.pending.get_mut(&addr) {
            waiting.extend(first);
            return Err(Failure::NotNeeded);
        }
        dialer.pending.insert(addr, first.into_iter().collect());
        Ok(Self { shared, addr })
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let waiting = self.shared.dialer.lock().pending.remove(&self.addr).unwrap_or_default();
        match self.shared.table.by_addr(self.addr) {
            Some(link) => waiting.into_iter().for_each(|bytes| link.gossip(self.shared, bytes)),
            None => self.shared.counters.gossip_dropped.add(waiting.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sixty addresses of killed peers cost 23 dials and 227 kB a second, without end.
    #[test]
    fn who_stays_silent_is_dialled_less_and_less_unless_nobody_is_there() {
        let after = |s: u64| pause_ms(Duration::from_secs(s), false);
        assert_eq!(after(0), PAUSE_MS, "a cable that was out for a moment");
        assert_eq!(after(80), 5_000..10_000);
        assert_eq!(after(86_400), 150_000..300_000);
        assert_eq!(pause_ms(Duration::from_secs(86_400), true), PAUSE_MS, "alone: in earnest");
    }
}
