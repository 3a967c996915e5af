//! What a comparison consists of: cells (a system, a size, a loss) with five measures each, cut into units of work
//! that can be done in any order by any thread.

use serde::Serialize;

use super::arena::Arena;
use super::measure::{Deaths, FalseDeaths, Freeze, Heal, Measure, Usage};
use super::network::Weather;
use super::system::Kind;
use crate::board::run_seeded;
use crate::draw::Draw;

/// Node-hours of one unit of false deaths at most, so that long ones spread over threads.
const UNIT_NODE_HOURS: f64 = 50.0;

/// What to compare, and how long.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The systems.
    pub systems: Vec<Kind>,
    /// Members of a world.
    pub sizes: Vec<usize>,
    /// Loss (%).
    pub losses: Vec<u64>,
    /// Members of worlds in which only traffic is measured, without loss.
    pub traffic_sizes: Vec<usize>,
    /// Everything random follows from it.
    pub seed: u64,
    /// How long worlds run before anything is measured (ms).
    pub warm_up_ms: u64,
    /// How long traffic is measured (ms).
    pub traffic_ms: u64,
    /// How much of everything else a system gets.
    pub effort: Effort,
    /// The same for chitchat, whose worlds cost many times as much to run.
    pub chitchat_effort: Effort,
}

/// How often things are done in one cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Effort {
    /// Deaths at least: the last world of a cell is finished.
    pub kills: usize,
    /// Node-hours without deaths.
    pub node_hours: f64,
    /// Splits.
    pub heals: usize,
    /// Freezes.
    pub freezes: usize,
}

/// A system in a world of a size with a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cell {
    /// The system.
    pub system: Kind,
    /// Members.
    pub members: usize,
    /// Loss (%).
    pub loss_percent: u64,
    /// Only its traffic is measured.
    pub traffic_only: bool,
}

impl Cell {
    /// Whether the system is not run in worlds of this size.
    pub fn is_too_large(&self) -> bool {
        self.members > self.system.max_members()
    }
}

/// One world to run, for one measure of one cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// The cell.
    pub cell: Cell,
    /// What is measured.
    pub measure: Measure,
    /// Its seed: the same for every system.
    pub seed: u64,
    warm_up_ms: u64,
    /// How long is measured, for measures that last a given time (ms).
    for_ms: u64,
    kills: usize,
}

/// What a unit measured.
#[derive(Clone, Debug)]
pub enum Answer {
    /// See [`Deaths`].
    Deaths(Deaths),
    /// See [`FalseDeaths`].
    FalseDeaths(FalseDeaths),
    /// See [`Usage`].
    Traffic(Usage),
    /// See [`Heal`].
    Heal(Heal),
    /// See [`Freeze`].
    Freeze(Freeze),
}

impl Plan {
    /// Its cells, in the order of the tables.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for &system in &self.systems {
            for &members in &self.sizes {
                cells.extend(self.losses.iter().map(|&loss_percent| Cell {
                    system,
                    members,
                    loss_percent,
                    traffic_only: false,
                }));
            }
            let larger = self.traffic_sizes.iter().filter(|members| !self.sizes.contains(members));
            cells.extend(larger.map(|&members| Cell {
                system,
                members,
                loss_percent: 0,
                traffic_only: true,
            }));
        }
        cells
    }

    /// The work of one cell; none if it is too large for its system.
    pub fn units(&self, cell: Cell) -> Vec<Unit> {
        let wanted = |measure: &Measure| !cell.traffic_only || *measure == Measure::Traffic;
        if cell.is_too_large() {
            return Vec::new();
        }
        Measure::ALL.into_iter().filter(wanted).flat_map(|measure| self.units_of(cell, measure)).collect()
    }

    fn units_of(&self, cell: Cell, measure: Measure) -> Vec<Unit> {
        let effort = if cell.system == Kind::Chitchat { self.chitchat_effort } else { self.effort };
        // A world loses a quarter of its members at most: it should stay about as large as it says.
        let kills = (cell.members / 4).clamp(1, effort.kills.max(1));
        let units = match measure {
            Measure::Deaths => effort.kills.div_ceil(kills),
            Measure::FalseDeaths => (effort.node_hours / UNIT_NODE_HOURS).ceil() as usize,
            Measure::Traffic => 1,
            Measure::Heal => effort.heals,
            Measure::Freeze => effort.freezes,
        };
        let hours = effort.node_hours / units as f64 / cell.members as f64;
        let for_ms = match measure {
            Measure::FalseDeaths => (hours * 3_600_000.0).ceil() as u64,
            _ => self.traffic_ms,
        };
        let draw =
            Draw::new(self.seed).of(measure.name()).within(cell.members as u64).within(cell.loss_percent);
        (0..units as u64)
            .map(|nth| Unit { cell, measure, seed: draw.at(nth), warm_up_ms: self.warm_up_ms, for_ms, kills })
            .collect()
    }
}

impl Unit {
    /// Runs it. On a thread of its own where the system wants that.
    pub fn run(self) -> Answer {
        if self.cell.system.needs_seeded_thread() {
            run_seeded(self.seed, move || self.run_here())
        } else {
            self.run_here()
        }
    }

    fn run_here(self) -> Answer {
        let weather = Weather::lan(10 * self.cell.loss_percent);
        let mut arena = Arena::new(self.cell.system, self.cell.members, weather, self.seed);
        arena.run(self.warm_up_ms);
        match self.measure {
            Measure::Deaths => Answer::Deaths(Deaths::of(&mut arena, self.kills)),
            Measure::FalseDeaths => Answer::FalseDeaths(FalseDeaths::of(&mut arena, self.for_ms)),
            Measure::Traffic => Answer::Traffic(Usage::of(&mut arena, self.for_ms)),
            Measure::Heal => Answer::Heal(Heal::of(&mut arena)),
            Measure::Freeze => Answer::Freeze(Freeze::of(&mut arena)),
        }
    }

    /// About how much work it is, in node-seconds of foca.
    pub fn weight(&self) -> f64 {
        let measured_ms = match self.measure {
            Measure::Deaths => 16_000 * self.kills as u64,
            Measure::FalseDeaths | Measure::Traffic => self.for_ms,
            Measure::Heal => 220_000,
            Measure::Freeze => 75_000,
        };
        let node_seconds = (self.warm_up_ms + measured_ms) as f64 / 1_000.0 * self.cell.members as f64;
        node_seconds * self.cell.system.cost(self.cell.members)
    }
}
