//! What the parent knows of its nodes: for the table in the terminal and for the picture in the page.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use super::ask;
use super::fleet::{Fleet, Place};

/// How often nodes are asked (ms): a kill shows at once, the mesh's opinion follows within two seconds.
const ASK_EVERY_MS: u64 = 500;
/// A node that takes longer (ms) is shown as silent: it may be stopped in a debugger.
const PATIENCE_MS: u64 = 400;
/// Log lines shown of a node that died by itself.
const LAST_LINES: usize = 10;

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Where its shop is.
    pub url: String,
    /// `joining`, `ready` or `fenced`; `down` if there is no process, `silent` if it does not answer.
    pub state: String,
    /// Why, in its own words.
    pub reason: String,
    /// Live sessions it holds.
    pub sessions: u64,
    /// Logouts it remembers.
    pub tombstones: u64,
    /// Writes it answered without a second copy.
    pub unreplicated: u64,
    /// Other members it takes for alive.
    pub sees: Vec<String>,
    /// Other members it has a link to.
    pub linked: Vec<String>,
}

/// All nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// In order of their names.
    pub nodes: Vec<Seen>,
    /// The node that is cut from all others.
    pub isolated: Option<String>,
}

/// Asks all nodes again and again, for ever. Tells through `say` when one died by itself.
pub async fn watch_fleet(fleet: Arc<Fleet>, tell: watch::Sender<Survey>, say: impl Fn(String)) {
    loop {
        for place in &fleet.places {
            let Some(child) = place.process() else { continue };
            let Some(status) = child.status() else { continue };
            if place.forget(&child) {
                let last = place.log.tail(LAST_LINES).join("\n  ");
                say(format!("node {} died by itself ({status}). Its last words:\n  {last}", place.name));
            }
        }
        tell.send_replace(take(&fleet).await);
        tokio::time::sleep(Duration::from_millis(ASK_EVERY_MS)).await;
    }
}

async fn take(fleet: &Arc<Fleet>) -> Survey {
    let mut asking = tokio::task::JoinSet::new();
    for at in 0..fleet.places.len() {
        let fleet = Arc::clone(fleet);
        asking.spawn(async move { look(&fleet.places[at]).await });
    }
    let mut nodes = asking.join_all().await;
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Survey { nodes, isolated: fleet.isolated().map(|at| fleet.places[at].name.clone()) }
}

async fn look(place: &Place) -> Seen {
    let mut seen = Seen { name: place.name.clone(), url: place.url(), ..Seen::default() };
    if place.process().is_none() {
        seen.state = "down".into();
        return seen;
    }
    let status = tokio::time::timeout(Duration::from_millis(PATIENCE_MS), ask::status(place.shop)).await;
    let Ok(Ok(status)) = status else {
        seen.state = "silent".into();
        return seen;
    };
    let number = |name: &str| status.numbers.get(name).copied().unwrap_or(0);
    seen.sessions = number("sessions");
    seen.tombstones = number("tombstones");
    seen.unreplicated = number("unreplicated_total");
    let others = status.members.iter().filter(|m| m.node != place.name);
    seen.sees = others.clone().filter(|m| m.state == "alive").map(|m| m.node.clone()).collect();
    // Both lives of a node that was just restarted may be listed for a while.
    seen.sees.dedup();
    seen.linked = others.filter(|m| m.linked).map(|m| m.node.clone()).collect();
    (seen.state, seen.reason) = (status.serving, status.reason);
    seen
}
