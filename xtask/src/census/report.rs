//! How figures are printed: as a table, beside earlier ones, as JSON, and their places.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::figure::Figure;

/// A line for each figure.
pub fn table(figures: &[Figure]) -> String {
    let width = width(figures);
    let mut out = String::new();
    for figure in figures {
        let _ = writeln!(out, "{:>6}  {:width$}  {}", figure.count, figure.name, figure.about);
    }
    out
}

/// The places of figures, a line each: what an editor jumps to, and what is there.
pub fn places(figures: &[&Figure]) -> String {
    let mut out = String::new();
    for figure in figures {
        let _ = writeln!(out, "{}: {} ({})", figure.name, figure.count, figure.about.trim());
        for place in &figure.places {
            let line = if place.line > 0 { format!(":{}", place.line) } else { String::new() };
            let _ = writeln!(out, "  {}{line}: {}", place.file, place.what);
        }
    }
    out
}

/// The figures by name.
///
/// # Errors
/// None that can happen: text and numbers are JSON.
pub fn json(figures: &[Figure]) -> Result<String> {
    let all: Map<String, Value> =
        figures.iter().map(|figure| (figure.name.clone(), Value::from(figure.count))).collect();
    Ok(serde_json::to_string_pretty(&all)?)
}

/// The figures beside earlier ones; what has changed is marked.
///
/// # Errors
/// If the earlier ones are not what [`json`] wrote.
pub fn compared(figures: &[Figure], earlier: &str) -> Result<String> {
    let mut earlier: BTreeMap<String, usize> =
        serde_json::from_str(earlier).context("not what `census --json` prints")?;
    let width = width(figures);
    let mut out = format!("{:>6} {:>6} {:>6}\n", "before", "now", "");
    for figure in figures {
        let before = earlier.remove(&figure.name);
        let told = before.map_or_else(|| "-".to_owned(), |before| before.to_string());
        let change = match before {
            Some(before) if before == figure.count => String::new(),
            Some(before) => format!("{:+}", figure.count as i64 - before as i64),
            None => "new".into(),
        };
        let _ = writeln!(
            out,
            "{told:>6} {:>6} {change:>6}  {:width$}  {}",
            figure.count, figure.name, figure.about
        );
    }
    for (name, before) in earlier {
        let _ = writeln!(out, "{before:>6} {:>6} {:>6}  {name}", "-", "gone");
    }
    Ok(out)
}

fn width(figures: &[Figure]) -> usize {
    figures.iter().map(|figure| figure.name.len()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::census::figure::Place;

    fn figure(name: &str, count: usize) -> Figure {
        let place = |n: usize| Place { file: "x.rs".into(), line: n, what: "it".into() };
        Figure::of(name, "things", (0..count).rev().map(place).collect())
    }

    #[test]
    fn figures_are_compared_with_what_was_written_before() {
        let before = json(&[figure("same", 2), figure("less", 3), figure("gone", 1)]).unwrap();
        let now = [figure("same", 2), figure("less", 1), figure("fresh", 4)];
        let text = compared(&now, &before).unwrap();
        let lines: Vec<String> =
            text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines, ["2 2 same things", "3 1 -2 less things", "- 4 new fresh things", "1 - gone gone"]);
        assert!(compared(&now, "{\"same\": \"x\"}").is_err());
    }

    #[test]
    fn places_stand_in_order_as_file_and_line() {
        let figure = figure("few", 2);
        assert_eq!(places(&[&figure]), "few: 2 (things)\n  x.rs: it\n  x.rs:1: it\n");
        assert_eq!(table(&[figure]), "     2  few  things\n");
    }
}
