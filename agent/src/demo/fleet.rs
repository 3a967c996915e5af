//! All nodes of a run: start, kill, restart, cut, heal.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::process::Command;

use super::ask;
use super::child::{Child, Log};
use super::node::{DRILL_TOKEN_ENV, PAGE_TOKEN_ENV, SECRET_ENV};
use super::ports::{free, loopback};
use super::token::Tokens;

/// No wait of the demo is longer (s): every one ends far sooner, or something is broken.
pub const CEILING_S: u64 = 60;
/// A node asked to leave is killed after this (s).
const LEAVE_PATIENCE_S: u64 = 3;
/// A node leaving in good order may hand over for up to five seconds, and finish requests before (s).
const GRACEFUL_PATIENCE_S: u64 = 10;
/// How often readiness is asked for (ms).
const POLL_MS: u64 = 10;

/// A node's place: its name and addresses outlive its processes.
pub struct Place {
    /// Its name: a, b, c, ...
    pub name: String,
    /// Where its shop listens.
    pub shop: SocketAddr,
    mesh: SocketAddr,
    /// What its processes logged last.
    pub log: Log,
    /// Starts, kills and restarts of one node go one after the other.
    turn: tokio::sync::Mutex<()>,
    process: Mutex<Option<Arc<Child>>>,
}

impl Place {
    /// The process, if one was started and not ended by us.
    pub fn process(&self) -> Option<Arc<Child>> {
        self.process.lock().clone()
    }

    /// Forgets a process that ended; whether it was still ours.
    pub fn forget(&self, ended: &Arc<Child>) -> bool {
        self.process.lock().take_if(|child| Arc::ptr_eq(child, ended)).is_some()
    }

    /// Where a browser finds it.
    pub fn url(&self) -> String {
        format!("http://{}/", self.shop)
    }
}

/// The nodes of one run.
pub struct Fleet {
    /// In order of their names.
    pub places: Vec<Place>,
    /// What the run's processes share.
    pub tokens: Tokens,
    control: Option<SocketAddr>,
    /// The node that is cut from all others, if one is.
    isolated: Mutex<Option<usize>>,
}

impl Fleet {
    /// Lays out `count` places. `port` is the first shop's port; 0 takes any. Starts nothing.
    pub fn plan(
        count: usize,
        port: u16,
        tokens: Tokens,
        control: Option<SocketAddr>,
    ) -> Result<Self, String> {
        let place = |(at, letter): (usize, char)| {
            let shop = match port {
                0 => free()?,
                base => {
                    u16::try_from(usize::from(base) + at).map_err(|_| format!("port {base}: too high"))?
                }
            };
            Ok(Place {
                name: letter.to_string(),
                shop: loopback(shop),
                mesh: loopback(free()?),
                log: Log::default(),
                turn: tokio::sync::Mutex::default(),
                process: Mutex::default(),
            })
        };
        let places: Result<Vec<Place>, String> = ('a'..='z').take(count).enumerate().map(place).collect();
        Ok(Self { places: places?, tokens, control, isolated: Mutex::default() })
    }

    /// Starts every node and waits until all serve.
    pub async fn launch(&self) -> Result<(), String> {
        for at in 0..self.places.len() {
            // The first finds nobody and founds the mesh; the others find those before them.
            self.start(at, 0..at).await?;
        }
        for at in 0..self.places.len() {
            self.until_ready(at).await?;
        }
        Ok(())
    }

    async fn start(&self, at: usize, seeds: std::ops::Range<usize>) -> Result<(), String> {
        let place = &self.places[at];
        let _turn = place.turn.lock().await;
        if place.process().is_some_and(|child| child.status().is_none()) {
            return Ok(());
        }
        let child = Child::start(self.command(at, seeds)?, place.log.clone());
        let child = child.await.map_err(|why| format!("node {}: {why}{}", place.name, self.logs(&[at])))?;
        *place.process.lock() = Some(Arc::new(child));
        Ok(())
    }

    fn command(&self, at: usize, seeds: std::ops::Range<usize>) -> Result<Command, String> {
        let place = &self.places[at];
        let program = std::env::current_exe().map_err(|e| format!("this program's own path: {e}"))?;
        let mut command = Command::new(program);
        command.args(["demo-node", "--name", &place.name]);
        command.args(["--shop", &place.shop.to_string(), "--mesh", &place.mesh.to_string()]);
        for (_, peer) in self.others(at) {
            command.args(["--peer", &format!("{}={}", peer.name, peer.mesh)]);
        }
        for (_, peer) in self.others(at).filter(|(ix, _)| seeds.contains(ix)) {
            command.args(["--seed", &peer.mesh.to_string()]);
        }
        for name in self.cut_from(at) {
            command.args(["--cut-from", &name]);
        }
        if let Some(control) = self.control {
            command.args(["--control", &control.to_string()]);
        }
        command.env(SECRET_ENV, &self.tokens.secret);
        command.env(DRILL_TOKEN_ENV, &self.tokens.drill);
        command.env(PAGE_TOKEN_ENV, &self.tokens.page);
        Ok(command)
    }

    fn others(&self, at: usize) -> impl Iterator<Item = (usize, &Place)> {
        self.places.iter().enumerate().filter(move |(ix, _)| *ix != at)
    }

    /// Waits until the node serves; how long it took.
    pub async fn until_ready(&self, at: usize) -> Result<Duration, String> {
        let place = &self.places[at];
        let begun = Instant::now();
        while !ask::is_ready(place.shop).await {
            if begun.elapsed() > Duration::from_secs(CEILING_S) {
                return Err(format!(
                    "node {} does not serve after {CEILING_S} s{}",
                    place.name,
                    self.logs(&[at])
                ));
            }
            tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
        }
        Ok(begun.elapsed())
    }

    /// SIGKILL.
    pub async fn kill(&self, at: usize) {
        let _turn = self.places[at].turn.lock().await;
        let process = self.places[at].process.lock().take();
        if let Some(child) = process {
            child.kill().await;
        }
    }

    /// SIGTERM; an error if it had to be killed in the end.
    pub async fn leave(&self, at: usize) -> Result<(), String> {
        let place = &self.places[at];
        let _turn = place.turn.lock().await;
        let process = place.process.lock().take();
        match process {
            Some(child) if !child.leave(Duration::from_secs(GRACEFUL_PATIENCE_S)).await => {
                Err(format!("node {} did not leave within {GRACEFUL_PATIENCE_S} s", place.name))
            }
            _ => Ok(()),
        }
    }

    /// Starts a node that does not run, with every other one as a seed.
    pub async fn restart(&self, at: usize) -> Result<(), String> {
        self.start(at, 0..self.places.len()).await
    }

    /// The node cut from all others, if one is.
    pub fn isolated(&self) -> Option<usize> {
        *self.isolated.lock()
    }

    fn cut_from(&self, at: usize) -> Vec<String> {
        match self.isolated() {
            Some(alone) if alone == at => self.others(at).map(|(_, place)| place.name.clone()).collect(),
            Some(alone) => vec![self.places[alone].name.clone()],
            None => Vec::new(),
        }
    }

    /// Cuts one node from all others, or heals. Both ends drop packets, so that it is a cut in both directions
    /// whichever end a packet comes from.
    pub async fn isolate(&self, alone: Option<usize>) -> Result<(), String> {
        *self.isolated.lock() = alone;
        let addresses: BTreeMap<String, SocketAddr> =
            self.places.iter().map(|place| (place.name.clone(), place.mesh)).collect();
        for (at, place) in self.places.iter().enumerate() {
            // One that is down is told when it starts.
            if place.process().is_some_and(|child| child.status().is_none()) {
                ask::cut_from(place.shop, &self.tokens.drill, &self.cut_from(at), &addresses).await?;
            }
        }
        Ok(())
    }

    /// Asks all nodes to leave and waits for their ends.
    pub async fn stop(&self) {
        let patience = Duration::from_secs(LEAVE_PATIENCE_S);
        let children: Vec<Arc<Child>> =
            self.places.iter().filter_map(|place| place.process.lock().take()).collect();
        let mut leaving = tokio::task::JoinSet::new();
        for child in children {
            leaving.spawn(async move { child.leave(patience).await });
        }
        leaving.join_all().await;
    }

    /// The last log lines of some nodes, ready to append to a message.
    pub fn logs(&self, of: &[usize]) -> String {
        const LINES: usize = 20;
        let of = of.iter().map(|at| &self.places[*at]);
        of.map(|p| format!("\n--- log of node {}\n{}", p.name, p.log.tail(LINES).join("\n"))).collect()
    }
}
