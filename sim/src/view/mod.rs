//! The viewer: a trace, of a simulated run or of a real node, as one self-contained HTML page.
//!
//! [`render`] reads the trace line by line ([`simtrace`] or [`nodelog`], the first line decides), checks what the
//! page will rely on, and embeds a compact form of it ([`data`]) between hand-written HTML, CSS and JavaScript. The
//! page asks nothing of a network, of a server or of a build step.

mod data;
mod nodelog;
mod page;
mod simtrace;

use std::io::BufRead;

/// Lines a trace may have.
const MAX_LINES: u64 = 2_000_000;
/// Bytes a trace may have.
const MAX_BYTES: u64 = 512 << 20;
/// Lanes a page may have: nodes of a run, or peer lives a node has met, itself included.
const MAX_LANES: usize = 1024;

/// Why a trace could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The trace could not be read at all.
    #[error("the trace cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// There is no first line.
    #[error("the trace is empty")]
    Empty,
    /// A line is not what the format says.
    #[error("line {line}: {cause}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        cause: String,
    },
    /// The trace has more lines than a page can hold.
    #[error("the trace has more than {MAX_LINES} lines; cut it down to the time of interest")]
    TooManyLines,
    /// The trace is larger than a page can hold.
    #[error("the trace is larger than {} MB; cut it down to the time of interest", MAX_BYTES >> 20)]
    TooLarge,
}

/// Either format's reader.
enum Reader {
    Sim(simtrace::SimTrace),
    Node(nodelog::NodeLog),
}

/// The page that shows `trace`.
pub fn render(trace: impl BufRead) -> Result<String, ViewError> {
    render_within(trace, MAX_LINES, MAX_BYTES)
}

fn render_within(trace: impl BufRead, max_lines: u64, max_bytes: u64) -> Result<String, ViewError> {
    let mut trace = trace.take(max_bytes.saturating_add(1));
    let (mut bytes, mut line, mut buf) = (0_u64, 0_u64, Vec::new());
    let mut reader: Option<Reader> = None;
    loop {
        buf.clear();
        let read = trace.read_until(b'\n', &mut buf)?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        line += 1;
        if bytes > max_bytes {
            return Err(ViewError::TooLarge);
        }
        if line > max_lines {
            return Err(ViewError::TooManyLines);
        }
        let whole = buf.ends_with(b"\n");
        take(&mut reader, &buf, line, whole).map_err(|cause| ViewError::Line { line, cause })?;
    }
    match reader {
        None => Err(ViewError::Empty),
        Some(Reader::Sim(run)) => Ok(page::assemble(run.data)),
        Some(Reader::Node(log)) => Ok(page::assemble(log.data)),
    }
}

/// Feeds one line to the reader, which the first line picks.
fn take(reader: &mut Option<Reader>, bytes: &[u8], line: u64, whole: bool) -> Result<(), String> {
    let Some(reader) = reader else {
        *reader = Some(first(text(bytes)?)?);
        return Ok(());
    };
    let data = match reader {
        Reader::Sim(run) => &mut run.data,
        Reader::Node(log) => &mut log.data,
    };
    // A process that was killed leaves half a line: say so in the page, and show the rest.
    if !whole && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_err_and(|e| e.is_eof()) {
        data.truncated = true;
        return Ok(());
    }
    let text = text(bytes)?;
    if text.is_empty() {
        return Ok(());
    }
    match reader {
        Reader::Sim(run) => run.line(text, line),
        Reader::Node(log) => log.line(text, line),
    }
}

fn first(text: &str) -> Result<Reader, String> {
    #[derive(serde::Deserialize)]
    struct Version {
        simtrace: Option<u64>,
        trace: Option<u64>,
    }
    let version: Version = serde_json::from_str(text).map_err(|e| plain(&e))?;
    match (version.simtrace, version.trace) {
        (Some(1), _) => simtrace::SimTrace::new(text).map(Reader::Sim),
        (None, Some(1)) => nodelog::NodeLog::new(text).map(Reader::Node),
        (Some(v), _) | (None, Some(v)) => {
            Err(format!("version {v} of the format; this viewer reads version 1"))
        }
        (None, None) => Err("neither a simulated run (`simtrace`) nor a node's log (`trace`)".into()),
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map(str::trim).map_err(|_| "not UTF-8".into())
}

/// An error of the JSON reader, in the trace's own terms: its line is always 1 there.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((cause, _)) if error.column() > 0 => format!("{cause} (column {})", error.column()),
        Some((cause, _)) => cause.to_string(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "{\"simtrace\":1,\"name\":\"a\",\"seed\":1,\"nodes\":[\"n0\"],\"epoch_ms\":0,\"partitions\":1}\n";

    #[test]
    fn a_trace_beyond_the_bounds_is_refused() {
        let phase = "{\"t\":1,\"k\":\"phase\",\"as\":\"x\"}\n";
        let trace = format!("{HEAD}{phase}{phase}");
        assert!(render_within(trace.as_bytes(), 3, 1 << 20).is_ok());
        assert!(matches!(render_within(trace.as_bytes(), 2, 1 << 20), Err(ViewError::TooManyLines)));
        assert!(matches!(render_within(trace.as_bytes(), 3, 100), Err(ViewError::TooLarge)));
        let exact = trace.len() as u64;
        assert!(render_within(trace.as_bytes(), 3, exact).is_ok());
        assert!(matches!(render_within(trace.as_bytes(), 3, exact - 1), Err(ViewError::TooLarge)));
        assert!(matches!(render_within(&b""[..], 3, 100), Err(ViewError::Empty)));
    }
}
