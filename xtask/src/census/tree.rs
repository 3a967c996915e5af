//! The modules of a library as the compiler finds them: from its first file on, through every `mod`. And what `use` says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use syn::{Item, ItemMod, UseTree, Visibility};

use super::cfg::{docs, is_shipped};
use super::source::{parse, places_of};

/// A module.
pub struct Module {
    /// The file it is in.
    pub file: PathBuf,
    /// What its file says of it, where it has one of its own.
    pub docs: Vec<String>,
    /// What it holds, without the modules.
    pub items: Vec<Item>,
    /// Its modules, with what declares each.
    pub modules: BTreeMap<String, (ItemMod, Module)>,
}

impl Module {
    /// Reads a library by its first file, or a module by its own.
    ///
    /// # Errors
    /// If a file cannot be read or parsed.
    pub fn load(file: &Path) -> Result<Self> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).with_context(|| name.clone())?;
        let parsed = parse(&name, &text)?;
        Ok(Self { docs: docs(&parsed.attrs), ..Self::of_items(file, parsed.items)? })
    }

    /// Items of a file, or of a module within one.
    ///
    /// # Errors
    /// If the file of a module below cannot be read or parsed.
    pub fn of_items(file: &Path, items: Vec<Item>) -> Result<Self> {
        let (file, docs) = (file.to_owned(), Vec::new());
        let mut module = Self { file, docs, items: Vec::new(), modules: BTreeMap::new() };
        for item in items {
            match item {
                Item::Mod(mut declared) if is_shipped(&declared.attrs) => {
                    let name = declared.ident.to_string();
                    let below = match declared.content.take() {
                        Some((_, items)) => Some(Self::of_items(&module.file, items)?),
                        None => Self::declared(&module.file, &name)?,
                    };
                    if let Some(below) = below {
                        module.modules.insert(name, (declared, below));
                    }
                }
                Item::Mod(_) => {}
                other => module.items.push(other),
            }
        }
        Ok(module)
    }

    /// The module of a file; none if it lies elsewhere (`#[path]`), which nothing public does.
    fn declared(file: &Path, name: &str) -> Result<Option<Self>> {
        let [beside, below] = places_of(file, name);
        let found = [beside, below.join("mod.rs")].into_iter().find(|path| path.is_file());
        found.map(|path| Self::load(&path)).transpose()
    }

    /// The module at a path from here.
    pub fn at(&self, path: &[String]) -> Option<&Self> {
        path.iter().try_fold(self, |module, name| module.modules.get(name).map(|(_, below)| below))
    }

    /// Every module, this one first, with its path.
    pub fn walk(&self) -> Vec<(Vec<String>, &Self)> {
        let mut all = vec![(Vec::new(), self)];
        for (name, (_, below)) in &self.modules {
            let deeper = below.walk().into_iter();
            all.extend(deeper.map(|(path, module)| ([vec![name.clone()], path].concat(), module)));
        }
        all
    }
}

/// Whether everybody may name it.
pub fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

/// One name that a `use` brings.
pub struct Leaf {
    /// The path that leads to it.
    pub path: Vec<String>,
    /// What it is called there; `*`: everything.
    pub name: String,
    /// What it is called from here on.
    pub gives: String,
}

impl Leaf {
    /// The path with the name at its end.
    pub fn whole(&self) -> Vec<String> {
        [self.path.clone(), vec![self.name.clone()]].concat()
    }
}

/// Every name of a `use`.
pub fn leaves(tree: &UseTree) -> Vec<Leaf> {
    let one = |name: String, gives: String| vec![Leaf { path: Vec::new(), name, gives }];
    match tree {
        UseTree::Path(inner) => {
            let below = leaves(&inner.tree).into_iter();
            let under =
                |leaf: Leaf| Leaf { path: [vec![inner.ident.to_string()], leaf.path].concat(), ..leaf };
            below.map(under).collect()
        }
        UseTree::Name(leaf) => one(leaf.ident.to_string(), leaf.ident.to_string()),
        UseTree::Rename(leaf) => one(leaf.ident.to_string(), leaf.rename.to_string()),
        UseTree::Glob(_) => one("*".into(), "*".into()),
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
    }
}
