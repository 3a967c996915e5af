//! Scenario files: TOML in, TOML out. What is refused is refused with file, line and what was probably meant.

use std::fmt;
use std::path::Path;

use super::Scenario;
use super::check::check;
use super::place::{line_of, line_of_key};
use super::step::Action;

/// A scenario file larger than this is refused (bytes): ten thousand steps fit.
const MOST_BYTES: u64 = 8 << 20;

/// Why a scenario was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file.
    pub file: String,
    /// The line, counted from 1; 0 if the whole file is meant.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What was probably meant.
    pub meant: Option<String>,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what)?,
            line => write!(f, "{}:{line}: {}", self.file, self.what)?,
        }
        match &self.meant {
            Some(meant) => write!(f, "; did you mean {meant:?}?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for FileError {}

/// Reads a scenario file.
///
/// # Errors
/// [`FileError`] naming file, line and cause.
pub fn read(path: &Path) -> Result<Scenario, FileError> {
    let file = path.display().to_string();
    let fail = |what: String| FileError { file: file.clone(), line: 0, what, meant: None };
    let size = std::fs::metadata(path).map_err(|e| fail(e.to_string()))?.len();
    if size > MOST_BYTES {
        return Err(fail(format!("{size} bytes: a scenario has at most {MOST_BYTES}")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
    let mut scenario = parse(&file, &text)?;
    if scenario.name.is_empty() {
        scenario.name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    }
    Ok(scenario)
}

/// Reads a scenario from text; `file` is what errors call it.
///
/// # Errors
/// [`FileError`] naming file, line and cause.
pub fn parse(file: &str, text: &str) -> Result<Scenario, FileError> {
    let scenario: Scenario = toml::from_str(text).map_err(|error| of_toml(file, text, &error))?;
    check(&scenario).map_err(|complaint| FileError {
        file: file.into(),
        line: complaint.line_in(text),
        what: complaint.what,
        meant: complaint.meant,
    })?;
    Ok(scenario)
}

/// A scenario as a file that reads back as the same.
pub fn to_toml(scenario: &Scenario) -> String {
    // Every part of a scenario has a form in TOML; `every_scenario_reads_back` holds it to that.
    toml::to_string(scenario).unwrap_or_else(|error| format!("# cannot be written: {error}\n"))
}

fn of_toml(file: &str, text: &str, error: &toml::de::Error) -> FileError {
    let what = error.message().to_owned();
    let span = error.span().unwrap_or(0..text.len());
    let mut line = line_of(text, span.start);
    let mut meant = None;
    if what.starts_with("unknown field") || what.starts_with("unknown variant") {
        let culprit = quoted(&what).next().unwrap_or_default();
        // Some errors point at the table that holds the key.
        line = line_of_key(text, culprit, &span).unwrap_or(line);
        meant = nearest(culprit, quoted(&what).skip(1));
    }
    if what.starts_with("two actions") {
        line = quoted(&what).filter_map(|key| line_of_key(text, key, &span)).max().unwrap_or(line);
    }
    FileError { file: file.into(), line, what, meant }
}

/// The words in back quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The candidate a misspelt word is nearest to, if near at all.
pub(super) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let scored = candidates.map(|c| (strsim::jaro_winkler(word, c), c));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.75).then(|| best.1.to_owned())
}

impl Action {
    /// Its name in a file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cut { .. } => "cut",
            Self::Mend { .. } => "mend",
            Self::Heal {} => "heal",
            Self::Flap { .. } => "flap",
            Self::Network { .. } => "network",
            Self::Crash { .. } => "crash",
            Self::Start { .. } => "start",
            Self::Leave { .. } => "leave",
            Self::Forget { .. } => "forget",
            Self::Freeze { .. } => "freeze",
            Self::Suspend { .. } => "suspend",
            Self::Slow { .. } => "slow",
            Self::Clock { .. } => "clock",
            Self::Impersonate { .. } => "impersonate",
            Self::Wire { .. } => "wire",
            Self::Tamper { .. } => "tamper",
            Self::Create { .. } => "create",
            Self::Set { .. } => "set",
            Self::Touch { .. } => "touch",
            Self::Ttl { .. } => "ttl",
            Self::Destroy { .. } => "destroy",
            Self::Login { .. } => "login",
            Self::Revoke { .. } => "revoke",
            Self::Read { .. } => "read",
            Self::Load { .. } => "load",
            Self::Save { .. } => "save",
            Self::Look { .. } => "look",
        }
    }
}
