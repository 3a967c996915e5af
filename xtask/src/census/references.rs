//! What documents and comments point at that is not there: documents, anchors, titles, sections.
//!
//! Understood are a document's name, an anchor right behind it, sections behind it (`§4`, `§1.2 with §4`) and a title in
//! quotes behind a comma. A section without a document is one of the document it stands in, if that counts its sections,
//! and else of the algorithm's. Of papers (`SWIM §4.3`) nothing is known.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::comments::{Prose, of_document, of_source};
use super::figure::{Figure, Place};
use super::markdown::{Document, plain};
use super::source::Sources;
use crate::workspace::Workspace;

/// Where sections are that stand without a document.
const ALGORITHM: &str = "docs/ALGORITHM.md";
/// Papers whose names are no abbreviations.
const PAPERS: [&str; 1] = ["Lifeguard"];

/// The figures.
///
/// # Errors
/// If a document cannot be read.
pub fn figures(workspace: &Workspace, sources: &Sources) -> Result<Vec<Figure>> {
    let mut documents = BTreeMap::new();
    let mut texts = Vec::new();
    for path in workspace.files(".md")? {
        let text = fs::read_to_string(&path).with_context(|| workspace.told(&path))?;
        documents.insert(path.clone(), Document::read(&text));
        texts.push((path, of_document(&text)));
    }
    texts.extend(sources.0.iter().map(|source| (source.path.clone(), of_source(&source.text))));
    let mut broken = Broken::default();
    for (path, proses) in &texts {
        let look = Look { root: &workspace.root, documents: &documents, path, told: workspace.told(path) };
        proses.iter().for_each(|prose| look.read(prose, &mut broken));
    }
    let name = "broken-references";
    Ok(vec![
        Figure::of(
            format!("{name}.documents"),
            "references to documents that are not there",
            broken.documents,
        ),
        Figure::of(format!("{name}.within"), "to anchors, titles and sections that are not", broken.within),
        Figure::of(format!("{name}.bare"), "sections without a document that none has", broken.bare),
    ])
}

#[derive(Default)]
struct Broken {
    documents: Vec<Place>,
    within: Vec<Place>,
    bare: Vec<Place>,
}

/// One file that is looked through.
struct Look<'a> {
    root: &'a Path,
    documents: &'a BTreeMap<PathBuf, Document>,
    path: &'a Path,
    told: String,
}

impl Look<'_> {
    fn read(&self, prose: &Prose, broken: &mut Broken) {
        let text = &prose.text;
        let place =
            |at: usize, what: String| Place { file: self.told.clone(), line: prose.line_at(at), what };
        let mut done = 0;
        while let Some((start, end)) = next(text, done) {
            let word = &text[start..end];
            if let Some(number) = word.strip_prefix('§') {
                let document = self.documents.get(self.path).filter(|own| !own.sections.is_empty());
                let document = document.or_else(|| self.documents.get(&self.root.join(ALGORITHM)));
                let is_there = document.is_none_or(|document| document.sections.contains(number));
                if !is_there && !is_of_a_paper(&text[..start]) {
                    broken.bare.push(place(start, format!("§{number}")));
                }
                done = end;
                continue;
            }
            let Some(found) = self.find(word) else {
                broken.documents.push(place(start, word.to_owned()));
                done = end;
                continue;
            };
            done = end;
            while let Some((target, until)) = target(text, done) {
                let is_there = self.documents.get(&found).is_none_or(|document| target.is_in(document));
                if !is_there {
                    broken.within.push(place(done, format!("{word} {}", target.told())));
                }
                done = until;
            }
        }
        // Anchors of the document itself, and files that are no documents.
        for (at, link) in links(text).filter(|_| self.told.ends_with(".md")) {
            let own = self.documents.get(self.path);
            match link.strip_prefix('#') {
                Some(anchor) if own.is_some_and(|own| !own.anchors.contains(anchor)) => {
                    broken.within.push(place(at, link.to_owned()));
                }
                None if !link.contains(".md")
                    && !self.beside(link.split('#').next().unwrap_or(link)).exists() =>
                {
                    broken.documents.push(place(at, link.to_owned()));
                }
                _ => {}
            }
        }
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.path.parent().unwrap_or(self.path).join(name)
    }

    /// The document with this name: beside the file, among the documents, or from the workspace's folder on.
    fn find(&self, name: &str) -> Option<PathBuf> {
        let places = [self.beside(name), self.root.join("docs").join(name), self.root.join(name)];
        places.iter().find_map(|path| path.canonicalize().ok()).or_else(|| {
            // Where files are not on a disk: in tests.
            places.into_iter().find(|path| self.documents.contains_key(path))
        })
    }
}

/// The next document's name, or section without one: where it begins and ends.
fn next(text: &str, from: usize) -> Option<(usize, usize)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let section = text[from..].match_indices('§').find_map(|(at, _)| {
        let number = number(&text[from + at + '§'.len_utf8()..]);
        (!number.is_empty()).then_some((from + at, from + at + '§'.len_utf8() + number.len()))
    });
    let document = text[from..].match_indices(".md").find_map(|(at, ending)| {
        let (dot, end) = (from + at, from + at + ending.len());
        let before = &text[from..dot];
        let start = from
            + before
                .rfind(|c| !is_name(c))
                .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let is_address = text[start..].starts_with("//") || start == dot || text[..start].ends_with('*');
        let goes_on = text[end..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        (!is_address && !goes_on).then_some((start, end))
    });
    [section, document].into_iter().flatten().min()
}

/// The digits and dots of a section's number.
fn number(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].trim_end_matches('.')
}

/// What is meant within a document.
enum Target<'a> {
    Anchor(&'a str),
    Section(&'a str),
    Title(String),
}

impl Target<'_> {
    fn is_in(&self, document: &Document) -> bool {
        match self {
            Self::Anchor(anchor) => document.anchors.contains(*anchor),
            Self::Section(number) => document.sections.contains(*number),
            Self::Title(title) => document.titles.contains(title),
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Anchor(anchor) => format!("#{anchor}"),
            Self::Section(number) => format!("§{number}"),
            Self::Title(title) => format!("{title:?}"),
        }
    }
}

/// What stands right behind a document's name, or behind another target of it, and where that ends.
fn target(text: &str, from: usize) -> Option<(Target<'_>, usize)> {
    let rest = &text[from..];
    if let Some(anchor) = rest.strip_prefix('#') {
        let end = anchor.find(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').unwrap_or(anchor.len());
        return (end > 0).then(|| (Target::Anchor(&anchor[..end]), from + 1 + end));
    }
    let mut behind = rest.trim_start_matches(['`', ')', ']']).trim_start();
    let comma = behind.starts_with(',');
    for word in [",", "and", "with", "to"] {
        behind = behind.strip_prefix(word).unwrap_or(behind).trim_start();
    }
    let at = from + rest.len() - behind.len();
    if let Some(section) = behind.strip_prefix('§') {
        let number = number(section);
        return (!number.is_empty()).then(|| (Target::Section(number), at + '§'.len_utf8() + number.len()));
    }
    let quoted = behind.strip_prefix('"').filter(|_| comma)?;
    let end = quoted.find('"')?;
    Some((Target::Title(plain(&quoted[..end])), at + end + 2))
}

/// Whether a section that follows this is one of a paper or a standard: behind an abbreviation, a year or a number.
fn is_of_a_paper(before: &str) -> bool {
    if before.ends_with('(') {
        return false;
    }
    let word = before.trim_end().rsplit(char::is_whitespace).next().unwrap_or_default();
    let word = word.trim_matches(['(', ',', '`']);
    let is_name = word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    is_name || PAPERS.contains(&word)
}

/// Targets of links into the repository, and where they stand.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices("](").filter_map(|(at, _)| {
        let link = text[at + 2..].split([')', ' ', '\n']).next()?;
        let is_ours = !link.is_empty() && !link.contains(':');
        is_ours.then_some((at, link))
    })
}

#[cfg(test)]
mod tests;
