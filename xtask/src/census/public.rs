//! Public items of the libraries that are published, and how many of them show how they are used.
//!
//! An item counts if somebody outside can name it: through public modules and `pub use`. Items are modules, functions,
//! types, traits, constants, exported macros, and of types and traits the public functions and constants. Fields and
//! variants are parts of their types. What is hidden from the documentation is not counted, nor is what another crate
//! has and this one only passes on.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use proc_macro2::Span;
use syn::{Attribute, Ident, ImplItem, Item, TraitItem, UseTree};

use super::cfg::{docs, has_example, is_hidden, is_shipped};
use super::figure::{Figure, Place};
use super::tree::{Leaf, Module, is_public, leaves};
use crate::workspace::Workspace;

/// Whose public items are counted.
const PUBLISHED: [&str; 2] = ["sessionmesh", "sessionmesh-core"];
/// `pub use` of a `pub use` and so on: more is a circle.
const MOST_HOPS: usize = 16;

/// Two figures for each published library.
///
/// # Errors
/// If a file cannot be read or parsed.
pub fn figures(workspace: &Workspace) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for package in workspace.packages.iter().filter(|package| PUBLISHED.contains(&package.name.as_str())) {
        for target in package.targets.iter().filter(|target| target.kind == "lib") {
            let root = Module::load(&target.root)?;
            let found = Walk::of(&root, &|file| workspace.told(file)).found;
            let with: Vec<Place> =
                found.iter().filter(|(_, has)| *has).map(|(place, _)| place.clone()).collect();
            let all = found.into_iter().map(|(place, _)| place).collect();
            let name = &package.name;
            figures.push(Figure::of(format!("public-items.{name}"), "public items", all));
            let about = "  with an example in their documentation";
            figures.push(Figure::of(format!("public-items-with-example.{name}"), about, with));
        }
    }
    Ok(figures)
}

/// What can be named from outside, each once, and whether it has an example.
struct Walk<'a> {
    root: &'a Module,
    told: &'a dyn Fn(&Path) -> String,
    found: BTreeSet<(Place, bool)>,
    /// Modules whose public items have been taken.
    seen: BTreeSet<Vec<String>>,
    /// Types that can be named: what they can do is public too.
    types: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    fn of(root: &'a Module, told: &'a dyn Fn(&Path) -> String) -> Self {
        let (found, seen, types) = Default::default();
        let mut walk = Self { root, told, found, seen, types };
        let place = Place { file: told(&root.file), line: 1, what: "the crate".into() };
        walk.found.insert((place, has_example(&root.docs)));
        walk.module(&[], 0);
        for (_, module) in root.walk() {
            module.items.iter().for_each(|item| walk.associated(module, item));
            // A macro is exported from the crate, wherever it stands.
            let exported = |item: &&Item| matches!(item, Item::Macro(m) if m.attrs.iter().any(|a| a.path().is_ident("macro_export")));
            module.items.iter().filter(exported).for_each(|item| walk.item(module, item));
        }
        walk
    }

    fn note(&mut self, module: &Module, span: Span, attrs: &[Attribute], what: String) {
        if !is_hidden(attrs) && is_shipped(attrs) {
            let line = span.start().line;
            let place = Place { file: (self.told)(&module.file), line, what };
            self.found.insert((place, has_example(&docs(attrs))));
        }
    }

    /// The public items of a module that can be named.
    fn module(&mut self, path: &[String], hops: usize) {
        let Some(module) = self.root.at(path) else { return };
        if !self.seen.insert(path.to_vec()) || hops > MOST_HOPS {
            return;
        }
        for item in &module.items {
            match item {
                Item::Use(item) if is_public(&item.vis) && is_shipped(&item.attrs) => {
                    self.reexport(path, &item.tree, hops);
                }
                other if named(other).is_some_and(|(_, _, public)| public) => self.item(module, other),
                _ => {}
            }
        }
        for name in module.modules.iter().filter(|(_, (m, _))| is_public(&m.vis)).map(|(name, _)| name) {
            self.declared(path, name, hops);
        }
    }

    fn declared(&mut self, path: &[String], name: &str, hops: usize) {
        let Some((declared, below)) = self.root.at(path).and_then(|module| module.modules.get(name)) else {
            return;
        };
        if is_hidden(&declared.attrs) {
            return;
        }
        let (file, line) = ((self.told)(&below.file), declared.ident.span().start().line);
        let has = has_example(&docs(&declared.attrs)) || has_example(&below.docs);
        self.found.insert((Place { file, line, what: format!("mod {name}") }, has));
        self.module(&[path, &[name.to_owned()]].concat(), hops);
    }

    fn item(&mut self, module: &Module, item: &Item) {
        let Some((ident, attrs, _)) = named(item) else { return };
        let (name, span) = (ident.to_string(), ident.span());
        if matches!(item, Item::Struct(_) | Item::Enum(_) | Item::Union(_) | Item::Type(_))
            && !is_hidden(attrs)
        {
            self.types.insert(name.clone());
        }
        if let Item::Trait(of) = item {
            for inner in &of.items {
                match inner {
                    TraitItem::Fn(f) => {
                        self.note(module, f.sig.ident.span(), &f.attrs, format!("{name}::{}", f.sig.ident))
                    }
                    TraitItem::Const(c) => {
                        self.note(module, c.ident.span(), &c.attrs, format!("{name}::{}", c.ident))
                    }
                    _ => {}
                }
            }
        }
        self.note(module, span, attrs, name);
    }

    /// What implementations give types that can be named; in those of traits nothing is `pub`.
    fn associated(&mut self, module: &Module, item: &Item) {
        let Item::Impl(of) = item else { return };
        let syn::Type::Path(ty) = &*of.self_ty else { return };
        let name = ty.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        if !is_shipped(&of.attrs) || !self.types.contains(&name) {
            return;
        }
        for inner in &of.items {
            match inner {
                ImplItem::Fn(f) if is_public(&f.vis) => {
                    self.note(module, f.sig.ident.span(), &f.attrs, format!("{name}::{}", f.sig.ident));
                }
                ImplItem::Const(c) if is_public(&c.vis) => {
                    self.note(module, c.ident.span(), &c.attrs, format!("{name}::{}", c.ident));
                }
                _ => {}
            }
        }
    }

    /// A `pub use` in the module at `path`.
    fn reexport(&mut self, path: &[String], tree: &UseTree, hops: usize) {
        for Leaf { path: of, name, .. } in leaves(tree) {
            if name != "*" {
                self.one(path, &of, &name, hops);
            } else if let Some(of) = self.absolute(path, &of) {
                self.module(&of, hops + 1);
            }
        }
    }

    /// One name taken out of a module.
    fn one(&mut self, path: &[String], before: &[String], name: &str, hops: usize) {
        let Some(of) = self.absolute(path, before).filter(|_| hops < MOST_HOPS) else { return };
        let Some(module) = self.root.at(&of) else { return };
        if module.modules.contains_key(name) {
            self.declared(&of, name, hops + 1);
        }
        for item in &module.items {
            match item {
                Item::Use(item) if is_shipped(&item.attrs) => {
                    for leaf in leaves(&item.tree) {
                        // What a glob gives is looked for below it.
                        if leaf.gives == name || leaf.gives == "*" && of != *path {
                            let wanted = if leaf.name == "*" { name } else { &leaf.name };
                            self.one(&of, &leaf.path, wanted, hops + 1);
                        }
                    }
                }
                other if named(other).is_some_and(|(own, ..)| own == name) => self.item(module, other),
                _ => {}
            }
        }
    }

    /// Which module of this crate a path names; none if it is another crate's.
    fn absolute(&self, path: &[String], names: &[String]) -> Option<Vec<String>> {
        let (mut at, mut rest) = (path.to_vec(), names);
        match names.first().map(String::as_str) {
            Some("crate") => (at, rest) = (Vec::new(), &names[1..]),
            Some("self") => rest = &names[1..],
            _ => {}
        }
        while rest.first().is_some_and(|first| first == "super") {
            at.pop()?;
            rest = &rest[1..];
        }
        let all = [at, rest.to_vec()].concat();
        self.root.at(&all).map(|_| all)
    }
}

/// An item's name, its attributes, and whether it is public.
fn named(item: &Item) -> Option<(&Ident, &[Attribute], bool)> {
    let (ident, attrs, vis) = match item {
        Item::Const(item) => (&item.ident, &item.attrs, &item.vis),
        Item::Enum(item) => (&item.ident, &item.attrs, &item.vis),
        Item::Fn(item) => (&item.sig.ident, &item.attrs, &item.vis),
        Item::Static(item) => (&item.ident, &item.attrs, &item.vis),
        Item::Struct(item) => (&item.ident, &item.attrs, &item.vis),
        Item::Trait(item) => (&item.ident, &item.attrs, &item.vis),
        Item::Type(item) => (&item.ident, &item.attrs, &item.vis),
        Item::Union(item) => (&item.ident, &item.attrs, &item.vis),
        Item::Macro(item) => return Some((item.ident.as_ref()?, &item.attrs, false)),
        _ => return None,
    };
    Some((ident, attrs, is_public(vis)))
}

#[cfg(test)]
mod tests;
