//! The workspace as cargo tells of it: packages, their targets, what they depend on, and the files that lie there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The packages of the workspace.
pub struct Workspace {
    /// The folder of the workspace.
    pub root: PathBuf,
    /// Where cargo builds to.
    pub target_dir: PathBuf,
    /// The members, by name.
    pub packages: Vec<Package>,
}

/// One member.
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// What is built of it.
    pub targets: Vec<Target>,
    /// Other members that it needs.
    pub needs: Vec<Need>,
}

/// What is built of a package.
pub struct Target {
    /// Its name.
    pub name: String,
    /// `lib`, `bin`, `test`, `example`, `bench` or `custom-build`.
    pub kind: String,
    /// Its first file.
    pub root: PathBuf,
    /// Whether `cargo test` runs it.
    pub is_tested: bool,
}

/// A dependency on another member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The other's name.
    pub name: String,
    /// `normal`, `dev` or `build`.
    pub kind: String,
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    /// If cargo cannot be asked, or says what is not understood.
    pub fn load() -> Result<Self> {
        // Whoever calls from a folder below means the same workspace.
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let args = ["metadata", "--no-deps", "--format-version", "1", "--manifest-path", manifest];
        let output = Command::new(cargo).args(args).output().context("cargo metadata cannot be started")?;
        ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        let value: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
        Self::read(&value).context("cargo metadata lacks a field that is needed")
    }

    fn read(value: &Value) -> Option<Self> {
        let root = PathBuf::from(value["workspace_root"].as_str()?);
        let target_dir = PathBuf::from(value["target_directory"].as_str()?);
        let packages: Option<Vec<_>> = value["packages"].as_array()?.iter().map(package).collect();
        let mut packages = packages?;
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        let names: Vec<String> = packages.iter().map(|package| package.name.clone()).collect();
        for package in &mut packages {
            package.needs.retain(|need| names.contains(&need.name));
            package.needs.sort();
            package.needs.dedup();
        }
        Some(Self { root, target_dir, packages })
    }

    /// The member whose folder is nearest above a file.
    pub fn owner(&self, file: &Path) -> Option<&Package> {
        let above = self.packages.iter().filter(|package| file.starts_with(&package.dir));
        above.max_by_key(|package| package.dir.components().count())
    }

    /// Every file whose name ends so, in order: not what is built, nor what other package managers fetched.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn files(&self, ending: &str) -> Result<Vec<PathBuf>> {
        let (mut open, mut found) = (vec![self.root.clone()], Vec::new());
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
                let path = entry?.path();
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let skipped = name.starts_with('.') || name.starts_with("target") || name == "node_modules";
                if path.is_dir() && !skipped {
                    open.push(path);
                } else if name.ends_with(ending) && !path.is_dir() {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// A file's name as it is told: from the workspace's folder on.
    pub fn told(&self, file: &Path) -> String {
        file.strip_prefix(&self.root).unwrap_or(file).display().to_string()
    }
}

fn package(value: &Value) -> Option<Package> {
    let manifest = Path::new(value["manifest_path"].as_str()?);
    let need = |value: &Value| {
        let kind = value["kind"].as_str().unwrap_or("normal").to_owned();
        // What has no path comes from a registry, whatever its name.
        value["path"].as_str()?;
        Some(Need { name: value["name"].as_str()?.to_owned(), kind })
    };
    let targets: Option<Vec<_>> = value["targets"].as_array()?.iter().map(target).collect();
    Some(Package {
        name: value["name"].as_str()?.to_owned(),
        dir: manifest.parent()?.to_owned(),
        targets: targets?,
        needs: value["dependencies"].as_array()?.iter().filter_map(need).collect(),
    })
}

fn target(value: &Value) -> Option<Target> {
    Some(Target {
        name: value["name"].as_str()?.to_owned(),
        kind: value["kind"][0].as_str()?.to_owned(),
        root: PathBuf::from(value["src_path"].as_str()?),
        is_tested: value["test"].as_bool()?,
    })
}
