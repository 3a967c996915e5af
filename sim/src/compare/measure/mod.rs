//! What is measured, one question a file. Each runs one world from its start and answers for it alone; answers of
//! worlds with other seeds add up.

mod deaths;
mod false_deaths;
mod freeze;
mod heal;
mod traffic;

pub use deaths::{Deaths, WITHIN_MS as DEATH_WITHIN_MS};
pub use false_deaths::FalseDeaths;
pub use freeze::Freeze;
pub use heal::{Heal, WITHIN_MS as HEAL_WITHIN_MS};
pub use traffic::Usage;

use serde::Serialize;

/// The questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// How soon is a death noticed?
    Deaths,
    /// How often is a healthy member declared dead?
    FalseDeaths,
    /// What does it send when nothing happens?
    Traffic,
    /// How soon do two halves know each other again?
    Heal,
    /// What do members do to others that freeze, and those to them?
    Freeze,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Deaths, Self::FalseDeaths, Self::Traffic, Self::Heal, Self::Freeze];

    /// Its name, for draws and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deaths => "deaths",
            Self::FalseDeaths => "false deaths",
            Self::Traffic => "traffic",
            Self::Heal => "heal",
            Self::Freeze => "freeze",
        }
    }
}
