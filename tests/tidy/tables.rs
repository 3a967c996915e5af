//! Tables of documents that nothing else holds to the code: each invariant and each setting has its row, each wire version
//! its golden bytes.

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What stands between a line that begins so and the next line that is a closing brace.
fn block(text: &str, begins: &str) -> Vec<String> {
    let from = text.lines().skip_while(|line| !line.starts_with(begins)).skip(1);
    let lines: Vec<String> =
        from.take_while(|line| *line != "}").map(|line| line.trim().to_owned()).collect();
    assert!(!lines.is_empty(), "{begins} is not there");
    lines
}

#[test]
fn every_invariant_has_a_row_in_the_guide() {
    let guide = read("docs/SIMULATOR.md");
    let table = block(&read("sim/src/invariant/mod.rs"), "invariants! {");
    let names: Vec<&str> =
        table.iter().filter_map(|line| line.split_once("::")).map(|(file, _)| file).collect();
    let missing: Vec<_> = names.iter().filter(|name| !guide.contains(&format!("| `{name}` |"))).collect();
    assert!(names.len() > 40 && missing.is_empty(), "docs/SIMULATOR.md lacks {missing:?}");
}

#[test]
fn every_setting_of_a_node_has_a_row_in_the_manual() {
    let manual = read("docs/AGENT.md");
    let config = block(&read("src/mesh/config.rs"), "pub struct Config {");
    let fields = config.iter().filter_map(|line| line.strip_prefix("pub ")?.split_once(':'));
    let fields: Vec<&str> = fields.map(|(name, _)| name).collect();
    let rows: Vec<&str> = manual.lines().filter(|line| line.starts_with("| ")).collect();
    let told = |name: &&str| {
        rows.iter().any(|row| row.split('|').nth(1).unwrap_or("").contains(&format!("`{name}`")))
    };
    let missing: Vec<_> = fields.iter().filter(|name| !told(name)).collect();
    assert!(fields.len() > 30 && missing.is_empty(), "docs/AGENT.md lacks {missing:?}");
}

#[test]
fn every_wire_version_has_golden_bytes() {
    let code: String = ["core", "sim"].into_iter().flat_map(crate::sources).map(|(_, text)| text).collect();
    let newest = code.split_once("pub const WIRE_NEWEST: u16 = ").and_then(|(_, rest)| rest.split_once(';'));
    let newest: u16 = newest.and_then(|(number, _)| number.parse().ok()).expect("the newest wire version");
    for version in 1..=newest {
        assert!(
            code.contains(&format!("fn golden_bytes_of_wire_version_{version}()")),
            "no bytes of version {version}"
        );
    }
}
