//! Logs: level from `SESSIONMESH_LOG`, text or JSON, to stderr or a file. A sink that cannot be written to, or that blocks,
//! costs its lines and nothing else: all three pipes of the process are written to by threads of their own.

use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use sessionmesh::Lines;
use tracing_subscriber::EnvFilter;

use crate::exit::Failure;

/// The variable that sets levels, such as `debug` or `info,sessionmesh::transport=trace`.
pub const LEVEL_VARIABLE: &str = "SESSIONMESH_LOG";
/// What is logged when the variable is not set.
const DEFAULT_LEVEL: &str = "info";
/// How long the end of the process waits for its last lines.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Where log lines go.
static LOG: OnceLock<Lines> = OnceLock::new();

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging for the whole process.
///
/// # Errors
/// A level nobody understands, or a file that cannot be opened.
pub fn init(format: LogFormat, file: Option<&Path>) -> Result<(), Failure> {
    let lines = match file {
        Some(path) => Lines::file(path)
            .map_err(|e| Failure::usage(format!("--log-file {}: cannot be opened: {e}", path.display())))?,
        None => Lines::stderr(),
    };
    let lines = match format {
        LogFormat::Text => lines,
        LogFormat::Json => lines.with_note(json_note),
    };
    let writer = LOG.get_or_init(|| lines).clone();
    let colour = file.is_none() && io::IsTerminal::is_terminal(&io::stderr());
    let writer = move || writer.clone();
    let lines = tracing_subscriber::fmt().with_env_filter(levels()?).with_ansi(colour).with_writer(writer);
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    // The default one writes to stderr itself, on the thread that panics: if nobody reads, that never ends.
    std::panic::set_hook(Box::new(|panic| tell(&format!("a task panicked: {panic}"))));
    started.map_err(|e| Failure::runtime(format!("logging: {e}")))
}

fn json_note(lost: u64) -> String {
    format!("{{\"level\":\"WARN\",\"message\":\"log lines were lost here\",\"lost\":{lost}}}")
}

fn levels() -> Result<EnvFilter, Failure> {
    let text = match std::env::var(LEVEL_VARIABLE) {
        Ok(text) if !text.trim().is_empty() => text,
        _ => DEFAULT_LEVEL.to_owned(),
    };
    EnvFilter::try_new(&text).map_err(|e| Failure::usage(format!("{LEVEL_VARIABLE}={text:?}: {e}")))
}

/// Tells the person at the terminal, if there still is one.
pub fn tell(message: &str) {
    // Never fails.
    let _ = Lines::stderr().write(format!("sessionmesh: {message}\n").as_bytes());
}

/// Opens the log file again under its name: it was moved away. Returns whether there is one.
pub fn reopen() -> bool {
    let log = LOG.get();
    log.iter().for_each(|lines| lines.reopen());
    log.is_some()
}

/// Log lines lost since the start.
pub fn lost() -> u64 {
    LOG.get().map_or(0, Lines::lost)
}

/// Waits a moment for the last lines of the process. A pipe that nobody reads is not waited for longer.
pub fn finish() {
    let deadline = Instant::now() + LAST_LINES;
    for lines in LOG.get().cloned().into_iter().chain([Lines::stderr(), Lines::stdout()]) {
        lines.flush_within(deadline.saturating_duration_since(Instant::now()));
    }
}
