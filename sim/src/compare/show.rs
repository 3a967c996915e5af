//! A report as tables.

use super::goals::Outcome;
use super::measure::{Deaths, FalseDeaths, Freeze, Heal, Usage};
use super::report::{CellReport, Report};
use super::stats::Summary;
use super::system::Kind;
use super::table::Table;

/// A number with commas.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or("")).collect();
    groups.join(",")
}

/// Milliseconds in seconds; what never happened within `within_ms`, so.
fn seconds(took_ms: Option<f64>, within_ms: u64) -> String {
    took_ms.map_or(format!("> {}", within_ms / 1_000), |took_ms| format!("{:.2}", took_ms / 1_000.0))
}

/// Mean, p50 and p99 of a summary.
fn figures(summary: &Summary, within_ms: u64) -> [String; 3] {
    let show = |took_ms: Option<u64>| seconds(took_ms.map(|ms| ms as f64), within_ms);
    [seconds(summary.mean_ms, within_ms), show(summary.p50_ms), show(summary.p99_ms)]
}

/// The first cells of every row.
fn place(report: &CellReport) -> Vec<String> {
    let cell = report.cell;
    vec![cell.system.name().into(), grouped(cell.members as u64), format!("{} %", cell.loss_percent)]
}

/// A table with a row for every cell that has something to show, and for those that were not run.
fn table(
    title: &str,
    heads: &[&'static str],
    report: &Report,
    traffic: bool,
    row: impl Fn(&CellReport) -> Option<Vec<String>>,
) -> Table {
    let heads: Vec<_> = ["system", "N", "loss"].iter().chain(heads).copied().collect();
    let mut table = Table::new(title, &heads);
    for cell in report.cells.iter().filter(|cell| traffic || !cell.cell.traffic_only) {
        if cell.cell.is_too_large() {
            let why = format!("not run: N > {}", cell.cell.system.max_members());
            table.row([place(cell), vec![why]].concat());
        } else if let Some(figures) = row(cell) {
            table.row([place(cell), figures].concat());
        }
    }
    table
}

fn deaths_row(deaths: &Deaths, suspects: bool) -> Vec<String> {
    let within_ms = super::measure::DEATH_WITHIN_MS;
    let all = deaths.all.summary();
    let suspect = if suspects {
        figures(&deaths.suspect.summary(), within_ms)
    } else {
        ["-", "-", "-"].map(str::to_owned)
    };
    let mut row = vec![grouped(all.samples as u64)];
    row.extend(suspect);
    row.extend(figures(&deaths.first.summary(), within_ms));
    row.extend(figures(&all, within_ms));
    row.push(grouped(all.never as u64));
    row
}

fn false_row(deaths: &FalseDeaths) -> Vec<String> {
    vec![
        format!("{:.1}", deaths.node_hours),
        grouped(deaths.episodes),
        grouped(deaths.verdicts),
        format!("{:.4}", deaths.rate()),
        format!("< {:.4}", deaths.bound()),
        format!("{:.2} %", 100.0 * deaths.share()),
    ]
}

fn traffic_row(usage: &Usage) -> Vec<String> {
    vec![
        grouped(usage.bytes().round() as u64),
        grouped(usage.bytes_with_headers().round() as u64),
        format!("{:.1}", usage.packets()),
        grouped(usage.traffic.median_bytes() as u64),
        grouped(usage.traffic.largest_bytes() as u64),
    ]
}

fn heal_row(heal: &Heal, freeze: Option<&Freeze>) -> Vec<String> {
    let summary = heal.full.summary();
    let within_ms = super::measure::HEAL_WITHIN_MS;
    let show = |took_ms: Option<u64>| seconds(took_ms.map(|ms| ms as f64), within_ms);
    let mut row = vec![summary.samples.to_string(), show(summary.p50_ms), show(summary.max_ms)];
    row.extend(freeze.into_iter().flat_map(|freeze| {
        [
            freeze.worlds.to_string(),
            format!("{} of {}", grouped(freeze.dead_by_healthy), grouped(freeze.healthy)),
            format!("{} of {}", grouped(freeze.dead_by_thawed), grouped(freeze.healthy)),
            format!("{} of {}", grouped(freeze.frozen_dead), grouped(freeze.frozen)),
        ]
    }));
    row
}

impl Report {
    /// All measurements.
    pub fn tables(&self) -> Vec<Table> {
        vec![
            table(
                "Deaths: seconds until the first suspicion, until the first declares it dead, until all hold it dead",
                &[
                    "kills",
                    "suspect mean",
                    "p50",
                    "p99",
                    "first mean",
                    "p50",
                    "p99",
                    "all mean",
                    "p50",
                    "p99",
                    "never",
                ],
                self,
                false,
                |cell| cell.deaths.as_ref().map(|deaths| deaths_row(deaths, cell.cell.system.suspects())),
            ),
            table(
                "False deaths: healthy members declared dead",
                &["node-hours", "false deaths", "verdicts", "per node-hour", "95 % bound", "held dead"],
                self,
                false,
                |cell| cell.false_deaths.as_ref().map(false_row),
            ),
            table(
                "Traffic: payload handed to the network per node and second, and packets (bytes)",
                &["bytes/s", "with IP and UDP", "packets/s", "median packet", "largest packet"],
                self,
                true,
                |cell| cell.usage.as_ref().map(traffic_row),
            ),
            table(
                "Splits of 120 s: seconds until full views; freezes of 12 s: members declared dead",
                &[
                    "splits",
                    "heal p50",
                    "heal max",
                    "freezes",
                    "healthy dead by healthy",
                    "by thawed",
                    "frozen dead",
                ],
                self,
                false,
                |cell| cell.heal.as_ref().map(|heal| heal_row(heal, cell.freeze.as_ref())),
            ),
        ]
    }

    /// The product's goals, and how each system stands to them.
    pub fn goals_table(&self) -> Table {
        let systems: Vec<Kind> = self.plan.systems.clone();
        let heads: Vec<&'static str> =
            std::iter::once("goal").chain(systems.iter().flat_map(|system| [system.name(), ""])).collect();
        let mut table = Table::new("Goals of the product's detector", &heads);
        let goals: Vec<_> = systems.iter().map(|&system| self.goals(system)).collect();
        for nth in 0..goals.first().map_or(0, Vec::len) {
            let mut row = vec![goals[0][nth].text.clone()];
            for goal in goals.iter().map(|goals| &goals[nth]) {
                let shown = if goal.outcome == Outcome::NotMeasured { "-" } else { goal.outcome.word() };
                row.extend([goal.measured.clone(), shown.to_owned()]);
            }
            table.row(row);
        }
        table
    }
}
