//! Every fenced Rust block of README.md and docs/*.md as a reader takes it: pasted into an empty crate with the Cargo
//! lines that stand above it in its section, nothing hidden and nothing added. A block with a `main` is that crate's
//! `src/main.rs`, another its `src/lib.rs`.
//!
//! Blocks with the same Cargo lines share one crate, as targets of it. Each crate is checked with its own features only,
//! against this tree and its `Cargo.lock`, so that nothing is fetched. That builds the library once for each set of
//! features, which takes minutes: `.ci/long` does. What every run sees is that no block hides a line and that all are
//! doctests, so that what is shown compiles with all features.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A fenced block: where it stands (`README_51`), and the Cargo lines it is pasted with.
struct Block {
    name: String,
    code: String,
    cargo: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The blocks of one document.
fn blocks(document: &str, text: &str) -> Vec<Block> {
    let (mut found, mut cargo, mut fence) = (Vec::new(), None, None::<(usize, &str)>);
    let mut body = String::new();
    for (at, line) in text.lines().enumerate() {
        match fence {
            None if line.starts_with("## ") => cargo = None,
            None => fence = line.strip_prefix("```").map(|language| (at + 1, language)),
            Some((_, language)) if line == "```" => {
                let code = std::mem::take(&mut body);
                if language == "toml" && code.starts_with("[dependencies]") {
                    cargo = Some(code);
                } else if language == "rust" || language.starts_with("rust,") {
                    let at = fence.map_or(0, |(at, _)| at);
                    let lines = cargo.clone();
                    let cargo = lines
                        .unwrap_or_else(|| panic!("{document}:{at}: no Cargo lines above it in its section"));
                    let stem = document.trim_end_matches(".md").replace(['-', '/'], "_");
                    found.push(Block { name: format!("{stem}_{at}"), code, cargo });
                }
                fence = None;
            }
            Some(_) => body.extend([line, "\n"]),
        }
    }
    found
}

fn all() -> Vec<Block> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    paths.sort();
    paths.push(root().join("README.md"));
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        blocks(&name, &fs::read_to_string(&path).unwrap())
    };
    paths.into_iter().flat_map(read).collect()
}

/// rustdoc does not show them, but whoever reads the file pastes them.
fn hides(code: &str) -> bool {
    code.lines().any(|line| line.trim_start() == "#" || line.trim_start().starts_with("# "))
}

#[test]
fn every_block_says_its_cargo_lines_hides_nothing_and_is_a_doctest() {
    let blocks = all();
    assert!(blocks.len() >= 12, "only {} blocks were found", blocks.len());
    let hiding: Vec<&str> = blocks.iter().filter(|b| hides(&b.code)).map(|b| b.name.as_str()).collect();
    assert!(hiding.is_empty(), "lines begin with #: {hiding:?}");
    let sources = ["src/lib.rs", "src/web/mod.rs"].map(|path| fs::read_to_string(root().join(path)).unwrap());
    for Block { name, .. } in &blocks {
        let (document, _) = name.rsplit_once('_').unwrap();
        let included = format!("{document}.md\")]");
        assert!(sources.iter().any(|source| source.contains(&included)), "no doctests of {document}.md");
    }
}

/// One crate with all blocks that have these Cargo lines.
fn write_crate(folder: &Path, name: &str, cargo: &str, blocks: &[&Block]) {
    let mut manifest =
        format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n");
    for Block { name, code, .. } in blocks {
        // A library of an example, since a package has but one library.
        let is_program = code.contains("fn main(");
        let (kind, more) = if is_program { ("bin", "") } else { ("example", "crate-type = [\"lib\"]\n") };
        writeln!(manifest, "[[{kind}]]\nname = \"{name}\"\npath = \"{name}.rs\"\n{more}").unwrap();
        fs::write(folder.join(name).with_extension("rs"), code).unwrap();
    }
    fs::write(folder.join("Cargo.toml"), manifest + cargo).unwrap();
}

/// Where cargo builds what is tested: two folders above this test's own, `target/debug/deps`.
fn target() -> PathBuf {
    let own = env::current_exe().unwrap();
    own.ancestors().nth(3).unwrap().to_owned()
}

/// The crates, as members of a workspace of their own.
fn write_workspace(folder: &Path, crates: &BTreeMap<String, Vec<&Block>>) -> Vec<String> {
    let names: Vec<String> = (1..=crates.len()).map(|n| format!("pasted-{n}")).collect();
    for (name, (cargo, blocks)) in names.iter().zip(crates) {
        fs::create_dir_all(folder.join(name)).unwrap();
        write_crate(&folder.join(name), name, cargo, blocks);
    }
    // With the workspace's own profiles, what is built of the dependencies is used again.
    let own = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let profiles = own.split("\n\n").filter(|table| table.starts_with("[profile.dev"));
    let mut manifest = format!(
        "[workspace]\nmembers = {names:?}\nresolver = \"3\"\n\n[patch.crates-io]\nsessionmesh = {{ path = {:?} }}\n",
        root()
    );
    profiles.for_each(|table| writeln!(manifest, "\n{table}").unwrap());
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    names
}

#[test]
#[ignore = "builds the library for ten sets of features, for minutes: .ci/long"]
fn every_block_compiles_as_it_is_pasted() {
    let blocks = all();
    let mut crates: BTreeMap<String, Vec<&Block>> = BTreeMap::new();
    blocks.iter().for_each(|block| crates.entry(block.cargo.clone()).or_default().push(block));
    let folder = target().join("pasted");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let mut wrong = String::new();
    for name in write_workspace(&folder, &crates) {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["check", "-q", "--offline", "--bins", "--examples", "-p", &name]);
        // What cargo tells a test of its package is none of these crates' affair, and would make build scripts run again.
        let of_this = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this)) {
            cargo.env_remove(name);
        }
        let begun = std::time::Instant::now();
        let said = cargo.current_dir(&folder).env("CARGO_TARGET_DIR", target()).output().unwrap();
        println!("{name}: {:.1?}", begun.elapsed());
        if !said.status.success() {
            wrong += &String::from_utf8_lossy(&said.stderr);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
