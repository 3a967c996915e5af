//! What came of a plan: one [`CellReport`] a cell, and all of it as JSON.

use serde_json::{Value, json};

use super::measure::{Deaths, FalseDeaths, Freeze, Heal, Usage};
use super::plan::{Answer, Cell, Plan};
use super::system::Kind;

/// What was measured in one cell.
#[derive(Clone, Debug)]
pub struct CellReport {
    /// The cell.
    pub cell: Cell,
    /// How soon deaths are noticed.
    pub deaths: Option<Deaths>,
    /// How often healthy members are declared dead.
    pub false_deaths: Option<FalseDeaths>,
    /// What is sent when nothing happens.
    pub usage: Option<Usage>,
    /// How soon a split heals.
    pub heal: Option<Heal>,
    /// What frozen members and others do to each other.
    pub freeze: Option<Freeze>,
    /// Processor seconds it took, if threads had a processor each.
    pub seconds: f64,
}

/// Adds to what is there, or is the first.
fn merge<T>(place: &mut Option<T>, more: T, add: impl FnOnce(&mut T, &T)) {
    match place {
        Some(sum) => add(sum, &more),
        None => *place = Some(more),
    }
}

impl CellReport {
    /// Nothing measured yet.
    pub fn new(cell: Cell) -> Self {
        Self { cell, deaths: None, false_deaths: None, usage: None, heal: None, freeze: None, seconds: 0.0 }
    }

    /// Takes in what a unit of this cell measured.
    pub fn take(&mut self, answer: Answer, seconds: f64) {
        self.seconds += seconds;
        match answer {
            Answer::Deaths(more) => merge(&mut self.deaths, more, Deaths::add),
            Answer::FalseDeaths(more) => merge(&mut self.false_deaths, more, FalseDeaths::add),
            Answer::Traffic(more) => merge(&mut self.usage, more, Usage::add),
            Answer::Heal(more) => merge(&mut self.heal, more, Heal::add),
            Answer::Freeze(more) => merge(&mut self.freeze, more, Freeze::add),
        }
    }

    /// In figures, without how long it took: the same for the same seed.
    pub fn json(&self) -> Value {
        let suspects = self.cell.system.suspects();
        json!({
            "cell": self.cell,
            "not_run": self.cell.is_too_large(),
            "deaths": self.deaths.as_ref().map(|deaths| json!({
                "first_suspicion": suspects.then(|| deaths.suspect.summary()),
                "dead_at_first": deaths.first.summary(),
                "dead_at_all": deaths.all.summary(),
            })),
            "false_deaths": self.false_deaths.map(|deaths| json!({
                "counts": deaths,
                "per_node_hour": deaths.rate(),
                "upper_95_per_node_hour": deaths.bound(),
                "held_dead_share": deaths.share(),
            })),
            "traffic": self.usage.as_ref().map(|usage| json!({
                "bytes_per_node_second": usage.bytes(),
                "bytes_with_headers_per_node_second": usage.bytes_with_headers(),
                "packets_per_node_second": usage.packets(),
                "median_packet_bytes": usage.traffic.median_bytes(),
                "largest_packet_bytes": usage.traffic.largest_bytes(),
            })),
            "heal": self.heal.as_ref().map(|heal| heal.full.summary()),
            "freeze": self.freeze,
        })
    }
}

/// What came of a plan.
#[derive(Clone, Debug)]
pub struct Report {
    /// The plan.
    pub plan: Plan,
    /// Its cells, in the order of the plan.
    pub cells: Vec<CellReport>,
    /// Seconds it took.
    pub seconds: f64,
}

impl Report {
    /// The cells of one system.
    pub fn of(&self, system: Kind) -> impl Iterator<Item = &CellReport> {
        self.cells.iter().filter(move |report| report.cell.system == system)
    }

    /// All figures, the same for the same plan.
    pub fn json(&self) -> Value {
        json!({
            "plan": self.plan,
            "cells": self.cells.iter().map(CellReport::json).collect::<Vec<_>>(),
        })
    }
}
