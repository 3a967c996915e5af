//! Style a machine can check: purity of the core, floors, docs, dead files, sizes. See `docs/ARCHITECTURE.md`.

mod documents;
mod references;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

fn sources(dir: &str) -> Vec<(PathBuf, String)> {
    let mut out = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && path.file_name().is_some_and(|n| n != "target") {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap_or_default();
                out.push((path, text));
            }
        }
    }
    assert!(!out.is_empty(), "{dir} has no sources");
    out
}

fn all() -> Vec<(PathBuf, String)> {
    ["src", "core", "agent", "sim", "xtask", "tests", "benches", "examples"]
        .iter()
        .flat_map(|dir| sources(dir))
        .collect()
}

/// Code without line comments and doc comments, and without unit tests, which may use what they like.
fn code(text: &str) -> String {
    let body = text.split("#[cfg(test)]").next().unwrap_or_default();
    body.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_file_says_what_it_is() {
    for (path, text) in all() {
        assert!(text.starts_with("//!"), "{}: must open with //!", path.display());
    }
}

#[test]
fn the_core_is_pure() {
    const FORBIDDEN: [(&str, &str); 13] = [
        ("Instant", "the clock"),
        ("SystemTime", "the clock"),
        ("SysRng", "entropy"),
        ("rand::rng()", "entropy"),
        ("ThreadRng", "entropy"),
        ("HashMap", "a map whose order could leak"),
        ("HashSet", "a map whose order could leak"),
        ("RandomState", "entropy"),
        ("std::net", "sockets"),
        ("std::thread", "threads"),
        ("std::fs", "files"),
        ("std::env", "the environment"),
        ("tokio", "the runtime"),
    ];
    for (path, text) in sources("core/src") {
        for (word, what) in FORBIDDEN {
            assert!(
                !code(&text).contains(word),
                "{}: the core must not touch {what} ({word})",
                path.display()
            );
        }
    }
}

#[test]
fn lower_floors_never_import_upper_ones() {
    const FLOORS: [(&str, &[&str]); 5] = [
        ("core/src/causality", &["session", "replica", "wire", "node"]),
        ("core/src/session", &["replica", "wire", "node"]),
        ("core/src/replica", &["wire", "node"]),
        ("core/src/wire", &["membership", "node"]),
        ("core/src/membership", &["session", "replica", "wire", "node"]),
    ];
    const UPPER: [(&str, &[&str]); 3] = [
        ("src/transport", &["driver", "discovery", "mesh", "web", "dashboard"]),
        ("src/discovery", &["driver", "transport", "mesh", "web", "dashboard"]),
        ("src/driver", &["mesh", "web", "dashboard"]),
    ];
    for (floor, above) in FLOORS {
        for (path, text) in sources(floor) {
            for upper in above {
                assert!(
                    !code(&text).contains(&format!("crate::{upper}::")),
                    "{} imports {upper}",
                    path.display()
                );
            }
        }
    }
    for (floor, above) in UPPER {
        for (path, text) in sources(floor) {
            for upper in above {
                assert!(
                    !code(&text).contains(&format!("crate::{upper}")),
                    "{} imports {upper}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn nothing_is_left_to_do_and_no_file_is_dead() {
    let marks = ["TO", "FIX", "XX"].map(|m| {
        format!(
            "{m}{}",
            if m == "TO" {
                "DO"
            } else if m == "FIX" {
                "ME"
            } else {
                "X"
            }
        )
    });
    for (path, text) in all() {
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{}: {mark}", path.display());
        }
    }
    for (path, _) in ["src", "core/src", "agent/src", "sim/src"].into_iter().flat_map(sources) {
        let (Some(name), Some(dir)) = (path.file_stem().and_then(|n| n.to_str()), path.parent()) else {
            continue;
        };
        if ["lib", "main"].contains(&name) {
            continue;
        }
        // `mod.rs` is declared one folder up, under the folder's name.
        let (name, dir) = if name == "mod" {
            (dir.file_name().and_then(|n| n.to_str()).unwrap_or_default(), dir.parent().unwrap_or(dir))
        } else {
            (name, dir)
        };
        let declared = fs::read_dir(dir).into_iter().flatten().flatten().any(|entry| {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            // Or a line of a macro's table of modules.
            let listed = text.lines().any(|line| line.trim_start().starts_with(&format!("{name}::")));
            let path = format!("#[path = \"{name}.rs\"]");
            text.contains(&format!("mod {name};")) || text.contains(&path) || listed && text.contains("mod $")
        });
        assert!(declared, "{}: no `mod {name};` beside it", path.display());
    }
}

#[test]
fn files_and_functions_stay_readable() {
    for (path, text) in all() {
        let lines = text.lines().count();
        let most = if path.components().any(|c| c.as_os_str() == "tests") { 750 } else { 620 };
        assert!(lines <= most, "{}: {lines} lines, at most {most}", path.display());
        let mut open: Option<(usize, usize, String)> = None;
        for (n, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let head = line.trim_start();
            let starts = ["fn ", "pub fn ", "pub(super) fn ", "pub(crate) fn ", "async fn ", "pub async fn "];
            if open.is_none()
                && starts.iter().any(|s| head.starts_with(s))
                && !line.trim_end().ends_with([';', '}'])
            {
                open = Some((n, indent, head.to_owned()));
            } else if let Some((start, at, name)) = &open
                && indent == *at
                && head.starts_with('}')
            {
                assert!(n - start <= 70, "{}:{}: {} lines: {name}", path.display(), start + 1, n - start);
                open = None;
            }
        }
    }
}

/// The last section of docs/ARCHITECTURE.md.
#[test]
fn every_task_and_queue_has_a_line_and_every_line_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/ARCHITECTURE.md")).unwrap_or_default();
    let (_, section) = text.split_once("## Who owns what runs").unwrap_or_default();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 20, "{section}");
    let tests: String = all().into_iter().map(|(_, text)| text).collect();
    for row in &rows {
        let cell = row.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap_or_default();
        let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {row}");
        for name in names {
            assert!(tests.contains(&format!("fn {name}(")), "no such test: {name}");
        }
    }
    const BEGINS: [&str; 6] =
        ["spawn(", "channel(", "channel::<", "Sender::new(", "spawn_blocking(", "JoinSet::new("];
    for (path, text) in ["src", "agent/src"].into_iter().flat_map(sources) {
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let name = name.strip_prefix("src/").unwrap_or(&name);
        // The checks of other stores are no part of a node.
        if !BEGINS.iter().any(|word| code(&text).contains(word)) || name.starts_with("conformance/") {
            continue;
        }
        let listed = |row: &&str| row.contains(&format!("`{name}`"));
        let demo = name.starts_with("agent/src/demo/");
        assert!(
            demo || rows.iter().any(listed),
            "{name} begins a task or makes a queue that no line tells of"
        );
    }
}
