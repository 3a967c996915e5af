//! What came of scenarios, for machines: one JSON object, or a JUnit file for a build server.

use std::fmt::Write;

use serde_json::{Value, json};
use sessionmesh_sim::invariant::Violation;
use sessionmesh_sim::run::{Outcome, mark_names};

/// A scenario that was run.
pub(super) struct Done {
    pub outcome: Outcome,
    pub took_ms: u128,
}

/// Everything as one JSON object. Two runs of the same scenarios give the same bytes.
pub(super) fn json(done: &[Done]) -> String {
    let passed = done.iter().filter(|d| d.outcome.passed()).count();
    let scenarios: Vec<Value> = done.iter().map(|d| one(&d.outcome)).collect();
    json!({ "passed": passed, "failed": done.len() - passed, "scenarios": scenarios }).to_string()
}

fn one(outcome: &Outcome) -> Value {
    let t = &outcome.totals;
    let violations: Vec<Value> = outcome.violations.iter().map(violation).collect();
    json!({
        "name": outcome.name,
        "seed": outcome.seed,
        "passed": outcome.passed(),
        "hash": outcome.hash,
        "converged_ms": outcome.converged_ms,
        "marks": mark_names(outcome.marks),
        "totals": {
            "ops": t.ops,
            "writes": t.writes,
            "acked": t.acked,
            "refused": t.refused,
            "faults": t.faults,
            "conflicts": t.conflicts,
            "links_closed": t.links_closed,
            "handled": t.handled,
            "virtual_ms": t.virtual_ms,
            "sent_bytes": t.sent_bytes,
        },
        "violations": violations,
    })
}

fn violation(v: &Violation) -> Value {
    json!({
        "invariant": v.invariant,
        "at_ms": v.at_ms,
        "node": v.node.map(|n| format!("n{n}")),
        "session": v.session,
        "text": v.text,
    })
}

/// A violation as a line for people.
pub(super) fn line(v: &Violation) -> String {
    let node = v.node.map_or(String::new(), |n| format!(" n{n}"));
    let session = v.session.map_or(String::new(), |s| format!(" session {s}"));
    format!("{} ms{node}{session}: {}: {}", v.at_ms, v.invariant, v.text)
}

/// Everything as a JUnit file.
pub(super) fn junit(done: &[Done]) -> String {
    let failed = done.iter().filter(|d| !d.outcome.passed()).count();
    let seconds = |ms: u128| ms as f64 / 1_000.0;
    let total: u128 = done.iter().map(|d| d.took_ms).sum();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string cannot fail.
    let _ = writeln!(
        xml,
        "<testsuite name=\"scenarios\" tests=\"{}\" failures=\"{failed}\" time=\"{:.3}\">",
        done.len(),
        seconds(total)
    );
    for Done { outcome, took_ms } in done {
        let name = escape(&outcome.name);
        let _ = write!(
            xml,
            "  <testcase classname=\"scenario\" name=\"{name}\" time=\"{:.3}\"",
            seconds(*took_ms)
        );
        let Some(first) = outcome.violations.first() else {
            xml += "/>\n";
            continue;
        };
        let all: String = outcome.violations.iter().map(|v| line(v) + "\n").collect();
        let _ = writeln!(
            xml,
            ">\n    <failure message=\"{}\">{}</failure>\n  </testcase>",
            escape(&first.invariant),
            escape(&all)
        );
    }
    xml + "</testsuite>\n"
}

/// Text that may stand in XML: characters it cannot hold at all become question marks.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_is_escaped() {
        assert_eq!(escape("a<b> & \"c\"\u{1}"), "a&lt;b&gt; &amp; &quot;c&quot;?");
    }
}
