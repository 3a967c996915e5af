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
}

/// What `cargo metadata` knows of the packages in the lock file.
fn packages() -> Vec<Value> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = Command::new(cargo).args(["metadata", "--format-version=1", "--offline"]).output();
    let metadata = metadata.expect("cargo metadata runs");
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
