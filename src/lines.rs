//! Lines for a log, or a pipe, that may block: a bounded queue and a thread of their own, so that nobody who logs waits.
//!
//! A pipe nobody reads, a disk that hangs or a stopped log daemon would otherwise stand still the thread that logs; in a
//! node that is the one which answers its peers.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::limits::{MAX_QUEUED_LINE_BYTES, MAX_QUEUED_LINES};
use parking_lot::{Condvar, Mutex};

/// Bytes taken for one write.
const BATCH_BYTES: usize = 64 << 10;
/// A file is looked for under its name this often, to see whether it was moved away.
const LOOK: Duration = Duration::from_secs(1);

/// Where lines go without anybody waiting for it: for `with_writer` of tracing-subscriber, or anything that writes lines.
///
/// What finds no room is lost and counted, and the next line that fits is preceded by one that says how many were. Clones
/// write to the same place.
///
/// ```
/// let lines = sessionmesh::Lines::stderr();
/// tracing_subscriber::fmt().with_writer(move || lines.clone()).init();
/// ```
#[derive(Clone, Debug)]
pub struct Lines(Arc<Handle>);

#[derive(Debug)]
struct Handle(Arc<Queue>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.state.lock().over = true;
        self.0.news.notify_one();
    }
}

#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    /// Something is to be written, or to be done.
    news: Condvar,
    /// Everything is written.
    idle: Condvar,
    lost: AtomicU64,
}

struct State {
    lines: VecDeque<Box<[u8]>>,
    bytes: usize,
    /// Lost since that was told last.
    untold: u64,
    writing: bool,
    reopen: bool,
    over: bool,
    note: fn(u64) -> String,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("lines", &self.lines.len())
            .field("untold", &self.untold)
            .finish_non_exhaustive()
    }
}

/// What says in a log for people that lines were lost.
fn plain_note(lost: u64) -> String {
    format!("sessionmesh: {lost} lines were lost here: they could not be written as fast as they came")
}

impl Lines {
    /// The process's stderr. All of these are one.
    pub fn stderr() -> Self {
        static LINES: OnceLock<Lines> = OnceLock::new();
        LINES.get_or_init(|| Self::to(Sink::Stderr)).clone()
    }

    /// The process's stdout. All of these are one.
    pub fn stdout() -> Self {
        static LINES: OnceLock<Lines> = OnceLock::new();
        LINES.get_or_init(|| Self::to(Sink::Stdout)).clone()
    }

    /// A file, appended to. One that is moved away is opened anew under its name, within a second of the next line, or at
    /// [`Lines::reopen`]. A disk that is full or hangs costs lines, and is told once on stderr.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn file(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        Ok(Self::to(Sink::File(LogFile { path: path.to_owned(), file, looked: Instant::now(), told: false })))
    }

    /// How the loss of so many lines is said, instead of in plain English: for logs that programs read.
    #[must_use]
    pub fn with_note(self, note: fn(u64) -> String) -> Self {
        self.0.0.state.lock().note = note;
        self
    }

    /// Opens a file anew under its name, before the next line. Anything else has nothing to reopen.
    pub fn reopen(&self) {
        self.0.0.state.lock().reopen = true;
        self.0.0.news.notify_one();
    }

    /// Lines lost since the start.
    pub fn lost(&self) -> u64 {
        self.0.0.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything is written, at most `patience`. Returns whether it is.
    pub fn flush_within(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.0.0.state.lock();
        while !state.lines.is_empty() || state.writing {
            if self.0.0.idle.wait_until(&mut state, deadline).timed_out() {
                return state.lines.is_empty() && !state.writing;
            }
        }
        true
    }

    fn to(sink: Sink) -> Self {
        let queue = Arc::new(Queue::new());
        let theirs = Arc::clone(&queue);
        // Without a thread all lines are lost, and counted: a log is no reason to stop.
        let _ =
            std::thread::Builder::new().name("sessionmesh-log".into()).spawn(move || theirs.write_all(sink));
        Self(Arc::new(Handle(queue)))
    }
}

impl Write for Lines {
    /// Takes whole lines. Never waits and never fails: whoever logs could do nothing about it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.0.push(line);
        Ok(line.len())
    }

    /// Does nothing: see [`Lines::flush_within`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Queue {
    fn new() -> Self {
        let state = State {
            lines: VecDeque::new(),
            bytes: 0,
            untold: 0,
            writing: false,
            reopen: false,
            over: false,
            note: plain_note,
        };
        let (news, idle, lost) = (Condvar::new(), Condvar::new(), AtomicU64::new(0));
        Self { state: Mutex::new(state), news, idle, lost }
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.state.lock();
        if state.lines.len() >= MAX_QUEUED_LINES || state.bytes + line.len() > MAX_QUEUED_LINE_BYTES {
            state.untold += 1;
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if state.untold > 0 {
            let note = (state.note)(std::mem::take(&mut state.untold)) + "\n";
            state.put(note.as_bytes());
        }
        state.put(line);
        drop(state);
        self.news.notify_one();
    }

    /// The thread: writes until nobody is left who could give it a line.
    fn write_all(&self, mut sink: Sink) {
        loop {
            let (batch, reopen) = {
                let mut state = self.state.lock();
                state.writing = false;
                while state.lines.is_empty() && !state.reopen {
                    self.idle.notify_all();
                    if state.over {
                        return;
                    }
                    self.news.wait(&mut state);
                }
                state.writing = true;
                (state.batch(), std::mem::take(&mut state.reopen))
            };
            // Outside the lock: this is what may block.
            sink.write(&batch, reopen);
        }
    }
}

impl State {
    fn put(&mut self, line: &[u8]) {
        self.bytes += line.len();
        self.lines.push_back(line.into());
    }

    fn batch(&mut self) -> Vec<u8> {
        let mut batch = Vec::new();
        while batch.len() < BATCH_BYTES
            && let Some(line) = self.lines.pop_front()
        {
            self.bytes -= line.len();
            batch.extend_from_slice(&line);
        }
        batch
    }
}

enum Sink {
    Stderr,
    Stdout,
    File(LogFile),
}

struct LogFile {
    path: PathBuf,
    file: File,
    looked: Instant,
    /// That it cannot be written to was told.
    told: bool,
}

impl Sink {
    fn write(&mut self, bytes: &[u8], reopen: bool) {
        match self {
            // Nobody may be there to read it: that costs the lines.
            Self::Stderr => drop(io::stderr().write_all(bytes)),
            Self::Stdout => {
                let mut out = io::stdout().lock();
                let _ = out.write_all(bytes).and_then(|()| out.flush());
            }
            Self::File(log) => log.write(bytes, reopen),
        }
    }
}

impl LogFile {
    fn write(&mut self, bytes: &[u8], reopen: bool) {
        if reopen || self.was_moved() {
            match open(&self.path) {
                Ok(file) => (self.file, self.told) = (file, false),
                Err(error) => {
                    self.tell(&format!("cannot be opened again: {error}; the old one is written on"))
                }
            }
        }
        if let Err(error) = self.file.write_all(bytes) {
            self.tell(&format!("{error}; lines that do not fit are lost"));
        }
    }

    fn tell(&mut self, what: &str) {
        if !std::mem::replace(&mut self.told, true) {
            let line = format!("sessionmesh: log file {}: {what}\n", self.path.display());
            Lines::stderr().0.0.push(line.as_bytes());
        }
    }

    /// Whether another file, or none, has its name.
    fn was_moved(&mut self) -> bool {
        if self.looked.elapsed() < LOOK {
            return false;
        }
        self.looked = Instant::now();
        let (held, named) = (self.file.metadata(), std::fs::metadata(&self.path));
        held.is_ok_and(|held| named.map_or(true, |named| !is_same(&held, &named)))
    }
}

#[cfg(unix)]
fn is_same(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Elsewhere a file that is open cannot be moved away.
#[cfg(not(unix))]
fn is_same(_: &std::fs::Metadata, _: &std::fs::Metadata) -> bool {
    true
}

/// A new file is for its owner and group: names of members and what users do are not for everybody on the host. One that
/// is there keeps its mode, which is its owner's decision.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted_and_told_before_the_next_line() {
        // No thread empties this one: as if the pipe were blocked.
        let queue = Queue::new();
        for n in 0..MAX_QUEUED_LINES + 3 {
            queue.push(format!("{n}\n").as_bytes());
        }
        assert_eq!(queue.lost.load(Ordering::Relaxed), 3);
        while !queue.state.lock().batch().is_empty() {}
        queue.push(b"next\n");
        let told = String::from_utf8(queue.state.lock().batch()).unwrap();
        assert_eq!(told, format!("{}\nnext\n", plain_note(3)));
        queue.push(&vec![b'x'; MAX_QUEUED_LINE_BYTES + 1]);
        assert_eq!(queue.lost.load(Ordering::Relaxed), 4, "bounded in bytes as well");
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_not_for_everybody_and_one_that_is_there_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let dir = std::env::temp_dir().join(format!("sessionmesh-modes-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (new, old) = (dir.join("new"), dir.join("old"));
        std::fs::write(&old, "").unwrap();
        std::fs::set_permissions(&old, PermissionsExt::from_mode(0o604)).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let lines = Lines::file(&new).unwrap();
        Lines::file(&old).unwrap();
        assert_eq!((mode(&new) & 0o137, mode(&old)), (0, 0o604), "{:o}", mode(&new));
        // What is made after a rotation is alike.
        std::fs::rename(&new, dir.join("new.1")).unwrap();
        lines.reopen();
        lines.clone().write_all(b"one\n").unwrap();
        assert!(lines.flush_within(Duration::from_secs(60)));
        assert_eq!(mode(&new) & 0o137, 0, "{:o}", mode(&new));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_again_when_told_so() {
        let dir = std::env::temp_dir().join(format!("sessionmesh-lines-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (path, moved) = (dir.join("log"), dir.join("log.1"));
        let mut lines = Lines::file(&path).unwrap();
        lines.write_all(b"one\n").unwrap();
        assert!(lines.flush_within(Duration::from_secs(60)));
        std::fs::rename(&path, &moved).unwrap();
        lines.reopen();
        lines.write_all(b"two\n").unwrap();
        assert!(lines.flush_within(Duration::from_secs(60)));
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert_eq!((read(&moved), read(&path)), ("one\n".into(), "two\n".into()));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
