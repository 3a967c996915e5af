//! When a session ends: the table of `docs/EMBEDDING.md`, asked of every front, for new sessions and in edits.
//!
//! Deadlines are read and never waited for. A cell names what a session that is asked for so looks like; `-` where a front
//! has no words for it. What is in the table and not asked here, or the other way round, fails.

mod agent;
mod kit;
mod layer;
mod plain;
mod stores;

use std::collections::BTreeMap;

use kit::{Case, cases};

/// The rows of the table by their first cell.
fn table() -> BTreeMap<String, [String; 4]> {
    let text = include_str!("../../../../docs/EMBEDDING.md");
    let rows = text.split_once("| asked for |").expect("the table").1.lines().skip(2);
    let row = |line: &str| {
        let cells: Vec<String> = line.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect();
        let [asked, rest @ ..] = &cells[..] else { panic!("{line}") };
        (asked.clone(), rest.to_vec().try_into().unwrap_or_else(|_| panic!("five cells: {line}")))
    };
    rows.take_while(|line| line.starts_with('|')).map(row).collect()
}

/// Holds what a front shows to the table's columns for it.
fn held_to_the_table(front: &str, columns: [usize; 2], mut shown: impl FnMut(&Case) -> [String; 2]) {
    let mut table = table();
    let mut wrong = Vec::new();
    for case in cases() {
        let row = table.remove(case.asked).unwrap_or_else(|| panic!("{} is not in the table", case.asked));
        let [new, edit] = shown(&case);
        for (what, shown, column) in [("new", new, columns[0]), ("edit", edit, columns[1])] {
            let told = &row[column];
            if shown != *told && !(shown == "-" && column < 2) {
                wrong.push(format!("{front}, {what}, {}: told {told:?}, shown {shown:?}", case.asked));
            }
        }
    }
    assert!(table.is_empty(), "never asked: {:?}", table.keys());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
