//! What comments and documents refer to is there: files, headings and numbered sections of `docs/`, and no label of
//! notes that are not in this repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A line of prose: a line of a document, a comment, or a sentence about a seeded bug.
struct Line {
    /// `core/src/limits.rs:31`.
    at: String,
    /// The file, from the root.
    path: PathBuf,
    text: String,
}

/// What a document can be referred to by: its numbered sections (`14`, `1.3`), its titles and their anchors.
#[derive(Default)]
struct Headings {
    numbers: Vec<String>,
    titles: Vec<String>,
    anchors: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ends: &[&str], out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let skipped =
            ["target", "node_modules"].iter().any(|s| name == *s) || name.as_encoded_bytes()[0] == b'.';
        if path.is_dir() && !skipped {
            files(&path, ends, out);
        } else if path.extension().is_some_and(|e| ends.iter().any(|end| e == *end)) {
            out.push(path);
        }
    }
    out.sort();
}

/// All prose of the repository.
fn lines() -> Vec<Line> {
    let mut paths = Vec::new();
    files(root(), &["rs", "md"], &mut paths);
    let mut out = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().to_owned();
        let (document, mutants) = (path.extension().is_some_and(|e| e == "md"), path.ends_with("mutants.rs"));
        let mut code = false;
        for (n, line) in text.lines().enumerate() {
            code ^= line.trim_start().starts_with("```");
            let prose = match line.find("//") {
                _ if document && !code || mutants => line,
                Some(from) if !document => &line[from..],
                _ => continue,
            };
            let at = format!("{}:{}", path.display(), n + 1);
            out.push(Line { at, path: path.clone(), text: prose.to_owned() });
        }
    }
    assert!(out.len() > 5_000, "only {} lines of prose", out.len());
    out
}

/// As GitHub makes an anchor of a heading.
fn anchor(title: &str) -> String {
    let kept = title.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || ['-', '_'].contains(c)).collect()
}

fn headings(text: &str) -> Headings {
    let (mut all, mut section, mut code) = (Headings::default(), String::new(), false);
    for line in text.lines() {
        code ^= line.starts_with("```");
        let digits = line.split_once(". ").map_or("", |(number, _)| number);
        if let Some(title) = line.strip_prefix('#').filter(|_| !code) {
            let title = title.trim_start_matches('#').trim();
            section = title.split_once(". ").map_or("", |(number, _)| number).to_owned();
            all.numbers.push(section.clone());
            all.anchors.push(anchor(title));
            all.titles
                .push(title.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').trim().to_owned());
        } else if !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()) && !code {
            all.numbers.push(format!("{section}.{digits}"));
        }
    }
    all
}

/// Every document by its path from the root.
fn documents() -> BTreeMap<PathBuf, Headings> {
    let mut paths = Vec::new();
    files(root(), &["md"], &mut paths);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root()).unwrap().to_owned(), headings(&text))
    };
    paths.into_iter().map(read).collect()
}

/// A path without its `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." {
            out.pop();
        } else {
            out.push(part);
        }
    }
    out
}

/// The file that a document's name in a text means: as a link says, from the root, or one of `docs/`.
fn meant(line: &Line, name: &str) -> Option<PathBuf> {
    let beside = line.path.parent().unwrap_or(Path::new("")).join(name);
    let all = [plain(&beside), PathBuf::from(name), Path::new("docs").join(name)];
    all.into_iter().find(|path| root().join(path).is_file())
}

/// What is wrong with the references to documents in a line: each `NAME.md`, and what stands right behind it.
fn wrong_documents(line: &Line, documents: &BTreeMap<PathBuf, Headings>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (end, _) in line.text.match_indices(".md") {
        let name = line.text[..end]
            .rsplit(|c: char| !(c.is_alphanumeric() || "-_./".contains(c)))
            .next()
            .unwrap_or("");
        let (name, rest) = (format!("{name}.md"), &line.text[end + 3..]);
        // `table.md` is what a command writes; a document's name is in capitals.
        let is_document = name.rsplit('/').next().is_some_and(|n| n.starts_with(|c: char| c.is_uppercase()));
        if !is_document || name == ".md" || rest.starts_with(|c: char| c.is_alphanumeric()) {
            continue;
        }
        let Some(of) = meant(line, &name).and_then(|path| documents.get(&path)) else {
            wrong.push(format!("{}: there is no {name}", line.at));
            continue;
        };
        if let Some(anchor) = rest.strip_prefix('#') {
            let anchor =
                anchor.split(|c: char| !(c.is_alphanumeric() || "-_".contains(c))).next().unwrap_or("");
            if !of.anchors.iter().any(|a| a == anchor) {
                wrong.push(format!("{}: {name} has no #{anchor}", line.at));
            }
        }
        let rest = rest.trim_start_matches(['`', ')']);
        if let Some((title, _)) = rest.strip_prefix(", \"").and_then(|rest| rest.split_once('"'))
            && !of.titles.iter().any(|t| t == title)
        {
            wrong.push(format!("{}: {name} has no \"{title}\"", line.at));
        }
    }
    wrong
}

/// Links of a document to headings of its own.
fn wrong_anchors(line: &Line, documents: &BTreeMap<PathBuf, Headings>) -> Vec<String> {
    let Some(own) = documents.get(&line.path) else { return Vec::new() };
    let links = line.text.split("](#").skip(1).filter_map(|rest| rest.split_once(')'));
    let nowhere = links.filter(|(anchor, _)| !own.anchors.iter().any(|a| a == anchor));
    nowhere.map(|(anchor, _)| format!("{}: there is no #{anchor} in it", line.at)).collect()
}

/// What is wrong with the sections of a line: `§4` is one of docs/ALGORITHM.md; those of papers have other numbers.
fn wrong_sections(line: &Line, algorithm: &Headings) -> Vec<String> {
    if ["SWIM", "Lifeguard", "et al."].iter().any(|paper| line.text.contains(paper)) {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for (at, _) in line.text.match_indices('§') {
        let rest = &line.text[at + '§'.len_utf8()..];
        let number = rest.split(|c: char| !(c.is_ascii_digit() || c == '.')).next().unwrap_or("");
        let number = number.trim_end_matches('.');
        if number.is_empty() && rest.starts_with(['n', '"', '\'']) {
            continue;
        }
        if !algorithm.numbers.iter().any(|n| n == number) {
            wrong.push(format!("{}: docs/ALGORITHM.md has no §{number}", line.at));
        }
    }
    wrong
}

/// Labels such as those of notes that nobody else has: a capital and a number or two, outside backticks and quotes.
/// Sessions of an argument are called S1 and S2.
fn labels(line: &Line) -> Vec<String> {
    let prose: String = line.text.split('`').step_by(2).collect();
    let is_label = |word: &&str| {
        let (letter, number) = word.split_at_checked(1).unwrap_or(("", ""));
        let number = number.trim_end_matches(|c: char| c.is_ascii_lowercase());
        letter.chars().all(|c| c.is_ascii_uppercase() && c != 'S')
            && (1..=2).contains(&number.len())
            && number.chars().all(|c| c.is_ascii_digit())
            && word.len() <= 4
    };
    let words = prose.split(|c: char| !(c.is_alphanumeric() || c == '#' || c == '_' || c == '/'));
    let found = words.filter(is_label).map(|word| format!("{}: {word} is a label of what?", line.at));
    let named = ["design notes", "the notes §", "notes §"].into_iter().filter(|name| prose.contains(name));
    found.chain(named.map(|name| format!("{}: \"{name}\" are not in this repository", line.at))).collect()
}

fn wrong(line: &Line, documents: &BTreeMap<PathBuf, Headings>) -> Vec<String> {
    let sections = wrong_sections(line, &documents[Path::new("docs/ALGORITHM.md")]);
    [wrong_documents(line, documents), wrong_anchors(line, documents), sections, labels(line)].concat()
}

#[test]
fn what_comments_and_documents_refer_to_is_there() {
    let documents = documents();
    let algorithm = &documents[Path::new("docs/ALGORITHM.md")];
    assert!(algorithm.numbers.iter().any(|n| n == "1.3") && algorithm.numbers.iter().any(|n| n == "14"));
    let lines = lines();
    // Examples of references, here and in the census, and what the log of changes says of documents that have gone.
    let examples = ["tests/tidy/references.rs", "xtask/src/census/references", "CHANGELOG.md"];
    let own = |line: &&Line| !examples.iter().any(|path| line.path.starts_with(path));
    let wrong: Vec<String> = lines.iter().filter(own).flat_map(|line| wrong(line, &documents)).collect();
    assert!(wrong.is_empty(), "{} references lead nowhere:\n{}", wrong.len(), wrong.join("\n"));
}

/// The rules above see what they are for.
#[test]
fn references_that_lead_nowhere_are_seen() {
    let documents = documents();
    let seen = |path: &str, text: &str| {
        let line = Line { at: "here".to_owned(), path: PathBuf::from(path), text: text.to_owned() };
        wrong(&line, &documents)
    };
    for bad in [
        "// as CRDT.md says",
        "// `docs/ALGORITHM.md#4-no-such-thing`",
        "// `docs/ALGORITHM.md` §99",
        "// `docs/ALGORITHM.md` §3.2",
        "// MEMBERSHIP.md, \"The three witnesses\"",
        "// skew is checked (A8).",
        "// the design notes",
    ] {
        assert_eq!(seen("core/src/lib.rs", bad).len(), 1, "{bad}: {:?}", seen("core/src/lib.rs", bad));
    }
    for good in [
        "// `docs/ALGORITHM.md` §1.3 and §14; `docs/MEMBERSHIP.md#the-two-witnesses`",
        "// MEMBERSHIP.md, \"The two witnesses\": SWIM §4.2",
        "// the dot `A1`, `table.md`, sessions S1 and S2",
    ] {
        assert!(seen("core/src/lib.rs", good).is_empty(), "{good}: {:?}", seen("core/src/lib.rs", good));
    }
    assert_eq!(seen("docs/MEMBERSHIP.md", "see [below](#the-three-witnesses)").len(), 1);
    assert!(seen("docs/MEMBERSHIP.md", "see [below](#the-two-witnesses)").is_empty());
    assert_eq!(seen("docs/AGENT.md", "see [clocks](CLOCKS.md#no-such-thing)").len(), 1);
}
