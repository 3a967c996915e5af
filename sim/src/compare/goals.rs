//! The goals set for the product's detector, held against every system that was measured.

use super::report::{CellReport, Report};
use super::system::Kind;

/// Hours without a false death that are worth something, the members' together.
const NODE_HOURS: f64 = 1_000.0;

/// How a goal came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Reached.
    Met,
    /// Not reached.
    Missed,
    /// Nothing speaks against it yet, but too little was measured.
    Open,
    /// The cells it is about were not run.
    NotMeasured,
}

impl Outcome {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::Open => "open",
            Self::NotMeasured => "not measured",
        }
    }

    fn when(met: bool) -> Self {
        if met { Self::Met } else { Self::Missed }
    }
}

/// One goal, of one system.
#[derive(Clone, Debug)]
pub struct Goal {
    /// What is asked.
    pub text: String,
    /// What was measured.
    pub measured: String,
    /// How it came out.
    pub outcome: Outcome,
}

impl Goal {
    fn new(text: impl Into<String>, measured: impl Into<String>, outcome: Outcome) -> Self {
        Self { text: text.into(), measured: measured.into(), outcome }
    }
}

/// The worst of some times in seconds, against a limit: `None` among them is worse than any.
fn times(text: &str, limit_s: f64, took_ms: &[Option<f64>]) -> Goal {
    if took_ms.is_empty() {
        return Goal::new(text, "", Outcome::NotMeasured);
    }
    let worst = took_ms.iter().try_fold(0.0_f64, |worst, took| took.map(|took| worst.max(took)));
    let shown = worst.map_or("never".to_owned(), |worst| format!("{:.2} s", worst / 1_000.0));
    Goal::new(text, shown, Outcome::when(worst.is_some_and(|worst| worst <= 1_000.0 * limit_s)))
}

impl Report {
    /// All goals, of one system.
    pub fn goals(&self, system: Kind) -> Vec<Goal> {
        let mut goals = self.goals_of_deaths(system);
        goals.extend([5, 10, 20].map(|loss| self.goal_of_none_false(system, loss)));
        goals.push(self.goal_of_few_false(system));
        goals.push(self.goal_of_freeze(system));
        let heals = self.cells_at(system, Some(64), 0).filter_map(|report| report.heal.as_ref());
        let heals: Vec<_> = heals.map(|heal| heal.full.summary().max_ms.map(|ms| ms as f64)).collect();
        goals.push(times("full view <= 2 s after a 120 s split, N = 64", 2.0, &heals));
        goals.extend(self.goals_of_traffic(system));
        goals
    }

    fn cells_at(
        &self,
        system: Kind,
        members: Option<usize>,
        loss_percent: u64,
    ) -> impl Iterator<Item = &CellReport> {
        self.of(system).filter(move |report| {
            report.cell.loss_percent == loss_percent && members.is_none_or(|n| n == report.cell.members)
        })
    }

    fn goals_of_deaths(&self, system: Kind) -> Vec<Goal> {
        let deaths = |members, loss| {
            self.cells_at(system, members, loss)
                .filter_map(|report| report.deaths.as_ref())
                .collect::<Vec<_>>()
        };
        let suspect = |pick: fn(&crate::compare::stats::Summary) -> Option<f64>| {
            let any = deaths(None, 0).into_iter().filter(|_| system.suspects());
            any.map(|deaths| pick(&deaths.suspect.summary())).collect::<Vec<_>>()
        };
        let all = |loss| {
            let all = deaths(Some(128), loss).into_iter();
            all.map(|deaths| deaths.all.summary().p99_ms.map(|ms| ms as f64)).collect::<Vec<_>>()
        };
        vec![
            times("first suspicion <= 0.8 s in the mean", 0.8, &suspect(|s| s.mean_ms)),
            times("first suspicion <= 2 s, p99", 2.0, &suspect(|s| s.p99_ms.map(|ms| ms as f64))),
            times("dead at all <= 4 s, p99, N = 128", 4.0, &all(0)),
            times("dead at all <= 6 s, p99, N = 128, 20 % loss", 6.0, &all(20)),
        ]
    }

    fn goal_of_none_false(&self, system: Kind, loss_percent: u64) -> Goal {
        let text = format!("no false death in 1,000 node-hours, {loss_percent} % loss, each N");
        let cells: Vec<_> =
            self.cells_at(system, None, loss_percent).filter_map(|report| report.false_deaths).collect();
        let Some(least) = cells.iter().map(|deaths| deaths.node_hours).min_by(f64::total_cmp) else {
            return Goal::new(text, "", Outcome::NotMeasured);
        };
        let events: u64 = cells.iter().map(|deaths| deaths.episodes).sum();
        let hours: f64 = cells.iter().map(|deaths| deaths.node_hours).sum();
        let outcome = match events {
            0 if least < 0.999 * NODE_HOURS => Outcome::Open,
            events => Outcome::when(events == 0),
        };
        Goal::new(text, format!("{events} in {hours:.0} h"), outcome)
    }

    fn goal_of_few_false(&self, system: Kind) -> Goal {
        let text = "<= 0.01 false deaths per node-hour, 30 % loss, each N";
        let cells = self.cells_at(system, None, 30).filter_map(|report| report.false_deaths);
        let worst = cells.max_by(|a, b| a.rate().total_cmp(&b.rate()));
        worst.map_or(Goal::new(text, "", Outcome::NotMeasured), |worst| {
            let outcome = match worst.rate() <= 0.01 {
                true if worst.node_hours < 0.999 * NODE_HOURS => Outcome::Open,
                met => Outcome::when(met),
            };
            Goal::new(text, format!("{:.3}", worst.rate()), outcome)
        })
    }

    fn goal_of_freeze(&self, system: Kind) -> Goal {
        let text = "0 healthy declared dead when 4 of 64 freeze for 12 s";
        let cell = self.cells_at(system, Some(64), 0).find_map(|report| report.freeze);
        cell.map_or(Goal::new(text, "", Outcome::NotMeasured), |freeze| {
            let dead = freeze.dead_by_healthy.max(freeze.dead_by_thawed);
            let shown = format!("{dead} of {}", freeze.healthy);
            Goal::new(text, shown, Outcome::when(dead == 0))
        })
    }

    fn goals_of_traffic(&self, system: Kind) -> [Goal; 2] {
        let idle = self.cells_at(system, None, 0).filter(|report| report.cell.members >= 16);
        let bytes = idle.filter_map(|report| Some((report.usage.as_ref()?.bytes(), report.cell.members)));
        let text = "<= 150 bytes per node and second, N = 16 to 1,024";
        let bytes = bytes.max_by(|a, b| a.0.total_cmp(&b.0));
        let bytes = bytes.map_or(Goal::new(text, "", Outcome::NotMeasured), |(worst, members)| {
            Goal::new(text, format!("{worst:.0} at N = {members}"), Outcome::when(worst <= 150.0))
        });
        let text = "packets <= 1,200 bytes, any N and loss";
        let largest =
            self.of(system).filter_map(|report| Some(report.usage.as_ref()?.traffic.largest_bytes()));
        let largest = largest.max().map_or(Goal::new(text, "", Outcome::NotMeasured), |largest| {
            Goal::new(text, format!("{largest}"), Outcome::when(largest <= 1_200))
        });
        [bytes, largest]
    }
}
