//! Finds the frameworks' own tests in the crates that cargo has fetched. Nothing of them is copied into this
//! repository: a new version of a framework brings its new tests along.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

fn main() {
    println!("cargo::rerun-if-changed=../../Cargo.lock");
    let packages = packages();
    for (version, name) in [("0.15.", "tower_sessions_015.rs"), ("0.14.", "tower_sessions_014.rs")] {
        let tests = folder(&packages, "tower-sessions", version).join("tests/common/mod.rs");
        assert!(tests.exists(), "tower-sessions {version}* no longer carries {}", tests.display());
        write(name, &format!("#[macro_use]\n#[path = {tests:?}]\nmod common;\n"));
    }
    let library = folder(&packages, "actix-session", "0.11.").join("src/lib.rs");
    write("actix_session_011.rs", &helpers(&fs::read_to_string(&library).expect("the crate has a library")));
}

/// The acceptance tests that actix-session runs on its own stores. They are at the end of its library, compiled only
/// for its own tests.
fn helpers(library: &str) -> String {
    let (_, helpers) =
        library.split_once("pub mod test_helpers {").expect("actix-session carries acceptance tests");
    let of_itself = [
        ("use crate::{", "use actix_session::{"),
        ("test_helpers::key,", ""),
        ("mod acceptance_tests {", "mod acceptance_tests {\nuse super::key;"),
    ];
    of_itself.into_iter().fold(format!("pub mod test_helpers {{{helpers}"), |text, (theirs, ours)| {
        assert!(text.contains(theirs), "actix-session's acceptance tests have changed: no {theirs:?}");
        text.replace(theirs, ours)
    })
}

/// What `cargo metadata` knows of the packages in the lock file. Only those of the platform that is built for: a build
/// fetches no others, so that asking for all fails wherever nothing else has fetched them.
fn packages() -> Vec<Value> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let platform = env::var("TARGET").expect("set by cargo");
    let metadata = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--offline", "--filter-platform", &platform])
        .output()
        .expect("cargo metadata runs");
    assert!(metadata.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("cargo metadata writes JSON");
    metadata["packages"].as_array().expect("a list of packages").clone()
}

/// Where the sources of a package lie.
fn folder(packages: &[Value], name: &str, version: &str) -> PathBuf {
    let wanted = |p: &&Value| {
        p["name"] == name && p["version"].as_str().is_some_and(|found| found.starts_with(version))
    };
    let package =
        packages.iter().find(wanted).unwrap_or_else(|| panic!("{name} {version}* is not in the lock file"));
    let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
    manifest.parent().expect("a folder").to_owned()
}

fn write(name: &str, text: &str) {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join(name);
    fs::write(&out, text).unwrap_or_else(|e| panic!("{}: {e}", out.display()));
}
