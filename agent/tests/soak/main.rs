//! Five real agents under random cuts, kills, freezes and clock steps, with users on all of them: nothing acknowledged is
//! lost, no logged-out session comes back, and every second what the agents say of themselves is held against what was done
//! to them. The same under garbage, with a liar among the members, slow clients, and a log that nobody reads. Half a
//! minute by default; `SESSIONMESH_SOAK_S=1200` makes it the long one, `SESSIONMESH_SOAK_SEED` another.

mod faults;
mod pests;
mod users;
mod words;

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use faults::Faults;
use pests::Pests;
use sessionmesh_testkit::{Agent, Launch, eventually};
use users::Users;
use words::Words;

/// How many agents.
const AGENTS: usize = 5;
/// The cluster that a liar is in, and what makes it a member.
const CLUSTER: &str = "soak";
const SECRET: &str = "an example secret of at least thirty-two bytes";

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
    fn start(with: impl Fn(usize, Launch) -> Launch) -> Self {
        let first = with(0, launch("n0", "127.0.0.1:0", &[])).start();
        let mut seeds = vec![first.mesh.clone()];
        let mut agents = vec![first];
        for at in 1..AGENTS {
            let agent = with(at, launch(&format!("n{at}"), "127.0.0.1:0", &seeds)).start();
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
        place.agent = launch(&place.name, &place.agent.mesh.clone(), &seeds).start();
        place.started = Instant::now();
        self.disturbed = Instant::now();
    }
}

fn launch(name: &str, bind: &str, seeds: &[String]) -> Launch {
    let mut launch = Agent::launch(name).args(["--drill", "--bind", bind, "--set", "audit_interval_ms=2000"]);
    for seed in seeds {
        launch = launch.args(["--seed", seed]);
    }
    launch
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|e| panic!("{name}: {e}")))
}

/// What was done to the agents besides.
trait Trouble: std::fmt::Display {
    /// Ends what is over and begins what is due. Returns who was killed.
    fn turn(&mut self, fleet: &mut Fleet, rng: &mut StdRng) -> Option<usize>;
    /// Ends everything.
    fn end(&mut self, fleet: &mut Fleet);
}

/// Users on all agents while there is trouble; then everything that was promised is held against what is there.
fn soak(fleet: &mut Fleet, trouble: &mut impl Trouble, look: impl Fn(&mut Words, &Fleet)) {
    let (seconds, seed) = (setting("SESSIONMESH_SOAK_S", 30), setting("SESSIONMESH_SOAK_SEED", 1));
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut users, mut words) = (Users::default(), Words::default());
    let (begun, mut looked) = (Instant::now(), Instant::now());
    while begun.elapsed() < Duration::from_secs(seconds) {
        let killed = trouble.turn(fleet, &mut rng);
        killed.into_iter().for_each(|at| users.killed(at));
        for _ in 0..rng.random_range(1..8) {
            users.act(fleet, &mut rng);
        }
        if looked.elapsed() >= Duration::from_secs(1) {
            looked = Instant::now();
            look(&mut words, fleet);
        }
        // The pace of users, not a wait for anything.
        std::thread::sleep(Duration::from_millis(20));
    }
    trouble.end(fleet);
    eventually("everybody serves and holds the same", || {
        let serves = |p: &Place| p.agent.status()["serving"] == "ready";
        let same = fleet.places.windows(2).all(|w| w[0].agent.dump() == w[1].agent.dump());
        (fleet.places.iter().all(serves) && same).then_some(())
    });
    users.hold(fleet);
    eprintln!("seed {seed}, {seconds} s: {trouble}; {users}; {words}");
    assert_eq!(fleet.places[0].agent.status()["numbers"]["violations_total"], json!(0));
}

#[test]
fn nothing_acknowledged_is_lost_and_no_word_says_more_than_is_known() {
    let mut fleet = Fleet::start(|_, launch| launch);
    soak(&mut fleet, &mut Faults::default(), Words::look);
    eventually("everybody says that all is well", || {
        let converged = |p: &Place| words::word(&p.agent).is_some_and(|word| word == "converged");
        fleet.places.iter().all(converged).then_some(())
    });
}

/// Garbage, a member that lies, slow clients, and a log that nobody reads: users notice none of it, memory stays bounded,
/// and nobody who is honest is called gone.
#[test]
fn garbage_a_liar_slow_clients_and_blocked_pipes_harm_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|made| made.success()), "mkfifo {}", pipe.display());
    // Opened for both ways, so that opening waits for no reader; there never is one.
    let script = format!("exec \"$@\" 2<>{}", pipe.display());
    let mut fleet = Fleet::start(|at, launch| {
        let launch = launch.args(["--cluster", CLUSTER]).env("SESSIONMESH_SECRET", SECRET);
        match at {
            4 => launch.prefix(&["sh", "-c", &script, "sh"]).env("SESSIONMESH_LOG", "trace"),
            _ => launch,
        }
    });
    let mut pests = Pests::start(&fleet, setting("SESSIONMESH_SOAK_SEED", 1));
    soak(&mut fleet, &mut pests, Words::look_at_honest);
    let lost = &fleet.places[4].agent.status()["numbers"]["log_lines_lost_total"];
    assert!(lost.as_u64().is_some_and(|lost| lost > 0), "the pipe was never full: {lost}");
    let status = fleet.places[0].agent.status();
    let named = status["misbehaving"].as_array().into_iter().flatten();
    let named: Vec<_> = named.filter_map(|m| m["node"].as_str()).collect();
    assert!(named.iter().any(|node| node.starts_with("mallory-")), "the liar is named: {named:?}");
}
