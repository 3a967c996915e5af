//! A child process: every line it prints is kept, waited for, and shown if the test fails.

use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::CEILING;

/// Where a line was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// On stdout.
    Out,
    /// On stderr.
    Err,
}

#[derive(Default)]
struct Printed {
    lines: Vec<(Stream, String)>,
    streams_ended: usize,
}

type Log = Arc<(Mutex<Printed>, Condvar)>;

/// A running (or ended) child. Killed when dropped.
pub struct Child {
    name: String,
    process: std::process::Child,
    stdin: Option<ChildStdin>,
    log: Log,
}

impl Child {
    /// Starts `command` with all three streams piped.
    pub fn spawn(name: &str, command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = piped.spawn().unwrap_or_else(|e| panic!("{name}: cannot start {command:?}: {e}"));
        let log = Log::default();
        keep(process.stdout.take(), Stream::Out, &log);
        keep(process.stderr.take(), Stream::Err, &log);
        Self { name: name.into(), stdin: process.stdin.take(), process, log }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits for a line in which `wanted` finds something. Lines printed before count.
    pub fn line<T>(&self, what: &str, wanted: impl Fn(Stream, &str) -> Option<T>) -> T {
        let deadline = Instant::now() + CEILING;
        let (log, changed) = &*self.log;
        let mut printed = log.lock();
        loop {
            if let Some(found) = printed.lines.iter().find_map(|(stream, line)| wanted(*stream, line)) {
                return found;
            }
            let ended = printed.streams_ended == 2;
            if ended || changed.wait_until(&mut printed, deadline).timed_out() {
                let why = if ended { "the process ended".into() } else { format!("not within {CEILING:?}") };
                drop(printed);
                panic!("{}: {what}: {why}", self.name);
            }
        }
    }

    /// Waits for a line of either stream that contains `text`.
    pub fn says(&self, text: &str) -> String {
        self.line(text, |_, line| line.contains(text).then(|| line.to_owned()))
    }

    /// Everything printed so far on one stream.
    pub fn printed(&self, stream: Stream) -> String {
        let printed = self.log.0.lock();
        printed.lines.iter().filter(|l| l.0 == stream).map(|l| format!("{}\n", l.1)).collect()
    }

    /// Waits for the end of the process and of its output.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + CEILING;
        let (log, changed) = &*self.log;
        let mut printed = log.lock();
        while printed.streams_ended < 2 {
            let late = changed.wait_until(&mut printed, deadline).timed_out();
            assert!(!late, "{}: still running after {CEILING:?}", self.name);
        }
        drop(printed);
        self.process.wait().unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// Waits for the end and gives the exit code.
    ///
    /// # Panics
    /// If a signal killed it.
    pub fn exit_code(&mut self) -> i32 {
        let status = self.wait();
        status.code().unwrap_or_else(|| panic!("{}: {status}", self.name))
    }

    /// Sends a signal by name, such as `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.is_ok_and(|s| s.success()), "{}: cannot send {name}", self.name);
    }

    /// SIGKILL, as a power cut would.
    pub fn kill(&mut self) {
        // Dead already is as good.
        let _ = self.process.kill();
        self.wait();
    }

    /// Closes the pipe to its stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // A test that stopped the process must not leave it stopped; dead already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            for (stream, line) in &self.log.0.lock().lines {
                eprintln!("{} {stream:?}: {line}", self.name);
            }
        }
    }
}

fn keep(stream: Option<impl Read + Send + 'static>, kind: Stream, log: &Log) {
    let (stream, log) = (stream.expect("piped"), Arc::clone(log));
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            log.0.lock().lines.push((kind, line));
            log.1.notify_all();
        }
        log.0.lock().streams_ended += 1;
        log.1.notify_all();
    });
}
