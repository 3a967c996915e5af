//! Five real agents under random cuts, kills, freezes and clock steps, with users on all of them: nothing acknowledged is
//! lost, no logged-out session comes back, and every second what the agents say of themselves is held against what was done
//! to them. Half a minute by default; `SESSIONMESH_SOAK_S=1200` makes it the long one, `SESSIONMESH_SOAK_SEED` another.

#[path = "common/mod.rs"]
mod common;

#[path = "soak/faults.rs"]
mod faults;
#[path = "soak/users.rs"]
mod users;
#[path = "soak/words.rs"]
mod words;

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use common::{Agent, eventually};
use faults::Faults;
use users::Users;
use words::Words;

/// How many agents.
const AGENTS: usize = 5;

/// One place of the mesh: its agent, and what is done to it now.
pub struct Place {
    agent: Agent,
    name: String,
    /// Until when it is frozen.
    frozen_until: Option<Instant>,
    /// Until when its clock is wrong.
    wrong_until: Option<Instant>,
    /// When it was started last.
    started: Instant,
}

/// All of them.
pub struct Fleet {
    places: Vec<Place>,
    /// Until when whom cannot be heard by whom: one-way pairs.
    cuts: Vec<(usize, usize)>,
    /// When anything was last done to the network or to a process.
    disturbed: Instant,
}

impl Fleet {
    fn start() -> Self {
        let first = launch("n0", "127.0.0.1:0", &[]);
        let mut seeds = vec![first.mesh.clone()];
        let mut agents = vec![first];
        for at in 1..AGENTS {
            let agent = launch(&format!("n{at}"), "127.0.0.1:0", &seeds);
            seeds.push(agent.mesh.clone());
            agents.push(agent);
        }
        agents.iter().for_each(|agent| _ = agent.ready());
        let place = |agent: Agent| Place {
            name: agent.node.clone(),
            agent,
            frozen_until: None,
            wrong_until: None,
            started: Instant::now(),
        };
        Self { places: agents.into_iter().map(place).collect(), cuts: Vec::new(), disturbed: Instant::now() }
    }

    /// Whether an agent can be asked something.
    fn awake(&self, at: usize) -> bool {
        self.places[at].frozen_until.is_none()
    }

    /// How long nothing has been done to anybody, and nothing is.
    fn calm_for(&self) -> Duration {
        let busy = !self.cuts.is_empty()
            || self.places.iter().any(|p| p.frozen_until.is_some() || p.wrong_until.is_some());
        if busy { Duration::ZERO } else { self.disturbed.elapsed() }
    }

    /// Kills an agent and starts its successor, without memory, under the same name and address.
    fn restart(&mut self, at: usize) {
        let others = self.places.iter().enumerate().filter(|(o, _)| *o != at);
        let seeds: Vec<String> = others.map(|(_, p)| p.agent.mesh.clone()).collect();
        let place = &mut self.places[at];
        place.agent.child.kill();
        place.agent = launch(&place.name, &place.agent.mesh.clone(), &seeds);
        place.started = Instant::now();
        self.disturbed = Instant::now();
    }
}

fn launch(name: &str, bind: &str, seeds: &[String]) -> Agent {
    let mut launch = Agent::launch(name).args(["--drill", "--bind", bind, "--set", "audit_interval_ms=2000"]);
    for seed in seeds {
        launch = launch.args(["--seed", seed]);
    }
    launch.start()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|e| panic!("{name}: {e}")))
}

#[test]
fn nothing_acknowledged_is_lost_and_no_word_says_more_than_is_known() {
    let (seconds, seed) = (setting("SESSIONMESH_SOAK_S", 30), setting("SESSIONMESH_SOAK_SEED", 1));
    let mut rng = StdRng::seed_from_u64(seed);
    let mut fleet = Fleet::start();
    let (mut faults, mut users, mut words) = (Faults::default(), Users::default(), Words::default());
    let (begun, mut looked) = (Instant::now(), Instant::now());
    while begun.elapsed() < Duration::from_secs(seconds) {
        let killed = faults.turn(&mut fleet, &mut rng);
        killed.into_iter().for_each(|at| users.killed(at));
        for _ in 0..rng.random_range(1..8) {
            users.act(&fleet, &mut rng);
        }
        if looked.elapsed() >= Duration::from_secs(1) {
            looked = Instant::now();
            words.look(&fleet);
        }
        // The pace of users, not a wait for anything.
        std::thread::sleep(Duration::from_millis(20));
    }
    faults.end(&mut fleet);
    eventually("everybody serves and holds the same", || {
        let serves = |p: &Place| p.agent.status()["serving"] == "ready";
        let same = fleet.places.windows(2).all(|w| w[0].agent.dump() == w[1].agent.dump());
        (fleet.places.iter().all(serves) && same).then_some(())
    });
    users.hold(&fleet);
    eventually("everybody says that all is well", || {
        let converged = |p: &Place| words::word(&p.agent).is_some_and(|word| word == "converged");
        fleet.places.iter().all(converged).then_some(())
    });
    eprintln!("seed {seed}, {seconds} s: {faults}; {users}; {words}");
    assert_eq!(fleet.places[0].agent.status()["numbers"]["violations_total"], json!(0));
}
