//! What agents say of themselves each second, held against what was done to them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{AGENTS, Fleet};
use sessionmesh_testkit::Agent;

/// A member that has been out of reach for longer than this is not said to be alive: four times a death's usual time.
const NOTICED: Duration = Duration::from_secs(8);
/// No agent with so few sessions takes more memory (bytes).
const MOST_BYTES: u64 = 400 << 20;

/// What has been looked at.
#[derive(Default)]
pub struct Words {
    /// Since when each cannot hear each other.
    apart: BTreeMap<(usize, usize), Instant>,
    looks: u64,
    most_bytes: u64,
    /// Looks at which an agent had just stood still.
    starved: u64,
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} looks at words, {} at who had stood still, most memory {} MiB",
            self.looks,
            self.starved,
            self.most_bytes >> 20
        )
    }
}

/// The dashboard's word for the whole mesh.
pub fn word(agent: &Agent) -> Option<String> {
    let answer = agent.request("GET", "/dashboard/api/v1/mesh", &[], None);
    answer.body["word"].as_str().map(str::to_owned)
}

impl Words {
    /// Looks at everybody who can answer.
    pub fn look(&mut self, fleet: &Fleet) {
        let now = Instant::now();
        for (a, b) in (0..AGENTS).flat_map(|a| (0..AGENTS).map(move |b| (a, b))).filter(|(a, b)| a != b) {
            let cut = fleet.cuts.contains(&(a, b)) && fleet.cuts.contains(&(b, a));
            // Who is frozen hears nobody and is heard by nobody.
            if cut || !fleet.awake(b) {
                self.apart.entry((a, b)).or_insert(now);
            } else {
                self.apart.remove(&(a, b));
            }
        }
        for at in (0..AGENTS).filter(|&at| fleet.awake(at)) {
            self.look_at(fleet, at, now);
        }
    }

    /// Looks at everybody while nothing is done to any of them: nobody who is honest stays out of the mesh. One that had no
    /// second of the machine's time, and of whom a liar just then said that it has left, is back when it answers.
    pub fn look_at_honest(&mut self, fleet: &Fleet) {
        let now = Instant::now();
        for (at, place) in fleet.places.iter().enumerate() {
            self.look_at_memory(&place.agent);
            let status = place.agent.status();
            for (of, other) in fleet.places.iter().enumerate() {
                let members = status["members"].as_array().into_iter().flatten();
                let mut out = members.filter(|m| m["node"] == other.name.as_str() && m["state"] != "alive");
                match out.rfind(|m| m["state"] != "suspect") {
                    Some(member) => {
                        let since = *self.apart.entry((at, of)).or_insert(now);
                        assert!(now - since < NOTICED, "{} says for long: {member}", place.name);
                    }
                    None => _ = self.apart.remove(&(at, of)),
                }
            }
            let (serving, why) = (&status["serving"], status["reason"].as_str().unwrap_or_default());
            // A machine that gives a process no second of its time is not the pests' doing, and it is said.
            let starved = serving == "fenced"
                && (why.starts_with("frozen for ") || why.starts_with("its task does not run"));
            self.starved += u64::from(starved);
            assert!(starved || serving == "ready", "{}: {serving}: {why}", place.name);
        }
    }

    fn look_at_memory(&mut self, agent: &Agent) {
        self.looks += 1;
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", agent.child.pid())).unwrap_or_default();
        let pages: u64 = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
        self.most_bytes = self.most_bytes.max(pages * 4_096);
        assert!(pages * 4_096 <= MOST_BYTES, "{} takes {} MiB", agent.node, pages >> 8);
    }

    fn look_at(&mut self, fleet: &Fleet, at: usize, now: Instant) {
        let agent = &fleet.places[at].agent;
        self.look_at_memory(agent);
        // A fresh process has nobody to miss, and one that just woke up looks around first.
        if fleet.places[at].started.elapsed() < 2 * NOTICED || fleet.disturbed.elapsed() < NOTICED {
            return;
        }
        let gone = (0..AGENTS).filter(|b| self.apart.get(&(at, *b)).is_some_and(|s| now - *s >= 2 * NOTICED));
        let gone: Vec<String> = gone.map(|b| format!("n{b}")).collect();
        let status = agent.status();
        for member in status["members"].as_array().into_iter().flatten() {
            let name = member["node"].as_str().unwrap_or_default().to_owned();
            let alive = member["state"] == "alive" || member["linked"] == Value::Bool(true);
            assert!(!(alive && gone.contains(&name)), "n{at} says that {name} is alive: {member}");
        }
        let word = word(agent).unwrap_or_default();
        let well = word == "converged" && !gone.is_empty();
        assert!(!well, "n{at} says converged, and has not heard of {gone:?} for long");
    }
}
