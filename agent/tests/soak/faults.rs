//! What is done to the agents, and when: one thing after the other, with calm in between, so that an acknowledged write is
//! never in the hands of two that die together.

use std::fmt;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;

use super::{AGENTS, Fleet, Trouble};

/// No kill before the mesh has been calm for this long: by then every write has more than two copies.
const CALM: Duration = Duration::from_secs(6);

/// What was done so far, and what comes next.
#[derive(Default)]
pub struct Faults {
    next: Option<Instant>,
    healed_at: Option<Instant>,
    cuts: u32,
    kills: u32,
    freezes: u32,
    steps: u32,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cuts, kills, freezes, steps, .. } = self;
        write!(f, "{cuts} cuts, {kills} kills, {freezes} freezes, {steps} clock steps")
    }
}

fn ms(rng: &mut StdRng, from: u64, to: u64) -> Duration {
    Duration::from_millis(rng.random_range(from..=to))
}

impl Trouble for Faults {
    fn turn(&mut self, fleet: &mut Fleet, rng: &mut StdRng) -> Option<usize> {
        let now = Instant::now();
        self.finish(fleet, now);
        let next = *self.next.get_or_insert(now + Duration::from_secs(2));
        if now < next {
            return None;
        }
        self.next = Some(now + ms(rng, 500, 5_000));
        let at = rng.random_range(0..AGENTS);
        match rng.random_range(0..10) {
            0..=3 => self.cut(fleet, rng, now),
            4..=5 if fleet.awake(at) => {
                self.freezes += 1;
                fleet.places[at].frozen_until = Some(now + ms(rng, 200, 5_000));
                fleet.places[at].agent.child.signal("STOP");
            }
            6..=7 if fleet.awake(at) && fleet.places[at].wrong_until.is_none() => {
                self.steps += 1;
                fleet.places[at].wrong_until = Some(now + ms(rng, 1_000, 12_000));
                // Within the drift bound, beyond it, and far beyond; ahead and behind.
                let by = [20_000, 55_000, 90_000, 180_000, 3_600_000][rng.random_range(0..5)];
                step(fleet, at, if rng.random_bool(0.5) { by } else { -by });
            }
            8.. if fleet.calm_for() >= CALM => {
                self.kills += 1;
                fleet.restart(at);
                return Some(at);
            }
            _ => return None,
        }
        fleet.disturbed = now;
        None
    }

    fn end(&mut self, fleet: &mut Fleet) {
        for at in 0..AGENTS {
            if fleet.places[at].frozen_until.take().is_some() {
                fleet.places[at].agent.child.signal("CONT");
            }
        }
        rules(fleet, &json!({ "heal_all": true }));
        fleet.cuts.clear();
        for at in 0..AGENTS {
            fleet.places[at].wrong_until = None;
            step(fleet, at, 0);
        }
        fleet.disturbed = Instant::now();
    }
}

impl Faults {
    fn cut(&mut self, fleet: &mut Fleet, rng: &mut StdRng, now: Instant) {
        if !fleet.cuts.is_empty() {
            return;
        }
        self.cuts += 1;
        self.healed_at = Some(now + ms(rng, 1_000, 12_000));
        let side: Vec<bool> = (0..AGENTS).map(|_| rng.random_bool(0.5)).collect();
        let one_way = rng.random_bool(0.25);
        let apart = |a: usize, b: usize| side[a] != side[b] && (!one_way || side[a]);
        let pairs = (0..AGENTS).flat_map(|a| (0..AGENTS).map(move |b| (a, b)));
        fleet.cuts = pairs.filter(|&(a, b)| apart(a, b)).collect();
        let named: Vec<_> = fleet.cuts.iter().map(|&(a, b)| [format!("n{a}"), format!("n{b}")]).collect();
        rules(fleet, &json!({ "cut": named }));
    }

    fn finish(&mut self, fleet: &mut Fleet, now: Instant) {
        if self.healed_at.is_some_and(|at| now >= at) {
            // A frozen agent would not answer: all are healed once nobody is frozen.
            if (0..AGENTS).all(|at| fleet.awake(at)) {
                self.healed_at = None;
                fleet.cuts.clear();
                rules(fleet, &json!({ "heal_all": true }));
                fleet.disturbed = now;
            }
        }
        for at in 0..AGENTS {
            let place = &mut fleet.places[at];
            if place.frozen_until.is_some_and(|until| now >= until) {
                place.agent.child.signal("CONT");
                place.frozen_until = None;
                fleet.disturbed = now;
            }
            let place = &mut fleet.places[at];
            if place.wrong_until.is_some_and(|until| now >= until) && place.frozen_until.is_none() {
                place.wrong_until = None;
                step(fleet, at, 0);
                fleet.disturbed = now;
            }
        }
    }
}

/// Every agent drops what it sends: told to all, since each knows only its own packets. A frozen one keeps what it had.
fn rules(fleet: &Fleet, change: &serde_json::Value) {
    for at in (0..AGENTS).filter(|&at| fleet.awake(at)) {
        let answer = fleet.places[at].agent.drill(change);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

fn step(fleet: &Fleet, at: usize, offset_ms: i64) {
    let agent = &fleet.places[at].agent;
    let token = [("drill-token", agent.drill_token.as_str())];
    let answer = agent.request("POST", "/drill/clock", &token, Some(&json!({ "offset_ms": offset_ms })));
    assert_eq!(answer.status, 200, "{answer:?}");
}
