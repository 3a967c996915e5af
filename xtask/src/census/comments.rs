//! The prose of a file: of a document all but its code, of a source its comments, lines that follow each other as one text.

use super::markdown::without_code;

/// A text that may go over several lines.
pub struct Prose {
    /// The text, a line break as one.
    pub text: String,
    /// The first line.
    pub line: usize,
}

impl Prose {
    /// The line of a place in the text (a byte).
    pub fn line_at(&self, at: usize) -> usize {
        self.line + self.text[..at].matches('\n').count()
    }
}

/// A document.
pub fn of_document(text: &str) -> Vec<Prose> {
    vec![Prose { text: without_code(text), line: 1 }]
}

/// The comments of a source.
pub fn of_source(text: &str) -> Vec<Prose> {
    let mut all: Vec<Prose> = Vec::new();
    // Whether the line before was one that is nothing but a comment.
    let mut goes_on = false;
    for (n, line) in text.lines().enumerate() {
        let whole = line.trim_start().strip_prefix("//");
        let Some(comment) = whole.or_else(|| behind_code(line)) else {
            goes_on = false;
            continue;
        };
        let comment = comment.trim_start_matches(['/', '!']);
        match all.last_mut().filter(|_| goes_on && whole.is_some()) {
            Some(open) => {
                open.text.push('\n');
                open.text.push_str(comment);
            }
            None => all.push(Prose { text: comment.to_owned(), line: n + 1 }),
        }
        goes_on = whole.is_some();
    }
    all
}

/// A comment that follows code: what is within a string is none.
fn behind_code(line: &str) -> Option<&str> {
    let (code, comment) = line.split_once(" // ")?;
    (code.matches('"').count() % 2 == 0).then_some(comment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_that_follow_each_other_are_one_text() {
        let all = of_source(
            "//! one\n//! two\n\n/// three\nfn f() { // four\n    let x = \" // no comment\";\n    // five\n    // six\n    f(); // seven\n    // eight\n}\n",
        );
        let texts: Vec<(usize, &str)> = all.iter().map(|prose| (prose.line, prose.text.trim())).collect();
        assert_eq!(
            texts,
            [(1, "one\n two"), (4, "three"), (5, "four"), (7, "five\n six"), (9, "seven"), (10, "eight")]
        );
        assert_eq!(all[0].line_at(all[0].text.find("two").unwrap()), 2);
    }
}
