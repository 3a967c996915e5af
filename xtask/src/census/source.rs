//! Every Rust file of the workspace, parsed, and which part of its package it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use syn::Item;

use super::cfg::is_shipped;
use crate::workspace::{Package, Workspace};

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What others use.
    Library,
    /// What is only there for a program, or for the build.
    Edge,
    /// Tests, benches, examples, and modules that only tests have.
    Test,
}

/// A file.
pub struct Source {
    /// Its name, from the workspace's folder on.
    pub file: String,
    /// Where it is.
    pub path: PathBuf,
    /// Whose it is.
    pub package: String,
    /// What it is for.
    pub part: Part,
    /// Its text.
    pub text: String,
    /// Its items.
    pub items: Vec<Item>,
}

/// All files, in order.
pub struct Sources(pub Vec<Source>);

impl Sources {
    /// Reads and parses.
    ///
    /// # Errors
    /// If a file cannot be read or parsed.
    pub fn load(workspace: &Workspace) -> Result<Self> {
        let mut sources = Vec::new();
        for path in workspace.files(".rs")? {
            let Some(package) = workspace.owner(&path) else { continue };
            let file = workspace.told(&path);
            let text = fs::read_to_string(&path).with_context(|| file.clone())?;
            let items = parse(&file, &text)?.items;
            let part = part_of(package, &path);
            sources.push(Source { file, path, package: package.name.clone(), part, text, items });
        }
        let mut sources = Self(sources);
        sources.mark_tests();
        sources.mark_edges(workspace);
        Ok(sources)
    }

    /// Modules that are declared for tests only are tests, wherever they lie.
    fn mark_tests(&mut self) {
        let mut tests = BTreeSet::new();
        for source in &self.0 {
            for item in &source.items {
                if let Item::Mod(module) = item
                    && module.content.is_none()
                    && !is_shipped(&module.attrs)
                {
                    tests.extend(places_of(&source.path, &module.ident.to_string()));
                }
            }
        }
        self.mark(&tests, Part::Test);
    }

    /// What a program's first file declares, and the library beside it does not, is the program's.
    fn mark_edges(&mut self, workspace: &Workspace) {
        let mut edges = BTreeSet::new();
        for package in &workspace.packages {
            let of_kind = |kind: &'static str| package.targets.iter().filter(move |t| t.kind == kind);
            let library: BTreeSet<PathBuf> = of_kind("lib").flat_map(|t| self.declared_by(&t.root)).collect();
            let programs = of_kind("bin").flat_map(|t| self.declared_by(&t.root));
            edges.extend(programs.filter(|path| !library.contains(path)));
        }
        self.mark(&edges, Part::Edge);
    }

    fn declared_by(&self, root: &Path) -> Vec<PathBuf> {
        let source = self.0.iter().find(|source| source.path == root);
        let items = source.into_iter().flat_map(|source| &source.items);
        let names = items.filter_map(|item| match item {
            Item::Mod(module) if module.content.is_none() => Some(module.ident.to_string()),
            _ => None,
        });
        names.flat_map(|name| places_of(root, &name)).collect()
    }

    fn mark(&mut self, places: &BTreeSet<PathBuf>, part: Part) {
        for source in self.0.iter_mut().filter(|source| source.part != Part::Test) {
            if places.iter().any(|place| source.path.starts_with(place)) {
                source.part = part;
            }
        }
    }
}

/// Parses a file.
///
/// # Errors
/// Names the line that is not understood.
pub fn parse(file: &str, text: &str) -> Result<syn::File> {
    syn::parse_file(text).map_err(|error| anyhow!("{file}:{}: {error}", error.span().start().line))
}

/// The file of a module that a file declares, and the folder of what is below.
pub fn places_of(declaring: &Path, module: &str) -> [PathBuf; 2] {
    let dir = declaring.parent().unwrap_or(declaring);
    let stem = declaring.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let dir = if ["lib", "main", "mod"].contains(&stem) { dir.to_owned() } else { dir.join(stem) };
    [dir.join(format!("{module}.rs")), dir.join(module)]
}

fn part_of(package: &Package, path: &Path) -> Part {
    let inside = path.strip_prefix(&package.dir).unwrap_or(path);
    let first = inside.components().next().and_then(|part| part.as_os_str().to_str()).unwrap_or_default();
    if ["tests", "benches", "examples"].contains(&first) {
        return Part::Test;
    }
    let has_library = package.targets.iter().any(|target| target.kind == "lib");
    let is_program = inside.starts_with("src/bin") || inside.ends_with("main.rs") || first == "build.rs";
    if is_program || !has_library { Part::Edge } else { Part::Library }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Target;

    #[test]
    fn a_file_belongs_to_the_library_to_a_program_or_to_tests() {
        let target = |kind: &str, root: &str| Target {
            name: "x".into(),
            kind: kind.into(),
            root: root.into(),
            is_tested: true,
        };
        let targets = vec![target("lib", "/w/src/lib.rs"), target("bin", "/w/src/main.rs")];
        let package = Package { name: "x".into(), dir: "/w".into(), targets, needs: Vec::new() };
        for (path, part) in [
            ("/w/src/mesh/mod.rs", Part::Library),
            ("/w/src/bin/x/agent.rs", Part::Edge),
            ("/w/src/main.rs", Part::Edge),
            ("/w/build.rs", Part::Edge),
            ("/w/tests/x.rs", Part::Test),
            ("/w/benches/x.rs", Part::Test),
        ] {
            assert_eq!(part_of(&package, Path::new(path)), part, "{path}");
        }
        let program = Package { targets: vec![target("bin", "/w/src/main.rs")], ..package };
        assert_eq!(part_of(&program, Path::new("/w/src/agent.rs")), Part::Edge);
    }

    #[test]
    fn modules_lie_beside_the_file_that_declares_them_or_below_it() {
        let [file, dir] = places_of(Path::new("src/lib.rs"), "mesh");
        assert_eq!((file, dir), (PathBuf::from("src/mesh.rs"), PathBuf::from("src/mesh")));
        assert_eq!(places_of(Path::new("src/mesh.rs"), "a")[0], PathBuf::from("src/mesh/a.rs"));
        assert_eq!(places_of(Path::new("src/mesh/mod.rs"), "a")[0], PathBuf::from("src/mesh/a.rs"));
    }
}
