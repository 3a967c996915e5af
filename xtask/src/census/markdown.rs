//! What can be pointed at in a document: headings by their anchors and titles, sections by their numbers.

use std::collections::{BTreeMap, BTreeSet};

/// A document.
#[derive(Default)]
pub struct Document {
    /// Anchors of its headings, as GitHub makes them.
    pub anchors: BTreeSet<String>,
    /// Titles of its headings, without the number.
    pub titles: BTreeSet<String>,
    /// Numbers of its sections (`6`), of sections within (`6.1`), and of what is listed in a section (`1.5`).
    pub sections: BTreeSet<String>,
}

impl Document {
    /// Reads a document.
    pub fn read(text: &str) -> Self {
        let (mut document, mut times) = (Self::default(), BTreeMap::<String, usize>::new());
        let mut section = String::new();
        for line in without_code(text).lines() {
            if let Some(title) = heading(line) {
                let slug = slug(title);
                let before = times.entry(slug.clone()).or_default();
                document.anchors.insert(if *before == 0 { slug } else { format!("{slug}-{before}") });
                *before += 1;
                let (number, words) = numbered(title);
                // A title with an explanation behind a colon goes by what stands before it.
                document.titles.insert(plain(words.split(':').next().unwrap_or_default()));
                document.titles.insert(plain(words));
                document.titles.insert(plain(title));
                section = number.to_owned();
                document.sections.extend(Some(section.clone()).filter(|number| !number.is_empty()));
            } else if let (item, words) = numbered(line)
                && !item.is_empty()
                && words != line
                && !section.is_empty()
            {
                document.sections.insert(format!("{section}.{item}"));
            }
            for name in line.split("<a id=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                document.anchors.insert(name.to_owned());
            }
        }
        document
    }
}

/// A text with its fenced blocks blanked: the lines stay where they are.
pub fn without_code(text: &str) -> String {
    let (mut inside, mut out) = (false, String::with_capacity(text.len()));
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        if !inside && !fence {
            out.push_str(line);
        }
        inside ^= fence;
        out.push('\n');
    }
    out
}

fn heading(line: &str) -> Option<&str> {
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    ((1..=6).contains(&level) && title.starts_with(' ')).then(|| title.trim())
}

/// A number at the beginning (`6`, `6.1`), with or without a dot behind it, and what follows it.
fn numbered(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    if !number.starts_with(|c: char| c.is_ascii_digit()) || !rest.starts_with(' ') {
        return ("", text);
    }
    (number.trim_end_matches('.'), rest.trim_start())
}

/// Without marks of emphasis and code.
pub fn plain(title: &str) -> String {
    let words: Vec<&str> = title.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !['`', '*'].contains(c)).collect()
}

/// GitHub's anchor of a heading.
fn slug(title: &str) -> String {
    let lower = plain(title).to_lowercase();
    let kept = lower.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_found_by_anchor_title_and_number() {
        let document = Document::read(
            "# The algorithm\n\n## 1. What is promised\n1. One.\n2. Two.\n```\n# no heading\n```\n## 6. Expiry\n### 6.1 `when` it ends\n## Cookies, and *more*\n## A new id: what holds\n## Twice\n## Twice\n3. not in a section\n",
        );
        let all = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" | ");
        assert_eq!(
            all(&document.anchors),
            "1-what-is-promised | 6-expiry | 61-when-it-ends | a-new-id-what-holds | cookies-and-more | the-algorithm | twice | twice-1"
        );
        assert_eq!(all(&document.sections), "1 | 1.1 | 1.2 | 6 | 6.1");
        for title in ["What is promised", "6. Expiry", "when it ends", "Cookies, and more", "A new id"] {
            assert!(document.titles.contains(title), "{title}");
        }
    }
}
