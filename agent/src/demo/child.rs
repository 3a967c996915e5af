//! One node's process, as its parent holds it: started, watched, killed or asked to leave, its last words kept.

use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::sync::{Notify, watch};

use super::node::Started;

/// A node that has not said "started" by then will not (s).
const START_PATIENCE_S: u64 = 20;
/// Log lines kept of a node: enough to see why it ended.
const LOG_LINES: usize = 60;
/// Longest log line kept (characters).
const LOG_LINE_CHARS: usize = 400;

/// The last lines a node logged.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    fn add(&self, line: &str) {
        let mut lines = self.0.lock();
        if lines.len() == LOG_LINES {
            lines.pop_front();
        }
        lines.push_back(line.chars().take(LOG_LINE_CHARS).collect());
    }

    /// The last `most` lines, oldest first.
    pub fn tail(&self, most: usize) -> Vec<String> {
        let lines = self.0.lock();
        lines.iter().skip(lines.len().saturating_sub(most)).cloned().collect()
    }

    async fn fill(self, from: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(from).split(b'\n');
        // An unreadable pipe is a process that has ended.
        while let Ok(Some(line)) = lines.next_segment().await {
            self.add(String::from_utf8_lossy(&line).trim_end());
        }
    }
}

/// A running or ended process.
pub struct Child {
    pid: Option<u32>,
    kill: Arc<Notify>,
    ended: watch::Receiver<Option<ExitStatus>>,
    /// Held, not used: the process ends when this end of the pipe closes.
    _stdin: Option<ChildStdin>,
}

impl Child {
    /// Starts a process and waits for its "started" line. Its log goes to `log`.
    pub async fn start(mut command: Command, log: Log) -> Result<Self, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // A Ctrl-C in the terminal is for the parent, which stops its nodes itself and in order.
        command.process_group(0);
        let mut process = command.spawn().map_err(|e| format!("cannot start a node: {e}"))?;
        let (stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else { return Err("no pipes".into()) };
        tokio::spawn(log.fill(stderr));
        let pid = process.id();
        let kill = Arc::new(Notify::new());
        let (tell, ended) = watch::channel(None);
        let killed = Arc::clone(&kill);
        tokio::spawn(async move {
            let status = tokio::select! {
                status = process.wait() => status,
                () = killed.notified() => {
                    // An error means it has ended already.
                    let _ = process.start_kill();
                    process.wait().await
                }
            };
            tell.send_replace(Some(status.unwrap_or_default()));
        });
        let line = BufReader::new(stdout).lines();
        let started = tokio::time::timeout(Duration::from_secs(START_PATIENCE_S), first(line)).await;
        let started = started.map_err(|_| format!("no word from it within {START_PATIENCE_S} s")).flatten();
        match started {
            Ok(_) => Ok(Self { pid, kill, ended, _stdin: stdin }),
            Err(why) => {
                kill.notify_one();
                Err(why)
            }
        }
    }

    /// SIGKILL, and waits for the end.
    pub async fn kill(&self) {
        self.kill.notify_one();
        self.ended().await;
    }

    /// SIGTERM: the node leaves in good order. SIGKILL after `patience`. Whether it ended by itself.
    pub async fn leave(&self, patience: Duration) -> bool {
        if let Some(pid) = self.pid.and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()))
            && self.status().is_none()
        {
            // An error means it has ended already.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let left = tokio::time::timeout(patience, self.ended()).await.is_ok();
        if !left {
            self.kill().await;
        }
        left
    }

    /// How it ended, if it has.
    pub fn status(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    async fn ended(&self) {
        // An error means the watching task is gone, and with it the process.
        let _ = self.ended.clone().wait_for(Option::is_some).await;
    }
}

async fn first(mut lines: tokio::io::Lines<impl AsyncBufReadExt + Unpin>) -> Result<Started, String> {
    let line = lines.next_line().await.map_err(|e| format!("its standard output: {e}"))?;
    let line = line.ok_or("it ended before it had started")?;
    serde_json::from_str(&line).map_err(|e| format!("its first line: {e}"))
}
