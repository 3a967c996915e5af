//! Logs: level from `SESSIONMESH_LOG`, text or JSON, to stderr or a file. A sink that cannot be written to costs
//! its lines and nothing else.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::exit::Failure;

/// The variable that sets levels, such as `debug` or `info,sessionmesh::transport=trace`.
pub const LEVEL_VARIABLE: &str = "SESSIONMESH_LOG";
/// What is logged when the variable is not set.
const DEFAULT_LEVEL: &str = "info";

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
    let sink = match file {
        Some(path) => Sink::file(path)?,
        None => Sink::Stderr,
    };
    let colour = matches!(sink, Sink::Stderr) && io::IsTerminal::is_terminal(&io::stderr());
    let lines = tracing_subscriber::fmt().with_env_filter(levels()?).with_ansi(colour).with_writer(sink);
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| Failure::runtime(format!("logging: {e}")))
}

fn levels() -> Result<EnvFilter, Failure> {
    let text = match std::env::var(LEVEL_VARIABLE) {
        Ok(text) if !text.trim().is_empty() => text,
        _ => DEFAULT_LEVEL.to_owned(),
    };
    EnvFilter::try_new(&text).map_err(|e| Failure::usage(format!("{LEVEL_VARIABLE}={text:?}: {e}")))
}

/// Tells the person at the terminal, if there still is one: `eprintln!` would panic where nobody reads.
pub fn tell(message: &str) {
    let _ = writeln!(io::stderr(), "sessionmesh: {message}");
}

/// Where log lines go.
#[derive(Clone)]
enum Sink {
    Stderr,
    File(Arc<LogFile>),
}

struct LogFile {
    path: PathBuf,
    file: File,
    told: AtomicBool,
}

impl Sink {
    fn file(path: &Path) -> Result<Self, Failure> {
        let opened = OpenOptions::new().create(true).append(true).open(path);
        let file = opened
            .map_err(|e| Failure::usage(format!("--log-file {}: cannot be opened: {e}", path.display())))?;
        Ok(Self::File(Arc::new(LogFile { path: path.to_owned(), file, told: AtomicBool::new(false) })))
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Sink {
    /// Never fails: tracing-subscriber answers an error by printing to stderr in a way that panics if that
    /// cannot be written to either.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stderr => {
                let _ = io::stderr().write_all(line);
            }
            Self::File(log) => {
                if let Err(error) = (&log.file).write_all(line)
                    && !log.told.swap(true, Ordering::Relaxed)
                {
                    tell(&format!(
                        "--log-file {}: {error}; lines that do not fit are lost",
                        log.path.display()
                    ));
                }
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
