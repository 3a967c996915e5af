//! Circles between the uppermost modules of a library or program: who names whom by `crate::`, or by as many `super::` as
//! lead there. What the first file gives another name counts as the module it comes from; that file itself is none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::cfg::is_shipped;
use super::circles::{Graph, circles};
use super::figure::{Figure, Place};
use super::signatures::attrs;
use super::source::{Part, Source, Sources};
use super::tree::leaves;
use crate::workspace::{Target, Workspace};

/// Two figures for each target that has circles or a library: how many circles, and how many modules are in them.
pub fn figures(workspace: &Workspace, sources: &Sources) -> Vec<Figure> {
    let mut figures = Vec::new();
    for package in &workspace.packages {
        for target in package.targets.iter().filter(|t| ["lib", "bin"].contains(&t.kind.as_str())) {
            let edges = edges(target, sources);
            let name =
                if target.kind == "lib" { package.name.clone() } else { format!("{}.bin", target.name) };
            figures.extend(figures_of(&name, &edges).into_iter().filter(|_| !edges.is_empty()));
        }
    }
    figures
}

/// From which module to which, and where.
type Edges = BTreeMap<(String, String), Vec<Place>>;

fn figures_of(name: &str, edges: &Edges) -> [Figure; 2] {
    let mut graph = Graph::new();
    for (from, to) in edges.keys() {
        graph.entry(from.clone()).or_default().insert(to.clone());
    }
    let found = circles(&graph);
    let mut places = Vec::new();
    for members in &found {
        for ((from, to), at) in edges.iter().filter(|((a, b), _)| members.contains(a) && members.contains(b))
        {
            let times = at.len();
            let what = |place: &Place| format!("{from} -> {to} ({times} times): {}", place.what);
            places.extend(at.first().map(|place| Place { what: what(place), ..place.clone() }));
        }
    }
    let members = found.iter().flatten();
    let members = members.map(|name| Place { file: name.clone(), line: 0, what: "in a circle".into() });
    let about = "circles between uppermost modules";
    let in_circles = Figure::of(format!("modules-in-circles.{name}"), "  modules in them", members.collect());
    let name = format!("module-circles.{name}");
    [Figure { name, about, count: found.len(), places }, in_circles]
}

fn edges(target: &Target, sources: &Sources) -> Edges {
    let dir = target.root.parent().unwrap_or(&target.root);
    let part = if target.kind == "lib" { Part::Library } else { Part::Edge };
    let inside = |source: &&Source| source.part == part && source.path.starts_with(dir);
    let paths: Vec<(&Source, Vec<String>)> =
        sources.0.iter().filter(inside).map(|source| (source, module_path(dir, &source.path))).collect();
    let names: BTreeSet<String> = paths.iter().filter_map(|(_, path)| path.first().cloned()).collect();
    let root = sources.0.iter().find(|source| source.path == target.root);
    let renamed = root.map(|root| renamed(root, &names)).unwrap_or_default();
    let mut edges = Edges::new();
    for (source, path) in paths {
        // The first file only puts the others together.
        let Some(from) = path.first().cloned() else { continue };
        let mut look = Look { path, found: Vec::new() };
        source.items.iter().for_each(|item| look.visit_item(item));
        for (name, span) in look.found {
            let to = renamed.get(&name).unwrap_or(&name);
            if names.contains(to) && *to != from {
                let (file, line) = (source.file.clone(), span.start().line);
                let place = Place { file, line, what: name.clone() };
                edges.entry((from.clone(), to.clone())).or_default().push(place);
            }
        }
    }
    edges
}

/// A file's modules, the uppermost first; none for the first file.
fn module_path(dir: &Path, file: &Path) -> Vec<String> {
    let inside = file.strip_prefix(dir).unwrap_or(file).with_extension("");
    let mut path: Vec<String> =
        inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| last == "mod")
        || path.len() == 1 && ["lib", "main"].contains(&&*path[0])
    {
        path.pop();
    }
    path
}

/// Names that the first file takes out of modules, and which module each is of.
fn renamed(root: &Source, modules: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for item in &root.items {
        let syn::Item::Use(item) = item else { continue };
        for leaf in leaves(&item.tree) {
            let whole = leaf.whole();
            let first = whole.iter().find(|part| *part != "crate" && *part != "self");
            if let Some(module) = first.filter(|module| modules.contains(*module)) {
                found.insert(leaf.gives, module.clone());
            }
        }
    }
    found
}

/// Names right below the crate that are named in a file.
struct Look {
    /// The module looked at.
    path: Vec<String>,
    found: Vec<(String, Span)>,
}

impl Look {
    /// What a path that begins so is of, if it begins at the crate.
    fn note(&mut self, segments: &[String], span: Span) {
        let supers = segments.iter().take_while(|segment| *segment == "super").count();
        let skipped = usize::from(segments.first().is_some_and(|first| first == "self")) + supers;
        let is_root = segments.first().is_some_and(|first| first == "crate");
        let at = if is_root { 1 } else { skipped };
        if (is_root || supers > 0 && supers == self.path.len())
            && let Some(name) = segments.get(at)
        {
            self.found.push((name.clone(), span));
        }
    }

    /// What macros are given is not parsed: words are looked for.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(word) if word == "crate" => {
                    let is_colon = |n: usize| matches!(tokens.get(at + n), Some(TokenTree::Punct(p)) if p.as_char() == ':');
                    if let (true, true, Some(TokenTree::Ident(name))) =
                        (is_colon(1), is_colon(2), tokens.get(at + 3))
                    {
                        self.found.push((name.to_string(), name.span()));
                    }
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Look {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if is_shipped(attrs(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.path.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.path.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        for leaf in leaves(&item.tree) {
            self.note(&leaf.whole(), item.use_token.span);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let Some(first) = path.segments.first() {
            self.note(&segments, first.ident.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(item.tokens.clone());
    }
}

#[cfg(test)]
mod tests;
