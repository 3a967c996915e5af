//! The terminal while the demo runs: a table redrawn in place, or a line per change where there is no terminal.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::survey::{Seen, Survey};

/// How often the table is redrawn (ms).
const REDRAW_MS: u64 = 1_000;
/// Longest reason shown (characters).
const REASON_CHARS: usize = 40;

/// The terminal. Messages and the table share it.
pub struct Screen {
    is_terminal: bool,
    /// Lines of the table that stands now, and the last summary where there is none.
    drawn: Mutex<(usize, String)>,
}

impl Screen {
    /// Looks whether there is a terminal.
    pub fn new() -> Self {
        Self { is_terminal: std::io::stdout().is_terminal(), drawn: Mutex::default() }
    }

    /// Prints a message above the table.
    pub fn say(&self, text: &str) {
        let mut drawn = self.drawn.lock();
        let up = std::mem::take(&mut drawn.0);
        print(&format!("{}{text}\n", erase(up)));
    }

    /// Shows the mesh until the sender is gone.
    pub async fn show(&self, mut survey: watch::Receiver<Survey>) {
        while survey.changed().await.is_ok() {
            let now = survey.borrow_and_update().clone();
            if self.is_terminal {
                self.redraw(&now);
                tokio::time::sleep(Duration::from_millis(REDRAW_MS)).await;
            } else {
                self.summarise(&now);
            }
        }
    }

    fn redraw(&self, survey: &Survey) {
        let mut drawn = self.drawn.lock();
        let lines = table(survey);
        // No wrapping: a wrapped line would be two, and the next redraw would climb one too few.
        print(&format!("{}\x1b[?7l{}\n\x1b[?7h", erase(drawn.0), lines.join("\n")));
        drawn.0 = lines.len();
    }

    fn summarise(&self, survey: &Survey) {
        let line = summary(survey);
        let mut drawn = self.drawn.lock();
        if drawn.1 != line {
            print(&format!("{line}\n"));
            drawn.1 = line;
        }
    }
}

/// A closed terminal is no reason to end: the page may still be open.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Goes up over what was drawn and clears to the end.
fn erase(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\x1b[{lines}A\x1b[J") }
}

fn table(survey: &Survey) -> Vec<String> {
    let head = format!(
        "{:<5}{:<25}{:<9}{:>9}{:>11}{:>14}  {}",
        "node", "url", "state", "sessions", "tombstones", "unreplicated", "sees"
    );
    let mut lines = vec![head];
    lines.extend(survey.nodes.iter().map(row));
    lines.push(match &survey.isolated {
        Some(node) => format!("node {node} is cut from the others"),
        None => "Ctrl-C ends the demo".into(),
    });
    lines
}

fn row(node: &Seen) -> String {
    let start = format!("{:<5}{:<25}{:<9}", node.name, node.url, node.state);
    if matches!(node.state.as_str(), "down" | "silent") {
        return start.trim_end().to_owned();
    }
    let reason: String = match node.state.as_str() {
        "ready" => String::new(),
        _ => node.reason.chars().filter(|c| !c.is_control()).take(REASON_CHARS).collect(),
    };
    let counts = format!("{:>9}{:>11}{:>14}", node.sessions, node.tombstones, node.unreplicated);
    format!("{start}{counts}  {:<6} {reason}", node.sees.join(" ")).trim_end().to_owned()
}

fn summary(survey: &Survey) -> String {
    let node = |n: &Seen| match n.sees.as_slice() {
        _ if n.state != "ready" => format!("{} {}", n.name, n.state),
        [] => format!("{} ready, sees nobody", n.name),
        sees => format!("{} ready, sees {}", n.name, sees.join(" ")),
    };
    let nodes: Vec<String> = survey.nodes.iter().map(node).collect();
    let cut = survey.isolated.as_ref().map(|n| format!("; {n} is cut off")).unwrap_or_default();
    format!("{}{cut}", nodes.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_per_node_and_shows_no_numbers_of_a_dead_one() {
        let ready = Seen {
            name: "a".into(),
            url: "http://127.0.0.1:20000/".into(),
            state: "ready".into(),
            sessions: 7,
            ..Seen::default()
        };
        let dead = Seen { name: "b".into(), state: "down".into(), ..Seen::default() };
        let survey = Survey { nodes: vec![ready, dead], isolated: None };
        let lines = table(&survey);
        assert_eq!(lines.len(), 4);
        assert!(lines[1].contains("ready") && lines[1].contains('7'), "{}", lines[1]);
        assert!(lines[2].ends_with("down"), "{}", lines[2]);
        assert_eq!(summary(&survey), "a ready, sees nobody; b down");
    }
}
