//! Which links are up, under which addresses, and which of two links to one peer lives.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::limits::{MAX_LINKS, MAX_LINKS_PER_ADDR};
use super::link::Link;
use crate::core::causality::Origin;

/// The links of one transport.
pub(super) struct Table {
    state: Mutex<State>,
    /// Rises with every change of the links, to wake those who wait for one.
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    links: BTreeMap<Origin, Arc<Link>>,
    /// Every address a peer was found under: advertised, dialled. Addresses of peers only ever met, so bounded
    /// by members with a secret; entries go with the link.
    homes: HashMap<SocketAddr, Origin>,
    /// The addresses bound and advertised: ours for good.
    selves: HashSet<SocketAddr>,
    /// Addresses that led to ourselves when they were dialled, and until when that is believed: a virtual address or a
    /// balancer's leads elsewhere tomorrow.
    mirrors: HashMap<SocketAddr, Instant>,
}

/// What a new connection did to the table.
pub(super) enum Adoption {
    /// It is the pair's link now, in place of another one if given.
    Adopted(Option<Arc<Link>>),
    /// The pair keeps the link it has.
    Duplicate,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::default()), changed: watch::Sender::new(0) }
    }

    pub(super) fn add_self(&self, addr: SocketAddr) {
        self.state.lock().selves.insert(addr);
        self.wake();
    }

    /// An address has led to ourselves, which is believed for a while.
    pub(super) fn add_mirror(&self, addr: SocketAddr, believed: Duration) {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.mirrors.retain(|_, until| *until > now);
        state.mirrors.insert(addr, now + believed);
    }

    /// Whether an address is ours, or was ours a moment ago.
    pub(super) fn is_self(&self, addr: SocketAddr) -> bool {
        let state = self.state.lock();
        state.selves.contains(&addr) || state.mirrors.get(&addr).is_some_and(|until| *until > Instant::now())
    }

    /// Whether an address is ours for good.
    pub(super) fn is_ours(&self, addr: SocketAddr) -> bool {
        self.state.lock().selves.contains(&addr)
    }

    /// Whether no link is up.
    pub(super) fn is_empty(&self) -> bool {
        !self.state.lock().links.values().any(|link| link.is_open())
    }

    pub(super) fn by_origin(&self, origin: Origin) -> Option<Arc<Link>> {
        self.state.lock().links.get(&origin).cloned()
    }

    pub(super) fn by_addr(&self, addr: SocketAddr) -> Option<Arc<Link>> {
        let state = self.state.lock();
        state.links.get(state.homes.get(&addr)?).cloned()
    }

    /// Whether nothing has to be dialled there: a link is up, or it is ours.
    pub(super) fn is_served(&self, addr: SocketAddr) -> bool {
        self.is_ours(addr) || self.by_addr(addr).is_some_and(|link| link.is_open())
    }

    /// Whether a link with this life may be added: one address has some, and all together have more.
    pub(super) fn has_room(&self, origin: Origin, remote: SocketAddr) -> bool {
        let state = self.state.lock();
        let others = state.links.values().filter(|link| link.info.origin != origin && link.is_open());
        let (mut all, mut near) = (0, 0);
        for link in others {
            (all, near) = (all + 1, near + usize::from(link.info.remote == remote));
        }
        all < MAX_LINKS && near < MAX_LINKS_PER_ADDR
    }

    pub(super) fn has_open(&self, origin: Origin) -> bool {
        self.by_origin(origin).is_some_and(|link| link.is_open())
    }

    /// Where an open link to another life under this name leads.
    pub(super) fn namesake(&self, node: &str, origin: Origin) -> Option<SocketAddr> {
        let state = self.state.lock();
        let mut links = state.links.values().filter(|link| link.is_open());
        links.find(|link| link.info.node == node && link.info.origin != origin).map(|link| link.info.addr)
    }

    pub(super) fn all(&self) -> Vec<Arc<Link>> {
        self.state.lock().links.values().cloned().collect()
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Remembers that a peer answers at an address.
    pub(super) fn found(&self, addr: SocketAddr, origin: Origin) {
        self.state.lock().homes.insert(addr, origin);
    }

    /// The decision, on the side with the smaller origin: does `link` become the pair's link?
    ///
    /// An existing link stands if the peer holds it too, or if it is younger than `settling`: then both sides
    /// dialled at once and the peer has not heard of the other one yet. Otherwise the peer lost its end, which
    /// we had not noticed.
    pub(super) fn decide(&self, link: &Arc<Link>, peer_linked: bool, settling: Duration) -> Adoption {
        let mut state = self.state.lock();
        if let Some(held) = state.links.get(&link.info.origin)
            && held.is_open()
            && (peer_linked || held.since.elapsed() < settling)
        {
            return Adoption::Duplicate;
        }
        Adoption::Adopted(self.insert(&mut state, link))
    }

    /// The other side's decision is carried out.
    pub(super) fn follow(&self, link: &Arc<Link>) -> Adoption {
        let mut state = self.state.lock();
        // Word of an adoption that was undone since.
        if !link.is_open() {
            return Adoption::Duplicate;
        }
        Adoption::Adopted(self.insert(&mut state, link))
    }

    fn insert(&self, state: &mut State, link: &Arc<Link>) -> Option<Arc<Link>> {
        state.homes.insert(link.info.addr, link.info.origin);
        let replaced = state.links.insert(link.info.origin, link.clone());
        self.wake();
        replaced
    }

    /// Takes a link out, unless another one has its place already.
    pub(super) fn remove(&self, link: &Link) {
        let mut state = self.state.lock();
        let origin = link.info.origin;
        if state.links.get(&origin).is_some_and(|held| held.info.link == link.info.link) {
            state.links.remove(&origin);
            state.homes.retain(|_, at| *at != origin);
        }
        drop(state);
        self.wake();
    }

    /// Wakes all who watch the links.
    pub(super) fn wake(&self) {
        self.changed.send_modify(|epoch| *epoch += 1);
    }
}
